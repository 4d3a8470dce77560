"""Two-stage least squares and LIML (linearmodels), with what an instrument is judged by.

    y = b d + c'x + u,   d = g'Z + h'x + v,   E[u | Z, x] = 0

Both are k-class estimators: kappa = 1 is two-stage least squares, the smallest characteristic root
is LIML, which is less biased where instruments are weak (Anderson and Rubin 1949). With one
binary instrument and effects that vary, b is a weighted average of the effects on compliers over x
(Imbens and Angrist 1994).

Every estimate carries the first-stage F, the test of over-identification where there are more
instruments than treatments, and the Anderson-Rubin set, which is right however weak they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from causal_ddpm.baselines.anderson_rubin import anderson_rubin_set, robust_anderson_rubin_set
from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    Array,
    CrossSectionBaseline,
    Scope,
    account,
    independent_features,
    label_of,
)
from causal_ddpm.core.confidence_set import ConfidenceSet
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import LATE, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.core.reported import reported_estimate

WEAK_F = 10.0
TRUSTED_F = 104.7
"""Below, the usual 95 % interval may cover less than it says (Lee et al. 2022)."""

_ASSUMES = (
    "an instrument that moves the treatment, touches the outcome only through it, and is as good "
    "as random given the confounders; models linear in them; one effect, or one-way compliance"
)


@dataclass(frozen=True, eq=False)
class TwoStageLeastSquares(CrossSectionBaseline):
    """Two-stage least squares.

    Parameters
    ----------
    vcov : {"robust", "unadjusted"}
        Standard error without clusters; both carry the correction n / (n - p).
    more_instruments : array_like, shape (n,) or (n, k), optional
        Instruments beside the one of the data, its rows in its order.
    """

    vcov: Literal["robust", "unadjusted"] = "robust"
    more_instruments: ArrayLike | None = None
    name: ClassVar[str] = "2sls"
    title: ClassVar[str] = "Two-stage least squares"
    assumes: ClassVar[str] = _ASSUMES
    library: ClassVar[str] = "linearmodels"
    scope: ClassVar[Scope] = Scope(
        (LATE,), slope=True, instrument=True, weights=True, clusters=True
    )
    model: ClassVar[str] = "IV2SLS"

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        z = _instruments(data, self.more_instruments)
        x = np.column_stack([np.ones(data.n), independent_features(data)[0]])
        iv = load("linearmodels.iv", self.extra)
        with listening(self.library) as heard:
            model = getattr(iv, self.model)(
                data.outcome, x, data.treatment.astype(float), z,
                weights=data.weights if data.has_weights else None,
            )  # fmt: skip
            fit = model.fit(**_covariance(data, self.vcov))
            first_stage = _first_stage(fit, z.shape[1])
            tested = _overidentification(fit, z.shape[1], self)
            value, se = float(fit.params.iloc[-1]), float(fit.std_errors.iloc[-1])
        robust_set = _robust_set(data, x, z, self.vcov, level)
        notes = [*heard, *_weakness(first_stage["first_stage_f"], robust_set)]
        details = {
            **first_stage,
            "overidentification": tested,
            "anderson_rubin": robust_set.to_dict(),
            "anderson_rubin_in_words": str(robust_set),
        }
        free = data.n - x.shape[1] - 1
        if data.clusters is not None:
            free = len(np.unique(data.clusters)) - 1
        return reported_estimate(
            account(self, data, estimand, details, notes), value, se, [label_of(estimand)],
            level=level, df=float(free),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LIML(TwoStageLeastSquares):
    """Limited-information maximum likelihood; the same settings."""

    name: ClassVar[str] = "liml"
    title: ClassVar[str] = "LIML"
    model: ClassVar[str] = "IVLIML"


def _instruments(data: CausalData, more: ArrayLike | None) -> Array:
    """All instruments, shape (n, k)."""
    z = np.asarray(data.instrument, dtype=float)[:, None]
    if more is None:
        return z
    extra = np.asarray(more, dtype=float)
    extra = extra[:, None] if extra.ndim == 1 else extra
    if len(extra) != data.n or not np.isfinite(extra).all():
        raise DataError(
            f"more_instruments has {len(extra)} rows, or cells that are no numbers",
            f"{data.n} rows of finite numbers",
        )
    return np.column_stack([z, extra])


def _covariance(data: CausalData, vcov: str) -> dict[str, Any]:
    if data.clusters is not None:
        return {"cov_type": "clustered", "clusters": data.clusters, "debiased": True}
    # A weighted homoskedastic variance would read sampling weights as precisions.
    return {"cov_type": "robust" if data.has_weights else vcov, "debiased": True}


def _first_stage(fit: Any, k: int) -> dict[str, float]:
    """F of the instruments in the regression of the treatment; the library's chi2 over k."""
    row = fit.first_stage.diagnostics.iloc[0]
    is_f = str(row["f.dist"]).startswith("F")
    statistic = float(row["f.stat"]) / (1 if is_f else k)
    return {"first_stage_f": statistic, "partial_r2": float(row["partial.rsquared"])}


def _overidentification(fit: Any, k: int, method: Any) -> dict[str, Any] | str:
    """Whether the instruments tell the same story."""
    if k == 1:
        return "one instrument for one treatment: nothing to test"
    plain = method.vcov == "unadjusted" or method.model == "IVLIML"
    test = fit.sargan if plain else fit.wooldridge_overid
    return {
        "test": "Sargan" if plain else "Wooldridge (robust score)",
        "statistic": float(test.stat),
        "p_value": float(test.pval),
        "df": k - 1,
    }


def _robust_set(data: CausalData, x: Array, z: Array, vcov: str, level: float) -> ConfidenceSet:
    """The Anderson-Rubin set: robust with one instrument, else homoskedastic."""
    root = np.sqrt(data.weights)
    y, d = data.outcome * root, data.treatment.astype(float) * root
    x, z = x * root[:, None], z * root[:, None]
    plain = vcov == "unadjusted" and data.clusters is None and not data.has_weights
    if plain or z.shape[1] > 1:
        return anderson_rubin_set(y, d, z, x, level)
    return robust_anderson_rubin_set(y, d, z[:, 0], x, level, data.clusters)


def _weakness(f: float, found: ConfidenceSet) -> list[str]:
    """A warning where the usual interval cannot be trusted."""
    trusted = f"the {found.level:.0%} Anderson-Rubin set is {found}"
    if f < WEAK_F:
        return [
            f"Weak instrument: first-stage F = {f:.1f}, below {WEAK_F:.0f}; do not use the usual "
            f"interval, {trusted}."
        ]
    if f < TRUSTED_F:
        return [
            f"First-stage F = {f:.1f}: below {TRUSTED_F:g} the usual interval may cover less than "
            f"it says where the treatment is strongly confounded; {trusted}."
        ]
    return []
