r"""Coordinates in which equalities hold by construction.

Where A x = b_i in every row of the data, the free coordinates w of x are

    x = s * (A_s^+ b_i + N w),      w = N' (x / s),        A_s = A diag(s)

with s the standard deviations of the columns, A_s^+ the pseudo-inverse and N an orthonormal basis
of the null space of A_s. A model that is trained on w and read through this map obeys the
equalities to rounding error, whatever it has learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SINGULAR = 1e-7


@dataclass(frozen=True, eq=False)
class NullSpace:
    """The map between vectors x (k,) and free coordinates w (k - m,).

    Parameters
    ----------
    scale : ndarray, shape (k,)
        s.
    basis : ndarray, shape (k, k - m)
        N.
    inverse : ndarray, shape (k, m)
        A_s^+.
    """

    scale: Array
    basis: Array
    inverse: Array

    @property
    def dim(self) -> int:
        """Number of free coordinates."""
        return int(self.basis.shape[1])

    def encode(self, x: Array) -> Array:
        """Free coordinates of x (..., k), shape (..., k - m)."""
        return np.asarray((x / self.scale) @ self.basis)

    def offset(self, b: Array) -> Array:
        """The point of the surface with w = 0, for right-hand sides b (n, m), shape (n, k)."""
        return np.asarray(self.scale * (b @ self.inverse.T))

    @property
    def matrix(self) -> Array:
        """dx / dw, shape (k, k - m)."""
        return np.asarray(self.scale[:, None] * self.basis)


def null_space(A: Array, scale: Array) -> NullSpace:
    """Coordinates on {A x = b}; A (m, k) has independent rows, ``scale`` (k,) is positive."""
    scaled = A * scale
    if not len(A):
        return NullSpace(scale, np.eye(len(scale)), np.empty((len(scale), 0)))
    _, _, right = np.linalg.svd(scaled, full_matrices=True)
    return NullSpace(scale, right[len(A) :].T.copy(), np.asarray(np.linalg.pinv(scaled)))


def find_equalities(x: Array) -> tuple[Array, Array]:
    """Linear equalities that every row of x (n, k) obeys: A (m, k) and b (m,), both may be empty.

    Directions of the standardised columns whose singular value is below 1e-7 of the largest.
    """
    mean, sd = x.mean(axis=0), x.std(axis=0)
    sd = np.where(sd > 1e-12 * (1e-300 + np.abs(mean)), sd, 1.0)
    _, s, right = np.linalg.svd((x - mean) / sd, full_matrices=False)
    A = right[s <= _SINGULAR * s[0]] / sd
    return A, A @ mean
