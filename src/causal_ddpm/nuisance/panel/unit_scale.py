r"""How far the outcomes of each unit spread around their base fit.

With s_i^2 the mean square of n_i residuals of unit i, the variance used is moderated as by Smyth
(2004): s_i^2 ~ sigma_i^2 chi^2(n_i) / n_i and 1 / sigma_i^2 ~ chi^2(d0) / (d0 s0^2) give

    sigma_i^2 = (d0 s0^2 + n_i s_i^2) / (d0 + n_i)
    e_i = log s_i^2 - digamma(n_i / 2) + log(n_i / 2)
    trigamma(d0 / 2) = Var(e_i) - mean trigamma(n_i / 2)
    log s0^2 = mean e_i + digamma(d0 / 2) - log(d0 / 2)

Units that spread no more unequally than chance would have it share one variance (d0 infinite).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from causal_ddpm.nuisance.panel.cells import Array

_MOST = 1e6
"""Prior degrees of freedom from which on all units share one variance."""


def unit_scales(residual: Array) -> Array:
    """Standard deviation of each unit's residuals, moderated, shape (N,).

    Parameters
    ----------
    residual : ndarray, shape (N, T)
        Held-out residuals; NaN where there is none. A unit without any gets the common scale.
    """
    n = np.isfinite(residual).sum(axis=1)
    square = np.nansum(residual**2, axis=1) / np.maximum(n, 1)
    pooled = float(np.nansum(residual**2) / max(1, n.sum()))
    used = (n >= 2) & (square > 0)
    if used.sum() < 3:
        return np.full(len(n), np.sqrt(pooled))
    half = n[used] / 2
    e = np.log(square[used]) - digamma(half) + np.log(half)
    excess = float(e.var(ddof=1) - polygamma(1, half).mean())
    d0 = _prior_degrees(excess)
    if d0 >= _MOST:
        return np.full(len(n), np.sqrt(pooled))
    s0 = np.exp(e.mean() + digamma(d0 / 2) - np.log(d0 / 2))
    return np.sqrt((d0 * s0 + n * square) / (d0 + n))


def _prior_degrees(excess: float) -> float:
    """d0 with trigamma(d0 / 2) = excess."""
    if excess <= polygamma(1, _MOST / 2):
        return _MOST

    def gap(log_d0: float) -> float:
        return float(polygamma(1, np.exp(log_d0) / 2)) - excess

    return float(np.exp(brentq(gap, np.log(1e-4), np.log(_MOST))))
