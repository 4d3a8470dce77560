"""What the data allow: naive difference, overlap of the arms, balance before and after weighting.

**Naive difference.** mean(Y | D = 1) - mean(Y | D = 0) under the row weights w, with W_a the sum
of w in arm a and r the residuals from the arm's mean. It is the coefficient of D in a regression
of Y on D; its HC2 variance (MacKinnon and White 1985) is

    V = sum_a sum_{D_i = a} w_i^2 r_i^2 / (W_a^2 (1 - w_i / W_a))

(frequency weights: w_i copies, each of weight one; clusters: G/(G-1) sum_g (sum_{i in g} u_i)^2
with u_i = +-w_i r_i / W_a).

**Balance.** For a confounder x with arm means m_a and variances v_a (weights w before, w omega
after, omega of :mod:`causal_ddpm.estimators.scores`),

    difference = (m_1 - m_0) / s,   variance ratio = v_1 / v_0,

s^2 = (v_1 + v_0) / 2 for the ATE, v_1 for the ATT, v_0 for the ATU, all before weighting (Austin
2009; Stuart 2010). Each level of a category, and missingness, counts as a 0/1 confounder, for
which a variance ratio says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, ATU, Estimand
from causal_ddpm.core.estimand.trimming import optimal_bounds
from causal_ddpm.core.treatment import require_binary
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.inference import ARM_WORDS, Sampling
from causal_ddpm.estimators.overlap import Comparison, compare, separation
from causal_ddpm.nuisance.crossfit import Nuisances, check_nuisances

Array = NDArray[np.float64]
BINS = 25


@dataclass(frozen=True)
class NaiveDifference:
    """Difference of the arms' mean outcomes, as if treatment had been randomised.

    Parameters
    ----------
    value, std_error : float
        Difference and its HC2 (or cluster-robust) standard error.
    mean_treated, mean_untreated : float
    n_treated, n_untreated : int
    df : float or None
        Degrees of freedom of the interval (clusters minus one); None means normal.
    """

    value: float
    std_error: float
    mean_treated: float
    mean_untreated: float
    n_treated: int
    n_untreated: int
    df: float | None = None

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the difference (not of an effect)."""
        q = (1 + level) / 2
        critical = stats.norm.ppf(q) if self.df is None else stats.t.ppf(q, self.df)
        return self.value - critical * self.std_error, self.value + critical * self.std_error

    def frame(self) -> pd.DataFrame:
        """One row with all fields."""
        return pd.DataFrame([self.to_dict()])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)


def naive_difference(data: CausalData) -> NaiveDifference:
    """Difference in means with its HC2 standard error; see the module page."""
    require_binary(data.treatment_schema, "a difference in means")
    sampling = Sampling.of(data)
    y, d, w = data.outcome, data.treatment, data.weights
    totals = np.array([w[d == a].sum() for a in (0, 1)])
    means = np.array([np.average(y[d == a], weights=w[d == a]) for a in (0, 1)])
    share = w / totals[d]
    residual = y - means[d]
    if sampling.clusters is None:
        copies = w if sampling.frequency else np.ones_like(w)
        own = np.divide(share, copies, out=np.zeros_like(share), where=copies > 0)
        variance = float((share * own * residual**2 / (1 - own)).sum())
    else:
        sums = np.bincount(sampling.clusters, weights=np.where(d == 1, 1, -1) * share * residual)
        g = sampling.n_independent
        variance = float(sums @ sums * g / (g - 1))
    counts = [int(sampling.counts @ (d == a)) for a in (0, 1)]
    return NaiveDifference(
        value=float(means[1] - means[0]),
        std_error=variance**0.5,
        mean_treated=float(means[1]),
        mean_untreated=float(means[0]),
        n_treated=counts[1],
        n_untreated=counts[0],
        df=sampling.df,
    )


