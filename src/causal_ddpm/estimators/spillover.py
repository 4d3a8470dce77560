r"""Direct and indirect effects when the treatment of neighbours matters too.

With d_i the treatment of unit i and s_i the share of its neighbours that are treated
(:mod:`causal_ddpm.core.network`), exposure is read at one cut (Manski 2013; Aronow and Samii 2017):

    g_i = 1{s_i >= cut},        Y_i = Y_i(d_i, g_i):  nothing else of others' treatments matters

    direct effect at g      E[Y(1, g) - Y(0, g)]
    indirect effect at d    E[Y(d, 1) - Y(d, 0)]
    total effect            E[Y(1, 1) - Y(0, 0)]

(d, g) is a treatment with four arms, unconfounded given the unit's covariates, the means of its
neighbours' covariates and the number of its neighbours (Forastiere, Airoldi and Mealli 2021), so
the means are those of :mod:`causal_ddpm.estimators.arm_effects`. Units without neighbours have no
exposure and are left out.

Rows of neighbours are not independent. With psi_i the influence values of the four means and K_ij
the pairs within reach (Conley 1999; Leung 2022),

    V_0 = sum_i psi_i psi_i' / n^2,      V_K = sum_ij K_ij psi_i psi_j' / n^2
    cov = n/(n-1) (V_0 + (V_K - V_0)_+)

where ()_+ drops negative eigenvalues: dependence can widen an interval, never narrow it. Clusters,
where given, join K.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ArmMeans
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.network import Network
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.random import Seed
from causal_ddpm.core.rows import frame_of, subset
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.estimators.scores import Array

ARMS = ("0, low", "0, high", "1, low", "1, high")
"""Treatment and exposure."""

EFFECTS: Mapping[str, tuple[float, ...]] = {
    "direct effect, low exposure": (-1, 0, 1, 0),
    "direct effect, high exposure": (0, -1, 0, 1),
    "indirect effect on the untreated": (-1, 1, 0, 0),
    "indirect effect on the treated": (0, 0, -1, 1),
    "total effect": (-1, 0, 0, 1),
}
"""Contrasts of the four means."""

_ARM, _DEGREE = "treatment and exposure", "number of neighbours"


def spillover_effects(  # noqa: PLR0913 - a public door, all but two have defaults
    data: CausalData,
    network: Network,
    *,
    cut: float = 0.5,
    reach: int = 2,
    outcome_model: OutcomeModel | None = None,
    propensity_model: PropensityModel | None = None,
    n_folds: int = 5,
    n_repeats: int = 1,
    random_state: Seed = 0,
    n_jobs: int = 1,
    level: float = 0.95,
    progress: Progress = silent,
) -> Estimate:
    """Direct, indirect and total effects of a binary treatment on a network.

    Parameters
    ----------
    data : CausalData
        One row a unit, in the order of the network.
    network : Network
    cut : float
        Share of treated neighbours from which on a unit is highly exposed, above 0 and at most 1.
    reach : int
        Links within which errors may depend on each other; 2 are units that share a neighbour.
    outcome_model, propensity_model, n_folds, n_repeats, random_state, n_jobs, level, progress
        As in :func:`~causal_ddpm.estimate_effects`.

    Returns
    -------
    Estimate
        Five entries, :data:`EFFECTS`. ``details`` has the means of the four arms, how many units
        are in each, and how much dependence adds to the standard errors.

    Raises
    ------
    DataError
        For a treatment that is not binary, a network of other units, a cut out of range, fewer
        than two units in an arm, or no unit with neighbours.
    OverlapError
        If units of an arm cannot stand in for the others.
    """
    _check(data, network, cut)
    kept = np.flatnonzero(network.degree > 0)
    units, among = subset(data, kept), network.rows(kept)
    exposed = np.round(among.share(units.treatment), 12) >= cut
    joint = _joint(units, among, exposed)
    means = estimate_effects(
        joint, ArmMeans(), outcome_model=outcome_model, propensity_model=propensity_model,
        n_folds=n_folds, n_repeats=n_repeats, random_state=random_state, n_jobs=n_jobs,
        level=level, progress=progress,
    )[0]  # fmt: skip
    means = means.contrast(_order_of(joint.arms), ARMS)
    near = _near(among, reach, units.clusters)
    wide = replace(means, cov=network_covariance(means.influence, near), clusters=None, df=None)
    effects = wide.contrast(np.array(list(EFFECTS.values())), tuple(EFFECTS))
    return replace(
        effects,
        estimand="spillover effects",
        population="units with neighbours",
        assumptions=_assumptions(cut, reach, network.made),
        details=_details(means, wide, data.n - len(kept), exposed),
    )


def network_covariance(influence: Array, near: csr_array) -> Array:
    """Covariance of means whose influence values depend on each other, shape (p, p).

    Parameters
    ----------
    influence : ndarray, shape (n, p)
        Centred.
    near : sparse array, shape (n, n)
        K: ones for pairs that may be dependent and on the diagonal, symmetric.
    """
    n = len(influence)
    alone = influence.T @ influence / n**2
    excess = influence.T @ (near @ influence) / n**2 - alone
    values, vectors = np.linalg.eigh((excess + excess.T) / 2)
    return np.asarray(n / (n - 1) * (alone + (vectors * np.maximum(values, 0)) @ vectors.T))


def _check(data: CausalData, network: Network, cut: float) -> None:
    """Refuse what can be refused before anything is fitted."""
    if data.treatment_schema.kind != "binary":
        raise DataError(
            f"the treatment is of kind '{data.treatment_schema.kind}'", "a binary treatment",
            "Exposure is the share of neighbours that are treated.", column=data.treatment_name,
        )  # fmt: skip
    if network.n != data.n:
        raise DataError(
            f"the network has {network.n} units and the data {data.n} rows", "one row a unit",
            "Both must have the same order.",
        )  # fmt: skip
    if not 0 < cut <= 1:
        raise DataError(f"cut is {cut}", "a share above 0 and at most 1")
    if not (network.degree > 0).any():
        raise DataError(
            "no unit has a neighbour", "a network with links", "Take a larger radius or more links."
        )


def _joint(units: CausalData, network: Network, exposed: NDArray[np.bool_]) -> CausalData:
    """The units with four arms, and with what they see of their neighbours."""
    frame = frame_of(units)
    around = _neighbours_covariates(units, network)
    code = 2 * (units.treatment == 1) + exposed
    _check_arms(np.bincount(code, minlength=len(ARMS)))
    frame = pd.concat([frame.drop(columns=units.treatment_name), around], axis=1)
    frame[_ARM] = np.asarray(ARMS)[code]
    return CausalData(
        frame, _ARM, units.outcome_name, [*units.confounder_names, *around.columns],
        units.weights_name, units.clusters_name, weights_type=units.weights_type,
        treatment_kind="arms", control=ARMS[0], outcome_kind=units.outcome_schema.kind,
    )  # fmt: skip


def _order_of(arms: tuple[Any, ...]) -> Array:
    """The matrix that brings arms into the order of :data:`ARMS`."""
    return np.array([[float(arm == wanted) for arm in arms] for wanted in ARMS])


def _check_arms(sizes: NDArray[np.int64]) -> None:
    if sizes.min() < 2:
        rare = int(sizes.argmin())
        raise DataError(
            f"{sizes[rare]} units have treatment and exposure '{ARMS[rare]}'", "at least 2",
            "Choose a cut that both treated and untreated units reach and fall short of.",
        )  # fmt: skip


def _neighbours_covariates(units: CausalData, network: Network) -> pd.DataFrame:
    """Means of the neighbours' covariates (shares of levels), and the number of neighbours."""
    found: dict[str, Any] = {}
    for column, values in zip(units.covariates.columns, units.covariates.values.T, strict=True):
        if column.kind != "categorical":
            found[f"neighbours' {column.name}"] = network.share(values)
            continue
        for code, name in enumerate(column.categories[1:], start=1):
            found[f"neighbours' {column.name} = {name}"] = network.share(values == code)
    found[_DEGREE] = np.log1p(network.degree)
    frame = pd.DataFrame(found)
    return frame.loc[:, frame.nunique() > 1]


