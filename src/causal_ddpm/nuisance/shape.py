"""The law of Y(a) given x around a location: scale, then the shape by diffusion, then kappa.

For group k (all training rows outside fold k) and a location m that never saw fold k:

    r_i = y_i - m(x_i, a_i)                       residual
    s_a(x)                                        scale: boosted log-variance of r, shrunk
    v_i = r_i / s_{a_i}(x_i)                      standardised residual
    Q_v(u | x, m_0, .., m_(A-1), a)               quantile function of v, by diffusion
    Q_a(u | x) = m_a + s_a (Q_v(u) - (1 - kappa) mean Q_v)

kappa in [0, 1] says how far the diffusion may move the mean: the clipped least-squares slope of the
held-out residual on the correction s mean(Q_v). It is one number for all folds. Without a stack
(m constant) the correction is the whole regression, which dropout and weight decay shrink by a few
percent: there the slope may reach 1.25.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.diffusion.conditional import (
    ConditionalDiffusion,
    DiffusionSettings,
    TrainingGroup,
    train_conditional,
)
from causal_ddpm.diffusion.roles import ConditionColumns
from causal_ddpm.nuisance.encoding import Encoder, FittedEncoder
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.scale import (
    FittedLogVariance,
    Shrinkage,
    choose_shrinkage,
    fit_log_variance,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ConstantScale:
    """A scale that does not depend on x: the end-to-end model's."""

    value: float


@dataclass(frozen=True, eq=False)
class BoostedScale:
    """s_a(x) = exp(log-variance / 2), shrunk towards a constant."""

    log_variance: FittedLogVariance
    shrinkage: Shrinkage