@dataclass(frozen=True, eq=False)
class Overlap:
    """How comparable the arms are.

    Parameters
    ----------
    edges : ndarray, shape (B + 1,)
        Bin edges of the propensity P(D = 1 | x).
    shares : ndarray, shape (2, B)
        Weighted share of each arm's rows in each bin, untreated first.
    clip_bound : float
        Bound c on propensities in denominators.
    auc : float
        Area under the ROC curve of the propensity: .5 without selection, 1 without overlap.
    comparisons : mapping
        By estimand name (ATE, ATT, ATU), how well each arm stands in for the other; see
        :mod:`causal_ddpm.estimators.overlap`.
    optimal_bounds : (float, float)
        Propensities between which an average effect is told most exactly; see
        :class:`~causal_ddpm.core.estimand.TrimmedATE`.
    n_within : int
        Rows between them.
    """

    edges: Array
    shares: Array
    clip_bound: float
    auc: float
    comparisons: Mapping[str, tuple[Comparison, ...]]
    optimal_bounds: tuple[float, float]
    n_within: int

    def __str__(self) -> str:
        n_all = next(iter(self.comparisons.values()))[0].n_all
        low, high = self.optimal_bounds
        lines = [
            f"Overlap of {n_all:,} rows: AUC of the propensity {self.auc:.2f}; "
            f"{self.n_within:,} rows within the optimal bounds {low:.3g} to {high:.3g}"
        ]
        lines += [
            f"  {name}: {k.n_rows:,} {ARM_WORDS[k.arm]} rows count as {k.effective_n:,.0f}; the "
            f"largest carries {k.largest_share:.1%}; {k.n_clipped:,} weights bounded"
            for name, found in self.comparisons.items()
            for k in found
        ]
        return "\n".join(lines)

    def frame(self) -> pd.DataFrame:
        """One row a bin: left, right, untreated, treated."""
        return pd.DataFrame(
            {
                "left": self.edges[:-1],
                "right": self.edges[1:],
                "untreated": self.shares[0],
                "treated": self.shares[1],
            }
        )

    def weights_frame(self) -> pd.DataFrame:
        """One row an estimand and arm that stands in: effective_n, share_clipped, ..."""
        rows = [
            {"estimand": name, **k.to_dict(), "share_clipped": k.n_clipped / k.n_rows}
            for name, found in self.comparisons.items()
            for k in found
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "clip_bound": self.clip_bound,
            "auc": self.auc,
            "optimal_bounds": list(self.optimal_bounds),
            "n_within": self.n_within,
            "histogram": self.frame().to_dict(orient="list"),
            "comparisons": {
                name: [k.to_dict() for k in found] for name, found in self.comparisons.items()
            },
        }


def overlap_report(data: CausalData, nuisances: Nuisances, n_bins: int = BINS) -> Overlap:
    """Histogram of the out-of-fold propensities, and what the weights make of the rows.

    Print it for sentences; ``frame()`` has the histogram, ``weights_frame()`` effective sample
    sizes and extreme weights, ``report.displays.OverlapDisplay.of(...)`` draws it.

    Parameters
    ----------
    data : CausalData
        With a binary treatment.
    nuisances : Nuisances
    n_bins : int
        Bins of the histogram.
    """
    check_nuisances(data, nuisances)
    require_binary(data.treatment_schema, "the histogram of propensities")
    sampling = Sampling.of(data)
    d, w, e = data.treatment, data.weights, nuisances.propensity
    c = scores.clip_bound(d, w)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    counts = [np.histogram(e[d == a, 1], edges, weights=w[d == a])[0] for a in (0, 1)]
    comparisons = {}
    for estimand in (ATE(), ATT(), ATU()):
        target = scores.TARGETS[estimand.group]
        omega = target.weights(d, e, c)
        found = (compare(arm, d, e, sampling, omega, c) for arm in target.stand_ins)
        comparisons[estimand.name] = tuple(found)
    shares = np.array([x / x.sum() for x in counts])
    bounds = optimal_bounds(e[:, 1], w)
    within = int(sampling.counts @ ((e[:, 1] > bounds[0]) & (e[:, 1] < bounds[1])))
    return Overlap(edges, shares, c, separation(d, e), comparisons, bounds, within)


