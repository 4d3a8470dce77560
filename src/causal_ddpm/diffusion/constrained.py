r"""Draws of a vector model that obey constraints: which way for which row.

The model draws v in its own coordinates; the vector itself is x = p_i + M_i v (row i). Constraints
{A x = b_i, C x <= d_i} become A M_i v = b_i - A p_i and C M_i v <= d_i - C p_i. Then

- equalities that hold for every v (``diffusion.null_space`` made them part of M) ask for nothing;
- inequalities alone: draws are made until enough of them are feasible; rows that accept too few
  in :data:`ROUNDS` rounds go on with the particles of ``diffusion.surface``;
- other equalities, with or without inequalities: those particles.

Every draw that comes back obeys the inequalities as they are, and the equalities to rounding error
in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.diffusion.constraints import Polyhedron, independent
from causal_ddpm.diffusion.runtime import quick_arithmetic
from causal_ddpm.diffusion.surface import PointDenoiser, Prior, Target, particles, pick

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

ROUNDS = 10
"""Rounds of plain draws before a row goes over to particles."""

PARTICLES = 64
"""Particles a row, at least; rows that fail get four times as many once more."""

_POINTS, _PRIOR_DRAWS = 4096, 128


class VectorLaw(Protocol):
    """What a model must offer: k-vectors given each of n rows."""

    @property
    def size(self) -> int:
        """k."""
        ...

    def denoiser(self, condition: Array) -> Any:
        """D(v_tau, tau) for rows of conditions (B, d): from (B, k) to (B, k), differentiable."""
        ...

    def sample(self, condition: Array, n_samples: int, random_state: Seed = None) -> Array:
        """Plain draws (n, n_samples, k)."""
        ...


@dataclass(frozen=True, eq=False)
class Coordinates:
    """x = p_i + M_i v.

    Parameters
    ----------
    offset : ndarray, shape (n, K)
        p.
    matrix : ndarray, shape (n, K, k)
        M.
    """

    offset: Array
    matrix: Array

    def of(self, rows: Rows, v: Array) -> Array:
        """x of v (len(rows), S, k), shape (len(rows), S, K)."""
        moved = np.einsum("nij,nsj->nsi", self.matrix[rows], v)
        return np.asarray(self.offset[rows, None] + moved)


@dataclass(frozen=True, eq=False)
class ConstrainedDraws:
    """Draws that obey the constraints, and how hard that was.

    Parameters
    ----------
    x : ndarray, shape (n, S, K)
    acceptance : ndarray, shape (n,)
        Share of feasible plain draws; NaN where none were made.
    effective_share : ndarray, shape (n,)
        Smallest effective share of the particles on their way; NaN where none were needed.
    """

    x: Array
    acceptance: Array
    effective_share: Array


@quick_arithmetic()
def constrained_draws(
    law: VectorLaw,
    condition: Array,
    coordinates: Coordinates,
    region: Polyhedron,
    n_samples: int,
    random_state: Seed = None,
) -> ConstrainedDraws:
    """Draws of x given each row, inside the region.

    Parameters
    ----------
    law : VectorLaw
    condition : ndarray, shape (n, d)
    coordinates : Coordinates
    region : Polyhedron
        In units of x.
    n_samples : int
    random_state : seed

    Raises
    ------
    DataError
        If the equalities contradict each other, or no feasible draw was found for some row.
    """
    seed = seed_sequence(random_state)
    problem = _problem(law, condition, coordinates, region)
    n, K = coordinates.offset.shape
    x = np.full((n, n_samples, K), np.nan)
    acceptance, share = np.full(n, np.nan), np.full(n, np.nan)
    rows = np.arange(n)
    if not problem.A.shape[1]:
        acceptance = _accept(problem, x, seed)
        rows = np.flatnonzero(np.isnan(x[:, -1, 0]))
    for n_particles in (PARTICLES, 4 * PARTICLES):
        if len(rows):
            rows = _with_particles(problem, rows, max(n_particles, n_samples), x, share, seed)
    if len(rows):
        raise DataError(
            f"no draw obeys the constraints in {len(rows)} of {n} rows (row {rows[0]} first)",
            "constraints that the model deems possible",
            "Check their right-hand sides, or loosen them.",
        )
    return ConstrainedDraws(x, acceptance, share)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The constraints in the model's coordinates: A (n, m, k), b (n, m), G (n, q, k), h (n, q)."""

    law: VectorLaw
    condition: Array
    coordinates: Coordinates
    region: Polyhedron
    A: Array
    b: Array
    G: Array
    h: Array

    def target(self, rows: Rows) -> Target:
        """For points that belong to ``rows``."""
        parts = (self.A[rows], self.b[rows], self.G[rows], self.h[rows])
        return Target(*(torch.from_numpy(part) for part in parts))

    def denoiser(self, rows: Rows) -> PointDenoiser:
        """For points that belong to ``rows``."""
        inner = self.law.denoiser(self.condition[rows])

        def D(v: Tensor, tau: float) -> Tensor:
            return inner(v.float(), tau).double()

        return D


