"""Omitted-variable bias of a linear regression (Cinelli and Hazlett 2020, JRSS-B 82).

The regression Y = tau D + X beta + rest has standard error se and nu degrees of freedom. An omitted
Z whose partial R2 with the treatment is R_D = R2(D ~ Z | X) and with the outcome
R_Y = R2(Y ~ Z | D, X) changes the coefficient, and its standard error, to

    |bias| = se sqrt(nu) sqrt(R_Y R_D / (1 - R_D))                                    (eq. 13)
    se'    = se sqrt((1 - R_Y) / (1 - R_D)) sqrt(nu / (nu - 1))                       (eq. 14)

With f = |tau - null| / (se sqrt(nu)), f* = t_{1 - alpha / 2, nu - 1} / sqrt(nu - 1) and RV of
:mod:`~causal_ddpm.evaluation.sensitivity.robustness`:

    RV_q       = RV(f);     RV_{q,alpha} = RV(f - f*), and (f^2 - f*^2) / (1 + f^2) if f > 1 / f*
    extreme    = f^2 / (1 + f^2): the R_D that suffices when Z explains all of Y      (section 4.4)

**Benchmarks** (section 4.4, eq. 20). Z is k times as strong as the observed x_j (all columns of a
category together), with r_D = R2(D ~ x_j | X_-j) and r_Y = R2(Y ~ x_j | D, X_-j):

    R_D = k r_D / (1 - r_D),     h = k r_D^2 / ((1 - k r_D)(1 - r_D))
    R_Y <= (sqrt(k) + sqrt(h))^2 / (1 - h) . r_Y / (1 - r_Y),     at most 1

The algebra is exact for least squares, weighted or not; its standard error is that of independent
rows with one variance, so under sampling weights or clusters only the point values are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, stats

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.sensitivity.robustness import robustness_value, share_in_words

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Benchmark:
    """What a confounder ``multiple`` times as strong as an observed one would do.

    Standard error and interval are None where the regression's standard error does not apply.
    """

    confounder: str
    multiple: float
    r2_treatment: float
    r2_outcome: float
    estimate: float
    std_error: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, eq=False)
class LinearOVB:
    """Omitted variables in the linear regression of the outcome on treatment and confounders.

    Parameters
    ----------
    estimate, std_error : float
        Coefficient of the treatment and its classical standard error.
    df : float
        Residual degrees of freedom nu.
    classical : bool
        Whether rows are independent and equally weighted, so that the standard error applies.
    level, null : float
    benchmarks : tuple of Benchmark
    """

    estimate: float
    std_error: float
    df: float
    classical: bool
    level: float
    null: float
    benchmarks: tuple[Benchmark, ...] = ()

    @property
    def f(self) -> float:
        """Partial Cohen's f of the distance between estimate and null."""
        return abs(self.estimate - self.null) / (self.std_error * math.sqrt(self.df))

    @property
    def partial_r2(self) -> float:
        """Share of the outcome's residual variance that the treatment explains, R2(Y ~ D | X)."""
        t2 = (self.estimate / self.std_error) ** 2
        return t2 / (t2 + self.df)

    @property
    def extreme(self) -> float:
        """R_D that explains the estimate away when the omitted variable explains all of Y."""
        return self.f**2 / (1 + self.f**2)

    @property
    def rv(self) -> float:
        """Robustness value of the point estimate."""
        return robustness_value(self.f)

    @property
    def rv_alpha(self) -> float | None:
        """Robustness value of the confidence interval."""
        if not self.classical:
            return None
        critical = self._critical() / math.sqrt(self.df - 1)
        if self.f > 1 / critical:
            return (self.f**2 - critical**2) / (1 + self.f**2)
        return robustness_value(self.f - critical)

    def _critical(self) -> float:
        return float(stats.t.ppf((1 + self.level) / 2, self.df - 1))

    def adjusted(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Array:
        """Estimates after the worst bias of omitted variables of given strengths."""
        r_d, r_y = np.asarray(r2_treatment, dtype=float), np.asarray(r2_outcome, dtype=float)
        bias = self.std_error * math.sqrt(self.df) * np.sqrt(r_y * r_d / (1 - r_d))
        return self.estimate - math.copysign(1.0, self.estimate - self.null) * bias

    def benchmark(self, confounder: str, multiple: float, r_d: float, r_y: float) -> Benchmark:
        """The bound of the module page; r_d and r_y are the observed confounder's."""
        treatment, outcome = _bound(confounder, multiple, r_d, r_y)
        adjusted = float(self.adjusted(treatment, outcome))
        if not self.classical:
            return Benchmark(confounder, multiple, treatment, outcome, adjusted, None, None, None)
        se = self.std_error * math.sqrt((1 - outcome) / (1 - treatment) * self.df / (self.df - 1))
        reach = self._critical() * se
        return Benchmark(
            confounder,
            multiple,
            treatment,
            outcome,
            adjusted,
            se,
            adjusted - reach,
            adjusted + reach,
        )

    def quantities(self) -> dict[str, float]:
        """Estimate, standard error, partial R2 and robustness values."""
        found = {
            "estimate": self.estimate,
            "partial R2 of the treatment": self.partial_r2,
            "robustness value": self.rv,
            "extreme scenario": self.extreme,
        }
        if self.rv_alpha is not None:
            found |= {
                "std error": self.std_error,
                "robustness value of the interval": self.rv_alpha,
            }
        return found

    def sentence(self) -> str:
        """What an omitted variable would have to explain."""
        text = (
            "Linear regression: an omitted variable would have to explain "
            f"{share_in_words(self.rv)} of the residual variation of both treatment and outcome to "
            f"bring the coefficient of {self.estimate:.4g} to {self.null:g}"
        )
        if self.rv_alpha is not None:
            text += (
                f", {share_in_words(self.rv_alpha)} for its {self.level:.0%} interval to reach it"
            )
        share = share_in_words(self.extreme)
        text += f"; one that explains all of the outcome, {share} of the treatment."
        for name in dict.fromkeys(b.confounder for b in self.benchmarks):
            own = [b for b in self.benchmarks if b.confounder == name]
            times = ", ".join(f"{b.multiple:g}" for b in own)
            left = ", ".join(f"{b.estimate:.4g}" for b in own)
            text += f" A confounder {times} times as strong as {name} would leave {left}."
        return text

    def to_frame(self) -> pd.DataFrame:
        """One row a benchmark, with the fields of :class:`Benchmark`."""
        columns = list(Benchmark.__dataclass_fields__)
        return pd.DataFrame([asdict(b) for b in self.benchmarks], columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        benchmarks = [asdict(b) for b in self.benchmarks]
        return {**self.quantities(), "df": self.df, "benchmarks": benchmarks}


def linear_ovb(
    data: CausalData,
    benchmarks: Sequence[str] = (),
    multiples: Sequence[float] = (1.0, 2.0, 3.0),
    level: float = 0.95,
    null: float = 0.0,
) -> LinearOVB:
    """Regress the outcome on treatment and confounders and ask what omitted variables could do.

    Categories enter as one 0/1 column a level; missing numbers as their mean with an indicator.

    Parameters
    ----------
    data : CausalData
    benchmarks : sequence of str
        Confounders that give the strength of an omitted one a scale.
    multiples : sequence of float
        How many times as strong.
    level, null : float

    Raises
    ------
    DataError
        If a benchmark is no confounder, or too strong to bound one ``multiple`` times as strong, or
        the confounders leave no degrees of freedom or no variation of the treatment.
    """
    unknown = [name for name in benchmarks if name not in data.confounder_names]
    if unknown:
        raise DataError(
            f"the benchmark '{unknown[0]}' is no confounder", ", ".join(data.confounder_names)
        )
    owners, x = design_matrix(data.covariates)
    root = np.sqrt(data.weights)
    y, d, x = root * data.outcome, root * data.treatment, x * root[:, None]
    n = data.weights.sum() if data.weights_type == "frequency" else (data.weights > 0).sum()
    basis = _basis(x)
    df = float(n - basis.shape[1] - 1)
    left = _left(basis, np.column_stack([d, y]))
    d_left, y_left = left.T
    if df < 2 or d_left @ d_left <= 1e-10 * (d @ d):
        raise DataError(
            f"the {basis.shape[1]} columns of the confounders leave {df:.0f} degrees of freedom "
            f"and {d_left @ d_left:.3g} of the treatment's sum of squares",
            "at least 2 degrees of freedom and a treatment that they do not determine",
        )
    tau = float(d_left @ y_left / (d_left @ d_left))
    rss = float(np.sum((y_left - tau * d_left) ** 2))
    if rss <= 1e-12 * float(y_left @ y_left):
        raise DataError(
            "treatment and confounders determine the outcome",
            "an outcome that the regression does not fit perfectly",
        )
    classical = data.clusters is None and not (data.has_weights and data.weights_type == "sampling")
    found = LinearOVB(tau, math.sqrt(rss / df / float(d_left @ d_left)), df, classical, level, null)
    bounds = []
    for name in benchmarks:
        r_d, r_y = _observed_strength(x[:, [owner != name for owner in owners]], d, y, left, rss)
        bounds += [found.benchmark(name, k, r_d, r_y) for k in multiples]
    return LinearOVB(found.estimate, found.std_error, df, classical, level, null, tuple(bounds))


def design_matrix(covariates: Covariates) -> tuple[list[str], Array]:
    """Owner of each column, and intercept and confounders as numbers, shape (n, q)."""
    owners, columns = [""], [np.ones(len(covariates))]
    for column, x in zip(covariates.columns, covariates.values.T, strict=True):
        missing = np.isnan(x)
        if column.kind == "categorical":
            expanded = [(x == code).astype(float) for code in range(len(column.categories))]
        else:
            expanded = [np.where(missing, x[~missing].mean() if not missing.all() else 0.0, x)]
        expanded += [missing.astype(float)] if missing.any() else []
        columns += expanded
        owners += [column.name] * len(expanded)
    return owners, np.column_stack(columns)


def _basis(x: Array) -> Array:
    """Orthonormal basis of the column space, shape (n, rank)."""
    scale = np.linalg.norm(x, axis=0)
    q, r, _ = linalg.qr(x / np.where(scale > 0, scale, 1.0), mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return q[:, : int((size > 1e-9 * size[0]).sum())]


def _left(basis: Array, columns: Array) -> Array:
    """What the basis does not explain."""
    return columns - basis @ (basis.T @ columns)


def _observed_strength(
    others: Array, d: Array, y: Array, left: Array, rss: float
) -> tuple[float, float]:
    """Partial R2 of one confounder with the treatment and, given the treatment, the outcome."""
    d_left, y_left = _left(_basis(others), np.column_stack([d, y])).T
    tau = d_left @ y_left / (d_left @ d_left)
    rss_without = float(np.sum((y_left - tau * d_left) ** 2))
    r_d = 1 - float(left[:, 0] @ left[:, 0] / (d_left @ d_left))
    return max(r_d, 0.0), max(1 - rss / rss_without, 0.0)


def _bound(confounder: str, k: float, r_d: float, r_y: float) -> tuple[float, float]:
    """R_D and the largest R_Y of a confounder k times as strong; see the module page."""
    treatment = k * r_d / (1 - r_d)
    h = k * r_d**2 / ((1 - k * r_d) * (1 - r_d)) if k * r_d < 1 else math.inf
    if treatment >= 1 or h >= 1:
        raise DataError(
            f"a confounder {k:g} times as strong as '{confounder}', which explains {r_d:.1%} of "
            "the treatment, would explain all of it",
            "a smaller multiple or a weaker benchmark",
        )
    factor = (math.sqrt(k) + math.sqrt(h)) / math.sqrt(1 - h)
    return treatment, min(factor**2 * r_y / (1 - r_y), 1.0)
