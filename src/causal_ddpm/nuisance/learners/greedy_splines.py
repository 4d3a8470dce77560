"""A bag of greedy spline products (in the manner of MARS: Friedman 1991, Annals of Statistics 19).

Candidate columns b_c(x), standardised: every covariate as a line, and hinges max(x - q, 0),
max(q - x, 0) and steps 1{x > q} at ten quantiles q. A term is a parent times a candidate,

    parent in {1, t - mean(t), earlier terms of degree one with or without t - mean(t)},

so that at most two covariates and the treatment interact. Forward selection takes the product most
correlated with the residual, r' (parent b_c) / |parent b_c|; the number of terms M minimises

    GCV(M) = RSS(M) / n / (1 - df / n)^2,     df = 1 + M (1 + charge / 2),

with a heavy charge: selection among thousands of products is not free. Coefficients are then a
ridge with exact leave-one-out choice of the penalty, and predictions are held within the range of
y plus a tenth on each side. Averaging fits on sub-samples of the rows removes most of the
jumpiness of the selection; a single fit is 1.1 to 1.6 times worse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import stream
from causal_ddpm.nuisance.ridge import RidgeFit, ridge_loo

_PENALTIES = np.logspace(-2, 2.5, 8)
_FEW_LEVELS = 5
_MAX_KNOTS = 600
_MAX_DEGREE = 2
_PATIENCE = 12
_MARGIN = 0.1
_MIN_ROWS = 8
_Ints = NDArray[np.int64]
_SHAPES: tuple[Callable[[Any], Any], ...] = (
    lambda u: u,
    lambda u: np.maximum(u, 0),
    lambda u: np.maximum(-u, 0),
    lambda u: (u > 0).astype(u.dtype),
)
"""Shapes of x - knot: line, hinge up, hinge down, step."""


@dataclass(frozen=True)
class Term:
    """One product: candidate columns by position, times t - mean(t) when ``effect``."""

    effect: bool
    columns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Basis:
    """Candidate columns b_c(x) = (shape_kind(x[source] - knot) - center) * inverse_scale.

    Attributes
    ----------
    kind : ndarray of int, shape (C,)
        0 line, 1 hinge up, 2 hinge down, 3 step.
    source : ndarray of int, shape (C,)
        Covariate of each candidate.
    knot, center, inverse_scale : ndarray, shape (C,)
        A candidate that did not vary has inverse scale 0.
    """

    kind: _Ints
    source: _Ints
    knot: Array
    center: Array
    inverse_scale: Array

    def column(self, x: Array, c: int) -> Array:
        """One standardised candidate, shape (n,)."""
        raw = _SHAPES[self.kind[c]](x[:, self.source[c]] - self.knot[c])
        return (raw - self.center[c]) * self.inverse_scale[c]

    def subset(self, used: list[int]) -> "Basis":
        """Only some of the candidates."""
        return Basis(
            self.kind[used],
            self.source[used],
            self.knot[used],
            self.center[used],
            self.inverse_scale[used],
        )


@dataclass(frozen=True, eq=False)
class SplineFit:
    """Selected terms with their ridge coefficients; ``basis`` holds the candidates they use."""

    basis: Basis
    terms: tuple[Term, ...]
    ridge: RidgeFit
    mean_arm: float
    low: float
    high: float

    def predict(self, x: Array) -> Array:
        """Means under both arms, shape (n, 2)."""
        parts = products(self.basis, self.terms, x) * self.ridge.coef
        effect = np.array([term.effect for term in self.terms], dtype=bool)
        base, slope = parts[:, ~effect].sum(axis=1), parts[:, effect].sum(axis=1)
        means = [self.ridge.intercept + base + (a - self.mean_arm) * slope for a in (0, 1)]
        return np.clip(np.column_stack(means), self.low, self.high)


@dataclass(frozen=True, eq=False)
class FittedGreedySplines:
    """One bag of fits for both arms, or one bag an arm."""

    bags: tuple[tuple[SplineFit, ...], ...]

    def predict(self, x: Array) -> Array:
        """Means under both arms, shape (n, 2)."""
        means = [np.mean([fit.predict(x) for fit in bag], axis=0) for bag in self.bags]
        return means[0] if len(means) == 1 else np.column_stack([means[0][:, 0], means[1][:, 1]])


@dataclass(frozen=True)
class GreedySplines:
    """A bag of greedy spline-product fits.

    Parameters
    ----------
    name : str
        Name in the stack: ``gsB`` pooled over arms with treatment terms, ``gsT`` per arm.
    per_arm : bool
        One fit an arm, without treatment terms.
    bags : int
        Number of sub-samples.
    row_share : float
        Share of the rows in each, drawn without replacement.
    max_terms : int
        Terms at most.
    search_rows : int
        Rows on which terms are searched (coefficients use all rows of the sub-sample).
    charge : float
        Degrees of freedom that each term pays twice over for having been searched.
    """

    name: str = "gsB"
    per_arm: bool = False
    bags: int = 8
    row_share: float = 0.75
    max_terms: int = 40
    search_rows: int = 1200
    charge: float = 6.0

    def fit(
        self, x: Array, arm: NDArray[np.int64], y: Array, weights: Array | None, seed: int
    ) -> FittedGreedySplines:
        """Fit every bag; ``seed`` draws the sub-samples."""
        w = np.ones(len(y)) if weights is None else weights
        if not self.per_arm:
            return FittedGreedySplines((self._bag(_Rows(x, y, w, arm.astype(float)), seed),))
        arms = [
            _Rows(x, y, w, None).subset(np.flatnonzero(arm == a)) for a in range(int(arm.max()) + 1)
        ]
        return FittedGreedySplines(tuple(self._bag(rows, seed + a) for a, rows in enumerate(arms)))

    def _bag(self, rows: "_Rows", seed: int) -> tuple[SplineFit, ...]:
        n = len(rows.y)
        size = max(int(self.row_share * n), min(n, _MIN_ROWS))
        draws = [stream(seed, "bag", b).permutation(n)[:size] for b in range(self.bags)]
        return tuple(self._fit_one(rows.subset(draw)) for draw in draws)

    def _fit_one(self, rows: "_Rows") -> SplineFit:
        search = rows.subset(slice(self.search_rows))
        basis, table = make_basis(search.x)
        terms = grow(table, search, self.max_terms, self.charge)
        used = sorted({c for term in terms for c in term.columns})
        place = {c: k for k, c in enumerate(used)}
        terms = tuple(Term(t.effect, tuple(place[c] for c in t.columns)) for t in terms)
        return _finish(basis.subset(used), terms, rows)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Training rows; ``arm`` is None where the treatment plays no part."""

    x: Array
    y: Array
    weights: Array
    arm: Array | None

    def subset(self, index: _Ints | slice) -> "_Rows":
        arm = None if self.arm is None else self.arm[index]
        return _Rows(self.x[index], self.y[index], self.weights[index], arm)

    def mean(self, values: Array) -> float:
        return float(np.average(values, weights=self.weights))

    @property
    def effect(self) -> Array | None:
        """t - mean(t), shape (n,), or None."""
        return None if self.arm is None else self.arm - self.mean(self.arm)


