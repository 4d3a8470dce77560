r"""The network F(u, log tau; x, arm), G members at once.

A backbone is an architecture without weights: pure functions of a dictionary of tensors whose
first axis is the member g = 1..G, so G networks train and answer as one batched product. Within a
member columns are points: a layer is W x + b with x of shape (features, points), and for the head
the points are M values of u for each of B rows, (M, B).

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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot, silu

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
    def encode(
        self, weights: Weights, x: Tensor, arm: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Context of each row.

        Parameters
        ----------
        weights : mapping
        x : Tensor, shape (G, d, B)
            Standardised conditions.
        arm : Tensor of int64, shape (G, B)
        mask : Tensor, shape (G, *mask_shape(B)), optional
            Dropout: 0, or 1 / (1 - rate).

        Returns
        -------
        Tensor
            What :meth:`head` of the same backbone reads.
        """

    @abstractmethod
    def head(self, weights: Weights, context: Tensor, u: Tensor, log_tau: Tensor | float) -> Tensor:
        """F at M values for every row.

        Parameters
        ----------
        weights : mapping
        context : Tensor
            From :meth:`encode`.
        u : Tensor, shape (G, M, B)
        log_tau : Tensor, shape (G, M, B), or float
            A float is one level shared by all.

        Returns
        -------
        Tensor, shape (G, M, B)
        """

    def arm_logits(self, weights: Weights, context: Tensor) -> Tensor:
        """Logits of the arm given x alone, (G, n_arms, B), where a backbone has a head for them.

        Raises
        ------
        DataError
            If it has none.
        """
        raise DataError(
            "this diffusion has learnt no probability of the arm",
            "one trained with DiffusionSettings(backbone='attention', arm_weight=1)",
        )

    def arm_probability(self, weights: Weights, x: Tensor) -> NDArray[np.float64]:
        """P(arm | x) for x (G, d, B), the mean over members, (B, n_arms)."""
        context = self.encode(weights, x, torch.zeros_like(x[:, 0], dtype=torch.int64))
        probability = self.arm_logits(weights, context).double().softmax(1).mean(0)
        return probability.T.cpu().numpy()


def check_weights(backbone: Backbone, weights: Weights, n_groups: int) -> None:
    """Refuse weights that are not this backbone's, equally many members for each group.

    Raises
    ------
    DataError
    """
    widest = max((max(w.shape, default=1) for w in weights.values()), default=0) + len(weights)
    sizes = [v for v in vars(backbone).values() if isinstance(v, int)]
    if not all(0 <= v <= widest for v in sizes):
        raise DataError(f"a backbone of sizes {sizes}", "sizes that its weights have")
    expected = backbone.initial(torch.Generator().manual_seed(0))
    if set(weights) != set(expected):
        odd = sorted(set(weights) ^ set(expected))
        raise DataError(
            f"weights missing or unknown: {', '.join(odd[:4])}", "those of the backbone"
        )
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
    """n frequencies from low to high in equal ratios, shape (n, 1)."""
    return torch.exp(torch.linspace(log(low), log(high), n))[:, None]


U_WAVES = geometric(0.7, 6.0, N_U)
TAU_WAVES = geometric(0.25, 4.0, N_TAU)


def value_features(u: Tensor) -> Tensor:
    """phi(u): (G, N) to (G, 1 + 2 N_U, N)."""
    angle = u[:, None] * U_WAVES.to(u.device)
    return torch.cat([u[:, None], angle.sin(), angle.cos()], 1)


def noise_features(log_tau: Tensor) -> Tensor:
    """psi(log tau): (G, N) to (G, 2 N_TAU, N)."""
    angle = log_tau[:, None] * TAU_WAVES.to(log_tau.device)
    return torch.cat([angle.sin(), angle.cos()], 1)


def uniform_matrix(n_out: int, n_in: int, generator: torch.Generator) -> Tensor:
    """Entries uniform with variance 0.64 / n_in."""
    return (2 * torch.rand(n_out, n_in, generator=generator) - 1) * (0.8 * sqrt(3.0 / n_in))


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """W x + b for each member; x is (G, in, N)."""
    return torch.baddbmm(weights[name + ".b"], weights[name + ".W"], x)


def first_layer(weights: Weights, u: Tensor, log_tau: Tensor | float) -> Tensor:
    """W [phi(u); psi(log tau)] + b for u (G, N), shape (G, H, N)."""
    phi, W, b = value_features(u), weights["first.W"], weights["first.b"]
    if isinstance(log_tau, Tensor):
        return torch.baddbmm(b, W, torch.cat([phi, noise_features(log_tau)], 1))
    psi = noise_features(torch.tensor([[log_tau]], dtype=u.dtype, device=u.device))
    W_u, W_tau = W.split([phi.shape[1], psi.shape[1]], dim=2)
    return torch.baddbmm(b + W_tau @ psi, W_u, phi)


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
        """Uniform matrices, zero vectors, a zero last layer."""
        H, A = self.width, self.n_arms
        sizes = {"in": self.n_columns, "h": H, "first": 1 + 2 * N_U + 2 * N_TAU, "z": H}
        sizes |= {f"trunk{i}": H for i in range(1, self.n_layers)}
        weights = {"out.W": torch.zeros(1, H), "out.b": torch.zeros(1, 1)}
        for name, n_in in sizes.items():
            weights[name + ".W"] = uniform_matrix(H, n_in, generator)
            weights[name + ".b"] = torch.zeros(H, 1)
        weights["arm.W"] = torch.cat([uniform_matrix(H, H, generator) for _ in range(A)], 1)
        weights["arm.b"] = torch.zeros(H, A)
        return weights

    @property
    def node_floats(self) -> int:
        """The width H."""
        return self.width

    def mask_shape(self, n_rows: int) -> tuple[int, ...]:
        """Units of the first and the last layer of the trunk."""
        return (2, self.width, n_rows)

    def encode(
        self, weights: Weights, x: Tensor, arm: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """The trunk, (G, H, B)."""
        h = silu(linear(weights, "in", x))
        h = h if mask is None else h * mask[:, 0]
        for i in range(1, self.n_layers):
            h = h + silu(linear(weights, f"trunk{i}", h))
        own = one_hot(arm, self.n_arms).to(h.dtype).transpose(1, 2)
        placed = (own[:, :, None] * h[:, None]).flatten(1, 2)
        h = h + silu(torch.baddbmm(weights["arm.b"] @ own, weights["arm.W"], placed))
        h = h if mask is None else h * mask[:, 1]
        return linear(weights, "h", h)

    def head(self, weights: Weights, context: Tensor, u: Tensor, log_tau: Tensor | float) -> Tensor:
        """Two silu layers on phi(u), psi(log tau) and the context."""
        level = log_tau.flatten(1) if isinstance(log_tau, Tensor) else log_tau
        z = first_layer(weights, u.flatten(1), level).unflatten(2, u.shape[1:])
        z = silu(z + context[:, :, None]).flatten(2)
        z = z + silu(linear(weights, "z", z))
        return linear(weights, "out", z).view(u.shape)
