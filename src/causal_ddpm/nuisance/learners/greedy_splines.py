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

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.protocols import Array
from causal_ddpm.core.random import stream
from causal_ddpm.nuisance.ridge import RidgeFit, ridge_loo

_PENALTIES = np.logspace(-2, 2.5, 8)
_SPLIT_LEVELS = 5
_MAX_KNOT_COLUMNS = 1000
_PATIENCE = 12
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Term:
    """One product: candidate columns by position, times t - mean(t) when ``effect``."""

    effect: bool
    columns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Basis:
    """Candidate columns: ``line``, then hinges up, hinges down and steps at (knot_of, knot).

    ``center`` and ``scale`` standardise each of the C candidates; a scale of 0 removes one.
    """

    n_lines: int
    knot_of: _Ints
    knot: Array
    center: Array
    scale: Array

    def table(self, x: Array) -> NDArray[np.float32]:
        """All standardised candidates, shape (n, C), float32, Fortran order."""
        raw = _raw_candidates(x, self.knot_of, self.knot)
        table = (raw - self.center.astype(np.float32)) * self._inverse.astype(np.float32)
        return np.asfortranarray(table)

    def column(self, x: Array, c: int) -> Array:
        """One standardised candidate, shape (n,)."""
        if c < self.n_lines:
            raw = x[:, c]
        else:
            kind, k = divmod(c - self.n_lines, len(self.knot))
            distance = x[:, self.knot_of[k]] - self.knot[k]
            raw = (
                (distance > 0) * 1.0
                if kind == 2
                else np.maximum(-distance if kind else distance, 0.0)
            )
        return (raw - self.center[c]) * self._inverse[c]

    @property
    def _inverse(self) -> Array:
        return np.where(self.scale > 1e-6, 1 / np.maximum(self.scale, 1e-6), 0.0)


@dataclass(frozen=True, eq=False)
class SplineFit:
    """One selected set of terms with its ridge coefficients."""

    terms: tuple[Term, ...]
    ridge: RidgeFit
    mean_arm: float
    low: float
    high: float

    def predict(self, columns: "_Columns") -> Array:
        """Means under both arms, shape (n, 2)."""
        base, slope = np.full(columns.n, self.ridge.intercept), np.zeros(columns.n)
        for term, coef in zip(self.terms, self.ridge.coef, strict=True):
            part = slope if term.effect else base
            part += coef * columns.product(term)
        means = np.column_stack([base + (a - self.mean_arm) * slope for a in (0, 1)])
        return np.clip(means, self.low, self.high)


