r"""The location once more: one Newton step on the likelihood of the learnt noise.

A regression by squares treats all noise as Gaussian. Once the diffusion has learnt the law p of
v = (y - m) / s given (x, a), an outcome says more about its location than its square does. With
the denoiser D of the diffusion at a noise level tau (Tweedie's formula),

    psi(v) = -d/dv log (p * N(0, tau^2))(v) = (v - D(v, tau)) / tau^2
    I      = E psi'(v)                                   under the learnt law of the row
    y*     = m + s (psi(v) - E psi) / I

is an outcome with the same conditional mean as y, up to second order in the errors of m and p, but
with noise variance s^2 Var(psi) / I^2 in place of s^2 Var(v): as tau falls, the Cramer-Rao bound
(one-step estimation, Le Cam 1956; adaptation to an unknown noise law, Bickel 1982). Gaussian noise
has psi(v) = v / (1 + tau^2), hence y* = y. Sharp modes, heavy tails and steep edges have an I far
above 1 / Var(v): there the stack is fitted again, to y*, and with m* its held-out prediction

    m_refined = m + omega (m* - m),    omega = clipped slope of the held-out y - m on m* - m.

Group k makes the y* of its training rows from its own network and its pairwise locations, none of
which has seen fold k: what is fitted to them may score fold k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.nuisance.location import Sample, cross_fit_members, held_out_weights
from causal_ddpm.nuisance.shape import TrainedBatch, choose_kappa
from causal_ddpm.nuisance.stack import LocationStack

TAU = 0.4
"""Noise level of the score, in units of the residual: fine enough for modes one sd apart, coarse
enough that a network trained on a few hundred rows knows it."""

WORTH = 0.85
"""The stack is fitted again if the noise variance of y* is below this share of that of y."""

_N_NODES, _STEP, _LEAST_INFORMATION = 16, 0.05, 0.5


@dataclass(frozen=True, eq=False)
class Scorer:
    """The learnt noise of the group that leaves out one fold.

    Parameters
    ----------
    batch : TrainedBatch
    position : int
        Of the group in the batch.
    kappa : float
        The law is m + s (Q_v - (1 - kappa) mean Q_v).
    """

    batch: TrainedBatch
    position: int
    kappa: float

    def steps(
        self, sample: Sample, location: Array, rows: NDArray[np.int64]
    ) -> tuple[Array, Array, Array]:
        """Scale s, residual (y - m) / s and step (psi - E psi) / I of some rows, each (len(rows),).

        Parameters
        ----------
        sample : Sample
            With its outcome on the scale of this group.
        location : ndarray, shape (n, A)
        rows : ndarray of int
        """
        features = self.batch.features[self.position]
        condition = features.condition(sample.covariates.rows(rows), location[rows])
        arm = sample.arm[rows]
        scale = features.scale_of(condition, arm)
        residual = (sample.outcome[rows] - location[rows, arm]) / scale
        step = np.empty(len(rows))
        for a in np.unique(arm):
            own = arm == a
            step[own] = self._newton(condition[own], int(a), residual[own])
        return scale, residual, step

    def _newton(self, condition: Array, arm: int, residual: Array) -> Array:
        diffusion = self.batch.diffusion

        def psi(v: Array) -> Array:
            return -diffusion.score(self.position, condition, arm, v, TAU)

        nodes = diffusion.nodes(self.position, condition, arm, _N_NODES)
        v = residual + (1 - self.kappa) * nodes.mean(axis=1)
        slope = (psi(nodes + _STEP) - psi(nodes - _STEP)) / (2 * _STEP)
        information = np.maximum(slope.mean(axis=1), _LEAST_INFORMATION)
        return np.asarray((psi(v[:, None])[:, 0] - psi(nodes).mean(axis=1)) / information)


def scorers(batches: Sequence[TrainedBatch], kappa: float) -> list[Scorer]:
    """One for each group, in the order of the folds they leave out."""
    return [Scorer(batch, i, kappa) for batch in batches for i in range(len(batch.features))]


def noise_share(each: Sequence[Scorer], sample: Sample, held_out: Array) -> float:
    """Noise variance of y* over that of y, each fold read by the group that never saw it."""
    before = after = 0.0
    for fold, scorer in enumerate(each):
        rows = np.flatnonzero((sample.fold_ids == fold) & sample.fit_rows)
        _, residual, step = scorer.steps(sample.on_scale_of(fold), held_out, rows)
        w = np.ones(len(rows)) if sample.weights is None else sample.weights[rows]
        before, after = before + float(w @ residual**2), after + float(w @ step**2)
    return after / before if before > 0 else 1.0


def one_step_targets(
    each: Sequence[Scorer], sample: Sample, held_out: Array, pairwise: Mapping[int, Array]
) -> Array:
    """y* of every row that trains as each group sees it, shape (K, n).

    Row k rests on fold k only in the entries of fold k itself, whose location is the held-out one.
    Rows that do not train keep their outcome.
    """
    targets = np.empty((len(each), len(sample.arm)))
    rows = np.flatnonzero(sample.fit_rows)
    for fold, scorer in enumerate(each):
        own = sample.on_scale_of(fold)
        location = np.where((sample.fold_ids == fold)[:, None], held_out, pairwise[fold])
        scale, _, step = scorer.steps(own, location, rows)
        targets[fold] = own.outcome
        targets[fold, rows] = location[rows, sample.arm[rows]] + scale * step
    return targets


@dataclass(frozen=True)
class RefinedScalars:
    """What all folds share: weights of the stack fitted to y*, and omega."""

    weights: tuple[float, ...]
    omega: float


@dataclass(frozen=True, eq=False)
class Refinement:
    """A location fitted to y*.

    Parameters
    ----------
    scalars : RefinedScalars
    held_out : ndarray, shape (n, A)
        m_refined, out of fold.
    outcome : ndarray, shape (n,)
        y* of each row from the group that never saw it; the fit for new rows uses it.
    """

    scalars: RefinedScalars
    held_out: Array
    outcome: Array


def refine(
    stack: LocationStack,
    each: Sequence[Scorer],
    sample: Sample,
    locations: tuple[Array, Mapping[int, Array]],
    given: RefinedScalars | None,
    jobs: tuple[Seed, int],
) -> Refinement:
    """Fit the stack to y* in every group and choose omega.

    Parameters
    ----------
    stack : LocationStack
    each : sequence of Scorer
    sample : Sample
    locations : (ndarray of shape (n, A), mapping of fold to ndarray)
        Held-out and pairwise.
    given : RefinedScalars or None
        Used as they are; otherwise chosen on held-out rows.
    jobs : (seed, int)
        Random state and number of workers.
    """
    held_out, pairwise = locations
    targets = one_step_targets(each, sample, held_out, pairwise)
    moved = replace(sample, targets=targets)
    seed = seed_sequence(jobs[0], "one step")
    members = cross_fit_members(stack, moved, seed, jobs[1], pairs=False)
    weights = held_out_weights(members, moved) if given is None else np.asarray(given.weights)
    change = members.held_out @ weights - held_out
    omega = _omega(sample, held_out, change) if given is None else given.omega
    scalars = RefinedScalars(tuple(map(float, weights)), omega)
    return Refinement(scalars, held_out + omega * change, moved.held_out_outcome)


def _omega(sample: Sample, held_out: Array, change: Array) -> float:
    """Clipped slope of the held-out residual on the change of the location."""
    rows = np.flatnonzero(sample.fit_rows)
    residual = (sample.held_out_outcome - sample.factual(held_out))[rows]
    return choose_kappa(residual, sample.factual(change)[rows], sample.row_weights(rows))
