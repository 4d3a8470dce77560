r"""Diffusion of vectors of which any part may be given: network, noise, loss.

A row z in R^K holds numbers (one coordinate each) and categories (a block of coordinates each, the
level's unit vector times a length a). Observed coordinates are clean, the others blurred,
x = z + tau eps, and the network reads u = x / sqrt(1 + tau^2), the guess that
:mod:`causal_ddpm.diffusion.gaussian` makes of z (D below with F = 0), which coordinates are
observed, and log tau. It answers

    numbers      F_j        D_j = D_G,j + d_j F_j
    categories   F_l        P(l | x) propto p_l exp(a x_l / tau^2 + lean_l + F_l),  D_l = a P(l | x)

p_l being the share of level l, the second term what the category's own noisy value says, the third
its linear discriminant given the other columns (up to 12 levels). So a network that is zero is a
Gaussian table whose categories follow discriminant analysis, and what it learns are departures.
The loss is

    mean over hidden cells of   (F_j - (z_j - D_G,j) / d_j)^2   or   -2 log P(level | x)

the second being the cross-entropy of Dieleman et al. (2022), on the scale of the first, which is
twice a Gaussian's negative log-likelihood; a missing cell has no loss. A tenth
of the rows is seen at the largest noise, where D is the regression on the observed columns alone.

References
----------
Dieleman et al. (2022), Continuous diffusion for categorical data.
Kotelnikov et al. (2023), TabDDPM. Mueller, Gruber, Fok (2025), Continuous diffusion for
mixed-type tabular data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log, sqrt

import torch
from torch import Tensor
from torch.nn.functional import silu

from causal_ddpm.diffusion.batches import BLOCK, MemberStream, Rows
from causal_ddpm.diffusion.gaussian import Gaussian
from causal_ddpm.diffusion.network import Weights, geometric, uniform_matrix
from causal_ddpm.diffusion.schedule import TAU_MAX, Schedule

N_WAVES, N_TAU = 4, 6

MAX_LEAN = 12
"""Categories of more levels have no discriminant of their own: the network has to learn it."""

_FAR_SHARE = 0.1
"""Share of training rows at the largest noise level."""


@dataclass(frozen=True, eq=False)
class Layout:
    """What the coordinates of a row are.

    Parameters
    ----------
    size : int
        K.
    blocks : tuple of (int, int)
        First coordinate and number of levels of each category.
    length : Tensor, shape (K,)
        a; one for numbers.
    log_share : Tensor, shape (K,)
        log p_l; zero for numbers.
    """

    size: int
    blocks: tuple[tuple[int, int], ...]
    length: Tensor
    log_share: Tensor

    @classmethod
    def numbers(cls, size: int) -> "Layout":
        """A vector of numbers only."""
        return cls(size, (), torch.ones(size), torch.zeros(size))

    def to(self, device: torch.device) -> "Layout":
        """The same layout on a device."""
        return Layout(self.size, self.blocks, self.length.to(device), self.log_share.to(device))

    @property
    def numeric(self) -> Tensor:
        """Mask of the coordinates that are numbers, shape (K,)."""
        mask = torch.ones(self.size, dtype=torch.bool)
        for start, n_levels in self.blocks:
            mask[start : start + n_levels] = False
        return mask

    def log_probabilities(self, logits: Tensor) -> list[Tensor]:
        """log P(l | x) of each block from logits (..., K), each (..., n_levels)."""
        return [torch.log_softmax(logits[..., i : i + n], -1) for i, n in self.blocks]

    def expected(self, numbers: Tensor, logits: Tensor) -> Tensor:
        """D (..., K): ``numbers`` where coordinates are numbers, a P(l | x) in the blocks."""
        for (i, n), log_p in zip(self.blocks, self.log_probabilities(logits), strict=True):
            share = log_p.exp() * self.length[i]
            numbers = torch.cat([numbers[..., :i], share, numbers[..., i + n :]], -1)
        return numbers


@dataclass(frozen=True, eq=False)
class Guess:
    """What the Gaussian says of noisy rows, each (..., R, K).

    Parameters
    ----------
    x : Tensor
        Noisy rows, observed coordinates clean.
    linear, d : Tensor
        D_G, and the standard deviation that it leaves.
    logits : Tensor
        log p_l + a x_l / tau^2 + lean_l in the blocks of categories.
    cells : Tensor, shape (..., R, 3 K)
        What the network reads: x and the expected row, centred and of unit size, and which
        coordinates are observed.
    """

    x: Tensor
    linear: Tensor
    d: Tensor
    logits: Tensor
    cells: Tensor

    @classmethod
    def of(cls, layout: Layout, base: Gaussian, z: Tensor, x: Tensor, tau: Tensor) -> "Guess":
        """Guess for rows x at noise tau (..., R, 1), with the observed coordinates of z."""
        o = base.observed[..., None, :].expand(x.shape)
        x = torch.where(o, z, x)
        linear, d = base.guess(x, base.centre(z), tau)
        logits = layout.log_share + layout.length * x / tau**2
        for i, n in layout.blocks:
            if n <= MAX_LEAN:
                unit = torch.eye(n, device=x.device) * layout.length[i]
                logits[..., i : i + n] += base.lean(x, linear, tau, i, unit)
        away, expected = x - base.mean, layout.expected(linear, logits)
        u = torch.where(o, away, away * (1 + tau**2).rsqrt())
        read = torch.where(o, x, expected) - base.mean
        return cls(x, linear, d, logits, torch.cat([u, read, o.to(x.dtype)], -1))


@dataclass(frozen=True)
class CellNetwork:
    """A residual network on noisy and observed cells; rows are points, (G, N, features).

    Parameters
    ----------
    numeric : tuple of int
        Coordinates that get waves sin(u w), cos(u w).
    size : int
        K.
    width, n_layers : int
    """

    numeric: tuple[int, ...]
    size: int
    width: int
    n_layers: int

    def initial(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform matrices, zero vectors, a zero last layer."""
        H, K = self.width, self.size
        n_in = 3 * K + 2 * N_WAVES * len(self.numeric) + 2 * N_TAU
        sizes = {"in": n_in} | {f"layer{i}": H for i in range(self.n_layers)}
        weights = {"out.W": torch.zeros(H, K), "out.b": torch.zeros(1, K)}
        for name, n in sizes.items():
            weights[name + ".W"] = uniform_matrix(H, n, generator).T.contiguous()
            weights[name + ".b"] = torch.zeros(1, H)
        return weights

    def __call__(
        self, weights: Weights, cells: Tensor, log_tau: Tensor, masks: Tensor | None = None
    ) -> Tensor:
        """F, shape (G, N, K).

        Parameters
        ----------
        weights : mapping
        cells : Tensor, shape (G, N, 3 K)
            From :class:`Guess`.
        log_tau : Tensor, shape (G, N, 1)
        masks : Tensor, shape (n_layers, G, N, H), optional
            Dropout.
        """
        angle = cells[..., self.numeric, None] * geometric(0.8, 5.0, N_WAVES)[:, 0].to(cells.device)
        level = log_tau * geometric(0.25, 4.0, N_TAU)[:, 0].to(cells.device)
        waves = torch.cat([angle.sin(), angle.cos()], -1).flatten(-2)
        h = torch.cat([cells, waves, level.sin(), level.cos()], -1)
        h = silu(_linear(weights, "in", h))
        for i in range(self.n_layers):
            step = silu(_linear(weights, f"layer{i}", h))
            h = h + (step if masks is None else step * masks[i])
        return _linear(weights, "out", h)


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return torch.baddbmm(weights[name + ".b"], x, weights[name + ".W"])


