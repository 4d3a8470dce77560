"""The diffusion law of potential outcomes: settings, cross-fitting, and the fitted law.

    Y | x, a  ~  p_a(x) delta_c + (1 - p_a(x)) L_a(x)

with p_a = 0 unless the outcome has an atom c (``nuisance.atom``), and L_a(x) the law with quantile
function m_a + s_a (Q_v(u | x, a) - (1 - kappa) mean Q_v) (``nuisance.shape``). ``location="none"``
leaves out the stack and the scale: the diffusion learns y itself, end to end.

The counterfactual of a unit follows from the copula of its two potential outcomes given x, which no
data identify. Both worlds share the noise eps, the treated world adds its own eta:

    z_0 = eps,   z_1 = (eps + lambda eta) / sqrt(1 + lambda^2),   rho = 1 / sqrt(1 + lambda^2)

so lambda = 0 is rank invariance and lambda = infinity independence (``treatment_strength``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import OutcomePredictions, Progress, silent
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence, stream
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.nuisance.atom import atom_sample, clip_probability, cross_fit_atom, find_atom
from causal_ddpm.nuisance.continuous import (
    ContinuousSettings,
    CrossFittedContinuous,
    FittedContinuous,
    SharedScalars,
    cross_fit_continuous,
    empirical_nodes,
    refit_continuous,
)
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.persistence import load_model, save_model
from causal_ddpm.nuisance.stack import FittedStack, LocationStack

Array = NDArray[np.float64]

MIN_ROWS_OFF_ATOM = 4
"""An arm needs this many rows off the atom for each fold; with fewer, that part is not modelled."""


@dataclass(frozen=True)
class PotentialOutcomeModel:
    """Settings of the diffusion law of Y(a) given X; fitting leaves them untouched.

    Parameters
    ----------
    location : {"stack", "none"}
        "stack" diffuses the standardised residual of a cross-fitted stack of regressions, the
        recommended form; "none" diffuses the outcome itself, end to end.
    stack : LocationStack
        Members of the stack (ignored by ``location="none"`` but for the atom's probability).
    diffusion : DiffusionSettings
        Network, schedule, training recipe and sampler.
    n_folds : int
        Folds of :meth:`fit`; :meth:`cross_fit` is given its folds.
    n_nodes : int, optional
        Quantile nodes a row; 32 below 20 000 rows and 16 from there on.
    shared : SharedScalars, optional
        Stack weights and kappa, when they are not to be chosen on held-out rows.

    Raises
    ------
    DataError
        If ``location`` is unknown or a number is out of range.
    """

    location: Literal["stack", "none"] = "stack"
    stack: LocationStack = field(default_factory=LocationStack)
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    n_folds: int = 5
    n_nodes: int | None = None
    shared: SharedScalars | None = None

    def __post_init__(self) -> None:
        if self.location not in ("stack", "none"):
            raise DataError(f"location is {self.location!r}", "'stack' or 'none'")
        if self.n_nodes is not None and self.n_nodes < 2:
            raise DataError(f"n_nodes is {self.n_nodes}", "at least 2")

    @property
    def name(self) -> str:
        """What tables call this model."""
        return "diffusion law" if self.location == "stack" else "end-to-end diffusion law"

    def cross_fit(
        self,
        data: CausalData,
        fold_ids: NDArray[np.int64],
        random_state: Seed,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> OutcomePredictions:
        """Read the law of each row from models trained without its fold.

        Returns
        -------
        OutcomePredictions
            Means (n, 2), one ConditionalLaw per arm, and the fit report.
        """
        parts = _cross_fit_parts(self, data, fold_ids, random_state, n_jobs, progress)
        laws = tuple(parts.law(a) for a in (0, 1))
        mean = np.column_stack([law.mean() for law in laws])
        return OutcomePredictions(mean, laws, parts.report)

    def fit(
        self,
        data: CausalData,
        random_state: Seed = 0,
        n_jobs: int = 1,
        progress: Progress = silent,
    ) -> PotentialOutcomeLaw:
        """Fit the law for use on new rows.

        Parameters
        ----------
        data : CausalData
        random_state : int, SeedSequence or None
        n_jobs : int
        progress : callable

        Returns
        -------
        PotentialOutcomeLaw
            A new frozen object.
        """
        root = seed_sequence(random_state)
        fold_ids = draw_folds(data, self.n_folds, seed_sequence(root, "folds"))
        parts = _cross_fit_parts(self, data, fold_ids, root, n_jobs, progress)
        sample = parts.sample
        if isinstance(parts.continuous, CrossFittedContinuous):
            settings = _continuous_settings(self)
            bounded = parts.atom is not None
            seed = seed_sequence(root, "refit")
            continuous: FittedContinuous | EmpiricalPart = refit_continuous(
                settings, sample, parts.continuous, bounded, seed
            )
        else:
            rows = np.flatnonzero(sample.fit_rows)
            nodes = empirical_nodes(
                sample.outcome[rows], sample.row_weights(rows), parts.continuous.shape[2]
            )
            continuous = EmpiricalPart(nodes)
        atom = None if parts.atom is None else _refit_atom(self.stack, parts, root)
        progress("outcome model", 1.0)
        return PotentialOutcomeLaw(
            continuous=continuous,
            atom=atom,
            columns=data.covariates.columns,
            names=(data.treatment_name, data.outcome_name),
            n_train=data.n,
            report=parts.report,
        )


@dataclass(frozen=True, eq=False)
class EmpiricalPart:
    """A continuous part that does not depend on x: too few rows lie off the atom to model it."""

    values: Array

    def nodes(self, covariates: Covariates, arm: int, n_nodes: int) -> Array:
        """The same nodes for every row and arm."""
        resampled = empirical_nodes(self.values, None, n_nodes)
        return np.broadcast_to(resampled, (len(covariates), n_nodes)).copy()


@dataclass(frozen=True, eq=False)
class FittedAtom:
    """Location c of the atom and its probability model."""

    value: float
    stack: FittedStack
    weights: tuple[float, ...]

    def probability(self, covariates: Covariates, arm: int) -> Array:
        """P(Y = c | x, arm), shape (n,)."""
        members = self.stack.predict(covariates)[:, arm]
        return clip_probability(members @ np.asarray(self.weights))


@dataclass(frozen=True, eq=False)
class _Parts:
    """Cross-fitted pieces of the law."""

    sample: Sample
    atom: float | None
    atom_probability: Array | None
    atom_weights: Array | None
    continuous: CrossFittedContinuous | Array
    report: Mapping[str, Any]

    def law(self, arm: int) -> ConditionalLaw:
        """Out-of-fold law of Y(arm)."""
        fitted = isinstance(self.continuous, CrossFittedContinuous)
        nodes = self.continuous.nodes[arm] if fitted else self.continuous[arm]
        if self.atom is None or self.atom_probability is None:
            return ConditionalLaw(nodes)
        off = self.sample.outcome[self.sample.fit_rows]
        support = (float(off.min()), float(off.max()))
        return ConditionalLaw(nodes, self.atom, self.atom_probability[:, arm], support)


def _continuous_settings(model: PotentialOutcomeModel) -> ContinuousSettings:
    stack = model.stack if model.location == "stack" else None
    return ContinuousSettings(stack, model.diffusion, model.n_nodes, model.shared)


def _cross_fit_parts(
    model: PotentialOutcomeModel,
    data: CausalData,
    fold_ids: NDArray[np.int64],
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> _Parts:
    _check_folds(model, fold_ids)
    root = seed_sequence(random_state)
    weights = data.weights if data.has_weights else None
    atom = find_atom(data.outcome, weights)
    off_atom = np.ones(data.n, dtype=bool) if atom is None else data.outcome != atom
    sample = Sample(data.covariates, data.treatment, data.outcome, weights, fold_ids, off_atom)
    probability = atom_weights = None
    report: dict[str, Any] = {"model": model.name, "atom": atom}
    if atom is not None:
        progress("outcome model: probability of the atom", 0.02)
        probability, atom_weights = cross_fit_atom(
            model.stack, sample, atom, seed_sequence(root, "atom"), n_jobs
        )
        report["atom_weights"] = dict(zip(model.stack.names, map(float, atom_weights), strict=True))
    settings = _continuous_settings(model)
    if _thin(sample):
        nodes = _empirical_nodes_by_fold(sample, settings.nodes_for(data.n))
        report["continuous part"] = "empirical, not modelled: too few rows off the atom"
        return _Parts(sample, atom, probability, atom_weights, nodes, report)
    continuous = cross_fit_continuous(settings, sample, atom is not None, root, n_jobs, progress)
    report.update(continuous.report)
    return _Parts(sample, atom, probability, atom_weights, continuous, report)


def _check_folds(model: PotentialOutcomeModel, fold_ids: NDArray[np.int64]) -> None:
    n_folds = len(np.unique(fold_ids))
    if model.location == "stack" and n_folds < 3:
        raise DataError(
            f"n_folds is {n_folds}",
            "at least 3 for the diffusion law",
            "Its residuals come from fits that leave out two folds at a time.",
        )


def _thin(sample: Sample) -> bool:
    """True when the rows off the atom are constant or too few in some arm."""
    rows = sample.fit_rows
    smallest = np.bincount(sample.arm[rows], minlength=2).min()
    too_few = not rows.all() and smallest < MIN_ROWS_OFF_ATOM * sample.n_folds
    return bool(too_few or np.ptp(sample.outcome[rows]) == 0)


def _empirical_nodes_by_fold(sample: Sample, n_nodes: int) -> Array:
    nodes = np.empty((2, len(sample.arm), n_nodes))
    for k in range(sample.n_folds):
        rows = sample.training_rows(k)
        values = empirical_nodes(sample.outcome[rows], sample.row_weights(rows), n_nodes)
        nodes[:, sample.fold_ids == k] = values
    return nodes


def _refit_atom(stack: LocationStack, parts: _Parts, root: Seed) -> FittedAtom:
    assert parts.atom is not None
    assert parts.atom_weights is not None
    s = atom_sample(parts.sample, parts.atom)
    seed = integer_seed(root, "refit", "atom")
    fitted = stack.fit(s.covariates, s.arm, s.outcome, s.weights, seed)
    return FittedAtom(parts.atom, fitted, tuple(map(float, parts.atom_weights)))


@dataclass(frozen=True, eq=False)
class PotentialOutcomeLaw:
    """The fitted law of Y(a) given X.

    ``X`` is a frame with the confounder columns of the training data (or ``Covariates``, or a
    numeric array in the same column order); ``arm`` is 0 or 1. The law is predictive: it holds the
    noise of the outcome and some of the uncertainty of the fit, so it is a little wider than the
    true law.
    """

    continuous: FittedContinuous | EmpiricalPart
    atom: FittedAtom | None
    columns: tuple[Column, ...]
    names: tuple[str, str]
    n_train: int
    report: Mapping[str, Any] = field(default_factory=dict)

    def predictive(self, X: Any, arm: int, n_nodes: int = 32) -> ConditionalLaw:
        """The law of Y(arm) for each row of X, with ``n_nodes`` quantile nodes.

        Raises
        ------
        DataError
            If ``arm`` is not 0 or 1, or X lacks a column.
        """
        if arm not in (0, 1):
            raise DataError(f"the arm is {arm!r}", "0 (untreated) or 1 (treated)")
        covariates = read_covariates(X, self.columns)
        nodes = self.continuous.nodes(covariates, arm, n_nodes)
        if self.atom is None:
            return ConditionalLaw(nodes)
        support = (-np.inf, np.inf)
        if isinstance(self.continuous, FittedContinuous):
            support = self.continuous.support
        else:
            support = (float(self.continuous.values[0]), float(self.continuous.values[-1]))
        probability = self.atom.probability(covariates, arm)
        return ConditionalLaw(nodes, self.atom.value, probability, support)

    def mean(self, X: Any, arm: int) -> Array:
        """E[Y(arm) | X], shape (n,), in units of the outcome."""
        return self.predictive(X, arm, n_nodes=16).mean()

    def cate(self, X: Any, arm: int = 1, control: int = 0) -> Array:
        """E[Y(arm) - Y(control) | X], shape (n,). A plug-in: no interval comes with it."""
        covariates = read_covariates(X, self.columns)
        return self.mean(covariates, arm) - self.mean(covariates, control)

    def quantile(self, X: Any, arm: int, levels: Sequence[float] | ArrayLike) -> Array:
        """Quantiles of Y(arm) given X, shape (n, len(levels))."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        if not ((u > 0) & (u < 1)).all():
            raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
        n_nodes = 128 if min(u.min(), 1 - u.max()) < 1 / 32 else 32
        return self.predictive(X, arm, n_nodes).quantile(u)

    def cdf(self, X: Any, arm: int, y: ArrayLike) -> Array:
        """P(Y(arm) <= y | X) on a grid y of shape (G,), shape (n, G)."""
        return self.predictive(X, arm, n_nodes=64).cdf(y)

    def sample(self, X: Any, arm: int, n_samples: int = 1, random_state: Seed = None) -> Array:
        """Draws of Y(arm) given X, shape (n, n_samples)."""
        rng = stream(random_state, "law", "sample")
        return self.predictive(X, arm, n_nodes=128).sample(n_samples, rng)

    def counterfactual(
        self,
        rows: Any,
        arm: int,
        treatment_strength: float = 0.0,
        correlation: float | None = None,
        random_state: Seed = 0,
    ) -> Array:
        """The outcome each row would have had under ``arm``.

        The observed outcome is turned into its rank under the observed arm, the rank is carried to
        the other world, and decoded there. Rows already under ``arm`` keep what was observed.

        Parameters
        ----------
        rows : CausalData or frame
            Rows with confounders, treatment and outcome.
        arm : int
            0 or 1.
        treatment_strength : float
            lambda >= 0 of the module page: 0 is rank invariance, infinity independence.
        correlation : float, optional
            rho in [-1, 1] itself; overrides ``treatment_strength``.
        random_state : seed
            For the noise eta (and for ranks within an atom).

        Returns
        -------
        ndarray, shape (n,)
            Not identified by any data: the answer rests on the chosen coupling.
        """
        rho = _coupling(treatment_strength, correlation)
        covariates, treatment, outcome = self._observed(rows)
        result, rng = outcome.copy(), stream(random_state, "law", "counterfactual")
        other = np.flatnonzero(treatment != arm)
        if len(other):
            here = covariates.rows(other)
            source = self.predictive(here, 1 - arm, n_nodes=64)
            z = ndtri(np.clip(source.rank(outcome[other], rng), 1e-9, 1 - 1e-9))
            z = rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(len(other))
            target = self.predictive(here, arm, n_nodes=64)
            result[other] = target.inverse(ndtr(z)[:, None])[:, 0]
        return result

    def _observed(self, rows: Any) -> tuple[Covariates, NDArray[np.int64], Array]:
        if isinstance(rows, CausalData):
            return rows.covariates, rows.treatment, np.asarray(rows.outcome)
        import narwhals as nw

        frame = nw.from_native(rows, eager_only=True)
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise DataError(
                f"the rows have no column '{missing[0]}'",
                "the treatment and the outcome that were observed",
                "A counterfactual starts from what happened.",
            )
        treatment, outcome = (frame[name].to_numpy() for name in self.names)
        return (
            read_covariates(rows, self.columns),
            np.asarray(treatment).astype(np.int64),
            np.asarray(outcome, dtype=float),
        )

    def save(self, path: str | Path) -> Path:
        """Write the law to a file (JSON and safetensors in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> PotentialOutcomeLaw:
        """Read a law back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        law: PotentialOutcomeLaw = load_model(path, expected=cls)
        return law

    def __repr__(self) -> str:
        atom = "" if self.atom is None else f", atom at {self.atom.value:g}"
        return (
            f"PotentialOutcomeLaw of {self.names[1]} given {len(self.columns)} confounders and "
            f"{self.names[0]} ({self.n_train:,} training rows{atom})"
        )


def _coupling(treatment_strength: float, correlation: float | None) -> float:
    """rho from lambda, or rho itself."""
    if correlation is not None:
        if not -1.0 <= correlation <= 1.0:
            raise DataError(f"the correlation is {correlation}", "a number between -1 and 1")
        return float(correlation)
    if not treatment_strength >= 0.0:
        raise DataError(f"treatment_strength is {treatment_strength}", "a number of at least 0")
    return float(1.0 / np.sqrt(1.0 + treatment_strength**2))
