"""From scores to a record: sampling design, standard errors, sample-size notes.

Thresholds and their evidence. At n = 150 (75 rows an arm) 95 % intervals of the AIPW estimate
covered .82 to .88, at n = 500 about .94: below 200 rows, or 100 in the smaller arm, the estimate
carries a warning, and another where the models of a fold learn from fewer than 40 rows of an arm.
Cluster-robust intervals with few clusters are too narrow: t(G - 1) intervals
always, a warning below 30 clusters, a refusal below 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import (
    CausalDDPMWarning,
    ConvergenceError,
    DataError,
    OverlapWarning,
    SmallSampleWarning,
    WeakInstrumentWarning,
)
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate, influence_covariance
from causal_ddpm.estimators.scores import Array, row_influence
from causal_ddpm.nuisance.folds import FEW_CLUSTERS, MIN_CLUSTERS

FEW_ROWS = 200
FEW_ROWS_IN_ARM = 100
FEW_TRAINING_ROWS = 40

ARM_WORDS = ("untreated", "treated")


def arm_words(data: CausalData) -> tuple[str, ...]:
    """What sentences call the arms, by their codes; empty for factors and doses."""
    if data.treatment_schema.kind == "binary":
        return ARM_WORDS
    return tuple(f"'{label}'" for label in data.arms)


@dataclass(frozen=True)
class Note:
    """One thing to worry about: a sentence and the kind of warning it is issued as."""

    category: type[CausalDDPMWarning]
    text: str


CATEGORIES: dict[str, type[CausalDDPMWarning]] = {
    kind.__name__: kind for kind in (OverlapWarning, SmallSampleWarning, WeakInstrumentWarning)
}


@dataclass(frozen=True, eq=False)
class Sampling:
    """How the rows were sampled, as far as standard errors care.

    Parameters
    ----------
    weights : ndarray, shape (n,)
    clusters : ndarray of int, shape (n,), or None
    frequency : bool
        Whether a weight counts identical rows.
    """

    weights: Array
    clusters: NDArray[np.int64] | None
    frequency: bool

    @classmethod
    def of(cls, data: CausalData) -> Sampling:
        """Read the design of ``data``.

        Raises
        ------
        DataError
            With fewer than five clusters, or when an arm has no row of positive weight.
        """
        for arm, word in enumerate(arm_words(data)):
            if not data.weights[data.treatment == arm].any():
                raise DataError(
                    f"every {word} row has weight zero",
                    "positive weights in both arms",
                    column=data.weights_name,
                )
        sampling = cls(data.weights, data.clusters, data.weights_type == "frequency")
        if data.clusters is not None and sampling.n_independent < MIN_CLUSTERS:
            raise DataError(
                f"there are only {sampling.n_independent:.0f} clusters",
                f"at least {MIN_CLUSTERS}",
                "Standard errors need many independent clusters: use a finer grouping.",
                column=data.clusters_name,
            )
        return sampling

    @property
    def independent_copies(self) -> bool:
        """True when a row of weight w is w independent rows."""
        return self.frequency and self.clusters is None

    @property
    def counts(self) -> Array:
        """Rows that each row counts as, shape (n,): its frequency weight, else one."""
        return self.weights if self.frequency else (self.weights > 0).astype(float)

    @property
    def n_rows(self) -> int:
        """Rows of positive weight; with frequency weights the rows they stand for."""
        return int(self.counts.sum())

    @property
    def n_independent(self) -> float:
        """Independent units: clusters, or rows, of positive weight."""
        if self.clusters is None:
            return float(self.n_rows)
        return float(len(np.unique(self.clusters[self.weights > 0])))

    @property
    def df(self) -> float | None:
        """Degrees of freedom of t intervals: clusters minus one, None without clusters."""
        return None if self.clusters is None else self.n_independent - 1.0

    def within(self, rows: NDArray[np.bool_]) -> Sampling:
        """The same design with weight zero outside ``rows``, shape (n,)."""
        return replace(self, weights=np.where(rows, self.weights, 0.0))

    def rows(self, rows: NDArray[np.bool_]) -> Sampling:
        """The design of some rows alone."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return replace(self, weights=self.weights[rows], clusters=clusters)

    def influence(self, phi: Array) -> Array:
        """Row influences from phi, shape (n, p)."""
        return row_influence(phi, self.weights, self.independent_copies)

    def covariance(self, influence: Array) -> Array:
        """Covariance of the estimates, shape (p, p)."""
        return influence_covariance(influence, self.clusters, self.n_independent)


def sample_notes(data: CausalData, sampling: Sampling, fold_ids: NDArray[np.int64]) -> list[Note]:
    """Warnings about few rows (in all, in an arm, to train a fold) and few clusters."""
    notes = []
    arms = range(len(arm_words(data)))
    rows_of_arms = [int(sampling.counts @ (data.treatment == a)) for a in arms]
    smallest = min(rows_of_arms, default=sampling.n_rows)
    if sampling.n_rows < FEW_ROWS or smallest < FEW_ROWS_IN_ARM:
        counted = f"{sampling.n_rows:,} rows"
        if rows_of_arms:
            counted += f", {smallest:,} in the {'smaller' if len(arms) == 2 else 'smallest'} arm"
        notes.append(
            f"Small sample: {counted}; in "
            "simulations with 100 to 200 rows 95 % intervals covered .87 to .97. "
            "Use n_repeats=3 or more."
        )
    notes += few_to_train(data, sampling, fold_ids)
    if sampling.clusters is not None and sampling.n_independent < FEW_CLUSTERS:
        notes.append(
            f"Few clusters: {sampling.n_independent:.0f}; with fewer than {FEW_CLUSTERS} "
            "cluster-robust intervals tend to be too narrow."
        )
    return [Note(SmallSampleWarning, text) for text in notes]


