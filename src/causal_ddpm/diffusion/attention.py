r"""The second backbone: attention between columns, masked by their roles.

The condition's columns j = 1..d make tokens k = 1..m (:mod:`causal_ddpm.diffusion.roles`), the arm
is a token, and every noisy value is a token:

    X_k = sum_{j in k} x_j e_j + b_k,    T = e_arm,    Y = W [phi(u); psi(log tau)] + b

A number has a token of its own; the indicators of a category share one, so that e_j is the
embedding of a level; and where there would be more than 128 tokens, several columns share one
through their own e_j, which is a learnt linear map.

A layer lets the tokens look at each other, then maps each by itself (n is a layer norm):

    q, k, v = W n(E),    E += O softmax(q k' / sqrt(D / heads) + mask) v,    E += W_2 silu(W_1 n(E))

    mask    X looks at X (all, or the parents in a graph);    T at X and T;    Y at X, T and itself

Nothing that X and T compute depends on the noisy value, so their keys and values are computed once
a row (:meth:`RoleAttention.encode`) and looked at by all noise draws and all steps of a reading
(:meth:`RoleAttention.head`): F = w' silu(W n(Y)) with w zero at the start.

Nothing that X computes depends on the arm either, so a second head on the X tokens is a legitimate
model of the arm given x. It is one more token A, a learnt vector that looks at X (summaries of the
condition left out) and at itself; P(arm | x) = softmax(W_2 silu(W_1 n(A))).
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, one_hot, silu

from causal_ddpm.diffusion.network import (
    N_TAU,
    N_U,
    Backbone,
    Weights,
    first_layer,
    uniform_matrix,
)
from causal_ddpm.diffusion.roles import ColumnRoles


@dataclass(frozen=True)
class RoleAttention(Backbone):
    """Role-masked attention.

    Parameters
    ----------
    n_columns, n_arms : int
    width : int
        Hidden units of the map each token passes.
    n_layers : int
    dim : int
        Width D of a token.
    n_heads : int
    roles : ColumnRoles, optional
        Tokens and mask of the columns; by default every column a token that looks at all columns.
    has_arm_head : bool
    """

    n_columns: int
    n_arms: int
    width: int
    n_layers: int = 2
    dim: int = 32
    n_heads: int = 2
    roles: ColumnRoles = field(kw_only=True)
    has_arm_head: bool = field(default=False, kw_only=True)

    def initial(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Normal embeddings, uniform matrices, zero vectors, a zero last layer."""
        D, H = self.dim, self.width
        weights = {
            "column.W": 0.5 * torch.randn(self.n_columns, D, generator=generator),
            "column.b": 0.2 * torch.randn(self.roles.n_tokens, D, generator=generator),
            "arm.W": torch.randn(self.n_arms, D, generator=generator),
            "out.W": torch.zeros(1, H),
            "out.b": torch.zeros(1, 1),
        }
        sizes = {"first": (D, 1 + 2 * N_U + 2 * N_TAU), "last": (H, D)}
        for i in range(self.n_layers):
            sizes |= {f"qkv{i}": (3 * D, D), f"o{i}": (D, D), f"up{i}": (H, D), f"down{i}": (D, H)}
        if self.has_arm_head:
            sizes["arm_last"] = (H, D)
        for name, (n_out, n_in) in sizes.items():
            weights[name + ".W"] = uniform_matrix(n_out, n_in, generator)
            weights[name + ".b"] = torch.zeros(n_out, 1)
        if self.has_arm_head:
            weights |= {
                "arm_query.W": torch.randn(1, D, generator=generator),
                "arm_out.W": torch.zeros(self.n_arms, H),
                "arm_out.b": torch.zeros(self.n_arms, 1),
            }
        return weights

    @property
    def node_floats(self) -> int:
        """The widest of a token's hidden units, its q, k and v, and its attention weights."""
        return max(self.width, 3 * self.dim, self.n_heads * (self.roles.n_tokens + 2))

    def mask_shape(self, n_rows: int) -> tuple[int, ...]:
        """Channels of each layer's map on the X and T tokens of a row."""
        return (self.n_layers, n_rows, 1, self.dim)

    def encode(
        self, weights: Weights, x: Tensor, arm: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Keys and values of the X and T tokens, (G, layer, k or v, B, heads, m + 1, D / heads)."""
        e, cache = self._first_tokens(weights, x, arm), []
        for i in range(self.n_layers):
            q, k, v = self._qkv(weights, i, e)
            cache.append(torch.stack([k, v], 1))
            if i + 1 < self.n_layers:  # nobody looks at what the last layer makes of them
                e = self._next_tokens(weights, i, e, (q, k, v), mask)
        return torch.stack(cache, 1)

    def tokens(self, weights: Weights, x: Tensor, arm: Tensor) -> Tensor:
        """Encodings of X_1 .. X_m and T after the last layer, (G, B, m + 1, D)."""
        e = self._first_tokens(weights, x, arm)
        for i in range(self.n_layers):
            e = self._next_tokens(weights, i, e, self._qkv(weights, i, e), None)
        return e

    def head(self, weights: Weights, context: Tensor, u: Tensor, log_tau: Tensor | float) -> Tensor:
        """Each noisy value looks at the cached tokens and at itself."""
        G, M, B = u.shape
        level = log_tau.flatten(1) if isinstance(log_tau, Tensor) else log_tau
        y = first_layer(weights, u.flatten(1), level).view(G, self.dim, M, B).permute(0, 3, 2, 1)
        y = self._look(weights, context, y)
        out = _map(weights, "out", silu(_map(weights, "last", _norm(y))))
        return out[..., 0].transpose(1, 2)

    def arm_logits(self, weights: Weights, context: Tensor) -> Tensor:
        """Logits of the arm given x from the cached X tokens, (G, n_arms, B).

        Neither T nor a summary is looked at.
        """
        if not self.has_arm_head:
            return super().arm_logits(weights, context)
        n_seen = self.roles.n_tokens - self.roles.n_summaries
        a = weights["arm_query.W"][:, None].expand(-1, context.shape[3], -1, -1)
        a = self._look(weights, context[..., :n_seen, :], a)
        out = _map(weights, "arm_out", silu(_map(weights, "arm_last", _norm(a))))
        return out[:, :, 0].transpose(1, 2)

    def _look(self, weights: Weights, context: Tensor, y: Tensor) -> Tensor:
        """All layers of tokens y (G, B, M, D) that look at cached tokens, each also at itself."""
        for i in range(self.n_layers):
            q, k, v = self._qkv(weights, i, y)
            cached_k, cached_v = context[:, i].unbind(1)
            logits = torch.cat([q @ cached_k.mT, (q * k).sum(-1, keepdim=True)], -1)
            share = torch.softmax(logits, -1)
            seen = share[..., :-1] @ cached_v + share[..., -1:] * v
            y = y + _map(weights, f"o{i}", seen.transpose(2, 3).flatten(3))
            y = y + self._feed(weights, i, y)
        return y

    def _columns(self, weights: Weights, x: Tensor) -> Tensor:
        """X tokens before the first layer, (G, B, m, D); embeddings shrink as columns share."""
        W, b, place = weights["column.W"], weights["column.b"], self._place.to(x.device)
        if self.roles.one_each:
            return x.transpose(1, 2)[..., None] * W[:, None] + b[:, None]
        spread = (place[..., None] * W[:, :, None]).flatten(2)
        return (x.transpose(1, 2) @ spread).unflatten(2, b.shape[1:]) + b[:, None]

    def _first_tokens(self, weights: Weights, x: Tensor, arm: Tensor) -> Tensor:
        """X and T before the first layer, (G, B, m + 1, D)."""
        e = self._columns(weights, x)
        own = one_hot(arm, self.n_arms).to(e.dtype) @ weights["arm.W"]
        return torch.cat([e, own[:, :, None]], 2)

    def _next_tokens(
        self,
        weights: Weights,
        layer: int,
        e: Tensor,
        qkv: tuple[Tensor, Tensor, Tensor],
        mask: Tensor | None,
    ) -> Tensor:
        """X and T after a layer, with its dropout."""
        q, k, v = qkv
        seen = torch.softmax(q @ k.mT + self._mask.to(e.device), -1) @ v
        e = e + _map(weights, f"o{layer}", seen.transpose(2, 3).flatten(3))
        fed = self._feed(weights, layer, e)
        return e + (fed if mask is None else fed * mask[:, layer])

    @cached_property
    def _mask(self) -> Tensor:
        """Zero where a token may look at another, minus infinity where not, (m + 1, m + 1)."""
        mask = torch.full((self.roles.n_tokens + 1,) * 2, -torch.inf)
        mask[-1] = 0.0
        if self.roles.looks_at is None:
            mask[:-1, :-1] = 0.0
        for k, seen in enumerate(self.roles.looks_at or ()):
            mask[k, list(seen)] = 0.0
        return mask

    @cached_property
    def _place(self) -> Tensor:
        """1 / sqrt(columns of the token) where column j is part of token k, (d, m)."""
        member = one_hot(torch.tensor(self.roles.token_of), self.roles.n_tokens).float()
        return member / member.sum(0).sqrt()

    def _qkv(self, weights: Weights, layer: int, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (scaled), keys and values of tokens (G, B, S, D), split into heads."""
        size = self.dim // self.n_heads
        each = _map(weights, f"qkv{layer}", _norm(e)).unflatten(-1, (3, self.n_heads, size))
        q, k, v = each.permute(3, 0, 1, 4, 2, 5)
        return q / sqrt(size), k, v

    @staticmethod
    def _feed(weights: Weights, layer: int, e: Tensor) -> Tensor:
        return _map(weights, f"down{layer}", silu(_map(weights, f"up{layer}", _norm(e))))


def _norm(e: Tensor) -> Tensor:
    return layer_norm(e, e.shape[-1:])


def _map(weights: Weights, name: str, e: Tensor) -> Tensor:
    """W e + b on the last axis of tokens (G, ..., in)."""
    W, b = weights[name + ".W"], weights[name + ".b"]
    return torch.baddbmm(b.mT, e.flatten(1, -2), W.mT).unflatten(1, e.shape[1:-1])
