"""The fitted law of potential outcomes, and what can be asked of it.

    Y | x, a  ~  a law of the kind of the outcome (:mod:`causal_ddpm.nuisance.kinds`)

A world a is an arm, a dose, or a cell of factors (:mod:`causal_ddpm.core.treatment`). The
counterfactual of a unit follows from the copula of its potential outcomes given x, which no data
identify (:mod:`causal_ddpm.nuisance.coupling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from causal_ddpm.core import checks
from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.discrete import DiscreteLaw, LatticeLaw, RowLaw
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.treatment import Treatment, Values
from causal_ddpm.diffusion.fit_report import FitReport
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.nuisance.continuous import FittedContinuous
from causal_ddpm.nuisance.coupling import Correlation, carried, correlations
from causal_ddpm.nuisance.kinds import FittedOutcome
from causal_ddpm.nuisance.levels import FittedLevels
from causal_ddpm.nuisance.two_part import FittedParts

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PotentialOutcomeLaw:
    """The fitted law of Y(a) given X.

    ``X`` is a frame with the confounder columns of the training data (or ``Covariates``, or a
    numeric array in the same column order). ``arm`` is 0 or 1; with treatments of other kinds it
    is the label of an arm, a dose (one number, or one a row), or a cell of factors as a tuple of
    0/1 or a mapping by name, run or never run. The law is predictive: it holds the
    noise of the outcome and some of the uncertainty of the fit, so it is a little wider than the
    true law.
    """

    part: FittedOutcome
    columns: tuple[Column, ...]
    treatment: Treatment
    outcome: Outcome
    outcome_name: str
    n_train: int
    report: Mapping[str, Any] = field(default_factory=dict)

    def predictive(self, X: Any, arm: Any, n_nodes: int = 32) -> RowLaw:
        """The law of Y(arm) for each row of X, with ``n_nodes`` quantile nodes.

        Raises
        ------
        DataError
            If ``arm`` is no world of the treatment, or X lacks a column.
        """
        covariates = read_covariates(X, self.columns)
        return self._law(*self.treatment.under(covariates, arm), n_nodes)

    def _law(self, covariates: Covariates, code: int, n_nodes: int) -> RowLaw:
        """The law of rows as learners read them, under the arm of this code."""
        law = self.part.law(covariates, code, n_nodes)
        if not law.is_finite():
            raise ConvergenceError(
                "The law has values that are not finite: check the rows for extreme values, or "
                "fit the model again."
            )
        return law

    def mean(self, X: Any, arm: Any, n_nodes: int = 16) -> Array:
        """E[Y(arm) | X], shape (n,), in units of the outcome, from ``n_nodes`` quantiles.

        Refused where its levels have no order; ordered texts count 0 .. K - 1.
        """
        return self.predictive(X, arm, n_nodes).mean()

    def arm_probability(self, X: Any) -> Array:
        """P(arm | X) by the head on the column tokens, averaged over the groups, shape (n, A).

        A function of X alone (the location is left out), with weights that outcomes of the
        training rows have helped to fit. It exists after
        ``DiffusionSettings(backbone="attention", arm_weight=1)``.

        Raises
        ------
        DataError
            If no such head was trained.
        """
        diffused = None if isinstance(self.part, FittedLevels) else self.part.continuous
        if not isinstance(diffused, FittedContinuous) or not self.treatment.labels:
            raise DataError("this law is no diffusion under arms", "arms, and more outcome values")
        return diffused.arm_probability(read_covariates(X, self.columns))

    def cate(self, X: Any, arm: Any = 1, control: Any = None) -> Array:
        """E[Y(arm) - Y(control) | X], shape (n,). A plug-in: no interval comes with it.

        ``control`` is the first arm, or the cell without any factor, when left out.
        """
        covariates = read_covariates(X, self.columns)
        base = self.treatment.control if control is None else control
        return self.mean(covariates, arm) - self.mean(covariates, base)

    def dose_response(self, X: Any, grid: ArrayLike) -> tuple[Array, Array]:
        """The grid, and the mean of E[Y(dose) | X] over the rows of X, both of shape (G,).

        A plug-in of the law: it inherits the bias of the fit, and no interval comes with it.

        Raises
        ------
        DataError
            If the treatment is no dose, or the grid leaves the observed range.
        """
        if self.treatment.kind != "dose":
            raise DataError(f"the treatment is of kind '{self.treatment.kind}'", "a dose")
        covariates = read_covariates(X, self.columns)
        doses = np.atleast_1d(np.asarray(grid, dtype=float))
        self.treatment.value_of(doses, len(doses))
        return doses, np.asarray([self.mean(covariates, dose).mean() for dose in doses])

    def quantile(
        self, X: Any, arm: Any, levels: Sequence[float] | ArrayLike, n_nodes: int | None = None
    ) -> NDArray[Any]:
        """Quantiles of Y(arm) given X, shape (n, len(levels)).

        ``n_nodes`` is the number of quantiles that are read and interpolated: 32, or 128 where a
        level lies in the outer 1/32.
        """
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        if not ((u > 0) & (u < 1)).all():
            raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
        n_nodes = n_nodes or (128 if min(u.min(), 1 - u.max()) < 1 / 32 else 32)
        return self.outcome.named(self.predictive(X, arm, n_nodes).quantile(u))

    def probability(self, X: Any, arm: Any, level: Any = None) -> Array:
        """P(Y(arm) = level | X), shape (n,), or of every level in order, shape (n, K).

        Parameters
        ----------
        X, arm
            As everywhere.
        level : str or number, optional
            One level by its name or value; needed for a count, which has no list of levels.

        Raises
        ------
        DataError
            If the outcome is continuous or has no such level.
        """
        law = self.predictive(X, arm)
        if not isinstance(law, DiscreteLaw | LatticeLaw):
            raise DataError(
                f"the outcome is of kind '{self.outcome.kind}'", "separate values; or ask for cdf"
            )
        if isinstance(law, DiscreteLaw):
            wanted = self.outcome.values if level is None else (self.outcome.code(level),)
        elif level is None:
            raise DataError("no value of the count was named", "probability(X, arm, level)")
        else:
            wanted = (float(level),)
        p = law.probability(wanted)
        return p if level is None else p[:, 0]

    def cdf(self, X: Any, arm: Any, y: ArrayLike, n_nodes: int = 64) -> Array:
        """P(Y(arm) <= y | X) on a grid y of shape (G,), shape (n, G)."""
        return self.predictive(X, arm, n_nodes).cdf(y)

    def density(self, X: Any, arm: Any, y: ArrayLike, n_nodes: int = 128) -> Array:
        """Density of Y(arm) given X on a grid y of shape (G,), shape (n, G), in 1 / units of Y.

        An atom has no density: the rest integrates to 1 minus its probability.

        Raises
        ------
        DataError
            If the outcome has separate values only.
        """
        law = self.predictive(X, arm, n_nodes)
        if not isinstance(law, ConditionalLaw):
            kind = f"the outcome is of kind '{self.outcome.kind}', which has no density"
            raise DataError(kind, "a continuous outcome", "Ask for the probability.")
        return law.density(y)

    def sample(
        self, X: Any, arm: Any, n_samples: int = 1, random_state: Seed = None, n_nodes: int = 128
    ) -> NDArray[Any]:
        """Draws of Y(arm) given X, shape (n, n_samples), through ``n_nodes`` quantiles."""
        rng = stream(random_state, "law", "sample")
        draws = self.predictive(X, arm, n_nodes).sample(n_samples, rng)
        return self.outcome.named(draws)

    def counterfactual(
        self,
        rows: Any,
        arm: Any,
        treatment_strength: float = 0.0,
        correlation: Correlation | None = None,
        random_state: Seed = 0,
    ) -> NDArray[Any]:
        """The outcome each row would have had under ``arm``.

        The observed outcome is turned into its rank in the observed world, the rank is carried to
        the other world, and decoded there. Rows already under ``arm`` keep what was observed. With
        one seed, the answers for several arms are one joint draw for each row.

        Parameters
        ----------
        rows : CausalData or frame
            Rows with confounders, treatment and outcome.
        arm : int, or a label, a dose or a cell
        treatment_strength : float
            lambda >= 0: 0 is rank invariance, infinity independence.
        correlation : float, or mapping of labels to floats, optional
            rho in [-1, 1] itself (several arms: of each with the control); overrides
            ``treatment_strength``.
        random_state : seed
            For the noise (and for ranks within an atom).

        Returns
        -------
        ndarray, shape (n,)
            Not identified by any data: the answer rests on the chosen coupling.
        """
        rho = correlations(self.treatment, treatment_strength, correlation)
        covariates, values, outcome = self._observed(rows)
        inputs, own = self.treatment.inputs(covariates, values)
        there, code = self.treatment.under(covariates, arm)
        moved = ~self.treatment.same(values, arm)
        rng, z = stream(random_state, "law", "counterfactual"), np.zeros(len(own))
        for a in np.unique(own[moved]):
            here = np.flatnonzero(moved & (own == a))
            rank = self._law(inputs.rows(here), int(a), 64).rank(outcome[here], rng)
            z[here] = ndtri(np.clip(rank, 1e-9, 1 - 1e-9))
        u, result = ndtr(carried(z, own, code, rho, random_state)), outcome.copy()
        if moved.any():
            target = self._law(there.rows(moved), code, 64)
            result[moved] = target.inverse(u[moved, None])[:, 0]
        return self.outcome.named(result)

    def _observed(self, rows: Any) -> tuple[Covariates, Values, Array]:
        if isinstance(rows, CausalData):
            return rows.covariates, rows.treatment, np.asarray(rows.outcome)
        frame = nw.from_native(rows, eager_only=True)
        checks.check_observed(frame.columns, (*self.treatment.names, self.outcome_name))
        values, outcome = self.treatment.read(frame), self.outcome.read(frame[self.outcome_name])
        return read_covariates(rows, self.columns), values, outcome

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

    @property
    def fit_report(self) -> FitReport:
        """How the fit went: print it, or take its ``frame()``."""
        return FitReport(self.report)

    def check_parts(self) -> None:
        """Read a row of zeros and a row of gaps in some worlds: parts that do not fit cannot.

        Called for laws that are read from files.
        """
        p = len(self.columns)
        rows = Covariates(self.columns, np.vstack([np.zeros(p), np.full(p, np.nan)]))
        with np.errstate(all="ignore"):
            for world in self.treatment.probes:
                self._law(*self.treatment.under(rows, world), n_nodes=4)

    def __repr__(self) -> str:
        atom = self.part.atom if isinstance(self.part, FittedParts) else None
        treatment = f" and {self.treatment.name}" if self.treatment.names else ""
        more = self.outcome.kind + ("" if atom is None else f" with an atom at {atom.value:g}")
        return (
            f"PotentialOutcomeLaw of {self.outcome_name} given {len(self.columns)} confounders"
            f"{treatment} ({self.n_train:,} training rows, {more})"
        )
