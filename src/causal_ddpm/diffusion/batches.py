r"""Training rows and the random numbers that minibatches are made of.

Every member has a generator of its own, addressed by the names of its group and itself, from which
it draws its permutations, noise and dropout masks in blocks of :data:`BLOCK` steps on the CPU. So
a member's numbers do not depend on which other members are trained beside it, nor on the device.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, integer_seed

BLOCK = 16
"""Steps for which random numbers are drawn at once."""

_CLIP = 8.0


@dataclass(frozen=True, eq=False)
class TrainingGroup:
    """The rows that one group of members learns from.

    Parameters
    ----------
    condition : ndarray, shape (n, d)
    arm : ndarray of int, shape (n,)
        Condition arm, 0 .. n_arms - 1.
    target : ndarray, shape (n,)
        Standardised scalar v.
    weights : ndarray, shape (n,), optional
    name : str, optional
        Addresses the group's random numbers; its position by default.
    """

    condition: NDArray[np.floating]
    arm: NDArray[np.integer]
    target: NDArray[np.floating]
    weights: NDArray[np.floating] | None = None
    name: str | None = None

    def __len__(self) -> int:
        return len(self.target)


def check_group(group: TrainingGroup, n_arms: int, n_columns: int) -> None:
    """Refuse rows that cannot be trained on.

    Raises
    ------
    DataError
        For shapes that disagree, values that are not finite, unknown arms or useless weights.
    """
    n, x = len(group), np.asarray(group.condition)
    if x.shape != (n, n_columns) or np.shape(group.arm) != (n,) or np.ndim(group.target) != 1:
        raise DataError(
            f"condition has shape {x.shape}, arm {np.shape(group.arm)}, target "
            f"{np.shape(group.target)}", f"({n}, {n_columns}), ({n},) and ({n},)",
        )  # fmt: skip
    if n < 8:
        raise DataError(f"a group has {n} training rows", "at least 8")
    if not (np.isfinite(x).all() and np.isfinite(group.target).all()):
        raise DataError("condition or target has missing or infinite values", "finite numbers")
    if np.min(group.arm) < 0 or np.max(group.arm) >= n_arms:
        raise DataError(f"arm runs from {np.min(group.arm)} to {np.max(group.arm)}",
                        f"0 to {n_arms - 1}")  # fmt: skip
    w = np.ones(n) if group.weights is None else np.asarray(group.weights, dtype=float)
    if w.shape != (n,) or not np.isfinite(w).all() or (w < 0).any() or w.sum() <= 0:
        raise DataError("the weights are missing, negative, infinite or all zero",
                        "finite non-negative weights, one a row")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Column means and standard deviations of a group's training rows; values clipped at 8 sd."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[np.floating]) -> "Standardiser":
        """Moments of x, shape (n, d); a constant column gets sd 1."""
        sd = x.std(axis=0, dtype=float)
        mean = x.mean(axis=0, dtype=float)
        return cls(mean, np.where(sd > 1e-10 * (1 + np.abs(mean)), sd, 1.0))

    def __call__(self, x: NDArray[np.floating]) -> Tensor:
        """Standardised x as float32, shape (n, d)."""
        z = (np.asarray(x, dtype=float) - self.mean) / self.sd
        return torch.from_numpy(np.clip(z, -_CLIP, _CLIP).astype(np.float32))


@dataclass(frozen=True)
class Rows:
    """Rows on the device, [x, v, weight, arm] side by side so that a minibatch is one gather.

    Parameters
    ----------
    table : Tensor, shape (n, d + 3) for a group, (G, B, d + 3) for a minibatch
    """

    table: Tensor

    def __len__(self) -> int:
        return len(self.table)

    @property
    def x(self) -> Tensor:
        """Standardised conditions, (..., d)."""
        return self.table[..., :-3]

    @property
    def v(self) -> Tensor:
        """Targets."""
        return self.table[..., -3]

    @property
    def w(self) -> Tensor:
        """Weights, mean one within a group."""
        return self.table[..., -2]

    @property
    def arm(self) -> Tensor:
        """Condition arms, int64."""
        return self.table[..., -1].long()

    def take(self, index: Tensor) -> "Rows":
        """Rows at ``index``, of any shape."""
        return Rows(self.table[index])


def rows_of(group: TrainingGroup, standardise: Standardiser, device: torch.device) -> Rows:
    """A group's rows as tensors, weights scaled to mean one."""
    w = np.ones(len(group)) if group.weights is None else np.asarray(group.weights, dtype=float)
    last = np.column_stack([group.target, w / w.mean(), group.arm]).astype(np.float32)
    return Rows(torch.cat([standardise(group.condition), torch.from_numpy(last)], 1).to(device))


