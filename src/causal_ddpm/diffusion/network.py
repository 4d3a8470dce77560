r"""The network F(u, log tau; x, arm), G members at once.

A backbone is an architecture without weights: pure functions of a dictionary of tensors whose
first axis is the member g = 1..G, so G networks train and answer as one batched product.

    encode   context h(x, arm), once a row
    head     F(u, log tau; h), M times a row in training, nodes x levels times in reading

The default backbone, with silu nonlinearities and width H:

    trunk    h = silu(W_in x),   h += silu(W_l h),   h += silu(W_arm h),  one W_arm for each arm
    head     z = silu(W_u phi(u) + W_tau psi(log tau) + W_h h),   z += silu(W_z z),   F = w' z
    phi(u)   = [u, sin(u w_j), cos(u w_j)],  w_1..w_6 from 0.7 to 6, geometric
    psi(l)   = [sin(l f_j), cos(l f_j)],     f_1..f_8 from 0.25 to 4, geometric

phi is what makes a law with several modes learnable (the denoiser of a mixture switches sharply
in u). w starts at zero, so a fresh network is F = 0: exactly the Gaussian of
:mod:`causal_ddpm.diffusion.denoiser`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt

import torch
from torch import Tensor
from torch.nn.functional import silu

from causal_ddpm.core.errors import DataError

Weights = Mapping[str, Tensor]
"""Named parameters, each with the member axis first."""

N_U, N_TAU = 6, 8


class Backbone(ABC):
    """An architecture: F(u, log tau; x, arm) for members with given weights."""

    n_columns: int
    n_arms: int
    width: int

    @property
    @abstractmethod
    def node_floats(self) -> int:
        """Floats of one activation for one row and one value of u (sizes chunks of reading)."""

    @abstractmethod
    def initial(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Fresh weights of one member, without member axis."""

    @abstractmethod
    def mask_shape(self, n_rows: int) -> tuple[int, ...]:
        """Shape of one member's dropout mask for a minibatch."""

    @abstractmethod
    def encode(self, weights: Weights, x: Tensor, arm: Tensor, mask: Tensor | None = None) -> Tensor:
        """Context of each row.

        Parameters
        ----------
        weights : mapping
        x : Tensor, shape (G, B, d)
            Standardised conditions.
        arm : Tensor of int64, shape (G, B)
        mask : Tensor, shape (G, *mask_shape(B)), optional
            Dropout: 0, or 1 / (1 - rate).

        Returns
        -------
        Tensor, shape (G, B, ...)
        """

    @abstractmethod
    def head(
        self, weights: Weights, context: Tensor, u: Tensor, log_tau: Tensor | float
    ) -> Tensor:
        """F at u.

        Parameters
        ----------
        weights : mapping
        context : Tensor, shape (G, B, ...)
        u : Tensor, shape (G, B, M)
        log_tau : Tensor, shape (G, B, M), or float
            A float is one level shared by all.

        Returns
        -------
        Tensor, shape (G, B, M)
        """


def check_weights(backbone: Backbone, weights: Weights, n_groups: int) -> None:
    """Refuse weights that are not this backbone's, equally many members for each group.

    Raises
    ------
    DataError
    """
    expected = backbone.initial(torch.Generator().manual_seed(0))
    if set(weights) != set(expected):
        odd = sorted(set(weights) ^ set(expected))
        raise DataError(f"weights missing or unknown: {', '.join(odd[:4])}", "those of the backbone")
    n_members = {len(w) for w in weights.values() if w.dim()}
    if len(n_members) != 1 or min(n_members) < 1 or min(n_members) % n_groups:
        raise DataError(f"weights of {sorted(n_members)} members", f"a multiple of {n_groups}")
    for name, weight in weights.items():
        if weight.shape[1:] != expected[name].shape or not bool(torch.isfinite(weight).all()):
            raise DataError(
                f"weight '{name}' has shape {tuple(weight.shape[1:])} or is not finite",
                f"finite numbers of shape {tuple(expected[name].shape)}",
            )


def geometric(low: float, high: float, n: int) -> Tensor:
    """n frequencies from low to high in equal ratios."""
    return torch.exp(torch.linspace(log(low), log(high), n))


