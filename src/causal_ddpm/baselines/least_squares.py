"""Difference in means, and regressions with confounders, by least squares (pyfixest).

With treatment d, confounders x and weights w,

    difference    y = a + b d
    ols           y = a + b d + c'x                            b
    interacted    y = a + b d + c'x + d delta'(x - xbar_g)     b, xbar_g the mean of the estimand's
                                                               units (Lin 2013)

Standard errors are HC2 (MacKinnon and White 1985), HC1 with weights, or follow the clusters. For
`interacted` the spread of xbar_g, which is itself an estimate, is added: delta' V(xbar_g) delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    MEANS,
    Array,
    CrossSectionBaseline,
    Scope,
    account,
    group_indicator,
    independent_features,
    label_of,
    model_frame,
    variance_of_mean,
)
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.core.reported import reported_estimate

Variance = Literal["iid", "HC1", "HC2", "HC3"]


@dataclass(frozen=True)
class DifferenceInMeans(CrossSectionBaseline):
    """Mean of the treated minus mean of the untreated.

    Parameters
    ----------
    vcov : {"iid", "HC1", "HC2", "HC3"}
        Standard error without clusters.
    """

    vcov: Variance = "HC2"
    name: ClassVar[str] = "difference"
    title: ClassVar[str] = "Difference in means"
    assumes: ClassVar[str] = "treatment as good as random: nothing confounds it, observed or not"
    library: ClassVar[str] = "pyfixest"
    scope: ClassVar[Scope] = Scope(MEANS, weights=True, clusters=True)

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """The difference, with its robust standard error; it has no vote among methods."""
        return _coefficient(self, data, estimand, None, level, no_vote="it holds nothing equal")


@dataclass(frozen=True)
class OLS(CrossSectionBaseline):
    """The coefficient of the treatment beside the confounders; weighted where there are weights.

    Parameters
    ----------
    vcov : {"iid", "HC1", "HC2", "HC3"}
        Standard error without clusters.
    """

    vcov: Variance = "HC2"
    name: ClassVar[str] = "ols"
    title: ClassVar[str] = "OLS with confounders"
    assumes: ClassVar[str] = (
        "no confounders beyond those named; an outcome linear in treatment and confounders; one "
        "effect for all (otherwise an average that favours units whose treatment was a toss-up)"
    )
    library: ClassVar[str] = "pyfixest"
    scope: ClassVar[Scope] = Scope(MEANS, slope=True, weights=True, clusters=True)

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """The coefficient, with its robust standard error."""
        return _coefficient(self, data, estimand, independent_features(data)[0], level)


@dataclass(frozen=True)
class InteractedOLS(CrossSectionBaseline):
    """Regression with all products of treatment and confounders (Lin 2013).

    Parameters
    ----------
    vcov : {"iid", "HC1", "HC2", "HC3"}
        Standard error without clusters.
    """

    vcov: Variance = "HC2"
    name: ClassVar[str] = "interacted"
    title: ClassVar[str] = "OLS, interacted (Lin)"
    assumes: ClassVar[str] = (
        "no confounders beyond those named; an outcome linear in the confounders in each arm"
    )
    library: ClassVar[str] = "pyfixest"
    scope: ClassVar[Scope] = Scope(MEANS, weights=True, clusters=True)

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """The average effect of the estimand's units."""
        x, d = independent_features(data)[0], data.treatment.astype(float)
        w = data.weights * group_indicator(data, estimand)
        centred = x - w @ x / w.sum()
        design = np.column_stack([centred, d[:, None] * centred])
        coef, cov, df = _fit(self.vcov, data, design)
        delta = coef[-x.shape[1] :]
        se = np.sqrt(cov[1, 1] + variance_of_mean(data, w / w.mean() * (centred @ delta)))
        return reported_estimate(
            account(self, data, estimand, {"standard_error": _words(self.vcov, data)}),
            coef[1], se, [label_of(estimand)], level=level, df=df,
        )  # fmt: skip


def _coefficient(
    method: Any, data: CausalData, estimand: Estimand, x: Array | None, level: float, **more: str
) -> Estimate:
    """The coefficient of the treatment in the regression on ``x``; ``more`` joins its details."""
    coef, cov, df = _fit(method.vcov, data, x)
    return reported_estimate(
        account(method, data, estimand, {"standard_error": _words(method.vcov, data), **more}),
        coef[1], np.sqrt(cov[1, 1]), [label_of(estimand)], level=level, df=df,
    )  # fmt: skip


def _fit(vcov: Variance, data: CausalData, x: Array | None) -> tuple[Array, Array, float]:
    """Coefficients of 1, d and x, their covariance and degrees of freedom.

    HC2 and HC3 carry no further correction for the number of coefficients.
    """
    pyfixest = load("pyfixest", "classics")
    frame, names = model_frame(data, x)
    kind, wanted = _variance(vcov, data)
    textbook = kind in ("HC2", "HC3")
    with listening("pyfixest"):
        fit = pyfixest.feols(
            " + ".join(["y ~ d", *names]),
            frame,
            vcov=wanted,
            weights="w" if data.has_weights else None,
            weights_type="fweights" if data.weights_type == "frequency" else "aweights",
            ssc=pyfixest.ssc(k_adj=not textbook, G_adj=not textbook),
        )
        coef, cov = fit.coef().to_numpy(), np.asarray(fit._vcov)
    if len(coef) < 2 + len(names):
        raise ConvergenceError(
            f"{len(names) + 2 - len(coef)} columns of the regression are sums of others: some "
            "confounder does not vary in one of the arms, or the treatment follows from them. "
            "Expected confounders that vary in both arms; drop or merge those that do not."
        )
    n = data.weights.sum() if data.weights_type == "frequency" else np.sum(data.weights > 0)
    free = float(n - len(coef))
    if data.clusters is not None:
        free = float(len(np.unique(data.clusters[data.weights > 0])) - 1)
    return coef, cov, free


def _variance(vcov: Variance, data: CausalData) -> tuple[str, Any]:
    """Kind of the standard error, and what the library calls it."""
    if data.clusters is not None:
        return "clusters", {"CRV1": "g"}
    kind = "HC1" if data.has_weights and vcov != "iid" else vcov
    return kind, kind


def _words(vcov: Variance, data: CausalData) -> str:
    if data.clusters is not None:
        return f"clustered by {data.clusters_name}"
    return _variance(vcov, data)[0]