@dataclass(frozen=True, eq=False)
class FittedGreedySplines:
    """Bags by arm; when pooled both entries are the same bag."""

    basis: Basis
    bags: tuple[tuple[SplineFit, ...], ...]

    def predict(self, x: Array) -> Array:
        """Means under both arms, shape (n, 2)."""
        columns = _Columns(self.basis, x)
        means = [np.mean([fit.predict(columns) for fit in bag], axis=0) for bag in self.bags]
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
        basis = make_basis(x, stream(seed, "rows"))
        if not self.per_arm:
            problem = _Problem(basis, x, y, w, arm.astype(float))
            return FittedGreedySplines(basis, (self._bag(problem, seed),))
        bags = []
        for a in (0, 1):
            rows = np.flatnonzero(arm == a)
            problem = _Problem(basis, x[rows], y[rows], w[rows], None)
            bags.append(self._bag(problem, seed + a))
        return FittedGreedySplines(basis, tuple(bags))

    def _bag(self, problem: "_Problem", seed: int) -> tuple[SplineFit, ...]:
        n = len(problem.y)
        size = max(int(self.row_share * n), min(n, 8))
        shared = problem.table(np.arange(n)) if n <= 2 * self.search_rows else None
        fits = []
        for b in range(self.bags):
            rng = stream(seed, "bag", b)
            rows = rng.permutation(n)[:size]
            search = rows[: self.search_rows]
            table = problem.table(search) if shared is None else np.asfortranarray(shared[search])
            terms = grow(table, problem.rows(search), self.max_terms, self.charge)
            fits.append(problem.finish(terms, rows))
        return tuple(fits)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Search rows: centred outcome, weights (mean 1) and centred treatment, or None."""

    y: Array
    weights: Array
    effect: Array | None


@dataclass(frozen=True, eq=False)
class _Problem:
    """Training rows of one bag family."""

    basis: Basis
    x: Array
    y: Array
    weights: Array
    arm: Array | None

    def table(self, rows: _Ints) -> NDArray[np.float32]:
        return self.basis.table(self.x[rows])

    def rows(self, rows: _Ints) -> _Rows:
        w = self.weights[rows] / max(self.weights[rows].mean(), 1e-300)
        y = self.y[rows]
        effect = (
            None if self.arm is None else self.arm[rows] - np.average(self.arm[rows], weights=w)
        )
        return _Rows(y - np.average(y, weights=w), w, effect)

    def finish(self, terms: tuple[Term, ...], rows: _Ints) -> SplineFit:
        """Ridge coefficients of the selected terms on all rows of the sub-sample."""
        y, w = self.y[rows], self.weights[rows]
        mean_arm = 0.0 if self.arm is None else float(np.average(self.arm[rows], weights=w))
        columns = _Columns(self.basis, self.x[rows])
        design = np.empty((len(rows), len(terms)))
        for j, term in enumerate(terms):
            design[:, j] = columns.product(term)
            if term.effect and self.arm is not None:
                design[:, j] *= self.arm[rows] - mean_arm
        margin = 0.1 * float(np.ptp(y))
        ridge = _scaled_ridge(design, y, w)
        return SplineFit(terms, ridge, mean_arm, float(y.min()) - margin, float(y.max()) + margin)


class _Columns:
    """Candidate columns of some rows, each computed once."""

    def __init__(self, basis: Basis, x: Array):
        self.n = len(x)
        self._basis, self._x = basis, x
        self._cache: dict[int, Array] = {}

    def product(self, term: Term) -> Array:
        """Product of the candidate columns of a term, shape (n,)."""
        value = np.ones(self.n)
        for c in term.columns:
            if c not in self._cache:
                self._cache[c] = self._basis.column(self._x, c)
            value = value * self._cache[c]
        return value


def grow(
    table: NDArray[np.float32], rows: _Rows, max_terms: int, charge: float
) -> tuple[Term, ...]:
    """Forward selection of terms on the search rows, cut where GCV is least.

    Parameters
    ----------
    table : ndarray, shape (m, C)
        Standardised candidates.
    rows : _Rows
        Outcome, weights and centred treatment of the m rows.
    max_terms : int
        Terms at most.
    charge : float
        See the module.
    """
    m = len(rows.y)
    given = 0 if rows.effect is None else 1
    best, best_size, chosen = _gcv(rows.weights @ rows.y**2, m, 0, charge), 0, []
    for term, rss in _forward(table, rows, max_terms + given):
        chosen.append(term)
        score = _gcv(rss, m, len(chosen) - given, charge)
        if score < best:
            best, best_size = score, len(chosen)
        elif len(chosen) > best_size + _PATIENCE:
            break
    return tuple(chosen[:best_size])


def _forward(table: NDArray[np.float32], rows: _Rows, limit: int) -> Iterator[tuple[Term, float]]:
    """Terms in order of selection, each with the residual sum of squares it leaves."""
    selection = _Selection(table, rows, limit)
    if rows.effect is not None:
        yield Term(True, ()), selection.project(rows.effect)
    for _ in range(limit):
        term, product = selection.best_product()
        rss = selection.project(product)
        if rss is None:
            continue
        selection.adopt(term, product)
        yield term, rss


class _Selection:
    """State of one forward selection: orthonormal span Q, residual r, parents and their norms."""

    def __init__(self, table: NDArray[np.float32], rows: _Rows, limit: int):
        m, n_candidates = table.shape
        self._table, self._squares = table, table**2
        self._root = np.sqrt(rows.weights)
        self._q = np.empty((m, limit + 2), order="F")
        self._q[:, 0], self._size = self._root / np.linalg.norm(self._root), 1
        self._residual = self._root * rows.y
        self._residual -= self._q[:, 0] * (self._q[:, 0] @ self._residual)
        self._terms: list[Term] = []
        self._parents = np.empty((limit + 2, m), dtype=np.float32)
        self._norms = np.empty((limit + 2, n_candidates), dtype=np.float32)
        self._used: list[tuple[int, int]] = []
        self._add_parent(Term(False, ()), np.ones(m))
        if rows.effect is not None:
            self._add_parent(Term(True, ()), rows.effect)

    def _add_parent(self, term: Term, values: Array) -> None:
        k = len(self._terms)
        scaled = (values * self._root).astype(np.float32)
        self._parents[k] = scaled
        self._norms[k] = (scaled**2) @ self._squares + np.float32(1e-6 * len(values))
        self._terms.append(term)

    def best_product(self) -> tuple[Term, Array]:
        """The unused product most correlated with the residual."""
        k = len(self._terms)
        score = (self._parents[:k] * self._residual.astype(np.float32)) @ self._table
        score = score**2 / self._norms[:k]
        for parent, column in self._used:
            score[parent, column] = 0
        p, c = divmod(int(np.argmax(score)), score.shape[1])
        self._used.append((p, c))
        parent = self._terms[p]
        values = self._parents[p] / np.maximum(self._root, 1e-12) * self._table[:, c]
        return Term(parent.effect, (*parent.columns, c)), values.astype(float)

    def project(self, product: Array) -> float | None:
        """Add a column to the span; the residual sum of squares, None if it was in the span."""
        q = self._q[:, : self._size]
        u = product * self._root
        length = np.linalg.norm(u)
        for _ in range(2):
            u = u - q @ (q.T @ u)
        rest = np.linalg.norm(u)
        if rest <= 1e-3 * length or self._size >= self._q.shape[1]:
            return None
        u /= rest
        self._q[:, self._size] = u
        self._size += 1
        self._residual = self._residual - u * (u @ self._residual)
        return float(self._residual @ self._residual)

    def adopt(self, term: Term, product: Array) -> None:
        """Make a term of degree one a parent."""
        if len(term.columns) < 2:
            self._add_parent(term, product)


def make_basis(x: Array, rng: np.random.Generator, max_rows: int = 4000) -> Basis:
    """Candidate columns for the training rows x, standardised on at most ``max_rows`` of them."""
    rows = np.arange(len(x)) if len(x) <= max_rows else rng.permutation(len(x))[:max_rows]
    knot_of, knot = _knots(x[rows])
    raw = _raw_candidates(x[rows], knot_of, knot)
    center, scale = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    return Basis(x.shape[1], knot_of, knot, center, scale)


def _knots(x: Array) -> tuple[_Ints, Array]:
    """Knots of each column: quantiles when it is continuous, midpoints when it has 3-5 levels."""
    levels = [np.unique(column) for column in x.T]
    n_continuous = sum(len(u) > _SPLIT_LEVELS for u in levels)
    n_knots = int(np.clip(_MAX_KNOT_COLUMNS // max(n_continuous, 1), 1, 10))
    grid = np.linspace(0.06, 0.94, n_knots) if n_knots > 1 else np.array([0.5])
    knots = [
        np.unique(np.quantile(column, grid))
        if len(u) > _SPLIT_LEVELS
        else (u[:-1] + u[1:]) / 2
        if len(u) > 2
        else np.empty(0)
        for column, u in zip(x.T, levels, strict=True)
    ]
    knot_of = np.repeat(np.arange(x.shape[1]), [len(q) for q in knots])
    return knot_of, np.concatenate([np.empty(0), *knots])


def _raw_candidates(x: Array, knot_of: _Ints, knot: Array) -> NDArray[np.float32]:
    distance = (x[:, knot_of] - knot).astype(np.float32)
    return np.hstack(
        [x.astype(np.float32), np.maximum(distance, 0), np.maximum(-distance, 0), distance > 0],
        dtype=np.float32,
    )


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
