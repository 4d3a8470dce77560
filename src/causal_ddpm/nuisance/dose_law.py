r"""The law of a dose given (z, x) by diffusion, read everywhere by models that never saw a fold.

For fold k, from the rows outside it,

    q_k(u | z, x)        quantile function of the dose D given instruments z and covariates x
    e_k(z, x) = E_k[b(D) | z, x] = mean over u of b(q_k(u | z, x))       for any functions b

The instruments of the second stage are e_k(z_i, x_i) - r_k(x_i), i in k, with

    r_k(x) = E[e_k(z, x) | x].

Two traces must not be left in them. *Of x*: e_k is rough in x, as whatever is learnt from few rows
is, and with a weak instrument a trace of x that also stands in b(D) - r_k weighs as much as the
instrument. So e_k is first made smooth, a ridge regression on radial functions of (z, x), which can
be read at any z; the mean over z of the smooth function takes its x-part off exactly, and what z
depends on x adds the regression of the difference on x. *Of the row's own dose*: all of it is
fitted on the rows outside k, where e_k is read for that. The out-of-fold values of other folds
would not do, for the models behind them have seen fold k (Kolesar 2013, on jackknifed first stages
with covariates).

The law is that of :mod:`causal_ddpm.nuisance.shape`: a location stack, a scale, and the shape by
diffusion; the location of a row i of fold j is read without folds j and k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import rbf_kernel

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence, stream
from causal_ddpm.nuisance.arms import stack_for
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.learners.sklearn_learner import fit_clone, is_sklearn
from causal_ddpm.nuisance.location import Sample, cross_fit_members, held_out_weights
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.shape import (
    ShapeTask,
    choose_kappa,
    law_nodes,
    train_batch,
    within_support,
)

Array = NDArray[np.float64]

N_NODES = 32
"""Quantiles at which the law of a row is read."""

N_LANDMARKS = 400
PENALTIES = tuple(np.logspace(-8, 3, 12))
"""Down to nearly none: e_k is known without noise, and what is smoothed away moves no dose."""

N_DONORS = 16
"""Rows whose instruments a smooth function is averaged over."""

_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Design:
    """Folds and weights of the rows.

    Parameters
    ----------
    fold_ids : ndarray of int, shape (n,)
    weights : ndarray, shape (n,), or None
    """

    fold_ids: NDArray[np.int64]
    weights: Array | None = None

    @property
    def n_folds(self) -> int:
        """K."""
        return int(self.fold_ids.max()) + 1

    def sample(self, covariates: Covariates, target: Array) -> Sample:
        """What the learners of a conditional law see."""
        n = len(target)
        every, arm = np.ones(n, dtype=bool), np.zeros(n, dtype=np.int64)
        return Sample(covariates, arm, target, self.weights, self.fold_ids, every, n_arms=1)


@dataclass(frozen=True, eq=False)
class DoseLaw:
    """The law of the dose at every row, by the model of every fold.

    Parameters
    ----------
    nodes : ndarray, shape (K, n, Q)
        Entry [k, i] holds mid-quantiles of D given (z_i, x_i) by the model without fold k.
    fold_ids : ndarray of int, shape (n,)
    report : mapping
        What the fit has to say, JSON-ready.
    """

    nodes: Array
    fold_ids: NDArray[np.int64]
    report: Mapping[str, Any] = field(default_factory=dict)

    def expected(self, functions: Callable[[Array], Array]) -> Array:
        """e_k(z_i, x_i) of functions (m,) -> (m, J), shape (K, n, J)."""
        n_folds, n, n_nodes = self.nodes.shape
        values = functions(self.nodes.ravel()).reshape(n_folds, n, n_nodes, -1)
        return np.asarray(values.mean(axis=2))


class Stages(Protocol):
    """Learns, fold by fold, the law of a dose and the mean of an outcome."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def law(
        self, covariates: Covariates, dose: Array, design: Design, random_state: Seed, n_jobs: int
    ) -> DoseLaw:
        """The law of the dose given instruments and covariates side by side."""
        ...

    def mean(
        self,
        covariates: Covariates,
        y: Array,
        design: Design,
        random_state: Seed,
        n_jobs: int,
    ) -> Array:
        """E[Y | x] of each row from rows of other folds, shape (n,)."""
        ...


