r"""The forward process with a binary condition c, and what its strength lambda can mean.

    x_t = alpha_t x_0 + sigma_t (eps + lambda c eta),        c in {0, 1},    tau = sigma_t / alpha_t

In v_tau = x_t / alpha_t = v + tau (eps + lambda c eta) there are three readings.

direction
    eta is a fixed direction (here 1). Then v_tau - tau lambda c is the plain process, so
    E[v | v_tau] = D(v_tau - tau lambda c, tau) with the plain denoiser D, and the reverse flow
    starts from the mean tau_max lambda c. The network reads v_tau, shift included.
independent
    eta ~ N(0, 1), independent of eps. The noise is tau' eps' with tau' = tau sqrt(1 + lambda^2 c)
    and E[v | v_tau] = D(v_tau, tau'): under c = 1 the clock runs ahead.
coupling
    One eps for both conditions, and an eta of its own for c = 1. Normalised to unit variance,

        z_0 = eps,   z_1 = (eps + lambda eta) / sqrt(1 + lambda^2),   rho = 1 / sqrt(1 + lambda^2):

    each law is untouched and lambda sets the correlation rho of the two latents.

Both of the first two are the plain process w_tau' in other coordinates,

    v_tau = w_tau' + tau m,      tau' = tau r,      m, r = shift and spread of the noise:
    (m, r) = (lambda c, 1) under "direction", (0, sqrt(1 + lambda^2 c)) under "independent"

so with D' (v_tau, tau) = E[v | v_tau] = D(v_tau - tau m, tau r) the literal process is

    forward       dv_tau = m dtau + r sqrt(2 tau) dW
    reverse SDE   dv_tau = [m + 2 (v_tau - tau m - D') / tau] dtau + r sqrt(2 tau) dW      [1]
    reverse flow  dv_tau = [(v_tau - D') / tau] dtau           (half the pull; m cancels)

(time runs down in both), and any step of the plain process, deterministic or ancestral, becomes
the exact step of the literal one when carried through the change of coordinates
(:class:`LiteralStep`). The law of v given c does not change. Coupling does not change it either; it
fixes the joint law of a pair of which only one member is ever seen: a Gaussian copula.

More than two conditions: c = 1 for every condition but the first; under coupling each has an eta of
its own, so two of them correlate by rho^2.

References
----------
[1] Anderson (1982), Reverse-time diffusion equation models; Song et al. (2021).
"""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from causal_ddpm.diffusion.sampler import DenoiserLike, Memory, Noise, Sampler
from causal_ddpm.diffusion.settings import DiffusionSettings, Reading


@dataclass(frozen=True)
class ForwardProcess:
    """x_t = alpha_t x_0 + sigma_t (eps + lambda c eta).

    Parameters
    ----------
    strength : float
        lambda >= 0.
    reading : {"coupling", "direction", "independent"}
        What eta is.
    """

    strength: float = 0.0
    reading: Reading = "coupling"

    @property
    def correlation(self) -> float:
        """rho = 1 / sqrt(1 + lambda^2), the correlation of the latents under coupling."""
        return 1 / sqrt(1 + self.strength**2)

    def shift(self, arm: Tensor) -> Tensor:
        """Mean of the noise at tau = 1: lambda c under "direction", else 0."""
        lam = self.strength if self.reading == "direction" else 0.0
        return lam * (arm > 0).to(torch.float32)

    def spread(self, arm: Tensor) -> Tensor:
        """Standard deviation of the noise at tau = 1: sqrt(1 + lambda^2 c) under "independent"."""
        lam = self.strength if self.reading == "independent" else 0.0
        return torch.sqrt(1 + lam**2 * (arm > 0).to(torch.float32))

    def perturb(self, v: Tensor, tau: Tensor, arm: Tensor, eps: Tensor, eta: Tensor) -> Tensor:
        """v_tau, literally: v + tau (eps + lambda c eta) with the eta of the reading.

        Parameters
        ----------
        v, tau, arm, eps, eta : Tensor
            Of one shape (or broadcastable). ``eta`` is ignored under "direction". Under
            "coupling" the noise is scaled back to unit variance.
        """
        if self.reading == "direction":
            return v + tau * (eps + self.shift(arm))
        if self.reading == "coupling":
            return v + tau * self.couple(eps, eta, arm)
        return v + tau * (eps + self.strength * (arm > 0).to(eps.dtype) * eta)

    def couple(self, eps: Tensor, eta: Tensor, arm: Tensor) -> Tensor:
        """Latents of condition ``arm``: eps, or (eps + lambda eta) / sqrt(1 + lambda^2)."""
        mixed = (eps + self.strength * eta) * self.correlation
        return torch.where(arm > 0, mixed, eps)

    def start(self, z: Tensor, tau: float, arm: Tensor) -> Tensor:
        """The literal process at its largest noise level, for a standardised v and z ~ N(0, 1)."""
        return torch.sqrt(1 + (tau * self.spread(arm)) ** 2) * z + tau * self.shift(arm)

    def literal(self, denoiser: DenoiserLike, arm: int) -> DenoiserLike:
        """The denoiser of the literal process from the plain one, under condition ``arm``."""
        shift, spread = self._moments(arm)

        def denoise(v_tau: Tensor, tau: float) -> Tensor:
            return denoiser(v_tau - tau * shift, tau * spread)

        return denoise

    def reverse(self, sampler: Sampler, arm: int) -> Sampler:
        """The step of the literal process under condition ``arm``, from one of the plain process.

        Give it the literal denoiser (:meth:`literal`) and the literal start (:meth:`start`).
        """
        return LiteralStep(sampler, *self._moments(arm))

    def _moments(self, arm: int) -> tuple[float, float]:
        c = torch.tensor(arm)
        return float(self.shift(c)), float(self.spread(c))


@dataclass(frozen=True)
class LiteralStep(Sampler):
    """A step of the plain process in the coordinates v_tau = w_(r tau) + tau m.

    Parameters
    ----------
    plain : Sampler
    shift, spread : float
        m and r.
    """

    plain: Sampler
    shift: float
    spread: float

    def step(
        self, denoiser: DenoiserLike, v: Tensor, t: float, s: float, memory: Memory, noise: Noise
    ) -> Tensor:
        """One literal step, from the literal denoiser."""
        m, r = self.shift, self.spread

        def plain_denoiser(w: Tensor, tau: float) -> Tensor:
            return denoiser(w + tau / r * m, tau / r)

        return self.plain.step(plain_denoiser, v - t * m, t * r, s * r, memory, noise) + s * m


def forward_of(settings: DiffusionSettings) -> ForwardProcess:
    """The forward process that the settings name."""
    return ForwardProcess(settings.condition_strength, settings.condition_noise)
