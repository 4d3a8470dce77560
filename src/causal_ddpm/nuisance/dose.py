r"""Cross-fitted nuisances of a dose-response curve.

For row i of fold k, from rows outside fold k,

    mu(x_i, a) = E[Y | x_i, A = a]        f(a | x_i), the density of the dose given x_i

each read at the row's own dose A_i and at nodes a_1 < ... < a_G that span the observed doses. Half
of the way between evenly spaced points and quantiles, the nodes are dense where rows are.

By default mu is the mean of the diffusion law of Y given (x, a), and f the density of the diffusion
law of A given x (:mod:`causal_ddpm.core.density`): it may have any shape, and its spread may depend
on x. Values of the dose that many rows share have no density; such doses are blurred first, each
uniformly over the points nearer to it than to any other value, and f is the density of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import recognise, weighted_quantiles
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.nuisance.arms import stack_for
from causal_ddpm.nuisance.continuous import ContinuousSettings, Support, cross_fit_continuous
from causal_ddpm.nuisance.folds import cluster_folds, draw_folds, stratified_folds
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.outcome import LawSchema, PotentialOutcomeModel

N_NODES = 25
"""Doses at which mu and f are read for every row."""

INNER_FOLDS = 3
"""Folds of the default outcome law inside each training set: its law is fitted five times."""

TIED_SHARE = 0.05
"""Doses are blurred when more than this share of the rows has the dose of another row."""


@dataclass(frozen=True, eq=False)
class DoseReading:
    """Out-of-fold reading of one nuisance.

    Parameters
    ----------
    own : ndarray, shape (n,)
        At each row's dose.
    grid : ndarray, shape (n, G)
        At the nodes.
    report : mapping
        What the fit has to say, JSON-ready.
    dose : ndarray, shape (n,), optional
        Doses at which ``own`` was read, where these are not the observed ones.
    """

    own: Array
    grid: Array
    report: Mapping[str, Any] = field(default_factory=dict)
    dose: Array | None = None


class DoseModel(Protocol):
    """Reads mu(x, a), or f(a | x), of each row from fits without its fold."""

    def read_doses(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        nodes: Array,
        random_state: Seed,
        n_jobs: int = 1,
    ) -> DoseReading:
        """Reading at the rows' own doses and at the nodes (G,)."""
        ...


@dataclass(frozen=True, eq=False)
class DoseNuisances:
    """Out-of-fold nuisances of one data set whose treatment is a dose.

    Parameters
    ----------
    fold_ids : ndarray of int, shape (n,)
    nodes : ndarray, shape (G,)
        Ascending doses.
    mean : DoseReading
        mu(x_i, a), in units of the outcome.
    density : DoseReading
        f(a | x_i), in 1 / units of the dose.
    fingerprint : str
        Fingerprint of the data they belong to.
    method : str
        Name of the models.
    n_synthetic : int
        Generated rows that helped to train; none do.
    """

    fold_ids: NDArray[np.int64]
    nodes: Array
    mean: DoseReading
    density: DoseReading
    fingerprint: str
    method: str = "dose-response curve"
    n_synthetic: int = 0

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(np.unique(self.fold_ids))


def fit_dose_nuisances(
    data: CausalData,
    outcome_model: Any = None,
    propensity_model: Any = None,
    n_folds: int = 5,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
    inspect: Callable[[Array], None] | None = None,
) -> DoseNuisances:
    """Cross-fit the mean outcome and the density of the dose.

    Parameters
    ----------
    data : CausalData
        With a treatment of kind "dose".
    outcome_model : PotentialOutcomeModel or DoseModel, optional
        The diffusion law of Y given x and the dose by default.
    propensity_model : DoseModel, optional
        The diffusion law of the dose given x, ``DiffusionDensity()``, by default.
    n_folds, random_state, n_jobs, progress
        As in :func:`causal_ddpm.nuisance.crossfit.fit_nuisances`.
    inspect : callable, optional
        Not called: there are no propensities of arms; overlap is examined dose by dose.

    Raises
    ------
    DataError
        If the treatment is no dose or a model cannot read doses.
    """
    if data.treatment_schema.kind != "dose":
        raise DataError(
            f"the treatment is of kind '{data.treatment_schema.kind}'",
            "a dose: CausalData(..., treatment_kind='dose')",
            column=data.treatment_name,
        )
    means = _mean_model(outcome_model)
    densities = DiffusionDensity() if propensity_model is None else _checked(propensity_model)
    root = seed_sequence(random_state)
    fold_ids = draw_folds(data, n_folds, seed_sequence(root, "folds"))
    nodes = dose_nodes(data, N_NODES)
    progress("density of the dose", 0.0)
    seeds = seed_sequence(root, "density"), seed_sequence(root, "outcome")
    density = densities.read_doses(data, fold_ids, nodes, seeds[0], n_jobs)
    progress("outcome model", 0.3)
    mean = means.read_doses(data, fold_ids, nodes, seeds[1], n_jobs)
    progress("nuisances", 1.0)
    names = [str(reading.report.get("model", "")) for reading in (mean, density)]
    method = f"cross-fitted local regression of doubly robust outcomes, {' and '.join(names)}"
    return DoseNuisances(fold_ids, nodes, mean, density, data.fingerprint, method)


def dose_nodes(data: CausalData, n_nodes: int) -> Array:
    """Ascending doses from the smallest to the largest observed one, shape (n_nodes,)."""
    dose = data.treatment
    level = np.linspace(0.0, 1.0, n_nodes)
    weights = data.weights if data.has_weights else None
    spread = weighted_quantiles(dose, weights, level)
    spread[[0, -1]] = dose.min(), dose.max()
    return np.asarray((spread + spread[0] + level * (spread[-1] - spread[0])) / 2)