def _problem(
    law: VectorLaw, condition: Array, coordinates: Coordinates, region: Polyhedron
) -> _Problem:
    offset, matrix = coordinates.offset, coordinates.matrix
    A, b = independent(region.A, region.b)
    A_v = np.einsum("mi,nij->nmj", A, matrix)
    b_v = b - offset @ A.T
    size = np.linalg.norm(A, axis=1) * np.linalg.norm(matrix, axis=(1, 2)).max(initial=1e-300)
    free = np.abs(A_v).max(axis=(0, 2), initial=0.0) > 1e-9 * size
    scale = np.abs(b) + np.abs(offset) @ np.abs(A).T + size
    if (np.abs(b_v) > 1e-6 * scale)[:, ~free].any():
        raise DataError(
            "a constraint contradicts an equality that holds in the data",
            "constraints that can hold together",
        )
    reduced = replace(region, A=A, b=b)
    G = np.einsum("qi,nij->nqj", region.C, matrix)
    h = region.d - offset @ region.C.T
    equal, below = _unit(A_v[:, free], b_v[:, free]), _unit(G, h)
    return _Problem(law, condition, coordinates, reduced, *equal, *below)


def _unit(rows: Array, sides: Array) -> tuple[Array, Array]:
    """Constraints (n, m, k) and (n, m) with coefficients of length one, whatever the units."""
    size = np.linalg.norm(rows, axis=2)
    size = np.where(size > 0, size, 1.0)
    return rows / size[..., None], sides / size


def _accept(problem: _Problem, x: Array, seed: np.random.SeedSequence) -> Array:
    """Fill the rows of x by plain draws that are feasible; returns the acceptance (n,)."""
    n, S, K = x.shape
    found, tried = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    accepted = np.zeros(n, dtype=np.int64)
    for turn in range(ROUNDS):
        rows = np.flatnonzero(found < S)
        if not len(rows):
            break
        v = problem.law.sample(problem.condition[rows], S, seed_sequence(seed, "plain", turn))
        drawn = problem.coordinates.of(rows, np.asarray(v, dtype=np.float64))
        excess = problem.region.excess(np.repeat(rows, S), drawn.reshape(-1, K)).reshape(-1, S)
        inside = excess <= 0
        for i, row in enumerate(rows):
            own = drawn[i, inside[i]][: S - found[row]]
            x[row, found[row] : found[row] + len(own)] = own
            found[row] += len(own)
        accepted[rows] += inside.sum(axis=1)
        tried[rows] += S
    return np.asarray(accepted / tried)


def _with_particles(
    problem: _Problem,
    rows: Rows,
    n_particles: int,
    x: Array,
    share: Array,
    seed: np.random.SeedSequence,
) -> Rows:
    """Fill rows of x by particles; returns the rows where none was feasible."""
    failed = []
    S = x.shape[1]
    for chunk in _chunks(rows, max(1, _POINTS // n_particles)):
        number = integer_seed(seed, "particles", n_particles, int(chunk[0]))
        generator = torch.Generator().manual_seed(number)
        points = np.repeat(chunk, n_particles)
        plain = problem.law.sample(problem.condition[chunk], _PRIOR_DRAWS, number)
        prior = Prior.of(torch.from_numpy(np.asarray(plain, dtype=np.float64)), n_particles)
        draws = particles(
            problem.denoiser(points), problem.target(points), prior, generator, n_particles
        )
        chosen = problem.coordinates.of(chunk, pick(draws, S, generator).numpy())
        chosen, good = _exactly_feasible(problem, chunk, chosen)
        good &= draws.weight.sum(1).numpy() > 0
        missing = np.isnan(x[chunk, :, 0])
        for i in np.flatnonzero(good):
            x[chunk[i], missing[i]] = chosen[i, missing[i]]
        share[chunk] = draws.share.numpy()
        failed.append(chunk[~good])
    return np.concatenate(failed)


def _exactly_feasible(problem: _Problem, rows: Rows, x: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Replace draws that rounding has put outside by feasible ones of the same row.

    Returns the draws, and which rows have a feasible draw at all.
    """
    n, S, K = x.shape
    excess = problem.region.excess(np.repeat(rows, S), x.reshape(-1, K)).reshape(n, S)
    inside = excess <= 0
    first = inside.argmax(axis=1)
    kept = np.where(inside[..., None], x, x[np.arange(n), first][:, None])
    return kept, np.asarray(inside.any(axis=1) & np.isfinite(kept).all(axis=(1, 2)))


def _chunks(rows: Rows, size: int) -> Iterator[Rows]:
    for i in range(0, len(rows), size):
        yield rows[i : i + size]
