"""The law of an outcome given the vector of factors, for every cell, run or never run.

    Y | z, x  ~  the law with location m(z, x), scale s(z, x) and a diffused shape

(:mod:`causal_ddpm.nuisance.outcome`), m a stack of sparse regressions on products of the factors
(:mod:`causal_ddpm.nuisance.learners.sparse_interactions`). With covariates x the law of a cell is
averaged over those of the rows,

    F_z(y) = (1/n) sum_i F(y | z, x_i).

Its coefficients are those of the projection of its cell means on terms S up to an order,

    delta_S = sum_z P(z) prod_{j in S} (z_j - p_j) / (p_j (1 - p_j)) E[Y | z].

All of it is prediction: shrinkage buys a smaller error at the price of a bias that no interval of
the law accounts for, and a cell that was never run rests on the interactions that were left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.coding import (
    Coding,
    all_cells,
    cell_label,
    cell_probabilities,
    columns,
    conversion,
    term_label,
    terms_to,
)
from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.distribution import mid_levels
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.outcome import recognise
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.core.treatment import Treatment
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.factorial_folds import factorial_folds
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.learners import BoostedTrees, SparseInteractions
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.outcome import LawSchema, PotentialOutcomeModel
from causal_ddpm.nuisance.stack import LocationStack

Array = NDArray[np.float64]
Cell = Mapping[str, int] | Sequence[int]

MARK = "prediction: no valid interval"
"""What stands beside every number of the law."""

MAX_LISTED = 12
"""With more factors the cells are too many to list."""

_N_FOLDS = 5
_NODES_AVERAGED = 16
_MAX_AVERAGED = 500
"""Rows whose covariates stand for all of them where a cell is averaged."""


def factor_stack(order: int, covariates: bool) -> LocationStack:
    """The members of the location: sparse in either coding; trees too where there are covariates.

    Parameters
    ----------
    order : int
        Largest order of an interaction.
    covariates : bool
    """
    sparse = (
        SparseInteractions("sparse 0/1", order),
        SparseInteractions("sparse averages", order, centred=True),
    )
    return LocationStack((*sparse, BoostedTrees("trees")) if covariates else sparse)


def fit_factor_law(
    data: FactorialData,
    order: int = 2,
    *,
    diffusion: DiffusionSettings | None = None,
    stack: LocationStack | None = None,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> FactorLaw:
    """Learn the law of the outcome in every cell.

    Parameters
    ----------
    data : FactorialData
    order : int
        Largest order of an interaction in the location.
    diffusion : DiffusionSettings, optional
    stack : LocationStack, optional
        Other members than those of :func:`factor_stack`.
    random_state, n_jobs, progress
        As everywhere.

    Raises
    ------
    DataError
        For too few rows, or an order that there is not.
    """
    terms_to(data.k, order)
    fold_ids = factorial_folds(data, _N_FOLDS, seed_sequence(random_state, "factor law"))
    treatment = Treatment("factors", data.factors)
    inputs, arm = treatment.inputs(data.covariates, data.z)
    weights = data.weights if data.weights_name else None
    kind = recognise(data.outcome, weights)
    sample = Sample(
        inputs, arm, data.outcome, weights, fold_ids, np.ones(data.n, dtype=bool), n_arms=1
    )
    model = PotentialOutcomeModel(
        stack=stack or factor_stack(order, bool(data.covariates.names)),
        diffusion=diffusion or DiffusionSettings(),
        n_folds=_N_FOLDS,
    )
    schema = LawSchema(data.covariates.columns, treatment, kind, data.outcome_name)
    law = model.fit_sample(sample, schema, random_state, n_jobs, progress)
    rows, row_weights = _averaged_rows(data, random_state)
    return FactorLaw(law, data.factors, data.p, np.unique(data.z, axis=0), rows, row_weights)


def _averaged_rows(data: FactorialData, seed: Seed) -> tuple[Covariates, Array]:
    """Covariates of the rows over which a cell is averaged, and their shares."""
    if not data.covariates.names:
        return data.covariates.rows([0]), np.ones(1)
    rows = np.arange(data.n)
    if data.n > _MAX_AVERAGED:
        rows = stream(seed, "averaged rows").choice(data.n, _MAX_AVERAGED, replace=False)
    w = data.weights[np.sort(rows)]
    return data.covariates.rows(np.sort(rows)), w / w.sum()


@dataclass(frozen=True, eq=False)
class FactorLaw:
    """The fitted law of an outcome in every cell; see the module page.

    A cell is a tuple of 0/1 in the order of the factors, or a mapping by name.

    Parameters
    ----------
    law : PotentialOutcomeLaw
        The law given cell and covariates.
    factors : tuple of str
    p : ndarray, shape (k,)
        Assignment probabilities, over which coefficients are averaged.
    cells_run : ndarray of 0/1, shape (m, k)
        Cells that some row was in.
    covariates : Covariates
        Rows that a cell is averaged over; one row without columns where there are none.
    shares : ndarray
        Weights of these rows, adding up to one.
    """

    law: PotentialOutcomeLaw
    factors: tuple[str, ...]
    p: Array
    cells_run: NDArray[np.int64]
    covariates: Covariates
    shares: Array

    # -- one cell --------------------------------------------------------------------------
    def mean(self, cell: Cell) -> float:
        """E[Y] in a cell."""
        return float(
            self.shares @ self.law.mean(self.covariates, self._known(cell), _NODES_AVERAGED)
        )

    def quantile(self, cell: Cell, levels: Sequence[float] | ArrayLike) -> Array:
        """Quantiles of Y in a cell, shape (len(levels),).

        Raises
        ------
        DataError
            For a level outside (0, 1), or no such cell.
        """
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        if len(self.shares) == 1:
            return np.asarray(self.law.quantile(self.covariates, self._known(cell), u)[0], float)
        if not ((u > 0) & (u < 1)).all():
            raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
        pool = self.law.quantile(self.covariates, self._known(cell), mid_levels(32), 32)
        order = np.argsort(pool, axis=None)
        mass = np.repeat(self.shares, pool.shape[1])[order]
        place = np.searchsorted(np.cumsum(mass) / mass.sum(), u)
        return np.asarray(np.ravel(pool)[order][place], dtype=float)

    def cdf(self, cell: Cell, y: ArrayLike) -> Array:
        """P(Y <= y) in a cell, shape (len(y),)."""
        return np.asarray(self.shares @ self.law.cdf(self.covariates, self._known(cell), y))

    def sample(self, cell: Cell, n_samples: int, random_state: Seed = 0) -> Array:
        """Draws of Y in a cell, shape (n_samples,)."""
        rng = stream(random_state, "factor law", "sample")
        rows = rng.choice(len(self.shares), n_samples, p=self.shares)
        each = self.law.predictive(self.covariates, self._known(cell), 128)
        return np.asarray(each.rows(rows).sample(1, rng)[:, 0], dtype=float)

    def was_run(self, cell: Cell) -> bool:
        """Whether some row was in the cell; otherwise the law has extrapolated to it."""
        return bool((self.cells_run == self._known(cell)).all(axis=1).any())

    # -- between cells ---------------------------------------------------------------------
    def mean_contrast(self, cell: Cell, baseline: Cell) -> float:
        """Difference of the means of two cells."""
        return self.mean(cell) - self.mean(baseline)

    def quantile_contrast(
        self, cell: Cell, baseline: Cell, levels: Sequence[float] | ArrayLike
    ) -> Array:
        """Differences of quantiles of two cells, shape (len(levels),)."""
        return self.quantile(cell, levels) - self.quantile(baseline, levels)

    def cdf_contrast(self, cell: Cell, baseline: Cell, y: ArrayLike) -> Array:
        """Differences of P(Y <= y) in two cells, shape (len(y),)."""
        return self.cdf(cell, y) - self.cdf(baseline, y)

    # -- tables ----------------------------------------------------------------------------
    def cell_means(self) -> Array:
        """E[Y] of all cells in the order of ``coding.all_cells``, shape (2^k,).

        Raises
        ------
        DataError
            With more than 12 factors.
        """
        k = len(self.factors)
        if k > MAX_LISTED:
            raise DataError(
                f"the cells of {k} factors were asked for", f"at most {MAX_LISTED} factors",
                "Ask for the mean of one cell at a time.",
            )  # fmt: skip
        cells = all_cells(k)
        if len(self.shares) > 1:
            return np.asarray([self.mean(tuple(cell)) for cell in cells])
        schema, rows = self.law.treatment, Covariates((), np.empty((len(cells), 0)))
        inputs, _ = schema.inputs(rows, cells)
        return np.asarray(self.law.part.law(inputs, 0, _NODES_AVERAGED).mean())

    def coefficients(self, order: int = 2, coding: Coding = "ame") -> pd.DataFrame:
        """Coefficients read from the cell means: columns term, value, note.

        Raises
        ------
        DataError
            With more than 12 factors.
        """
        k = len(self.factors)
        terms, cells = terms_to(k, order), all_cells(min(k, MAX_LISTED))
        means = self.cell_means()
        design = columns(cells, terms, self.p)
        root = np.sqrt(cell_probabilities(cells, self.p))
        average, *_ = np.linalg.lstsq(design * root[:, None], means * root, rcond=None)
        values = conversion(terms, self.p, "ame", coding) @ average
        labels = [term_label(term, self.factors) for term in terms]
        return pd.DataFrame({"term": labels, "value": values, "note": MARK})

    def cells(self, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> pd.DataFrame:
        """One row a cell: its label, whether it was run, mean and quantiles, note."""
        rows = []
        for cell, mean in zip(all_cells(min(len(self.factors), MAX_LISTED)), self.cell_means(),
                              strict=True):  # fmt: skip
            quantiles = self.quantile(tuple(cell), levels)
            named = {f"q{u:g}": q for u, q in zip(levels, quantiles, strict=True)}
            run = self.was_run(tuple(cell))
            note = MARK if run else f"{MARK}; never run"
            rows.append(
                {"cell": cell_label(cell, self.factors), "run": run, "mean": mean, **named,
                 "note": note}
            )  # fmt: skip
        return pd.DataFrame(rows)

    def _known(self, cell: Cell) -> tuple[int, ...]:
        """The cell as a tuple; refuses what is none."""
        code = self.law.treatment.value_of(cell, 1)
        return tuple(int(v) for v in code)