@dataclass(frozen=True, eq=False)
class Conditioning:
    """What a group's networks are told about a row.

    Parameters
    ----------
    encoder : FittedEncoder
        Fitted on the group's training rows, whose rare levels may differ from other groups'.
    use_location : bool
        Whether (m_0, .., m_(A-1)) is part of the condition.
    columns : ConditionColumns
        Columns of the condition, those of a confounder side by side and the location last. Zeros
        fill it up where this group has fewer levels, so that groups can train as one network.
    """

    encoder: FittedEncoder
    use_location: bool
    columns: ConditionColumns

    def __call__(self, covariates: Covariates, location: Array) -> Array:
        """Condition of the diffusion, shape (n, columns)."""
        condition = np.zeros((len(covariates), len(self.columns.source)))
        condition[:, self._places] = self.encoder.transform(covariates)
        if self.use_location:
            condition[:, -location.shape[1] :] = location
        return condition

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Column of each feature of the encoder: the first free one of its confounder."""
        names, source = self.columns.names, np.array(self.columns.source)
        own = np.array([names.index(name) for name in self.encoder.sources])
        nth = np.array([np.sum(own[:j] == s) for j, s in enumerate(own)])
        return np.searchsorted(source, own) + nth


def conditioning_of(
    sample: Sample, folds: tuple[int, ...], use_location: bool
) -> list[Conditioning]:
    """Conditions of the groups that leave out the given folds, all of one width."""
    encoders = []
    for fold in folds:
        rows = sample.training_rows(fold)
        encoders.append(Encoder().fit(sample.covariates.rows(rows), sample.row_weights(rows)))
    columns = _columns(encoders, sample.covariates.names, sample.n_arms * use_location)
    return [Conditioning(encoder, use_location, columns) for encoder in encoders]


def _columns(
    encoders: Sequence[FittedEncoder], confounders: tuple[str, ...], n_locations: int
) -> ConditionColumns:
    """As many columns for a confounder as the encoder with most features of it needs."""
    counts = [Counter(encoder.sources) for encoder in encoders]
    each = [max(count[name] for count in counts) for name in confounders]
    locations = tuple(f"location under arm {a}" for a in range(n_locations))
    source = np.repeat(np.arange(len(each) + n_locations), [*each, *[1] * n_locations])
    return ConditionColumns(confounders + locations, tuple(source.tolist()), locations)


@dataclass(frozen=True, eq=False)
class GroupFeatures:
    """Condition and scale of one group.

    Parameters
    ----------
    condition : Conditioning
    scale : ConstantScale or BoostedScale
    n_arms : int
    """

    condition: Conditioning
    scale: ConstantScale | BoostedScale
    n_arms: int

    def scale_of(self, condition: Array, arm: int | NDArray[np.int64]) -> Array:
        """s_arm(x), shape (n,)."""
        if isinstance(self.scale, ConstantScale):
            return np.full(len(condition), self.scale.value)
        features = _with_arm(condition, arm, self.n_arms)
        return self.scale.shrinkage.scale(self.scale.log_variance.predict(features))


@dataclass(frozen=True, eq=False)
class FittedGroup:
    """Features, training rows and standardised residuals of one group."""

    features: GroupFeatures
    training: TrainingGroup


def _with_arm(condition: Array, arm: int | NDArray[np.int64], n_arms: int) -> Array:
    """Condition and an indicator of each arm but the first."""
    codes = np.broadcast_to(np.asarray(arm), len(condition))
    return np.column_stack([condition, codes[:, None] == np.arange(1, n_arms)])


def residual_group(
    sample: Sample, fold: int, location: Array, conditioning: Conditioning, random_state: Seed
) -> FittedGroup:
    """Standardised residuals of the rows outside ``fold``, and the scale that made them.

    Parameters
    ----------
    sample : Sample
    fold : int
        The fold that is left out.
    location : ndarray, shape (n, A)
        Pairwise locations for this fold; rows of the fold itself are not read.
    conditioning : Conditioning
        Without the location in it the scale is constant: v = r / sd(r).
    random_state : seed
    """
    rows = sample.training_rows(fold)
    arm, weights = sample.arm[rows], sample.row_weights(rows)
    residual = sample.noised_outcome[rows] - location[rows, arm]
    condition = conditioning(sample.covariates.rows(rows), location[rows])
    fitted: ConstantScale | BoostedScale
    if conditioning.use_location:
        features, folds = _with_arm(condition, arm, sample.n_arms), sample.fold_ids[rows]
        fitted, scale = _fit_scale(features, residual, weights, folds, (random_state, fold))
    else:
        fitted = ConstantScale(_weighted_sd(residual, weights))
        scale = np.full(len(rows), fitted.value)
    training = TrainingGroup(condition, arm, residual / scale, weights)
    return FittedGroup(GroupFeatures(conditioning, fitted, sample.n_arms), training)


def _fit_scale(
    features: Array,
    residual: Array,
    weights: Array | None,
    fold_ids: NDArray[np.int64],
    seed: tuple[Seed, int],
) -> tuple[BoostedScale, Array]:
    """Scale of a group and its out-of-fold value on the group's own rows."""
    root, fold = seed
    squared = residual**2
    held_out = np.empty(len(residual))
    for j in np.unique(fold_ids):
        train = fold_ids != j
        w = None if weights is None else weights[train]
        part = fit_log_variance(
            features[train], squared[train], w, integer_seed(root, "scale", fold, int(j))
        )
        held_out[~train] = part.predict(features[~train])
    shrinkage = choose_shrinkage(held_out, squared, weights)
    whole = fit_log_variance(features, squared, weights, integer_seed(root, "scale", fold))
    return BoostedScale(whole, shrinkage), shrinkage.scale(held_out)


def _weighted_sd(x: Array, weights: Array | None) -> float:
    mean = np.average(x, weights=weights)
    return float(np.sqrt(np.average((x - mean) ** 2, weights=weights)))


@dataclass(frozen=True, eq=False)
class ShapeReading:
    """Standardised quantile nodes of some rows under every arm.

    Parameters
    ----------
    rows : ndarray of int, shape (m,)
    nodes : ndarray, shape (A, m, Q)
        Q_v, sorted.
    scale : ndarray, shape (A, m)
    """

    rows: Rows
    nodes: Array
    scale: Array

    @property
    def correction(self) -> Array:
        """s mean(Q_v), by which kappa = 1 would move the mean, shape (A, m)."""
        return self.scale * self.nodes.mean(axis=2)


@dataclass(frozen=True, eq=False)
class TrainedBatch:
    """Groups that were trained as one network, and what they say of their held-out rows."""

    features: tuple[GroupFeatures, ...]
    diffusion: ConditionalDiffusion
    readings: tuple[ShapeReading, ...]


