"""Several estimates on the same rows as one vector.

With influence values psi_A (n, p) and psi_B (n, q) the joint covariance is that of (psi_A, psi_B)
(:func:`causal_ddpm.core.estimate.influence_covariance`). Each entry keeps the standard error of its
own estimate; the correlations are those of the influence values. Any linear combination then has
the right standard error: ATE - ATT, one group less another, one arm less another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate, influence_covariance


def combine_estimates(
    estimates: Sequence[Estimate], labels: Sequence[str] | None = None
) -> Estimate:
    """Join estimates on the same rows into one labelled vector with their joint covariance.

    Percentile intervals of a bootstrap do not carry over: bootstrap draws of different estimates
    need not belong together, so joint intervals are normal (or t, with clusters).

    Parameters
    ----------
    estimates : sequence of Estimate
    labels : sequence of str, optional
        One an entry; by default their own, with the population where two are alike.

    Returns
    -------
    Estimate
        Its entries in the order given; ``contrast``, ``test`` and simultaneous intervals work on
        all of them.

    Raises
    ------
    DataError
        If none is given, or they rest on different rows.

    Examples
    --------
    >>> ate, att = estimate_effects(data, [ATE(), ATT()])  # doctest: +SKIP
    >>> both = combine_estimates([ate, att])  # doctest: +SKIP
    >>> both.contrast([1, -1], ["ATE - ATT"])  # doctest: +SKIP
    """
    parts = list(estimates)
    _check_same_rows(parts)
    first = parts[0]
    influence = np.hstack([part.influence for part in parts])
    base = influence_covariance(influence, first.clusters, first.n_independent)
    own = np.concatenate([np.diag(part.cov) for part in parts])
    found = np.diag(base)
    stretch = np.sqrt(np.divide(own, found, out=np.ones_like(own), where=found > 0))
    names = _distinct_labels(parts) if labels is None else tuple(labels)
    if len(names) != len(own):
        raise DataError(f"{len(names)} labels were given", f"{len(own)}, one an entry")
    df = [float(np.min(part.df)) for part in parts if part.df is not None]
    return replace(
        first,
        values=np.concatenate([part.values for part in parts]),
        cov=base * np.outer(stretch, stretch) + np.diag(np.where(found > 0, 0.0, own)),
        labels=names,
        influence=influence * stretch,
        estimand=" and ".join(_once(part.estimand for part in parts)),
        population="; ".join(_once(part.population for part in parts)),
        method="; ".join(_once(part.method for part in parts)),
        n=min(part.n for part in parts),
        n_synthetic=max(part.n_synthetic for part in parts),
        df=min(df, default=None),
        bootstrap=None,
        bounds=None,
        assumptions=_once(text for part in parts for text in part.assumptions),
        warnings=_once(text for part in parts for text in part.warnings),
        details={"parts": [part.estimand for part in parts]},
    )


def _check_same_rows(parts: Sequence[Any]) -> None:
    if not parts:
        raise DataError("no estimate was given", "at least one")
    strangers = [type(part).__name__ for part in parts if not isinstance(part, Estimate)]
    if strangers:
        raise DataError(f"one of the estimates is a {strangers[0]}", "results of estimate_effects")
    rows = {(part.fingerprint, len(part.influence)) for part in parts}
    if len(rows) > 1:
        raise DataError(
            "the estimates rest on different rows",
            "the same data (equal fingerprints)",
            "Of two independent samples take a.combine(b, -1, independent=True).",
        )
    if not all(len(part.influence) for part in parts):
        raise DataError(
            "one of the estimates has no influence functions",
            "results of estimate_effects",
            "What other libraries report cannot be joined: its correlation is unknown.",
        )


def _distinct_labels(parts: Sequence[Estimate]) -> tuple[str, ...]:
    """Labels of all entries; those that occur twice name their population, then their place."""
    plain = [label for part in parts for label in part.labels]
    longer = [f"{label}, {part.population}" for part in parts for label in part.labels]
    names = _where_repeated(plain, longer)
    return tuple(_where_repeated(names, [f"{name} [{k}]" for k, name in enumerate(names, 1)]))


def _where_repeated(names: Sequence[str], others: Sequence[str]) -> list[str]:
    counts = Counter(names)
    return [other if counts[name] > 1 else name for name, other in zip(names, others, strict=True)]


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
