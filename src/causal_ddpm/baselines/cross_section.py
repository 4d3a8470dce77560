"""What adapters for cross-sections share: their scope in words, confounders as numbers, accounts.

Confounders reach every library as the package's own encoder reads them: medians and indicators for
missing cells, one 0/1 column a level of a category, standardised. An affine change of the columns
moves no coefficient of the treatment and no split of a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.baselines.base import Adapter
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, ATU, ArmContrast, DoseResponse, Estimand
from causal_ddpm.core.estimate import influence_covariance
from causal_ddpm.core.reported import Account
from causal_ddpm.nuisance.encoding import Encoder

Array = NDArray[np.float64]
MEANS: tuple[type[Estimand], ...] = (ATE, ATT, ATU)
_SLOPE_AT = "the slope of the dose-response at one dose"
_COLLINEAR = 1e-8
"""A column whose part outside the span of those before it is shorter, as a share of its length."""


@dataclass(frozen=True)
class Scope:
    """What a method can take.

    Parameters
    ----------
    estimands : tuple of type
        The estimands that it answers.
    slope : bool
        Whether it gives the slope of a dose-response (one for all doses).
    instrument : bool
        Whether it needs an instrument.
    weights, clusters : bool
        Whether it follows a column of weights, and of clusters.
    """

    estimands: tuple[type[Estimand], ...]
    slope: bool = False
    instrument: bool = False
    weights: bool = False
    clusters: bool = False


class CrossSectionBaseline(Adapter[CausalData]):
    """An adapter for cross-sections, which applies within its scope."""

    scope: ClassVar[Scope]

    def applies(self, data: CausalData, estimand: Estimand) -> str | None:
        """Why the method cannot answer, as a clause; None when it can."""
        return why_not(data, estimand, self.scope)


def why_not(data: Any, estimand: Estimand, scope: Scope) -> str | None:
    """The first thing that keeps a method from answering, as a clause; None when there is none."""
    if not isinstance(data, CausalData):
        return f"it takes a cross-section (CausalData), not a {type(data).__name__}"
    if not _answers(estimand, scope):
        words = [kind.name for kind in scope.estimands] + [_SLOPE_AT] * scope.slope
        return f"it answers {' or '.join(words)}, not {_named(estimand)}"
    kind = data.treatment_schema.kind
    if kind not in estimand.treatments:
        wanted = " or ".join(f"'{k}'" for k in estimand.treatments)
        return f"the treatment is of kind '{kind}', and {_named(estimand)} needs {wanted}"
    if scope.instrument and data.instrument is None:
        return "the data have no instrument"
    if data.has_weights and not scope.weights:
        return f"it does not follow the weights '{data.weights_name}'"
    if data.clusters is not None and not scope.clusters:
        return f"its standard errors do not follow the clusters '{data.clusters_name}'"
    return None


def is_slope(estimand: Estimand) -> bool:
    """Whether the estimand is the slope of a dose-response at one dose."""
    return (
        isinstance(estimand, DoseResponse)
        and estimand.derivative
        and len(estimand.doses or ()) == 1
    )


def _answers(estimand: Estimand, scope: Scope) -> bool:
    return type(estimand) in scope.estimands or (scope.slope and is_slope(estimand))


def _named(estimand: Estimand) -> str:
    if isinstance(estimand, DoseResponse):
        return "the slope of a dose-response" if estimand.derivative else "a dose-response"
    return f"the {estimand.name}"


def label_of(estimand: Estimand) -> str:
    """What the one number of an estimate is called."""
    if isinstance(estimand, DoseResponse) and estimand.doses is not None:
        return f"slope at {estimand.doses[0]:g}"
    if isinstance(estimand, ArmContrast):
        return f"{estimand.arm} against {estimand.control}"
    return estimand.name


# -- confounders as numbers -----------------------------------------------------------------
def features(data: CausalData) -> tuple[Array, tuple[str, ...]]:
    """Confounders as numbers, shape (n, q), and the names of the columns."""
    weights = data.weights if data.has_weights else None
    encoder = Encoder(clip=np.inf).fit(data.covariates, weights)
    return encoder.transform(data.covariates), encoder.names


def independent_features(data: CausalData) -> tuple[Array, tuple[str, ...]]:
    """Those columns of :func:`features` that no constant and no earlier columns add up to."""
    x, names = features(data)
    ones = np.column_stack([np.ones(len(x)), x])
    left = np.abs(np.diag(np.linalg.qr(ones, mode="r")))
    kept = left[1:] > _COLLINEAR * np.maximum(np.linalg.norm(x, axis=0), 1.0)
    return x[:, kept], tuple(name for name, k in zip(names, kept, strict=True) if k)


def model_frame(data: CausalData, x: Array | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Outcome ``y``, treatment ``d``, weights ``w``, clusters ``g``, and the columns of ``x``.

    Returns
    -------
    frame : DataFrame
    names : list of str
        Names of the columns of ``x``.
    """
    frame = pd.DataFrame({"y": data.outcome, "d": data.treatment.astype(float), "w": data.weights})
    if data.clusters is not None:
        frame["g"] = data.clusters
    names = [f"x{j}" for j in range(0 if x is None else x.shape[1])]
    if x is None:
        return frame, names
    return pd.concat([frame, pd.DataFrame(x, columns=names)], axis=1), names


def group_indicator(data: CausalData, estimand: Estimand) -> NDArray[np.bool_]:
    """The rows that the estimand is about, shape (n,)."""
    treated = data.treatment == 1
    every = np.ones(data.n, dtype=bool)
    return {"treated": treated, "untreated": ~treated}.get(estimand.group, every)


def variance_of_mean(data: CausalData, phi: Array) -> float:
    """Variance of the mean of phi, in which the weights are contained."""
    if data.weights_type == "frequency" and data.clusters is None:
        total = data.weights.sum()
        copies = np.where(data.weights > 0, phi / np.sqrt(np.maximum(data.weights, 1e-300)), 0.0)
        return float(copies @ copies / data.n**2 * total / (total - 1))
    return float(influence_covariance(phi[:, None], data.clusters)[0, 0])


def account(
    method: Any,
    data: CausalData,
    estimand: Estimand,
    details: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
) -> Account:
    """What an estimate of an adapter says about itself."""
    return Account(
        estimand=estimand.name,
        population=estimand.population,
        method=method.title,
        n=data.n,
        fingerprint=data.fingerprint,
        assumptions=(method.assumes,),
        warnings=tuple(warnings),
        details=details or {},
    )