@dataclass(frozen=True)
class DiffusionMean:
    """mu(x, a): mean of the diffusion law of the outcome, fitted outside each fold.

    Parameters
    ----------
    model : PotentialOutcomeModel
    """

    model: PotentialOutcomeModel = field(
        default_factory=lambda: PotentialOutcomeModel(n_folds=INNER_FOLDS)
    )

    def read_doses(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        nodes: Array,
        random_state: Seed,
        n_jobs: int = 1,
    ) -> DoseReading:
        """One law a fold, read at the rows it never saw."""
        folds = np.unique(fold_ids)
        jobs = [(self.model, data, fold_ids == k, nodes, random_state, int(k)) for k in folds]
        own, grid = np.empty(data.n), np.empty((data.n, len(nodes)))
        for k, read in zip(folds, run_jobs(_read_law, jobs, n_jobs), strict=True):
            own[fold_ids == k], grid[fold_ids == k] = read
        return DoseReading(own, grid, {"model": self.model.name})


@dataclass(frozen=True)
class DiffusionDensity:
    """f(a | x): density of the diffusion law of the dose given the confounders.

    Parameters
    ----------
    model : PotentialOutcomeModel
        Its stack and its diffusion, for the dose in the place of the outcome.
    """

    model: PotentialOutcomeModel = field(default_factory=PotentialOutcomeModel)

    def read_doses(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        nodes: Array,
        random_state: Seed,
        n_jobs: int = 1,
    ) -> DoseReading:
        """The law of the dose, cross-fitted."""
        weights = data.weights if data.has_weights else None
        dose = blurred(data.treatment, stream(random_state, "blur"))
        arm, every = np.zeros(data.n, dtype=np.int64), np.ones(data.n, dtype=bool)
        sample = Sample(data.covariates, arm, dose, weights, fold_ids, every, n_arms=1)
        stack = stack_for(self.model.stack, 1) if self.model.location == "stack" else None
        heavy = recognise(dose, weights).kind == "heavy_tailed"
        settings = ContinuousSettings(
            stack, self.model.diffusion, self.model.n_nodes, self.model.shared, heavy
        )
        fitted = cross_fit_continuous(settings, sample, Support(), random_state, n_jobs)
        law = ConditionalLaw(fitted.nodes[0])
        report = {"model": "diffusion density", "blurred": bool((dose != data.treatment).any())}
        return DoseReading(law.density(dose[:, None])[:, 0], law.density(nodes), report, dose)


def blurred(dose: Array, rng: np.random.Generator) -> Array:
    """Doses drawn uniformly from the points nearest to each value, where values are shared."""
    values, codes, counts = np.unique(dose, return_inverse=True, return_counts=True)
    if counts[counts > 1].sum() <= TIED_SHARE * len(dose):
        return dose
    middle = (values[1:] + values[:-1]) / 2
    first, last = values[0] - np.diff(values)[0] / 2, values[-1] + np.diff(values)[-1] / 2
    low, high = np.append(first, middle), np.append(middle, last)
    return np.asarray(rng.uniform(low[codes], high[codes]))


def _read_law(
    model: PotentialOutcomeModel,
    data: CausalData,
    held_out: NDArray[np.bool_],
    nodes: Array,
    random_state: Seed,
    fold: int,
) -> tuple[Array, Array]:
    """Means of the held-out rows at their own doses (m,) and at the nodes (m, G)."""
    train = np.flatnonzero(~held_out)
    seed = seed_sequence(random_state, "fold", fold)
    schema = LawSchema(
        data.covariates.columns, data.treatment_schema, data.outcome_schema, data.outcome_name
    )
    law = model.fit_sample(_training_sample(model, data, train, seed), schema, seed)
    covariates, dose = data.covariates.rows(held_out), data.treatment[held_out]
    m, n_nodes = len(dose), len(nodes)
    rows = covariates.rows(np.repeat(np.arange(m), n_nodes))
    grid = law.mean(rows, np.tile(nodes, m)).reshape(m, n_nodes)
    return law.mean(covariates, dose), grid


def _training_sample(
    model: PotentialOutcomeModel, data: CausalData, train: NDArray[np.int64], seed: Seed
) -> Sample:
    """Training rows with folds of their own; clusters stay together."""
    rng, dose = stream(seed, "inner folds"), data.treatment[train]
    strata = data.treatment_schema.strata(dose)
    if data.clusters is None:
        folds = stratified_folds(strata, model.n_folds, rng)
    else:
        folds = cluster_folds(strata, data.clusters[train], model.n_folds, rng)
    covariates, arm = data.treatment_schema.inputs(data.covariates.rows(train), dose)
    weights = data.weights[train] if data.has_weights else None
    every = np.ones(len(train), dtype=bool)
    return Sample(covariates, arm, data.outcome[train], weights, folds, every, n_arms=1)


def _mean_model(model: Any) -> DoseModel:
    if model is None:
        return DiffusionMean()
    return DiffusionMean(model) if isinstance(model, PotentialOutcomeModel) else _checked(model)


def _checked(model: Any) -> DoseModel:
    if isinstance(model, PotentialOutcomeModel):
        return DiffusionDensity(model)
    if not callable(getattr(model, "read_doses", None)):
        raise DataError(
            f"the model is a {type(model).__name__}",
            "PotentialOutcomeModel or a model with read_doses for a dose",
            "LearnerDoseMean and GaussianDoseDensity wrap scikit-learn regressors.",
        )
    checked: DoseModel = model
    return checked
