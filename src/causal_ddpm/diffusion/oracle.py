r"""Denoisers in closed form: the truth that samplers are tested against.

Gaussian, v ~ N(m, s^2):

    D(v_tau, tau) = m + s^2 / (s^2 + tau^2) (v_tau - m)

Mixture, v ~ sum_j w_j N(m_j, s_j^2):

    D(v_tau, tau) = sum_j r_j D_j(v_tau, tau),    r_j propto w_j N(v_tau; m_j, s_j^2 + tau^2)

and the same for vectors, with covariances S_j in the place of s_j^2. All answer like a learnt
denoiser, so a sampler cannot tell the difference.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from causal_ddpm.diffusion.denoiser import Denoiser


@dataclass(frozen=True)
class GaussianDenoiser(Denoiser):
    """The exact denoiser of N(mean, sd^2)."""

    mean: float | Tensor
    sd: float | Tensor

    def __call__(self, v_tau: Tensor, tau: float) -> Tensor:
        """E[v | v_tau]."""
        return self.mean + self.sd**2 / (self.sd**2 + tau**2) * (v_tau - self.mean)


@dataclass(frozen=True)
class MixtureDenoiser(Denoiser):
    """The exact denoiser of a Gaussian mixture.

    Parameters
    ----------
    weights, means, sds : Tensor, shape (..., J)
        Components on the last axis; leading axes broadcast with the samples.
    """

    weights: Tensor
    means: Tensor
    sds: Tensor

    def __call__(self, v_tau: Tensor, tau: float) -> Tensor:
        """E[v | v_tau]."""
        away = v_tau[..., None] - self.means
        var = self.sds**2 + tau**2
        share = torch.softmax(self.weights.log() - 0.5 * (var.log() + away**2 / var), dim=-1)
        return (share * (self.means + self.sds**2 / var * away)).sum(-1)


@dataclass(frozen=True)
class VectorMixtureDenoiser(Denoiser):
    """The exact denoiser of a mixture of Gaussian vectors, v ~ sum_j w_j N(m_j, S_j).

    Parameters
    ----------
    weights : Tensor, shape (J,)
    means : Tensor, shape (J, k)
    covariances : Tensor, shape (J, k, k)
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __call__(self, v_tau: Tensor, tau: float) -> Tensor:
        """E[v | v_tau], shape (B, k)."""
        noisy = self.covariances + tau**2 * torch.eye(self.means.shape[1]).to(self.means)
        lower = torch.linalg.cholesky(noisy)
        away = (v_tau[:, None] - self.means)[..., None]
        scaled = torch.cholesky_solve(away, lower)
        log_det = torch.log(torch.diagonal(lower, dim1=-2, dim2=-1)).sum(-1)
        fit = self.weights.log() - log_det - 0.5 * (away * scaled).sum((-2, -1))
        own = self.means + (self.covariances @ scaled)[..., 0]
        return (torch.softmax(fit, dim=-1)[..., None] * own).sum(1)
