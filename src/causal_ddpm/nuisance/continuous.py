"""Cross-fitting of the continuous part of an outcome law: location, scale, shape, one step, kappa.

The mathematics is in ``nuisance.location``, ``nuisance.shape`` and ``nuisance.one_step``. Rows on
an atom do not train this part, but every row is read. A heavy-tailed outcome is learnt on the scale
of its normal scores, one scale a fold, and its quantiles are carried back
(``nuisance.normal_scores``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.nuisance.arms import FittedContrasts
from causal_ddpm.nuisance.location import (
    Sample,
    cross_fit_members,
    fit_location,
    held_out_weights,
)
from causal_ddpm.nuisance.normal_scores import NormalScores, fit_normal_scores
from causal_ddpm.nuisance.one_step import (
    WORTH,
    RefinedScalars,
    Refinement,
    Scorer,
    noise_share,
    refine,
    scorers,
)
from causal_ddpm.nuisance.shape import (
    ShapeReading,
    ShapeTask,
    TrainedBatch,
    choose_kappa,
    law_nodes,
    train_batch,
    within_support,
)
from causal_ddpm.nuisance.stack import FittedStack, LocationStack

Array = NDArray[np.float64]

JOINT_TRAINING_ROWS = 5_000
"""Up to this many rows all groups train as one batched network, beyond it one network a group."""

END_TO_END_KAPPA = 1.25
"""Without a stack the diffusion's mean is the regression, which training shrinks: kappa may exceed
one by this much."""

LARGE_SAMPLE = 20_000
"""From this many rows on, 16 quantile nodes are read instead of 32."""


@dataclass(frozen=True)
class SharedScalars:
    """The few numbers that all folds share: stack weights, kappa, those of the refined location.

    Given to a model they are used as they are; otherwise they are chosen on held-out residuals.
    """

    weights: tuple[float, ...] | None
    kappa: float
    refined: RefinedScalars | None = None


@dataclass(frozen=True)
class ContinuousSettings:
    """How the continuous part is learnt; ``stack`` is None for the end-to-end model."""

    stack: LocationStack | None
    diffusion: DiffusionSettings
    n_nodes: int | None
    shared: SharedScalars | None
    heavy_tailed: bool = False
    one_step: bool = True

    def nodes_for(self, n: int) -> int:
        """Number of quantile nodes to read."""
        return self.n_nodes or (32 if n < LARGE_SAMPLE else 16)


@dataclass(frozen=True)
class Support:
    """Where quantile nodes must stay: in an interval, or in the range of what trained them."""

    low: float = -np.inf
    high: float = np.inf
    observed: bool = False

    def of(self, sample: Sample, rows: NDArray[np.int64]) -> tuple[float, float]:
        """Interval of a model that was trained on some rows."""
        if not self.observed:
            return self.low, self.high
        return float(sample.outcome[rows].min()), float(sample.outcome[rows].max())


@dataclass(frozen=True, eq=False)
class CrossFittedContinuous:
    """The continuous part, read out of fold.

    Parameters
    ----------
    nodes : ndarray, shape (A, n, Q)
        Quantile nodes of Y(a) given x_i, in units of the outcome.
    batches : tuple of TrainedBatch
        Trained groups.
    refinement : Refinement or None
        The location fitted to one-step outcomes, where that was worthwhile.
    scalars : SharedScalars
    report : mapping
        JSON-ready account of the fit.
    """

    nodes: Array
    batches: tuple[TrainedBatch, ...]
    refinement: Refinement | None
    scalars: SharedScalars
    report: Mapping[str, Any]


def cross_fit_continuous(
    settings: ContinuousSettings,
    sample: Sample,
    support: Support,
    random_state: Seed,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> CrossFittedContinuous:
    """Learn and read the continuous part.

    Parameters
    ----------
    settings : ContinuousSettings
    sample : Sample
    support : Support
        Where nodes must stay.
    random_state, n_jobs, progress
        As everywhere.
    """
    scores = _normal_scores(settings, sample)
    if scores:
        sample = replace(sample, targets=np.stack([score(sample.outcome) for score in scores]))
    held_out, pairwise, weights = _locations(settings, sample, random_state, n_jobs, progress)
    batches = _train(settings, sample, (held_out, pairwise), random_state, n_jobs, progress)
    readings = [reading for batch in batches for reading in batch.readings]
    kappa = _kappa(settings, sample, held_out, readings)
    refinement, share = _refinement(
        settings, sample, (held_out, pairwise), scorers(batches, kappa), (random_state, n_jobs)
    )
    located = held_out if refinement is None else refinement.held_out
    if refinement is not None:
        kappa = _kappa(settings, sample, located, readings)
    nodes = np.empty((sample.n_arms, len(sample.arm), settings.nodes_for(len(sample.arm))))
    for fold, reading in enumerate(readings):
        limits = support.of(sample, sample.training_rows(fold))
        for a in range(sample.n_arms):
            raw = law_nodes(located[reading.rows, a], reading.scale[a], reading.nodes[a], kappa)
            nodes[a, reading.rows] = within_support(
                scores[fold].outcome_nodes(raw) if scores else raw, limits
            )
    report = {
        "kappa": kappa,
        "one step": None
        if share is None
        else {"noise share": share, "omega": refinement.scalars.omega if refinement else 0.0},
        "stack_weights": None
        if weights is None or settings.stack is None
        else dict(zip(settings.stack.names, map(float, weights), strict=True)),
        "networks": [dict(b.diffusion.report) for b in batches],
    }
    refined = None if refinement is None else refinement.scalars
    shared = SharedScalars(None if weights is None else tuple(map(float, weights)), kappa, refined)
    return CrossFittedContinuous(nodes, batches, refinement, shared, report)


def _refinement(
    settings: ContinuousSettings,
    sample: Sample,
    locations: tuple[Array, Mapping[int, Array]],
    each: list[Scorer],
    jobs: tuple[Seed, int],
) -> tuple[Refinement | None, float | None]:
    """The location fitted to one-step outcomes if it is worthwhile, and their share of noise.

    Values of a lattice do not move with a location, so counts and ratings are left as they are.
    """
    if settings.stack is None or sample.noise is not None or not settings.one_step:
        return None, None
    given = settings.shared.refined if settings.shared else None
    if given is None and settings.shared is not None:
        return None, None
    share = noise_share(each, sample, locations[0])
    if given is None and share > WORTH:
        return None, share
    return refine(settings.stack, each, sample, locations, given, jobs), share


def _normal_scores(settings: ContinuousSettings, sample: Sample) -> list[NormalScores]:
    """The map of each group, fitted on its training rows; empty where the outcome has none."""
    if not settings.heavy_tailed:
        return []
    groups = [sample.training_rows(k) for k in range(sample.n_folds)]
    return [fit_normal_scores(sample.outcome[rows], sample.row_weights(rows)) for rows in groups]


def _locations(
    settings: ContinuousSettings, sample: Sample, seed: Seed, n_jobs: int, progress: Progress
) -> tuple[Array, dict[int, Array], Array | None]:
    """Held-out location (n, A), pairwise location by fold, and stack weights."""
    if settings.stack is None:
        return _constant_locations(sample)
    members = cross_fit_members(
        settings.stack,
        sample,
        seed_sequence(seed, "location"),
        n_jobs,
        report_share=lambda share: progress("outcome model: location", 0.05 + 0.55 * share),
    )
    given = settings.shared.weights if settings.shared else None
    weights = held_out_weights(members, sample) if given is None else np.asarray(given)
    assert members.pairwise is not None
    pairwise = {k: members.pairwise[k] @ weights for k in range(sample.n_folds)}
    return members.held_out @ weights, pairwise, weights


def _constant_locations(sample: Sample) -> tuple[Array, dict[int, Array], None]:
    """The training mean of each group: the end-to-end model diffuses y around a constant."""
    n = len(sample.arm)
    held_out, pairwise = np.empty((n, sample.n_arms)), {}
    for k in range(sample.n_folds):
        rows, outcome = sample.training_rows(k), sample.on_scale_of(k).outcome
        mean = float(np.average(outcome[rows], weights=sample.row_weights(rows)))
        held_out[sample.fold_ids == k] = mean
        pairwise[k] = np.full((n, sample.n_arms), mean)
    return held_out, pairwise, None


def _train(
    settings: ContinuousSettings,
    sample: Sample,
    locations: tuple[Array, Mapping[int, Array]],
    seed: Seed,
    n_jobs: int,
    progress: Progress,
) -> tuple[TrainedBatch, ...]:
    """Train the groups, together when the sample is small, one network a fold when it is large."""
    held_out, pairwise = locations
    folds, n = range(sample.n_folds), len(sample.arm)
    together = n <= JOINT_TRAINING_ROWS
    batches = [tuple(folds)] if together else [(k,) for k in folds]
    jobs = []
    for batch in batches:
        task = ShapeTask(
            batch, settings.diffusion, settings.stack is not None, settings.nodes_for(n)
        )
        own = {k: pairwise[k] for k in batch}
        jobs.append((task, sample, own, held_out, seed_sequence(seed, "shape", *batch)))
    done = []
    for batch in run_jobs(train_batch, jobs, n_jobs):
        done.append(batch)
        progress("outcome model: diffusion", 0.6 + 0.35 * len(done) / len(jobs))
    return tuple(done)


def _kappa(
    settings: ContinuousSettings, sample: Sample, held_out: Array, readings: list[ShapeReading]
) -> float:
    if settings.shared is not None:
        return settings.shared.kappa
    most = 1.0 if settings.stack is not None else END_TO_END_KAPPA
    correction = np.empty((len(sample.arm), sample.n_arms))
    for reading in readings:
        correction[reading.rows] = reading.correction.T
    rows = np.flatnonzero(sample.fit_rows)
    residual = (sample.held_out_outcome - sample.factual(held_out))[rows]
    return choose_kappa(residual, sample.factual(correction)[rows], sample.row_weights(rows), most)


@dataclass(frozen=True, eq=False)
class FittedContinuous:
    """The continuous part for new rows: a location refitted on all rows, groups averaged.

    Parameters
    ----------
    location : FittedStack, FittedContrasts or float
        Refitted stack, or the outcome's mean for the end-to-end model.
    refined : FittedStack, FittedContrasts or None
        The stack refitted to one-step outcomes.
    scalars : SharedScalars
    batches : tuple of TrainedBatch
    support : tuple of float
    n_arms : int
    scores : NormalScores or None
        Map of a heavy-tailed outcome, fitted on every training row. The groups have learnt on the
        scales of their own maps, which differ from it by sampling error only.
    """

    location: FittedStack | FittedContrasts | float
    scalars: SharedScalars
    batches: tuple[TrainedBatch, ...]
    support: tuple[float, float]
    n_arms: int
    scores: NormalScores | None = None
    refined: FittedStack | FittedContrasts | None = None

    def locate(self, covariates: Covariates) -> Array:
        """m_a(x), shape (n, A): what the networks and the scale are told."""
        if isinstance(self.location, float):
            return np.full((len(covariates), self.n_arms), self.location)
        return self.location.predict(covariates) @ np.asarray(self.scalars.weights)

    def nodes(self, covariates: Covariates, arm: int, n_nodes: int) -> Array:
        """Quantile nodes of Y(arm), averaged over the groups, shape (n, n_nodes)."""
        location = self.locate(covariates)
        centre = self.centre(covariates, location)[:, arm]
        total, count = np.zeros((len(covariates), n_nodes)), 0
        for batch in self.batches:
            for position, features in enumerate(batch.features):
                condition = features.condition(covariates, location)
                nodes = batch.diffusion.nodes(position, condition, arm, n_nodes)
                scale = features.scale_of(condition, arm)
                total += law_nodes(centre, scale, nodes, self.scalars.kappa)
                count += 1
        nodes = total / count
        if self.scores is not None:
            nodes = self.scores.outcome_nodes(nodes)
        return within_support(nodes, self.support)

    def centre(self, covariates: Covariates, location: Array) -> Array:
        """Centre of the law, shape (n, A): m, or m + omega (m* - m)."""
        scalars = self.scalars.refined
        if self.refined is None or scalars is None:
            return location
        refined = self.refined.predict(covariates) @ np.asarray(scalars.weights)
        return np.asarray(location + scalars.omega * (refined - location))

    def arm_probability(self, covariates: Covariates) -> Array:
        """P(arm | x) by the diffusions' heads, averaged over the groups, shape (n, A)."""
        location = self.locate(covariates)
        parts = [
            batch.diffusion.arm_probability(position, features.condition(covariates, location))
            for batch in self.batches
            for position, features in enumerate(batch.features)
        ]
        return np.asarray(np.mean(parts, axis=0))


