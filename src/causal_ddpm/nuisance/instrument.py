"""Cross-fitted nuisances of a binary instrument Z.

For row i in fold k, from rows outside fold k,

    outcome_z(i)    = E[Y | X = x_i, Z = z]        the outcome model, with Z as the treatment
    take_up_z(i)    = P(D = 1 | X = x_i, Z = z)    the same model, run on the treatment D
    propensity_z(i) = P(Z = z | X = x_i)           the propensity model, run on Z

(Chernozhukov et al. 2018, section 5.2, the interactive IV model). Where nobody with Z = 0 is
treated, take_up_0 is zero for everyone, as the design says, and not estimated; likewise
take_up_1 = 1 where everybody with Z = 1 is treated (one-sided non-compliance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.instrument import require_instrument, under_instrument
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import OutcomeModel, PropensityModel
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.nuisance.crossfit import Nuisances, fit_nuisances

Array = NDArray[np.float64]

_OUTCOME_SHARE = 0.8
"""The outcome's part of the whole work, for the progress bar."""


@dataclass(frozen=True, eq=False)
class InstrumentNuisances:
    """Out-of-fold nuisances of data with an instrument.

    Parameters
    ----------
    fold_ids : ndarray of int, shape (n,)
        Fold of each row.
    outcome : ndarray, shape (n, 2)
        E[Y | x_i, Z = z] for z = 0, 1, in units of the outcome.
    take_up : ndarray, shape (n, 2)
        P(D = 1 | x_i, Z = z).
    propensity : ndarray, shape (n, 2)
        P(Z = z | x_i); rows sum to one.
    fingerprint : str
        Fingerprint of the data they belong to.
    method : str
        How they were learnt.
    n_synthetic : int
        Generated rows that helped to train the outcome model.
    reports : mapping
        What the fits have to say, by nuisance, JSON-ready.
    """

    fold_ids: NDArray[np.int64]
    outcome: Array
    take_up: Array
    propensity: Array
    fingerprint: str
    method: str = "interactive IV"
    n_synthetic: int = 0
    reports: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.fold_ids))


def fit_instrument_nuisances(  # noqa: PLR0913 - the arguments of fit_nuisances, and a model
    data: CausalData,
    outcome_model: OutcomeModel | None = None,
    propensity_model: PropensityModel | None = None,
    n_folds: int = 5,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
    inspect: Callable[[Array], None] = lambda propensity: None,
    take_up_model: OutcomeModel | None = None,
) -> InstrumentNuisances:
    """Cross-fit the outcome and the take-up given the instrument, and the instrument's propensity.

    Parameters
    ----------
    data : CausalData
        With a binary instrument and a binary treatment.
    outcome_model, propensity_model, n_folds, random_state, n_jobs, progress
        As in :func:`causal_ddpm.nuisance.crossfit.fit_nuisances`.
    inspect : callable
        Shown P(Z = z | x), shape (n, 2), before the outcome model is fitted.
    take_up_model : OutcomeModel, optional
        Learns P(D = 1 | x, Z); the outcome model by default, which meets a binary outcome here.

    Raises
    ------
    DataError
        If the data have no instrument, or one of its values is too rare for the folds.
    """
    z = require_instrument(data, "the nuisances of an instrument")
    itt = fit_nuisances(
        under_instrument(data), outcome_model, propensity_model, n_folds, random_state, n_jobs,
        _scaled(progress, 0.0, _OUTCOME_SHARE), inspect,
    )  # fmt: skip
    model = take_up_model or outcome_model or _default_model()
    learnt = model.cross_fit(
        under_instrument(data, of="treatment"),
        itt.fold_ids,
        seed_sequence(random_state, "take-up"),
        n_jobs,
        _scaled(progress, _OUTCOME_SHARE, 1.0),
    )
    progress("nuisances", 1.0)
    return InstrumentNuisances(
        fold_ids=itt.fold_ids,
        outcome=itt.mean,
        take_up=honoured(np.clip(learnt.mean, 0.0, 1.0), data.treatment, z),
        propensity=itt.propensity,
        fingerprint=data.fingerprint,
        method=itt.method.replace("AIPW", "interactive IV"),
        n_synthetic=itt.n_synthetic,
        reports=_reports(itt, learnt.report),
    )


def honoured(take_up: Array, d: NDArray[np.int64], z: NDArray[np.int64]) -> Array:
    """Take-up (n, 2), exactly 0 or 1 where nobody or everybody with Z = z is treated."""
    out = take_up.copy()
    for value in (0, 1):
        treated = d[z == value]
        if len(np.unique(treated)) == 1:
            out[:, value] = float(treated[0])
    return out


def _default_model() -> OutcomeModel:
    from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

    return PotentialOutcomeModel()


def _reports(itt: Nuisances, take_up: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "outcome": dict(itt.outcome_report),
        "take_up": dict(take_up),
        "propensity": dict(itt.propensity_report),
    }


def _scaled(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a part of the work."""

    def shown(stage: str, share: float) -> None:
        progress(stage, start + (end - start) * share)

    return shown