def products(basis: Basis, terms: tuple[Term, ...], x: Array) -> Array:
    """The products of candidates, without treatment, shape (n, number of terms)."""
    columns = [basis.column(x, c) for c in range(len(basis.kind))]
    out = np.ones((len(x), len(terms)))
    for j, term in enumerate(terms):
        for c in term.columns:
            out[:, j] *= columns[c]
    return out


def _finish(basis: Basis, terms: tuple[Term, ...], rows: _Rows) -> SplineFit:
    """Ridge coefficients of the selected terms on all rows of the sub-sample."""
    design = products(basis, terms, rows.x)
    effect = rows.effect
    mean_arm = 0.0 if rows.arm is None else rows.mean(rows.arm)
    for j, term in enumerate(terms):
        if term.effect and effect is not None:
            design[:, j] *= effect
    margin = _MARGIN * float(np.ptp(rows.y))
    low, high = float(rows.y.min()) - margin, float(rows.y.max()) + margin
    return SplineFit(basis, terms, _scaled_ridge(design, rows.y, rows.weights), mean_arm, low, high)


def grow(
    table: NDArray[np.float32], rows: _Rows, max_terms: int, charge: float
) -> tuple[Term, ...]:
    """Forward selection of terms on the search rows, cut where GCV is least.

    Parameters
    ----------
    table : ndarray, shape (m, C)
        Standardised candidates.
    rows : _Rows
        The m search rows.
    max_terms : int
        Terms at most.
    charge : float
        See the module.
    """
    m, selection = len(rows.y), _Selection(table, rows, max_terms)
    chosen = selection.given
    given = best_size = len(chosen)
    best = _gcv(selection.rss, m, 0, charge)
    for _ in range(max_terms):
        term = selection.step()
        if term is None:
            continue
        chosen.append(term)
        score = _gcv(selection.rss, m, len(chosen) - given, charge)
        if score < best:
            best, best_size = score, len(chosen)
        elif len(chosen) > best_size + _PATIENCE:
            break
    return tuple(chosen[:best_size])


