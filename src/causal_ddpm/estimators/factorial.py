"""What any analysis of a factorial experiment returns: coefficients, read in every coding.

With delta_hat the estimated coefficients of the average coding (see :mod:`causal_ddpm.core.coding`)
over terms S, the constant among them, everything else is linear:

    effects of a coding  C delta_hat,   C the conversion to that coding
    cell means           W delta_hat,   W[z, S] = prod_{j in S} (z_j - p_j)

so values, covariances and influence functions of all of them come from those of delta_hat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.coding import (
    MEANING,
    Coding,
    Term,
    all_cells,
    cell_label,
    cell_weights,
    check_coding,
    conversion,
    term_label,
)
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate, influence_covariance
from causal_ddpm.core.factorial_data import FactorialData

Array = NDArray[np.float64]

MAX_LISTED_CELLS = 1024
"""More cell means than this have to be asked for by name."""

ESTIMANDS: dict[Coding, str] = {
    "ame": "average marginal effects",
    "01": "0/1 coefficients",
    "effects": "-1/+1 coefficients",
}
"""What the effects are called, by coding."""

ASSUMPTIONS = (
    "Factors were assigned at random, independently of everything that moves the outcome.",
    "A unit's outcome depends on its own factors only.",
)


@dataclass(frozen=True, eq=False)
class FactorialFit:
    """Coefficients of a factorial experiment.

    Parameters
    ----------
    data : FactorialData
    terms : tuple of Term
        Terms of the model, the constant ``()`` first, hierarchical.
    coefficients : Estimate
        delta_hat: one entry a term, in the average coding; the first is the mean over the
        assignment distribution.
    """

    data: FactorialData
    terms: tuple[Term, ...]
    coefficients: Estimate

    @property
    def order(self) -> int:
        """Largest order of an interaction."""
        return max(len(term) for term in self.terms)

    @property
    def method(self) -> str:
        """How the coefficients were estimated."""
        return self.coefficients.method

    def effects(self, coding: Coding = "ame", order: int | None = None) -> Estimate:
        """Main effects and interactions, labelled ``a`` and ``a:b``; the constant is left out.

        Parameters
        ----------
        coding : {"ame", "01", "effects"}
            Average marginal effects over the assignment distribution, simple effects at the
            baseline, or coefficients of -1/+1 columns.
        order : int, optional
            Effects up to this order; all by default.

        Raises
        ------
        DataError
            For an unknown coding, or an order beyond that of the fit.
        """
        check_coding(coding)
        largest = self.order if order is None else order
        if not 1 <= largest <= self.order:
            raise DataError(f"effects of order {order} were asked for", f"1 to {self.order}")
        matrix = conversion(self.terms, self.data.p, "ame", coding)
        rows = [s for s, term in enumerate(self.terms) if 1 <= len(term) <= largest]
        labels = [term_label(self.terms[s], self.data.factors) for s in rows]
        estimate = self.coefficients.contrast(matrix[rows], labels)
        details = {**estimate.details, "coding": coding, "meaning": MEANING[coding]}
        return replace(estimate, estimand=ESTIMANDS[coding], details=details)

    def cell_means(self, cells: ArrayLike | None = None) -> Estimate:
        """Mean outcomes of cells, labelled ``mean(a=1,b=0)``, also of cells that were never run.

        Parameters
        ----------
        cells : array_like of 0/1, shape (n_cells, k), optional
            All 2^k cells by default, the last factor changing fastest.

        Raises
        ------
        DataError
            For too many cells, or cells of another shape.
        """
        k = self.data.k
        if cells is None and 2**k > MAX_LISTED_CELLS:
            raise DataError(
                f"all {2**k:,} cell means were asked for", f"at most {MAX_LISTED_CELLS:,}",
                "Name the cells: cell_means([[0, 1, ...], ...]).",
            )  # fmt: skip
        z = all_cells(k) if cells is None else _checked_cells(cells, k)
        weights = cell_weights(z, self.terms, self.data.p, "ame")
        labels = [cell_label(cell, self.data.factors) for cell in z]
        return replace(self.coefficients.contrast(weights, labels), estimand="cell means")

    def marginal_means(self, factors: Sequence[str]) -> Estimate:
        """Mean outcomes at the levels of some factors, averaged over the assignment of all others.

        In the average coding that is the sum over terms of these factors alone.

        Parameters
        ----------
        factors : sequence of str
            Labels are ``mean(a=1,b=0)``, the last factor changing fastest.

        Raises
        ------
        DataError
            For a factor that there is not, one named twice, or none.
        """
        names = self.data.factors
        if not factors or len(set(factors)) < len(factors) or not set(factors) <= set(names):
            raise DataError(
                f"the factors are {' and '.join(map(repr, factors)) or 'none'}",
                f"different ones of {', '.join(names)}",
            )
        places = [names.index(name) for name in factors]
        combos = all_cells(len(places))
        z = np.zeros((len(combos), self.data.k))
        z[:, places] = combos
        averaged = [set(term) <= set(places) for term in self.terms]
        weights = cell_weights(z, self.terms, self.data.p, "ame") * averaged
        labels = [cell_label(cell, factors) for cell in combos]
        return replace(self.coefficients.contrast(weights, labels), estimand="marginal means")


def coefficient_estimate(
    data: FactorialData,
    terms: Sequence[Term],
    values: Array,
    influence: Array,
    method: str,
    df: float | None,
    warnings: Sequence[str] = (),
) -> Estimate:
    """delta_hat as an estimate, its covariance from influence functions.

    Parameters
    ----------
    data : FactorialData
    terms : sequence of Term
    values : ndarray, shape (n_terms,)
    influence : ndarray, shape (n, n_terms)
    method : str
    df : float or None
        Degrees of freedom of intervals; None means normal.
    warnings : sequence of str
        Beside those of the data.
    """
    return Estimate(
        values=values,
        cov=influence_covariance(influence, data.clusters),
        labels=tuple(term_label(term, data.factors) for term in terms),
        influence=influence,
        row_ids=data.row_ids,
        fingerprint=data.fingerprint,
        estimand="coefficients",
        population="units of the experiment",
        method=method,
        n=data.n,
        df=df,
        clusters=data.clusters,
        assumptions=ASSUMPTIONS,
        warnings=(*data.warnings(), *warnings),
        details={
            "order": max(len(term) for term in terms),
            "coding": "ame",
            "probability": dict(zip(data.factors, data.p.tolist(), strict=True)),
            "levels": {
                name: {"0": str(zero), "1": str(one)}
                for name, (zero, one) in zip(data.factors, data.levels, strict=True)
            },
        },
    )


def _checked_cells(cells: ArrayLike, k: int) -> NDArray[np.int64]:
    z = np.atleast_2d(np.asarray(cells))
    if z.ndim != 2 or z.shape[1] != k or not np.isin(z, (0, 1)).all():
        raise DataError(
            f"the cells have the shape {np.shape(cells)}", f"(n_cells, {k}), values 0 and 1"
        )
    return z.astype(np.int64)
