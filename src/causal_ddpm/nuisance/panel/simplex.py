r"""Least squares on the simplex: weights of donors, of periods, of predictions.

    min_w ||A w - b||^2 + ridge ||w - c||^2      over w >= 0, sum w = 1

Because the weights sum to one, A w - b = M w with the columns of M those of A less b, and likewise
for the ridge. For any u >= 0 with s = sum u > 0 and w = u / s,

    ||M u||^2 + g (s - 1)^2 = s^2 ||M w||^2 + g (s - 1)^2,

whose least value over s, g ||M w||^2 / (g + ||M w||^2), grows with ||M w||^2: the non-negative
least squares of Lawson and Hanson on M with one more row of ones solves the problem exactly.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from causal_ddpm.nuisance.panel.cells import Array


def simplex_weights(A: Array, b: Array, ridge: float = 0.0, centre: Array | None = None) -> Array:
    """Weights w, shape (J,).

    Parameters
    ----------
    A : ndarray, shape (n, J)
    b : ndarray, shape (n,)
    ridge : float
        Penalty on the squared distance of w from ``centre``.
    centre : ndarray, shape (J,), optional
        c, itself on the simplex; zero by default.
    """
    n_weights = A.shape[1]
    if n_weights == 1:
        return np.ones(1)
    rows = [A - b[:, None]]
    if ridge > 0:
        shift = np.zeros(n_weights) if centre is None else centre
        rows.append(np.sqrt(ridge) * (np.eye(n_weights) - shift[:, None]))
    M = np.vstack(rows)
    size = np.sqrt((M**2).sum(axis=0).mean())
    if size == 0:
        return np.full(n_weights, 1 / n_weights)
    M = np.vstack([M / size, np.ones(n_weights)])
    u, _ = nnls(M, np.append(np.zeros(len(M) - 1), 1.0), maxiter=30 * n_weights)
    return u / u.sum()