@dataclass(frozen=True)
class ShapeTask:
    """What one batch is asked for.

    Parameters
    ----------
    folds : tuple of int
        The folds left out, one group each.
    settings : DiffusionSettings
    boosted : bool
        Whether the scale depends on x and the condition holds the location.
    n_nodes : int
    """

    folds: tuple[int, ...]
    settings: DiffusionSettings
    boosted: bool
    n_nodes: int


def train_batch(
    task: ShapeTask,
    sample: Sample,
    pairwise: Mapping[int, Array],
    held_out: Array,
    random_state: Seed,
) -> TrainedBatch:
    """Train the groups of a task and read each on its own held-out fold.

    Parameters
    ----------
    task : ShapeTask
    sample : Sample
    pairwise : mapping of int to ndarray, shape (n, A)
        Location for training the group of each fold.
    held_out : ndarray, shape (n, A)
        Location at which the fold itself is read.
    random_state : seed
    """
    conditions = conditioning_of(sample, task.folds, use_location=task.boosted)
    groups = [
        residual_group(sample.on_scale_of(k), k, pairwise[k], condition, random_state)
        for k, condition in zip(task.folds, conditions, strict=True)
    ]
    diffusion = train_conditional(
        [g.training for g in groups], task.settings, random_state, n_arms=sample.n_arms,
        columns=conditions[0].columns,
    )  # fmt: skip
    readings = []
    for position, (fold, group) in enumerate(zip(task.folds, groups, strict=True)):
        rows = np.flatnonzero(sample.fold_ids == fold)
        condition = group.features.condition(sample.covariates.rows(rows), held_out[rows])
        nodes, scale = read_group(group.features, diffusion, position, condition, task.n_nodes)
        readings.append(ShapeReading(rows, nodes, scale))
    return TrainedBatch(tuple(g.features for g in groups), diffusion, tuple(readings))


def read_group(
    features: GroupFeatures,
    diffusion: ConditionalDiffusion,
    position: int,
    condition: Array,
    n_nodes: int,
) -> tuple[Array, Array]:
    """Standardised nodes (A, m, Q) and scales (A, m) of one group for every arm."""
    arms = range(features.n_arms)
    nodes = np.stack([diffusion.nodes(position, condition, a, n_nodes) for a in arms])
    scale = np.stack([features.scale_of(condition, a) for a in arms])
    return nodes, scale


def choose_kappa(
    residual: Array, correction: Array, weights: Array | None, most: float = 1.0
) -> float:
    """Slope of the held-out residual on the diffusion's mean correction, within [0, most]."""
    w = np.ones(len(residual)) if weights is None else weights
    power = float(np.sum(w * correction**2))
    if power <= 0:
        return 0.0
    return float(np.clip(np.sum(w * residual * correction) / power, 0.0, most))


def law_nodes(location: Array, scale: Array, nodes: Array, kappa: float) -> Array:
    """m + s (Q_v - (1 - kappa) mean Q_v), shape (m, Q)."""
    centre = (1.0 - kappa) * nodes.mean(axis=1, keepdims=True)
    return location[:, None] + scale[:, None] * (nodes - centre)


def within_support(nodes: Array, support: tuple[float, float]) -> Array:
    """Clip nodes to the support by a shift that keeps each row's mean, where the support allows.

    The mean of clip(q + delta) is increasing in delta; bisection finds the delta at which it equals
    the mean before clipping (itself moved into the support). No node need be moved past that mean.
    """
    low, high = support
    if nodes.size == 0 or (nodes.min() >= low and nodes.max() <= high):
        return nodes
    target = np.clip(nodes.mean(axis=1), low, high)[:, None]
    left = np.minimum(target - nodes.max(axis=1, keepdims=True), 0.0)
    right = np.maximum(target - nodes.min(axis=1, keepdims=True), 0.0)
    for _ in range(50):
        middle = (left + right) / 2
        short = np.clip(nodes + middle, low, high).mean(axis=1, keepdims=True) < target
        left, right = np.where(short, middle, left), np.where(short, right, middle)
    return np.clip(nodes + (left + right) / 2, low, high)


def report_of(batches: tuple[TrainedBatch, ...]) -> list[dict[str, Any]]:
    """Fit reports of the networks, one per batch."""
    return [dict(b.diffusion.report) for b in batches]