@dataclass(frozen=True)
class MaskedDraws:
    """Random numbers of one step for G members, P patterns a member, R rows a pattern.

    ``index`` (G, P R), ``pattern`` (G, P), ``p`` (G, P, R, 1), ``eps`` and ``jitter``
    (G, P, R, K), ``masks`` (n_layers, G, P R, H) or None.
    """

    index: Tensor
    pattern: Tensor
    p: Tensor
    eps: Tensor
    jitter: Tensor
    masks: Tensor | None


@dataclass(frozen=True)
class CellRows:
    """Training rows, (n, 4 K): what is seen, the interval of Phi(z) it stands for, presence.

    Where the interval is not empty, z is drawn anew in every step, Phi^-1 of a uniform on it;
    elsewhere z is what is seen.
    """

    table: Tensor

    @classmethod
    def of(cls, seen: Tensor, low: Tensor, high: Tensor, present: Tensor) -> Rows:
        """Side by side, as the training loop gathers them."""
        return Rows(torch.cat([seen, low, high, present.to(seen.dtype)], 1))

    def values(self, jitter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Seen, drawn z and presence, each (..., K)."""
        seen, low, high, present = self.table.chunk(4, -1)
        u = torch.lerp(low, high, jitter).clamp(1e-6, 1 - 1e-6)
        return seen, torch.where(high > low, torch.special.ndtri(u), seen), present


@dataclass(frozen=True)
class MaskedTask:
    """What is minimised, for the loop of :mod:`causal_ddpm.diffusion.train`.

    Parameters
    ----------
    layout : Layout
    network : CellNetwork
    bases : Gaussian
        A stack of patterns.
    schedule : Schedule
    """

    layout: Layout
    network: CellNetwork
    bases: Gaussian
    schedule: Schedule

    def loss(self, weights: Weights, rows: Rows, draws: MaskedDraws) -> Tensor:
        """Loss of each member, shape (G,)."""
        base, shape = self.bases[draws.pattern], draws.eps.shape
        seen, z, present = CellRows(rows.table.view(*shape[:3], -1)).values(draws.jitter)
        o = base.observed[..., None, :]
        tau = self._tau(draws.p)
        with torch.no_grad():
            guess = Guess.of(self.layout, base, seen, z + tau * draws.eps, tau)
        cells, level = guess.cells.flatten(1, 2), tau.log().flatten(1, 2)
        F = self.network(weights, cells, level, draws.masks).view(shape)
        counted = present * ~o
        numeric = self.layout.numeric.to(z.device)
        error = ((F - (z - guess.linear) / guess.d) ** 2 * counted)[..., numeric].sum((1, 2, 3))
        answers = self.layout.log_probabilities(guess.logits + F)
        for (i, n), log_p in zip(self.layout.blocks, answers, strict=True):
            own = z[..., i : i + n] / self.layout.length[i]
            error = error - 2 * ((own * log_p).sum(-1) * counted[..., i]).sum((1, 2))
        first = numeric.clone()
        first[[i for i, _ in self.layout.blocks]] = True
        return error / counted[..., first].sum((1, 2, 3)).clamp(min=1)

    def _tau(self, p: Tensor) -> Tensor:
        near = self.schedule.log_tau_quantile((p / (1 - _FAR_SHARE)).clamp(max=1))
        return torch.where(p < 1 - _FAR_SHARE, near, torch.full_like(p, log(TAU_MAX))).exp()


@dataclass(frozen=True)
class BatchShape:
    """Patterns a step P, rows a pattern R, coordinates K, and the share of pattern 0."""

    patterns: int
    rows: int
    size: int
    first: float = 1.0


def masked_draws(
    streams: list[MemberStream],
    shape: BatchShape,
    n_patterns: int,
    dropout: float,
    network: CellNetwork,
    device: torch.device,
) -> Iterator[MaskedDraws]:
    """Endless draws, one a training step."""
    P, R, K = shape.patterns, shape.rows, shape.size

    def block(s: MemberStream) -> tuple[Tensor, ...]:
        index = s.indices(BLOCK * P * R).view(BLOCK, P * R)
        chance = s.uniforms(BLOCK, 1, P)[:, 0]
        other = 1 + ((chance - shape.first) / max(1e-9, 1 - shape.first) * (n_patterns - 1)).long()
        pattern = torch.where(chance < shape.first, 0, other.clamp(max=n_patterns - 1))
        p = s.uniforms(BLOCK, R, P).transpose(1, 2).unsqueeze(-1)
        eps, jitter = s.normals(BLOCK, P, R, K), s.uniforms(BLOCK, P, R, 1, K)[..., 0, :]
        return index, pattern, p, eps, jitter

    scale = 256 / (256 - round(256 * dropout))
    while True:
        columns = zip(*map(block, streams), strict=True)
        index, pattern, p, eps, jitter = (torch.stack(c, 1).to(device) for c in columns)
        for i in range(BLOCK):
            masks = None
            if dropout > 0:
                size = (network.n_layers, P * R, network.width)
                masks = torch.stack([s.mask(dropout, *size) for s in streams], 1).to(device)
                masks = masks.float().mul_(scale)
            yield MaskedDraws(index[i], pattern[i], p[i], eps[i], jitter[i], masks)


def unit_length(shares: Tensor) -> float:
    """a, such that a block has variance one in all (at most 5, for shares near 0 and 1)."""
    return min(5.0, 1 / sqrt(max(1e-9, float(1 - shares.square().sum()))))
