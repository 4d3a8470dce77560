"""Many questions at once: the law of the largest t statistic, and adjusted p-values.

With t_j = (theta_hat_j - null_j) / se_j for entries j = 1..p, T_1..T_p draws from their joint law
where every null holds (normal or t with the correlations of the estimate, or its studentised
bootstrap draws), |t|_(1) >= ... >= |t|_(p) in order:

    max-t               p_j = P(max_k |T_k| >= |t_j|)
    romano-wolf         p_(j) = max_{i <= j} P(max_{k >= i} |T_(k)| >= |t|_(i))
    holm                p_(j) = max_{i <= j} (p - i + 1) p_(i), from single p-values in order
    benjamini-hochberg  p_(j) = min_{i >= j} p p_(i) / i

The first three bound the probability of any false rejection (Westfall and Young 1993; Romano and
Wolf 2005; Holm 1979): max-t matches the simultaneous intervals, romano-wolf steps down and rejects
at least as much, holm needs no joint law. The last bounds the expected share of false rejections
(Benjamini and Hochberg 1995).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]

Adjustment = Literal["holm", "benjamini-hochberg", "max-t", "romano-wolf"]

_N_DRAWS = 20_000
_STATSMODELS = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}


def t_tests(
    values: Array, cov: Array, df: float | Array | None, null: ArrayLike = 0.0
) -> tuple[Array, Array]:
    """t statistics and two-sided p-values of values = null, one by one, shape (p,) each."""
    se = np.sqrt(np.diag(cov))
    gap = values - np.asarray(null, dtype=float)
    exact = np.where(gap == 0, 0.0, np.copysign(np.inf, gap))
    t = np.divide(gap, se, out=exact, where=se > 0)
    law = stats.norm if df is None else stats.t(df)
    return t, np.asarray(2 * law.sf(np.abs(t)), dtype=float)


def null_draws(
    values: Array, cov: Array, df: float | Array | None, bootstrap: Array | None
) -> Array:
    """Draws of |T|, shape (B, p); zero in entries that are known exactly.

    Entries with degrees of freedom of their own are put on one scale, see :func:`on_normal_scale`.

    Parameters
    ----------
    values : ndarray, shape (p,)
    cov : ndarray, shape (p, p)
    df : float, ndarray of shape (p,), or None
        Degrees of freedom; None means normal.
    bootstrap : ndarray, shape (B, p), or None
        Bootstrap draws of the estimates; without them 20,000 draws are simulated.
    """
    se = np.sqrt(np.diag(cov))
    ok = se > 0
    n_draws = _N_DRAWS if bootstrap is None else len(bootstrap)
    t = np.zeros((n_draws, len(se)))
    if not ok.any():
        return t
    if bootstrap is not None:
        t[:, ok] = np.abs(bootstrap - values)[:, ok] / se[ok]
        return t
    corr = cov[np.ix_(ok, ok)] / np.outer(se[ok], se[ok])
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal(np.zeros(len(corr)), corr, size=_N_DRAWS, method="eigh")
    if isinstance(df, np.ndarray):
        u = rng.random((len(z), 1))
        own = z / np.sqrt(stats.chi2.ppf(u, df[ok]) / df[ok])
        t[:, ok] = on_normal_scale(own, df[ok])
        return t
    if df is not None:
        z /= np.sqrt(rng.chisquare(df, size=(len(z), 1)) / df)
    t[:, ok] = np.abs(z)
    return t


def on_normal_scale(t: Array, df: Array) -> Array:
    """The size of the normal statistics with the two-sided p-values of t statistics."""
    return np.asarray(stats.norm.isf(stats.t.sf(np.abs(t), df)))


def adjusted_p_values(t: Array, p_values: Array, draws: Array, adjust: str) -> Array:
    """Adjusted p-values, shape (p,).

    Parameters
    ----------
    t : ndarray, shape (p,)
        t statistics.
    p_values : ndarray, shape (p,)
        Their two-sided p-values, one by one.
    draws : ndarray, shape (B, p)
        See :func:`null_draws`.
    adjust : {"holm", "benjamini-hochberg", "max-t", "romano-wolf"}

    Raises
    ------
    DataError
        If ``adjust`` is unknown.
    """
    if adjust in _STATSMODELS:
        from statsmodels.stats.multitest import multipletests

        return np.asarray(multipletests(p_values, method=_STATSMODELS[adjust])[1], dtype=float)
    if adjust == "max-t":
        return np.maximum(_exceedance(draws.max(axis=1), np.abs(t)), p_values)
    if adjust == "romano-wolf":
        return _step_down(np.abs(t), p_values, draws)
    raise DataError(f"adjust is {adjust!r}", " or ".join(map(repr, get_args(Adjustment))))


def _step_down(size: Array, p_values: Array, draws: Array) -> Array:
    order = np.argsort(-size, kind="stable")
    # largest of the entries from each place in the order to its end, shape (B, p)
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    steps = [_exceedance(largest[:, i], size[[j]])[0] for i, j in enumerate(order)]
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(np.maximum(steps, p_values[order]))
    return adjusted


def _exceedance(largest: Array, size: Array) -> Array:
    """P(largest >= size) by draws, the observed statistic counted as one of them."""
    reached = np.array([np.count_nonzero(largest >= s) for s in size])
    return (reached + 1) / (len(largest) + 1)
