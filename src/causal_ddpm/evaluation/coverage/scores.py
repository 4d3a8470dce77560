"""From draws and their nuisances to estimates, intervals and truths, draw by draw.

A row of the ledger holds one batch of draws and several cases. Its column ``scores`` is a table as
JSON, one record an entry of an estimate (or a simultaneous band, or refusals),

    {"method", "case", "label", "draw": [...], "truth": [...], "value": [...], ...}

with one number a draw, so that thousands of draws stay a few files.

Two studies share this: ``coverage-scores`` reads fits of the default pipeline
(:mod:`causal_ddpm.evaluation.coverage.fits`; method "full"), ``coverage-light`` makes its nuisances
on the way (:mod:`causal_ddpm.evaluation.coverage.light`; methods "oracle" and "light"). Draw r is
the same in both.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causal_ddpm.core.errors import CausalDDPMError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.estimators.registry import estimator_for
from causal_ddpm.evaluation.coverage import fits
from causal_ddpm.evaluation.coverage.cases import BATCHES, CASES, Case, cases_named
from causal_ddpm.evaluation.studies import Spec, Study

SCORES, LIGHT = "coverage-scores", "coverage-light"
FULL = "full"
"""The method that is the default pipeline."""

BAND, REFUSED = "(band)", "(refused)"
"""Labels of simultaneous bands, and of draws whose analysis was refused."""

LEVEL = 0.95
DRAWS_A_ROW = 50
_FIELDS = ("draw", "truth", "value", "std_error", "low", "high", "inside", "width")
_KEYS = ("design", "n", "method", "case", "label")
_SEPARATOR = "; "

Entry = tuple[str, str, dict[str, float]]
"""Case, label, and the numbers of one draw."""


def score_draw(
    design: str, draw: Any, nuisances: Any, cases: Iterable[Case], seed: np.random.SeedSequence
) -> Iterator[Entry]:
    """Estimate the cases on one draw and compare with the truth.

    Parameters
    ----------
    design : str
    draw : Draw
    nuisances : Nuisances
        Or another record that the estimands need.
    cases : iterable of Case
    seed : SeedSequence
        Of bootstraps.
    """
    for case in cases:
        try:
            estimator = estimator_for(case.ask(draw), seed)
            estimate = estimator.estimate(draw.data, nuisances, LEVEL)
        except CausalDDPMError:
            yield case.name, REFUSED, {"inside": 0.0}
            continue
        yield from _compared(case, estimate, case.true_values(design, draw, estimate))


def _compared(case: Case, estimate: Estimate, truth: Mapping[str, float]) -> Iterator[Entry]:
    """Entries whose truth is known, and the band over them."""
    known = [j for j, label in enumerate(estimate.labels) if label in truth]
    target = np.array([truth[estimate.labels[j]] for j in known])
    low, high = (np.atleast_1d(x) for x in estimate.interval())
    for j, theta in zip(known, target, strict=True):
        label = estimate.labels[j]
        if case.entries is None or label in case.entries:
            numbers = {
                "truth": theta, "value": estimate.values[j],
                "std_error": np.sqrt(estimate.cov[j, j]), "low": low[j], "high": high[j],
            }  # fmt: skip
            yield case.name, label, {name: float(number) for name, number in numbers.items()}
    if case.band and len(known) > 1:
        low, high = (np.atleast_1d(x)[known] for x in estimate.interval(simultaneous=True))
        inside = float(((low <= target) & (target <= high)).all())
        yield case.name, BAND, {"inside": inside, "width": float((high - low).mean())}


def as_text(entries: Iterable[tuple[str, int, Entry]]) -> str:
    """Entries as the column ``scores``; each comes with its method and the draw."""
    records: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for method, draw, (case, label, numbers) in entries:
        record = records.setdefault((method, case, label), {})
        for name, number in {"draw": draw, **numbers}.items():
            record.setdefault(name, []).append(float(f"{number:.8g}"))
    return json.dumps(
        [
            {"method": key[0], "case": key[1], "label": key[2], **record}
            for key, record in records.items()
        ]
    )


def from_rows(rows: Iterable[Mapping[Any, Any]]) -> pd.DataFrame:
    """One row an entry and draw, from finished rows of a study.

    Returns
    -------
    DataFrame
        Columns design, n, method, case, label, draw, truth, value, std_error, low, high, inside,
        width; for bands, ``inside`` and ``width`` alone are known.
    """
    records = [
        {"design": row["design"], "n": row["n"], **record}
        for row in rows
        for record in json.loads(row["scores"])
    ]
    sizes = [len(record["draw"]) for record in records]
    table = {name: np.repeat([r[name] for r in records], sizes) for name in _KEYS}
    for name in _FIELDS:
        numbers = [r.get(name, [np.nan] * n) for r, n in zip(records, sizes, strict=True)]
        table[name] = np.array([x for column in numbers for x in column], dtype=float)
    return pd.DataFrame(table)


# -- the default pipeline ------------------------------------------------------------------
def scores_study(
    fitted: pd.DataFrame,
    folder: str | Path,
    cases: Sequence[Case] = CASES,
    any_version: bool = False,
) -> Study | None:
    """The study that scores finished fits; None when there are none.

    Parameters
    ----------
    fitted : DataFrame
        Finished rows of :func:`causal_ddpm.evaluation.coverage.fits.fits_study`.
    folder : path
        Where studies live.
    cases : sequence of Case
        Those that need the nuisances of a binary treatment.
    any_version : bool
        Accept rows that earlier code has made.
    """
    specs = [
        {"design": row.design, "n": row.n, "draw": row.draw, "cases": names, "file": row.file}
        for row in fitted.itertuples()
        for names in _by_batch(cases, str(row.design)).values()
    ]
    if not specs:
        return None
    task = functools.partial(score_fit, home=str(Path(folder) / fits.STUDY))
    return Study(SCORES, task, specs, folder, any_version=any_version)


def score_fit(spec: Spec, seed: np.random.SeedSequence, home: str) -> dict[str, str]:
    """Score the cases of one fit."""
    design, number = str(spec["design"]), int(str(spec["draw"]))
    asked = {key: spec[key] for key in ("design", "n", "draw")}
    draw, nuisances = fits.read_fit(home, str(spec["file"]), asked)
    cases = cases_named(str(spec["cases"]).split(_SEPARATOR))
    entries = score_draw(design, draw, nuisances, cases, seed)
    return {"scores": as_text((FULL, number, entry) for entry in entries)}


# -- light nuisances -----------------------------------------------------------------------
def light_study(
    designs: Sequence[str],
    sizes: Sequence[int],
    folder: str | Path,
    cases: Sequence[Case] = CASES,
    draws: int | None = None,
    any_version: bool = False,
) -> Study:
    """The study with oracle and light nuisances.

    Parameters
    ----------
    designs : sequence of str
    sizes : sequence of int
        Rows a draw.
    folder : path
        Where studies live.
    cases : sequence of Case
    draws : int, optional
        Draws a cell, at most those of :data:`~causal_ddpm.evaluation.coverage.cases.BATCHES`.
    any_version : bool
        Accept rows that earlier code has made.
    """
    specs: list[Mapping[str, Any]] = []
    for design in designs:
        for batch, names in _by_batch(cases, design).items():
            wanted = min(BATCHES[batch], draws or BATCHES[batch])
            for n in sizes:
                specs += [
                    {
                        "design": design, "n": n, "cases": names, "first": first,
                        "count": min(DRAWS_A_ROW, wanted - first),
                    }
                    for first in range(0, wanted, DRAWS_A_ROW)
                ]  # fmt: skip
    specs.sort(key=lambda spec: spec["first"])  # cells grow together
    return Study(LIGHT, score_light, specs, folder, any_version=any_version)


def score_light(spec: Spec, seed: np.random.SeedSequence) -> dict[str, str]:
    """Score the cases on a batch of draws, each with nuisances made for it."""
    return {"scores": as_text(_light_entries(spec))}


def _light_entries(spec: Spec) -> Iterator[tuple[str, int, Entry]]:
    design, first, count = str(spec["design"]), int(str(spec["first"])), int(str(spec["count"]))
    cases = cases_named(str(spec["cases"]).split(_SEPARATOR))
    sources = {name: make for case in cases for name, make in case.sources.items()}
    for number in range(first, first + count):
        draw = fits.drawn_by({"design": design, "n": spec["n"], "draw": number})
        # the seed depends on the draw alone, not on how draws are batched
        seed = seed_sequence(fits.FIRST_SEED + number, "coverage", design)
        for name, make in sources.items():
            nuisances = make(design, draw, seed)
            asked = [case for case in cases if case.sources.get(name) is make]
            for entry in score_draw(design, draw, nuisances, asked, seed):
                yield name, number, entry


def _by_batch(cases: Sequence[Case], design: str) -> dict[str, str]:
    """Names of the cases of a design by batch, as one text."""
    asked = [case for case in cases if design in case.designs]
    batches = dict.fromkeys(case.batch for case in asked)
    return {b: _SEPARATOR.join(c.name for c in asked if c.batch == b) for b in batches}