def refit_continuous(
    settings: ContinuousSettings,
    sample: Sample,
    fitted: CrossFittedContinuous,
    support: Support,
    random_state: Seed,
) -> FittedContinuous:
    """The law for new rows: the location is fitted once more, on every training row."""
    rows = np.flatnonzero(sample.fit_rows)
    limits, weights = support.of(sample, rows), sample.row_weights(rows)
    scores = fit_normal_scores(sample.outcome[rows], weights) if settings.heavy_tailed else None
    if scores is not None:
        sample = replace(sample, outcome=scores(sample.outcome))
    if settings.stack is None:
        location: FittedStack | FittedContrasts | float = float(
            np.average(sample.outcome[rows], weights=weights)
        )
    else:
        seed = integer_seed(random_state, "location")
        location = fit_location(settings.stack, sample, rows, seed)
    return FittedContinuous(
        location, fitted.scalars, fitted.batches, limits, sample.n_arms, scores,
        _refit_refined(settings, sample, fitted.refinement, random_state),
    )  # fmt: skip


def _refit_refined(
    settings: ContinuousSettings, sample: Sample, refinement: Refinement | None, seed: Seed
) -> FittedStack | FittedContrasts | None:
    """The stack on the one-step outcomes of every training row."""
    if settings.stack is None or refinement is None:
        return None
    moved = replace(sample, outcome=refinement.outcome)
    rows = np.flatnonzero(sample.fit_rows)
    return fit_location(settings.stack, moved, rows, integer_seed(seed, "one step"))


def empirical_nodes(outcome: Array, weights: Array | None, n_nodes: int) -> Array:
    """Means of the outcome over n_nodes slices of equal weight, shape (n_nodes,).

    Their mean is the mean of the outcome and none of them leaves its range.
    """
    order = np.argsort(outcome, kind="stable")
    y = outcome[order]
    w = np.ones(len(y)) if weights is None else weights[order]
    edge = np.concatenate([[0.0], np.cumsum(w)]) / w.sum()
    area = np.concatenate([[0.0], np.cumsum(w * y)]) / w.sum()
    cuts = np.interp(np.linspace(0.0, 1.0, n_nodes + 1), edge, area)
    return np.clip(np.diff(cuts) * n_nodes, y[0], y[-1])