def waves(x: Tensor, frequencies: Tensor) -> Tensor:
    """sin and cos of x at each frequency, on a new last axis."""
    angle = x[..., None] * frequencies.to(x)
    return torch.cat([angle.sin(), angle.cos()], -1)


def noise_features(log_tau: Tensor) -> Tensor:
    """psi(log tau)."""
    return waves(log_tau, geometric(0.25, 4.0, N_TAU))


def value_features(u: Tensor) -> Tensor:
    """phi(u)."""
    return torch.cat([u[..., None], waves(u, geometric(0.7, 6.0, N_U))], -1)


def uniform_matrix(n_in: int, n_out: int, generator: torch.Generator) -> Tensor:
    """Entries uniform with variance 0.64 / n_in."""
    return (2 * torch.rand(n_in, n_out, generator=generator) - 1) * (0.8 * sqrt(3.0 / n_in))


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """x W + b for each member; x is (G, rows, in)."""
    return torch.baddbmm(weights[name + ".b"], x, weights[name + ".W"])


@dataclass(frozen=True)
class MLP(Backbone):
    """The default backbone.

    Parameters
    ----------
    n_columns : int
        Columns of the condition.
    n_arms : int
    width : int
        H.
    n_layers : int
        Layers of the trunk before the arm's own map.
    """

    n_columns: int
    n_arms: int
    width: int
    n_layers: int = 2

    def initial(self, generator: torch.Generator) -> dict[str, Tensor]:
        H, A = self.width, self.n_arms
        sizes = {"in": (self.n_columns, H)}
        sizes |= {f"trunk{i}": (H, H) for i in range(1, self.n_layers)}
        sizes |= {"arm": (H, A * H), "h": (H, H), "first": (1 + 2 * N_U + 2 * N_TAU, H), "z": (H, H)}
        weights: dict[str, Tensor] = {}
        for name, (n_in, n_out) in sizes.items():
            weights[name + ".W"] = uniform_matrix(n_in, n_out, generator)
            weights[name + ".b"] = torch.zeros(1, n_out)
        return weights | {"out.W": torch.zeros(H, 1), "out.b": torch.zeros(1, 1)}

    @property
    def node_floats(self) -> int:
        return self.width

    def mask_shape(self, n_rows: int) -> tuple[int, ...]:
        return (2, n_rows, self.width)

    def encode(self, weights: Weights, x: Tensor, arm: Tensor, mask: Tensor | None = None) -> Tensor:
        h = silu(linear(weights, "in", x))
        h = h if mask is None else h * mask[:, 0]
        for i in range(1, self.n_layers):
            h = h + silu(linear(weights, f"trunk{i}", h))
        each = linear(weights, "arm", h).unflatten(-1, (self.n_arms, self.width))
        own = each.gather(2, arm[..., None, None].expand(-1, -1, 1, self.width)).squeeze(2)
        h = h + silu(own)
        h = h if mask is None else h * mask[:, 1]
        return linear(weights, "h", h)

    def head(
        self, weights: Weights, context: Tensor, u: Tensor, log_tau: Tensor | float
    ) -> Tensor:
        G, B, M = u.shape
        z = self._first(weights, u, log_tau).view(G, B, M, self.width)
        z = silu(z.add_(context[:, :, None]), inplace=not context.requires_grad)
        z = z.view(G, B * M, self.width)
        z = z + silu(linear(weights, "z", z))
        return linear(weights, "out", z).view(G, B, M)

    def _first(self, weights: Weights, u: Tensor, log_tau: Tensor | float) -> Tensor:
        """W_u phi(u) + W_tau psi(log tau) + b, shape (G, B M, H)."""
        phi = value_features(u).flatten(1, 2)
        if isinstance(log_tau, Tensor):
            return linear(weights, "first", torch.cat([phi, noise_features(log_tau).flatten(1, 2)], -1))
        W, n_phi = weights["first.W"], phi.shape[-1]
        psi = noise_features(torch.tensor([log_tau], dtype=u.dtype, device=u.device))
        return torch.baddbmm(weights["first.b"] + psi @ W[:, n_phi:], phi, W[:, :n_phi])
