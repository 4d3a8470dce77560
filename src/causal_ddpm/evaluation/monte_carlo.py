"""What a Monte Carlo study of intervals says, with its own sampling error.

Over R independent draws with estimates theta_r, standard errors s_r, intervals [l_r, u_r] and
truths theta0_r (equal in all draws for a population effect):

    bias      = mean(theta_r - theta0_r)                 error  sd / sqrt(R)
    sd        = sd(theta_r - theta0_r), R - 1            error  sd / sqrt(2 (R - 1))
    se_ratio  = mean(s_r) / sd                           error  se_ratio / sqrt(2 (R - 1))
    coverage  = mean(l_r <= theta0_r <= u_r)             error  sqrt(level (1 - level) / R)
    width     = mean(u_r - l_r),  width_ratio = width / (2 z bound),  z = Phi^-1((1 + level)/2)

The error of the coverage is the one that holds when the level is right, so coverage is judged by
(coverage - level) / error. ``bound`` is the smallest possible standard error (semiparametric
efficiency).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MonteCarloSummary:
    """Performance of an estimator and its intervals; symbols as on the module page.

    Parameters
    ----------
    n_draws : int
        Draws R.
    bias, bias_error, rmse : float
        In units of the estimate.
    sd, sd_error, mean_std_error : float
        Spread over the draws, and the spread the estimator claims.
    se_ratio, se_ratio_error : float
        ``mean_std_error / sd``: below one, intervals are too narrow.
    coverage, coverage_error : float
        Share of intervals that contain the truth.
    width, width_ratio : float
        Mean width, and its ratio to the width at the efficiency bound (nan without a bound).
    """

    n_draws: int
    bias: float
    bias_error: float
    rmse: float
    sd: float
    sd_error: float
    mean_std_error: float
    se_ratio: float
    se_ratio_error: float
    coverage: float
    coverage_error: float
    width: float
    width_ratio: float


def summarize_intervals(
    value: ArrayLike,
    std_error: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    truth: ArrayLike,
    bound: float | None = None,
    level: float = 0.95,
) -> MonteCarloSummary:
    """Summarise R estimates and intervals.

    Parameters
    ----------
    value, std_error, low, high : array_like, shape (R,)
        Estimates, their standard errors and the ends of their intervals.
    truth : float or array_like, shape (R,)
        What is estimated.
    bound : float, optional
        Efficiency bound of the standard error.
    level : float
        Level the intervals claim.

    Raises
    ------
    DataError
        With fewer than two draws, or when any number is missing: draws that failed are no draws
        to leave out in silence.
    """
    theta, s, lo, hi = (np.asarray(x, dtype=np.float64) for x in (value, std_error, low, high))
    n, theta0 = len(theta), np.broadcast_to(np.asarray(truth, dtype=np.float64), theta.shape)
    _check(theta, s, lo, hi, theta0)
    error = theta - theta0
    sd, width = float(error.std(ddof=1)), float((hi - lo).mean())
    ratio = float(s.mean()) / sd if sd > 0 else np.nan
    z = float(stats.norm.ppf((1 + level) / 2))
    return MonteCarloSummary(
        n_draws=n,
        bias=float(error.mean()),
        bias_error=sd / np.sqrt(n),
        rmse=float(np.sqrt(np.mean(error**2))),
        sd=sd,
        sd_error=sd / np.sqrt(2 * (n - 1)),
        mean_std_error=float(s.mean()),
        se_ratio=ratio,
        se_ratio_error=ratio / np.sqrt(2 * (n - 1)),
        coverage=float(np.mean((lo <= theta0) & (theta0 <= hi))),
        coverage_error=float(np.sqrt(level * (1 - level) / n)),
        width=width,
        width_ratio=width / (2 * z * bound) if bound else np.nan,
    )


def summarize_study(frame: pd.DataFrame, by: Sequence[str], level: float = 0.95) -> pd.DataFrame:
    """:func:`summarize_intervals` for each group of rows.

    Parameters
    ----------
    frame : DataFrame
        Columns ``value``, ``std_error``, ``ci_low``, ``ci_high``, ``truth`` and, optionally,
        ``bound`` (constant within a group), one row a draw.
    by : sequence of str
        Grouping columns, in the order of the output's first columns.
    level : float
        Level the intervals claim.
    """
    rows = []
    for keys, group in frame.groupby(list(by), sort=False):
        bound = float(group["bound"].iloc[0]) if "bound" in group else None
        summary = summarize_intervals(
            value=group["value"],
            std_error=group["std_error"],
            low=group["ci_low"],
            high=group["ci_high"],
            truth=group["truth"],
            bound=bound,
            level=level,
        )
        rows.append({**dict(zip(by, keys, strict=True)), **asdict(summary)})
    return pd.DataFrame(rows)


def paired_ratio(ours: ArrayLike, theirs: ArrayLike) -> tuple[float, float]:
    """Geometric mean of the paired ratios ours / theirs, and its relative Monte Carlo error.

    Parameters
    ----------
    ours, theirs : array_like, shape (R,)
        Positive losses on the same draws, in the same order.

    Raises
    ------
    DataError
        If the lengths differ or a loss is not positive.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise DataError(
            f"the losses have shapes {a.shape} and {b.shape}", "two equal, non-empty vectors"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all() and (a > 0).all() and (b > 0).all()):
        raise DataError("a loss is missing or not positive", "positive losses on every draw")
    log_ratio = np.log(a / b)
    error = log_ratio.std(ddof=1) / np.sqrt(len(a)) if len(a) > 1 else np.nan
    return float(np.exp(log_ratio.mean())), float(error)


def _check(*arrays: Array) -> None:
    n = len(arrays[0])
    if n < 2 or any(a.shape != (n,) for a in arrays):
        raise DataError(
            f"the columns have shapes {[a.shape for a in arrays]}", "equal lengths of at least 2"
        )
    missing = sum(int((~np.isfinite(a)).sum()) for a in arrays)
    if missing:
        raise DataError(
            f"{missing} numbers are missing or infinite",
            "a finite number from every draw",
            "Retry the failed draws, or report them apart.",
        )
