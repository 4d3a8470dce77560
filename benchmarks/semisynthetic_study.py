"""Every method on every data set of the list: the rows in the ledger.

    ATE / ATT error = |estimate - mean true effect of the (treated) training rows|,
    sqrt(PEHE)      = sqrt(mean_i (tau_hat(x_i) - tau_i)^2)  over rows that no method has seen.

Intervals are for the population; ``covers`` counts the mean of the rows at hand, which they should
cover at least as often. Run it by ``experiments/run_benchmarks.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import peers
from effect_methods import METHODS, OURS, Answer, Answers
from semisynthetic import FAMILIES, Family, Known, known

from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.evaluation.code_version import package_version
from causal_ddpm.evaluation.studies import Spec, Study

_SECONDS = {"ols_t": 0.1, "x_learner": 1, "dr_learner": 2, "causal_forest": 4, "doubleml": 2}


def row(spec: Spec, seed: Seed) -> Mapping[str, float | int]:
    """One method on one draw of one data set."""
    found = known(str(spec["dataset"]), int(spec["draw"]))
    answers = METHODS[str(spec["method"])](found.sample, integer_seed(seed))
    sizes = {"n": len(found.sample.X), "n_treated": int(found.sample.treatment.sum())}
    return {**errors(answers, found), **sizes}


def errors(answers: Answers, found: Known) -> dict[str, float]:
    """Estimates beside what is known; nan where a question has no answer or no truth."""
    out = {**_mean("ate", answers.ate, found.ate), **_mean("att", answers.att, found.att)}
    truth = found.sample.cate_test
    out["sqrt_pehe"] = (
        float(np.sqrt(np.mean((answers.cate - truth) ** 2))) if answers.cate is not None else np.nan
    )
    out["cate_sd"] = float(truth.std()) if len(truth) else np.nan
    return out


def _mean(name: str, answer: Answer | None, truth: float) -> dict[str, float]:
    interval = answer if isinstance(answer, peers.Effect) else None
    value = interval.value if interval else np.nan if answer is None else float(answer)
    return {
        name: value,
        f"{name}_truth": truth,
        f"{name}_error": abs(value - truth),
        f"{name}_covers": float(interval.ci_low <= truth <= interval.ci_high)
        if interval and truth == truth
        else np.nan,
        f"{name}_width": interval.ci_high - interval.ci_low if interval else np.nan,
    }


def plan(families: Sequence[Family] = FAMILIES, quick: bool = False) -> list[Spec]:
    """What is to be computed, in an order that fills all families evenly."""
    draws = [
        (number, dataset)
        for family in families
        for dataset, count in (family.quick_draws if quick else family.draws).items()
        for number in range(count)
    ]
    return [
        {"method": method, "dataset": dataset, "draw": number}
        for number, dataset in sorted(draws, key=lambda pair: pair[0])
        for method in METHODS
    ]


def studies(specs: Sequence[Spec], ledger: Path, any_version: bool) -> list[Study]:
    """Two studies, since rows of the peers outlive an edit of this package."""
    parts = (
        ("semisynthetic-peers", [s for s in specs if s["method"] != OURS], _peers_version()),
        ("semisynthetic-ours", [s for s in specs if s["method"] == OURS], _our_version()),
    )
    return [
        Study(name, row, chosen, ledger, code_version=version, any_version=any_version)
        for name, chosen, version in parts
    ]


def collect(
    specs: Sequence[Spec], ledger: Path, any_version: bool, run: Callable[[Study], pd.DataFrame]
) -> pd.DataFrame:
    """All rows, computed by ``run`` where they are not there yet, with the name of the family."""
    rows = pd.concat(
        [run(study) for study in studies(specs, ledger, any_version)], ignore_index=True
    )
    family = {dataset: f.name for f in FAMILIES for dataset in f.draws}
    return rows if rows.empty else rows.assign(family=rows["dataset"].map(family))


def expected_seconds(spec: Spec) -> float:
    """Rough CPU seconds of a row."""
    dataset, method = str(spec["dataset"]), str(spec["method"])
    wide = dataset.startswith(("acic", "twins"))
    slow = {OURS: (90, 30), "bcf": (40, 12), "bart_t": (20, 8)}
    return float(slow[method][not wide] if method in slow else _SECONDS[method])


def _peers_version() -> str:
    return f"{peers.version()}, list {_digest('semisynthetic.py', 'effect_methods.py')}"


def _our_version() -> str:
    return f"{package_version()}, list {_digest('semisynthetic.py', 'ours.py')}"


def _digest(*names: str) -> str:
    here = Path(__file__).parent
    source = b"".join((here / name).read_bytes() for name in names)
    return hashlib.sha256(source).hexdigest()[:12]