def few_to_train(data: CausalData, sampling: Sampling, fold_ids: NDArray[np.int64]) -> list[str]:
    """A sentence where the models of some fold learn from hardly any row of an arm."""
    training = [
        (int(sampling.counts @ ((data.treatment == a) & (fold_ids != k))), word)
        for a, word in enumerate(arm_words(data))
        for k in np.unique(fold_ids)
    ]
    fewest, word = min(training, default=(FEW_TRAINING_ROWS, ""))
    if fewest >= FEW_TRAINING_ROWS:
        return []
    return [
        f"Few rows to learn from: a fold's models train on {fewest:,} {word} rows; below about "
        f"{FEW_TRAINING_ROWS} the outcome of that arm is hardly learnt. Use more folds, or more "
        "rows."
    ]


def assumptions_of(data: CausalData, estimand: Estimand) -> tuple[str, ...]:
    """What carries the result, in plain sentences."""
    names = ", ".join(data.confounder_names)
    assigned = (
        "which arm a unit is in" if data.treatment_schema.kind == "arms" else "who is treated"
    )
    who = "rows" if data.clusters is None else f"clusters of {data.clusters_name}"
    return (
        f"Unconfoundedness: among units with equal {names}, {assigned} does not depend on the "
        "potential outcomes.",
        f"Overlap: {estimand.overlap_needed}.",
        "Stable units: a unit's outcome does not depend on the treatment of others, and there is "
        "one version of the treatment.",
        "The confounders were determined before the treatment.",
        f"The {who} are independent draws from the population.",
    )


@dataclass(frozen=True, eq=False)
class Result:
    """What an estimator computed, before the sampling design turns it into a record.

    Parameters
    ----------
    labels : tuple of str
        One an entry.
    values : ndarray, shape (p,)
        Point estimates.
    phi : ndarray, shape (n, p)
        Centred influence values, unweighted.
    notes : list of Note
        Warnings about this estimand; those about the sample are added later.
    details : mapping
        Further numbers, JSON-ready.
    bootstrap : ndarray, shape (B, p), or None
    cov : ndarray, shape (p, p), or None
        Covariance, from the influence values when None.
    population : str, optional
        For whom, where the estimand alone does not say.
    method : str, optional
        How, where the nuisances alone do not say.
    assumptions : tuple of str, optional
        What carries the result, where it is not unconfoundedness of the treatment.
    """

    labels: tuple[str, ...]
    values: Array
    phi: Array
    notes: list[Note]
    details: Mapping[str, Any]
    bootstrap: Array | None = None
    cov: Array | None = None
    population: str | None = None
    method: str | None = None
    assumptions: tuple[str, ...] | None = None


class CrossFitted(Protocol):
    """What a record says of the nuisances it holds, of whatever kind."""

    @property
    def method(self) -> str:
        """How they were learnt."""
        ...

    @property
    def fold_ids(self) -> NDArray[np.int64]:
        """Fold of each row, shape (n,)."""
        ...

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        ...

    @property
    def n_synthetic(self) -> int:
        """Generated rows that helped to train."""
        ...


def build_estimate(
    result: Result,
    data: CausalData,
    nuisances: CrossFitted,
    estimand: Estimand,
    sampling: Sampling,
    level: float,
) -> Estimate:
    """Assemble the record of one estimand.

    Raises
    ------
    ConvergenceError
        If the estimate is not a finite number.
    """
    if not np.isfinite(result.values).all():
        raise ConvergenceError(
            f"The {estimand.name} is not a finite number: the nuisances ({nuisances.method}) hold "
            "missing or infinite values; expected finite ones. Check the outcome and propensity "
            "models with causal_ddpm.testing."
        )
    influence = sampling.influence(result.phi)
    notes = [*result.notes, *sample_notes(data, sampling, nuisances.fold_ids)]
    return Estimate(
        values=result.values,
        cov=sampling.covariance(influence) if result.cov is None else result.cov,
        labels=result.labels,
        influence=influence,
        row_ids=data.row_ids,
        fingerprint=data.fingerprint,
        estimand=estimand.name,
        population=result.population or estimand.population,
        method=result.method or nuisances.method,
        n=sampling.n_rows,
        n_synthetic=nuisances.n_synthetic,
        level=level,
        df=sampling.df,
        clusters=sampling.clusters,
        n_independent=sampling.n_independent,
        bootstrap=result.bootstrap,
        assumptions=result.assumptions or assumptions_of(data, estimand),
        warnings=tuple(note.text for note in notes),
        details={
            **result.details,
            "n_folds": nuisances.n_folds,
            "n_repeats": 1,
            "warning_categories": [note.category.__name__ for note in notes],
        },
    )