class _Selection:
    """State of one forward selection: orthonormal span Q, residual r, parents and their norms.

    All columns are scaled by the root of the row weights, so inner products are weighted.
    """

    def __init__(self, table: NDArray[np.float32], rows: _Rows, max_terms: int):
        m, size = len(rows.y), max_terms + 2
        weights = rows.weights / max(float(rows.weights.mean()), 1e-300)
        self._table, self._squares = table, table**2
        self._root = np.sqrt(weights)
        self._q, self._size = np.empty((m, size), order="F"), 0
        self._residual = self._root * rows.y
        self._terms: list[Term] = []
        self._parents = np.empty((size, m), dtype=np.float32)
        self._norms = np.empty((size, table.shape[1]), dtype=np.float32)
        self._used: list[tuple[int, int]] = []
        self._adopt(Term(False, ()), np.ones(m))
        self._project(self._root.copy())
        self.given: list[Term] = []
        effect = rows.effect
        if effect is not None and self._project(effect * self._root):
            self.given = [Term(True, ())]
            self._adopt(self.given[0], effect)

    @property
    def rss(self) -> float:
        """Weighted residual sum of squares."""
        return float(self._residual @ self._residual)

    def step(self) -> Term | None:
        """Add the best unused product to the span; None if it was in the span already."""
        p, c = self._best_pair()
        self._used.append((p, c))
        parent = self._terms[p]
        scaled = self._parents[p] * self._table[:, c]
        if not self._project(scaled.astype(float)):
            return None
        term = Term(parent.effect, (*parent.columns, c))
        if len(term.columns) < _MAX_DEGREE:
            self._adopt(term, scaled / np.maximum(self._root, 1e-12))
        return term

    def _best_pair(self) -> tuple[int, int]:
        k = len(self._terms)
        score = (self._parents[:k] * self._residual.astype(np.float32)) @ self._table
        score *= score
        score /= self._norms[:k]
        for pair in self._used:
            score[pair] = 0
        p, c = divmod(int(np.argmax(score)), score.shape[1])
        return p, c

    def _project(self, u: Array) -> bool:
        """Take a scaled column out of the residual; False if it was in the span already."""
        q, length = self._q[:, : self._size], np.linalg.norm(u)
        for _ in range(2):
            u = u - q @ (q.T @ u)
        rest = np.linalg.norm(u)
        if rest <= 1e-3 * length:
            return False
        u = u / rest
        self._q[:, self._size] = u
        self._size += 1
        self._residual = self._residual - u * (u @ self._residual)
        return True

    def _adopt(self, term: Term, values: Array) -> None:
        """Make a term a parent of products."""
        k, scaled = len(self._terms), (values * self._root).astype(np.float32)
        self._parents[k] = scaled
        self._norms[k] = (scaled**2) @ self._squares + np.float32(1e-6 * len(values))
        self._terms.append(term)


def make_basis(x: Array) -> tuple[Basis, NDArray[np.float32]]:
    """Candidates for the rows x, shape (m, p), and their standardised table, shape (m, C)."""
    source, knot = _knots(x)
    p, k = x.shape[1], len(knot)
    distance = (x[:, source] - knot).astype(np.float32)
    table = np.empty((len(x), p + 3 * k), dtype=np.float32)
    table[:, :p] = x
    for j, shape in enumerate(_SHAPES[1:]):
        table[:, p + j * k : p + (j + 1) * k] = shape(distance)
    center = table.mean(axis=0)
    table -= center
    scale = np.sqrt(np.einsum("ij,ij->j", table, table) / len(x))
    inverse = np.where(scale > 1e-6, 1 / np.maximum(scale, 1e-6), 0).astype(np.float32)
    table *= inverse
    basis = Basis(
        np.repeat([0, 1, 2, 3], [p, k, k, k]),
        np.concatenate([np.arange(p), source, source, source]),
        np.concatenate([np.zeros(p), knot, knot, knot]),
        center.astype(float),
        inverse.astype(float),
    )
    return basis, table


def _knots(x: Array) -> tuple[_Ints, Array]:
    """Covariate and place of each knot: quantiles of continuous ones, midpoints of 3-5 levels."""
    levels = [np.unique(column) for column in x.T]
    n_continuous = sum(len(u) > _FEW_LEVELS for u in levels)
    n_knots = int(np.clip(_MAX_KNOTS // max(n_continuous, 1), 1, 10))
    grid = np.linspace(0.06, 0.94, n_knots) if n_knots > 1 else np.array([0.5])
    quantiles = np.quantile(x, grid, axis=0)
    knots = [
        np.unique(quantiles[:, j])
        if len(u) > _FEW_LEVELS
        else (u[:-1] + u[1:]) / 2
        if len(u) > 2
        else np.empty(0)
        for j, u in enumerate(levels)
    ]
    source = np.repeat(np.arange(x.shape[1]), [len(q) for q in knots])
    return source, np.concatenate([np.empty(0), *knots])


def _gcv(rss: float, m: int, n_terms: int, charge: float) -> float:
    df = 1 + n_terms * (1 + charge / 2)
    return rss / m / max(1 - df / m, 0.05) ** 2 if df < 0.8 * m else np.inf


def _scaled_ridge(design: Array, y: Array, weights: Array) -> RidgeFit:
    """Leave-one-out ridge on columns scaled to variance one, coefficients in the design's units."""
    mean = np.average(design, axis=0, weights=weights)
    spread = np.sqrt(np.average((design - mean) ** 2, axis=0, weights=weights))
    inverse = np.where(spread > 1e-9, 1 / np.maximum(spread, 1e-9), 0.0)
    fit = ridge_loo(design * inverse, y, weights, _PENALTIES)
    return RidgeFit(fit.intercept, fit.coef * inverse, fit.penalty, fit.loo)
