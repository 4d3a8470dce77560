r"""The denoiser: what a network has to learn, and what it gets for free.

For v with mean 0 and variance 1, and v_tau = v + tau eps, the best linear guess of v is
v_tau / (1 + tau^2). A network F learns the rest, on inputs and outputs of unit size:

    u = v_tau / sqrt(1 + tau^2)
    D(v_tau, tau) = v_tau / (1 + tau^2) + tau / sqrt(1 + tau^2) F(u, log tau)              (1)
                  = (u + tau F(u, log tau)) / sqrt(1 + tau^2)

    loss = mean || F - (tau v - eps) / sqrt(1 + tau^2) ||^2                                (2)

(1) is the preconditioning of Karras et al. (2022); the target in (2), sigma v - alpha eps in
variance-preserving letters, is minus the v-prediction target of Salimans and Ho (2022). A network
that is identically zero makes D the exact denoiser of N(0, 1): the network learns only departures
from the Gaussian, and an untrained model is the Gaussian itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

from torch import Tensor

Residual = Callable[[Tensor, Tensor | float], Tensor]
"""F(u, log tau)."""


class Denoiser(ABC):
    """E[v | v_tau] at one noise level shared by all rows."""

    @abstractmethod
    def __call__(self, v_tau: Tensor, tau: float) -> Tensor:
        """Posterior mean of v, same shape as ``v_tau``."""


@dataclass(frozen=True)
class PreconditionedDenoiser(Denoiser):
    """Equation (1) around a network F.

    Parameters
    ----------
    residual : callable
        F(u, log tau).
    shift : float
        Mean of the forward noise at tau = 1, which the network sees in its input
        (:meth:`causal_ddpm.diffusion.forward.ForwardProcess.shift`); v_tau itself is without it.
    """

    residual: Residual
    shift: float = 0.0

    def __call__(self, v_tau: Tensor, tau: float) -> Tensor:
        """Equation (1)."""
        alpha = 1 / sqrt(1 + tau**2)
        u = v_tau * alpha
        seen = u + self.shift * tau * alpha if self.shift else u
        return u.add(self.residual(seen, log(tau)), alpha=tau).mul_(alpha)


def network_target(v: Tensor, eps: Tensor, tau: Tensor) -> Tensor:
    """What F should return, (tau v - eps) / sqrt(1 + tau^2)."""
    return (tau * v - eps) * (1 + tau**2).rsqrt()


def network_input(v: Tensor, eps: Tensor, tau: Tensor, shift: Tensor) -> Tensor:
    """What F reads, (v + tau (eps + shift)) / sqrt(1 + tau^2)."""
    return (v + tau * (eps + shift)) * (1 + tau**2).rsqrt()