def _near(network: Network, reach: int, clusters: NDArray[np.int64] | None) -> csr_array:
    near = network.reach(reach)
    if clusters is None:
        return near
    n = len(clusters)
    member = csr_array((np.ones(n), (np.arange(n), clusters)))
    near = csr_array(near + member @ member.T)
    near.data = np.ones_like(near.data)
    return near


def _assumptions(cut: float, reach: int, made: str) -> tuple[str, ...]:
    return (
        f"only one's own treatment and whether at least {cut:.0%} of one's neighbours are treated "
        f"matter ({made})",
        "both are as good as random given a unit's own covariates, the means of its neighbours' "
        "and their number",
        f"errors of units more than {reach} links apart are independent",
    )


def _details(
    means: Estimate, wide: Estimate, n_alone: int, exposed: NDArray[np.bool_]
) -> dict[str, Any]:
    ratio = np.sqrt(np.diag(wide.cov) / np.diag(means.cov))
    return {
        **means.details,
        "means": dict(zip(ARMS, means.values.tolist(), strict=True)),
        "std_errors_of_means": dict(zip(ARMS, np.sqrt(np.diag(wide.cov)).tolist(), strict=True)),
        "share_highly_exposed": float(exposed.mean()),
        "units_without_neighbours": n_alone,
        "widened_by_dependence": dict(zip(ARMS, ratio.tolist(), strict=True)),
    }
