"""Confounders as numbers a learner can use, with everything estimated on the training rows.

Policy for one training set:

- *numeric and boolean columns*: missing cells take the median of the training rows; where training
  rows lack the value, a second column marks the missing cells.
- *categories*: one 0/1 column for each level seen in the training rows (the ``max_levels`` most
  frequent), one for missing cells when training rows have some, one for all rarer levels when
  training rows have some. A level never seen in training counts as rare; where there is no such
  column the row is zero in all of them.
- columns that do not vary over the training rows are dropped;
- every column is centred and scaled by the training rows' mean and standard deviation and clipped
  to ``+-clip``: a new row far outside the training range cannot send a linear member to infinity.

Nothing here may be fitted on rows that are scored later: the encoder belongs inside the fold.
"""

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.protocols import Array


@dataclass(frozen=True)
class NumericRule:
    """How one numeric or boolean column is read: fill with ``median``, mark missing cells."""

    index: int
    name: str
    median: float
    marks_missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns made."""
        return (self.name, f"{self.name}=missing") if self.marks_missing else (self.name,)

    def expand(self, values: Array) -> Array:
        """Columns of this confounder, shape (n, 1 or 2)."""
        cells = values[:, self.index]
        missing = np.isnan(cells)
        filled = np.where(missing, self.median, cells)
        return np.column_stack([filled, missing]) if self.marks_missing else filled[:, None]


@dataclass(frozen=True)
class CategoryRule:
    """How one category is read: kept level codes; whether there are 'other', 'missing' columns."""

    index: int
    name: str
    codes: tuple[int, ...]
    labels: tuple[str, ...]
    marks_other: bool
    marks_missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns made."""
        extra = ["other"] * self.marks_other + ["missing"] * self.marks_missing
        return tuple(f"{self.name}={label}" for label in (*self.labels, *extra))

    def expand(self, values: Array) -> Array:
        """Indicator columns of this confounder, shape (n, number of names)."""
        cells = values[:, self.index]
        missing = np.isnan(cells)
        kept = cells[:, None] == np.asarray(self.codes, dtype=float)
        blocks = [kept]
        if self.marks_other:
            blocks.append((~kept.any(axis=1) & ~missing)[:, None])
        if self.marks_missing:
            blocks.append(missing[:, None])
        return np.hstack(blocks).astype(float)


@dataclass(frozen=True, eq=False)
class FittedEncoder:
    """An encoding learnt on training rows.

    Attributes
    ----------
    rules : tuple
        One rule a confounder.
    kept : ndarray of int, shape (q,)
        Positions of the expanded columns that vary.
    center, scale : ndarray, shape (q,)
        Mean and standard deviation of the kept columns over the training rows.
    names : tuple of str, length q
        Names of the features.
    clip : float
        Largest absolute standardised value.
    """

    rules: tuple[NumericRule | CategoryRule, ...]
    kept: np.ndarray
    center: Array
    scale: Array
    names: tuple[str, ...]
    clip: float

    @property
    def sources(self) -> tuple[str, ...]:
        """The confounder that each feature comes from, length max(q, 1)."""
        owners = [rule.name for rule in self.rules for _ in rule.names]
        return tuple(owners[j] for j in self.kept) or (self.rules[0].name,)

    def transform(self, covariates: Covariates) -> Array:
        """Features of any rows, shape (n, q), float64, finite."""
        if not len(self.kept):
            return np.zeros((len(covariates), 1))
        raw = _expand(self.rules, covariates.values)[:, self.kept]
        return np.clip((raw - self.center) / self.scale, -self.clip, self.clip)


@dataclass(frozen=True)
class Encoder:
    """Settings of the encoding; see the module for the policy.

    Parameters
    ----------
    max_levels : int
        Levels of a category that get a column of their own.
    clip : float
        Bound of the standardised features.
    """

    max_levels: int = 30
    clip: float = 8.0

    def fit(self, covariates: Covariates, weights: Array | None = None) -> FittedEncoder:
        """Learn the encoding from training rows.

        Parameters
        ----------
        covariates : Covariates, n rows
            The training rows and no others.
        weights : ndarray, shape (n,), optional
            Row weights for medians, means and standard deviations.

        Returns
        -------
        FittedEncoder
            With at least one feature: a column of zeros named ``constant`` when nothing varies.
        """
        w = np.ones(len(covariates)) if weights is None else np.asarray(weights, dtype=float)
        rules = tuple(
            _rule(j, column, covariates.values[:, j], w, self.max_levels)
            for j, column in enumerate(covariates.columns)
        )
        raw = _expand(rules, covariates.values)
        center = np.average(raw, axis=0, weights=w)
        scale = np.sqrt(np.average((raw - center) ** 2, axis=0, weights=w))
        kept = np.flatnonzero(scale > 1e-10 * np.maximum(1.0, np.abs(center)))
        names = [name for rule in rules for name in rule.names]
        labels = tuple(names[j] for j in kept) if len(kept) else ("constant",)
        return FittedEncoder(rules, kept, center[kept], scale[kept], labels, self.clip)


def _expand(rules: tuple[NumericRule | CategoryRule, ...], values: Array) -> Array:
    return np.hstack([rule.expand(values) for rule in rules])


def _rule(
    index: int, column: Column, cells: Array, weights: Array, max_levels: int
) -> NumericRule | CategoryRule:
    seen = ~np.isnan(cells)
    if column.kind != "categorical":
        median = _weighted_median(cells[seen], weights[seen])
        return NumericRule(index, column.name, median, not bool(seen.all()))
    codes, counts = np.unique(cells[seen].astype(int), return_counts=True)
    frequent = codes[np.argsort(-counts, kind="stable")][:max_levels]
    known = sorted(int(c) for c in frequent if c < len(column.categories))
    return CategoryRule(
        index,
        column.name,
        tuple(known),
        tuple(column.categories[c] for c in known),
        len(known) < len(codes),
        not bool(seen.all()),
    )


def _weighted_median(x: Array, weights: Array) -> float:
    """Median of the weighted empirical law (the midpoint where two values share it); 0 if empty."""
    if not len(x) or weights.sum() <= 0:
        return 0.0
    order = np.argsort(x, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    low = x[order][int(np.searchsorted(share, 0.5 - 1e-12))]
    high = x[order][min(int(np.searchsorted(share, 0.5 + 1e-12)), len(x) - 1)]
    return float((low + high) / 2)