@dataclass(frozen=True)
class DiffusionStages:
    """Both by the diffusion law's machinery: a location stack, and the dose's law by diffusion.

    Parameters
    ----------
    model : PotentialOutcomeModel
        Its stack and its diffusion, for the dose in the place of the outcome.
    """

    model: PotentialOutcomeModel = field(default_factory=PotentialOutcomeModel)

    @property
    def name(self) -> str:
        """What tables call it."""
        return "diffusion law of the dose"

    def law(
        self, covariates: Covariates, dose: Array, design: Design, random_state: Seed, n_jobs: int
    ) -> DoseLaw:
        """Location, scale and shape of the dose; see the module page.

        Raises
        ------
        DataError
            With two folds: the location leaves out pairs of them.
        """
        if design.n_folds < 3:
            raise DataError(f"n_folds is {design.n_folds}", "at least 3 for the diffusion law")
        sample, folds = design.sample(covariates, dose), design.fold_ids
        held_out, pairwise, combine = self._locations(sample, random_state, n_jobs)
        task = ShapeTask(tuple(range(sample.n_folds)), self.model.diffusion, True, N_NODES)
        seed = seed_sequence(random_state, "shape")
        batch = train_batch(task, sample, dict(enumerate(pairwise)), held_out, seed)
        correction = np.empty(len(dose))
        for reading in batch.readings:
            correction[reading.rows] = reading.correction[0]
        kappa = choose_kappa(dose - held_out[:, 0], correction, design.weights)
        nodes = np.empty((sample.n_folds, len(dose), N_NODES))
        for k, features in enumerate(batch.features):
            location = np.where((folds == k)[:, None], held_out, pairwise[k])
            condition = features.condition(covariates, location)
            shape = batch.diffusion.nodes(k, condition, 0, N_NODES)
            scale = features.scale_of(condition, 0)
            seen = dose[folds != k]
            raw = law_nodes(location[:, 0], scale, shape, kappa)
            nodes[k] = within_support(raw, (float(seen.min()), float(seen.max())))
        return DoseLaw(nodes, folds, {"model": self.name, "kappa": kappa, "stack_weights": combine})

    def mean(
        self,
        covariates: Covariates,
        y: Array,
        design: Design,
        random_state: Seed,
        n_jobs: int,
    ) -> Array:
        """E[Y | x] by the location stack."""
        sample, stack = design.sample(covariates, y), stack_for(self.model.stack, 1)
        members = cross_fit_members(stack, sample, random_state, n_jobs, pairs=False)
        return np.asarray((members.held_out @ held_out_weights(members, sample))[:, 0])

    def _locations(
        self, sample: Sample, random_state: Seed, n_jobs: int
    ) -> tuple[Array, Array, dict[str, float]]:
        """Held-out location (n, 1), pairwise ones (K, n, 1), and the stack's weights."""
        stack = stack_for(self.model.stack, 1)
        members = cross_fit_members(stack, sample, seed_sequence(random_state, "location"), n_jobs)
        weights = held_out_weights(members, sample)
        assert members.pairwise is not None
        named = dict(zip(stack.names, map(float, weights), strict=True))
        return members.held_out @ weights, members.pairwise @ weights, named


@dataclass(frozen=True)
class NormalStages:
    """Light ones: any scikit-learn regressor, and a normal law of constant spread around it.

    For simulations, and where the instrument is known to move the mean alone.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Its input are encoded columns.
    """

    regressor: Any

    def __post_init__(self) -> None:
        if not is_sklearn(self.regressor):
            raise DataError(
                f"the learner is a {type(self.regressor).__name__}",
                "a scikit-learn regressor (fit, predict, get_params, set_params)",
            )

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"normal law of the dose, {type(self.regressor).__name__}"

    def law(
        self, covariates: Covariates, dose: Array, design: Design, random_state: Seed, n_jobs: int
    ) -> DoseLaw:
        """One regression a fold, read at every row."""
        means = self._means(covariates, dose, design, random_state)
        own = means[design.fold_ids, np.arange(len(dose))]
        sd = np.sqrt(np.average((dose - own) ** 2, weights=design.weights))
        z = norm.ppf((np.arange(N_NODES) + 0.5) / N_NODES)
        return DoseLaw(means[:, :, None] + sd * z, design.fold_ids, {"model": self.name})

    def mean(
        self,
        covariates: Covariates,
        y: Array,
        design: Design,
        random_state: Seed,
        n_jobs: int,
    ) -> Array:
        """One regression a fold."""
        means = self._means(covariates, y, design, random_state)
        return means[design.fold_ids, np.arange(len(y))]

    def _means(
        self, covariates: Covariates, target: Array, design: Design, random_state: Seed
    ) -> Array:
        """Fits without each fold, at every row, shape (K, n)."""
        found = []
        for k in range(design.n_folds):
            rows = np.flatnonzero(design.fold_ids != k)
            w = None if design.weights is None else design.weights[rows]
            encoder = Encoder().fit(covariates.rows(rows), w)
            x, seed = encoder.transform(covariates), integer_seed(random_state, "fold", k)
            found.append(fit_clone(self.regressor, x[rows], target[rows], w, seed).predict(x))
        return np.asarray(found)