@dataclass(frozen=True)
class ConfounderBalance:
    """Standardised difference and variance ratio of one confounder, before and after weighting.

    A variance ratio is NaN for 0/1 confounders.
    """

    confounder: str
    difference_before: float
    difference_after: float
    variance_ratio_before: float
    variance_ratio_after: float


@dataclass(frozen=True)
class Balance:
    """Balance of all confounders under the weights of one estimand.

    Parameters
    ----------
    estimand : str
        Whose weights were used.
    rows : tuple of ConfounderBalance
        One a numeric confounder, level of a category, or indicator of missing values.
    """

    estimand: str
    rows: tuple[ConfounderBalance, ...]

    def frame(self) -> pd.DataFrame:
        """One row a confounder; ``before`` and ``after`` are absolute differences."""
        table = pd.DataFrame([asdict(row) for row in self.rows])
        table["before"] = table["difference_before"].abs()
        table["after"] = table["difference_after"].abs()
        return table

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {"estimand": self.estimand, "confounders": [asdict(row) for row in self.rows]}


def balance(data: CausalData, nuisances: Nuisances, estimand: Estimand | None = None) -> Balance:
    """Compare the arms' confounders before and after weighting.

    Parameters
    ----------
    data : CausalData
    nuisances : Nuisances
    estimand : ATE, ATT or ATU, optional
        Whose weights are used; the ATE's by default, and for estimands about quantiles.
    """
    kind = type(estimand) if isinstance(estimand, ATE | ATT | ATU) else ATE
    target = scores.TARGETS[kind().group]
    d, w = data.treatment, data.weights
    omega = target.weights(d, nuisances.propensity, scores.clip_bound(d, w))
    rows = tuple(
        _compare_column(name, x, d, (w, w * omega), kind, binary)
        for name, x, binary in _columns(data.covariates)
    )
    return Balance(kind.name, rows)


def _columns(covariates: Covariates) -> Iterator[tuple[str, Array, bool]]:
    """Name, values (NaN where missing) and kind (0/1 or not) of everything to be balanced."""
    for column, x in zip(covariates.columns, covariates.values.T, strict=True):
        missing = np.isnan(x)
        if column.kind == "categorical":
            for code, level in enumerate(column.categories):
                yield f"{column.name} = {level}", np.where(missing, 0.0, x == code), True
        else:
            binary = bool(np.isin(x[~missing], (0.0, 1.0)).all())
            yield column.name, x, binary
        if missing.any():
            yield f"{column.name} missing", missing.astype(float), True


def _compare_column(
    name: str,
    x: Array,
    d: NDArray[np.int64],
    weights: tuple[Array, Array],
    kind: type[Estimand],
    binary: bool,
) -> ConfounderBalance:
    seen = ~np.isnan(x)
    before, after = (_moments(x[seen], d[seen], w[seen]) for w in weights)
    (v0, v1) = before[1]
    s = np.sqrt({ATE: (v0 + v1) / 2, ATT: v1, ATU: v0}[kind])
    ratios = [np.nan if binary else _ratio(v[1], v[0]) for _, v in (before, after)]
    differences = [_ratio(m[1] - m[0], s) for m, _ in (before, after)]
    return ConfounderBalance(name, *differences, *ratios)


def _moments(x: Array, d: NDArray[np.int64], w: Array) -> tuple[Array, Array]:
    """Weighted means and variances by arm, (2,) each; NaN for an arm without values."""
    means, variances = np.full(2, np.nan), np.full(2, np.nan)
    for arm in (0, 1):
        own, weight = x[d == arm], w[d == arm]
        if weight.sum() > 0:
            means[arm] = np.average(own, weights=weight)
            variances[arm] = np.average((own - means[arm]) ** 2, weights=weight)
    return means, variances


def _ratio(a: float, b: float) -> float:
    """A quotient; 0/0 is a difference of zero, anything else over zero is infinite."""
    if b > 0 or np.isnan(a) or np.isnan(b):
        return float(a / b)
    return 0.0 if a == 0 else float(np.copysign(np.inf, a))
