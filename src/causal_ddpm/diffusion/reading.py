r"""Reading the maps of E members on one chunk of rows, and inverting their mean.

Each member maps latents z to values q_e(z), increasing in z. The group's map is their mean
q(z) = 1/E sum_e q_e(z). Its inverse lies between the members' own: q_e(z_e) = v for every e gives
q(min z_e) <= v <= q(max z_e), where the Illinois rule (false position that halves the value of an
end kept twice; Dowell, Jarratt 1971) finds it. It is the map that was decoded, with its n levels,
that is inverted: encode(decode(z)) = z holds however coarse they are. (Running the flow upwards
over the same levels, which gives the first bracket, would miss by the error of its steps.)
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.denoiser import Denoiser
from causal_ddpm.diffusion.sampler import SAMPLERS, Sampler, decode, encode

_ROOT_STEPS, _MARGIN, _WIDENINGS = 8, 0.05, 6


@dataclass(frozen=True)
class Reader:
    """The maps of E members on one chunk of b rows.

    Parameters
    ----------
    denoiser : Denoiser
        Of all members, on tensors (E, Q, b).
    flow : Sampler
        A deterministic sampler.
    taus : list of float
        Falling noise levels.
    n_members : int
        E.
    """

    denoiser: Denoiser
    flow: Sampler
    taus: list[float]
    n_members: int

    def decode(self, z: Tensor) -> Tensor:
        """Each member's values at latents z (b, Q), shape (E, b, Q)."""
        return decode(self.flow, self.denoiser, self._spread(z), self.taus).transpose(1, 2)

    def encode(self, v: Tensor) -> Tensor:
        """Each member's latents of v (b, Q), shape (E, b, Q)."""
        return encode(self.flow, self.denoiser, self._spread(v), self.taus).transpose(1, 2)

    def score(self, v: Tensor, tau: float) -> Tensor:
        """d/dv log p_tau(v) of the members' mean, p_tau = p * N(0, tau^2), at v (b, Q): (b, Q).

        Tweedie's formula, (D(v, tau) - v) / tau^2.
        """
        spread = self._spread(v)
        return (self.denoiser(spread, tau) - spread).mean(0).T / tau**2

    def ancestral(self, z: Tensor, taus: list[float], generator: torch.Generator) -> Tensor:
        """Ancestral draws started from z (b, Q), shape (b, Q); draw q follows member q mod E."""

        def noise(v: Tensor) -> Tensor:
            return torch.randn(v.shape, generator=generator).to(v.device)

        draws = decode(SAMPLERS["ddpm"], self.denoiser, self._spread(z), taus, noise)
        turn = torch.arange(z.shape[1], device=z.device)
        return draws[turn % self.n_members, turn].T

    def _spread(self, z: Tensor) -> Tensor:
        """The same values (b, Q) for each member, laid out (E, Q, b)."""
        return z.T.contiguous().expand(self.n_members, -1, -1)

    def invert(self, v: Tensor) -> Tensor:
        """Latents z (b, Q) with mean_e q_e(z) = v."""
        own = self.encode(v)
        low, f_low = self._beyond(v, own.amin(0), -_MARGIN)
        high, f_high = self._beyond(v, own.amax(0), _MARGIN)
        root = own.mean(0)
        for _ in range(_ROOT_STEPS):
            f_root = self.decode(root).mean(0) - v
            below = f_root < 0
            f_low = torch.where(below, f_root, f_low / 2)
            f_high = torch.where(below, f_high / 2, f_root)
            low, high = torch.where(below, root, low), torch.where(below, high, root)
            slope = (f_high - f_low).clamp(min=1e-12) / (high - low).clamp(min=1e-12)
            root = torch.minimum(torch.maximum(low - f_low / slope, low), high)
        return root

    def _beyond(self, v: Tensor, z: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """An end of the bracket: z moved by ``step``, doubled where q(z) has not passed v."""
        for _ in range(_WIDENINGS):
            z, step = z + step, 2 * step
            gap = self.decode(z).mean(0) - v
            short = gap < 0 if step > 0 else gap > 0
            if not bool(short.any()):
                break
        return z, gap


def mid_latents(n_nodes: int) -> NDArray[np.float64]:
    """Phi^-1((i + 1/2) / n_nodes), i = 0 .. n_nodes - 1.

    Raises
    ------
    DataError
        If ``n_nodes`` is below 1.
    """
    if n_nodes < 1:
        raise DataError(f"n_nodes is {n_nodes}", "a whole number from 1 upwards")
    return np.asarray(ndtri((np.arange(n_nodes) + 0.5) / n_nodes))


def wide_latents(n_nodes: int) -> NDArray[np.float64]:
    """1.6 times :func:`mid_latents`: for densities, which need the tails (+-4.3 at 128 nodes).

    Raises
    ------
    DataError
        If ``n_nodes`` is below 2.
    """
    if n_nodes < 2:
        raise DataError(f"n_nodes is {n_nodes}", "a whole number from 2 upwards")
    return 1.6 * mid_latents(n_nodes)