def gather(groups: list[Rows], index: Tensor) -> Rows:
    """Minibatch of each member; ``index`` (G, B), members in group order, equally many each."""
    parts = index.chunk(len(groups))
    return Rows(torch.cat([g.table[i] for g, i in zip(groups, parts, strict=True)]))


@dataclass(frozen=True)
class Draws:
    """Random numbers of one step: row ``index`` (G, B), ``p`` and ``eps`` (G, M, B), ``mask``."""

    index: Tensor
    p: Tensor
    eps: Tensor
    mask: Tensor | None


@dataclass
class MemberStream:
    """The random numbers of one member.

    Parameters
    ----------
    generator : torch.Generator
    n_rows : int
    """

    generator: torch.Generator
    n_rows: int

    def __post_init__(self) -> None:
        self._order, self._at = torch.empty(0, dtype=torch.int64), 0

    def state(self) -> tuple[Tensor, Tensor]:
        """The generator's state, and what is left of the current permutation."""
        return self.generator.get_state(), self._order[self._at :].clone()

    def restore(self, generator: Tensor, order: Tensor) -> None:
        """Go on from a :meth:`state`."""
        self.generator.set_state(generator)
        self._order, self._at = order, 0

    def indices(self, count: int) -> Tensor:
        """The next ``count`` rows of an endless chain of permutations."""
        parts, missing = [], count
        while missing > 0:
            if self._at == len(self._order):
                self._order, self._at = torch.randperm(self.n_rows, generator=self.generator), 0
            part = self._order[self._at : self._at + missing]
            self._at += len(part)
            missing -= len(part)
            parts.append(part)
        return torch.cat(parts)

    def uniforms(self, *shape: int) -> Tensor:
        """Uniform on [0, 1), shape (..., M, B): one draw in each of M equal cells."""
        M = shape[-2]
        return (torch.rand(shape, generator=self.generator) + torch.arange(M)[:, None]) / M

    def normals(self, *shape: int) -> Tensor:
        """Standard normal draws."""
        return torch.randn(shape, generator=self.generator)

    def mask(self, rate: float, *shape: int) -> Tensor:
        """Dropout mask as bytes: 1 keeps, with probability 1 - round(256 rate) / 256.

        Eight bytes a random word; numpy compares bytes much faster than torch does.
        """
        size = int(np.prod(shape))
        words = torch.empty(-(-size // 8), dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        keep = words.numpy().view(np.uint8)[:size] >= round(256 * rate)
        return torch.from_numpy(keep.view(np.uint8)).view(shape)


def member_stream(seed: Seed, group: str, member: int, use: str, n_rows: int) -> MemberStream:
    """The stream of one member for one use ("init", "train", "held-out")."""
    number = integer_seed(seed, "group", group, "member", member, use)
    return MemberStream(torch.Generator().manual_seed(number), n_rows)


def draw_steps(
    streams: list[MemberStream],
    batch: tuple[int, int],
    rate: float,
    mask_shape: tuple[int, ...],
    device: torch.device,
) -> Iterator[Draws]:
    """Endless draws, one a training step.

    Parameters
    ----------
    streams : list of MemberStream, length G
    batch : (int, int)
        Rows B and noise draws M.
    rate : float
        Dropout.
    mask_shape : tuple of int
        Of one member's dropout mask.
    device : torch.device
    """  # fmt: skip
    B, M = batch
    scale = 256 / (256 - round(256 * rate))
    while True:
        index = torch.stack([s.indices(BLOCK * B).view(BLOCK, B) for s in streams], 1)
        p = torch.stack([s.uniforms(BLOCK, M, B) for s in streams], 1).to(device)
        eps = torch.stack([s.normals(BLOCK, M, B) for s in streams], 1).to(device)
        index, mask = index.to(device), None
        if rate > 0:
            mask = torch.stack([s.mask(rate, BLOCK, *mask_shape) for s in streams], 1).to(device)
        for i in range(BLOCK):
            kept = None if mask is None else mask[i].float().mul_(scale)
            yield Draws(index[i], p[i], eps[i], kept)