def smooth_and_mean(
    instruments: Covariates,
    covariates: Covariates,
    values: Array,
    design: Design,
    random_state: Seed,
) -> tuple[Array, Array]:
    """Smooth e_k and r_k at each row from the rows outside its fold, shape (n, J) each.

    Without covariates there is no x-part to take off, and e_k stays as it is.

    Parameters
    ----------
    instruments, covariates : Covariates, n rows
    values : ndarray, shape (K, n, J)
        e_k at every row.
    design : Design
    random_state : seed
    """
    if not len(covariates.columns):
        own = values[design.fold_ids, np.arange(values.shape[1])]
        return own, mean_given(covariates, values, design, random_state)
    both = side_by_side(instruments, covariates)
    e = np.empty(values.shape[1:])
    difference = np.empty_like(values)
    for k, rough in enumerate(values):
        train, test = design.fold_ids != k, design.fold_ids == k
        smooth = _smooth(both, rough, train, design, integer_seed(random_state, "smooth", k))
        rng = stream(random_state, "donors", k)
        donors = rng.choice(np.flatnonzero(train), N_DONORS, replace=False)
        average = np.zeros_like(rough)
        for z in instruments.values[donors]:
            moved = Covariates(instruments.columns, np.tile(z, (len(rough), 1)))
            average += smooth(side_by_side(moved, covariates)) / N_DONORS
        fitted = smooth(both)
        e[test], difference[k] = fitted[test], fitted - average
    own_difference = difference[design.fold_ids, np.arange(len(e))]
    left = mean_given(covariates, difference, design, random_state)
    return e, e - own_difference + left


def mean_given(covariates: Covariates, values: Array, design: Design, random_state: Seed) -> Array:
    """E[v_k | x_i] of functions v_k of (z, x), shape (n, J), from the rows outside fold k.

    Parameters
    ----------
    covariates : Covariates, n rows
    values : ndarray, shape (K, n, J)
        v_k at every row.
    design : Design
    random_state : seed
    """
    out = np.empty(values.shape[1:])
    for k, v in enumerate(values):
        train, test = design.fold_ids != k, design.fold_ids == k
        if not len(covariates.columns):
            w = None if design.weights is None else design.weights[train]
            out[test] = np.average(v[train], axis=0, weights=w)
            continue
        fitted = _smooth(covariates, v, train, design, integer_seed(random_state, "mean", k))
        out[test] = fitted(covariates.rows(test))
    return out


def _smooth(
    covariates: Covariates, values: Array, train: NDArray[np.bool_], design: Design, seed: int
) -> Callable[[Covariates], Array]:
    """A ridge regression on encoded columns and radial functions of them.

    One penalty, by generalised cross-validation, serves all functions: so the smooth version of a
    combination of functions is the combination of the smooth versions, and a direction in which
    they hardly differ is not made of differences between penalties.
    """
    w = None if design.weights is None else design.weights[train]
    encoder = Encoder().fit(covariates.rows(train), w)
    x = encoder.transform(covariates.rows(train))
    radial = Nystroem(
        gamma=1 / x.shape[1], n_components=min(N_LANDMARKS, len(x)), random_state=seed
    )
    fitted = RidgeCV(PENALTIES, gcv_mode="svd")
    scale, shape = np.std(values[train], axis=0) + _TINY, (-1, values.shape[1])
    fitted.fit(np.hstack([x, radial.fit_transform(x)]), values[train] / scale, sample_weight=w)
    linear, curved = np.split(fitted.coef_.reshape(shape[1], -1), [x.shape[1]], axis=1)
    curved = curved @ radial.normalization_  # of the kernel itself: many rows are read

    def predict(rows: Covariates) -> Array:
        z = encoder.transform(rows)
        kernel = rbf_kernel(z, radial.components_, radial.gamma)
        found = z @ linear.T + kernel @ curved.T + fitted.intercept_
        return np.asarray(found.reshape(shape) * scale)

    return predict


def side_by_side(first: Covariates, second: Covariates) -> Covariates:
    """The columns of two tables of the same rows."""
    return Covariates(first.columns + second.columns, np.hstack([first.values, second.values]))
