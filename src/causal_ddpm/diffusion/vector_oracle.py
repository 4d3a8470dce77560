r"""Laws of vectors in closed form, with the interface of a trained one.

v ~ sum_j w_j N(m_j, S_j), the same for every row. Given A v = b it is again such a mixture, whose
weights change with what each component said of b:

    m_j + K_j (b - A m_j),   S_j - K_j A S_j,   K_j = S_j A' (A S_j A')^-1
    w_j N(b; A m_j, A S_j A')                      up to a constant
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import multivariate_normal

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.diffusion.oracle import VectorMixtureDenoiser

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MixtureLaw:
    """A mixture of Gaussian vectors.

    Parameters
    ----------
    weights : ndarray, shape (J,)
    means : ndarray, shape (J, k)
    covariances : ndarray, shape (J, k, k)
    """

    weights: Array
    means: Array
    covariances: Array

    @property
    def size(self) -> int:
        """k."""
        return int(self.means.shape[1])

    def denoiser(self, condition: Array) -> VectorMixtureDenoiser:
        """The exact denoiser; conditions are not read."""
        parts = (self.weights, self.means, self.covariances)
        return VectorMixtureDenoiser(*(torch.from_numpy(part) for part in parts))

    def sample(self, condition: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Draws, shape (len(condition), n_samples, k)."""
        rng = stream(random_state, "oracle")
        part = rng.choice(len(self.weights), (len(condition), n_samples), p=self.weights)
        noise = rng.standard_normal((*part.shape, self.size))
        roots = np.linalg.cholesky(self.covariances)
        return np.asarray(self.means[part] + np.einsum("nsij,nsj->nsi", roots[part], noise))

    def given(self, A: Array, b: Array) -> MixtureLaw:
        """The law given A v = b; A (m, k), b (m,)."""
        parts = [self._component(j, A, b) for j in range(len(self.weights))]
        evidence, means, covariances = zip(*parts, strict=True)
        weights = self.weights * np.exp(np.array(evidence) - max(evidence))
        return MixtureLaw(weights / weights.sum(), np.array(means), np.array(covariances))

    def _component(self, j: int, A: Array, b: Array) -> tuple[float, Array, Array]:
        m, S = self.means[j], self.covariances[j]
        K = np.linalg.solve(A @ S @ A.T, A @ S).T
        said = float(multivariate_normal.logpdf(b, A @ m, A @ S @ A.T))
        return said, m + K @ (b - A @ m), S - K @ A @ S

    def moments(self) -> tuple[Array, Array]:
        """Mean (k,) and covariance (k, k)."""
        mean = self.weights @ self.means
        away = self.means - mean
        spread = np.einsum("j,ji,jk->ik", self.weights, away, away)
        inner = np.einsum("j,jik->ik", self.weights, self.covariances)
        return np.asarray(mean), np.asarray(inner + spread)


def gaussian_law(mean: ArrayLike, covariance: ArrayLike) -> MixtureLaw:
    """N(mean, covariance)."""
    m, S = np.asarray(mean, dtype=float), np.asarray(covariance, dtype=float)
    return MixtureLaw(np.ones(1), m[None], S[None])
