"""The study: draws of a twin, every estimator on each, rows on the ledger.

    draw r = twin.draw(n, seed of r),    row = estimator(draw r, seed of r and of its name)

All estimators see the same draws, so they are compared pair by pair. A row is valid for the twin
(its fingerprint), for the code of this package and for the source of an estimator that was handed
in; what is there is not computed again. Slow estimators get fewer draws, the first ones.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import CausalDDPMWarning, DataError, OverlapError
from causal_ddpm.core.estimand import ATE, Estimand
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.evaluation.code_version import digest, package_version
from causal_ddpm.evaluation.coverage.fits import fitting_version
from causal_ddpm.evaluation.own_study.estimators import (
    SHIPPED,
    NamedEstimator,
    estimators_of,
)
from causal_ddpm.evaluation.own_study.result import OwnStudy
from causal_ddpm.evaluation.studies import Spec, Study
from causal_ddpm.evaluation.twin.checks import check_fit_for_twin
from causal_ddpm.evaluation.twin.design import TwinDesign
from causal_ddpm.evaluation.twin.effects import Effect
from causal_ddpm.evaluation.twin.fit import TwinSettings

STUDY, TWINS = "own", "own-twins"
KNOWN = ("ATE", "ATT", "ATU")
"""Estimands that the study is about."""

FEWEST_SLOW, SLOW_SHARE = 20, 5
LEVEL = 0.95


def study_own(  # noqa: PLR0913 - the public door, all but the data have defaults
    data: CausalData | TwinDesign,
    estimators: Sequence[Any] | None = None,
    *,
    effect: Effect | None = None,
    overlap: float | None = None,
    estimand: Estimand | None = None,
    draws: int | Mapping[str, int] = 100,
    n: int | None = None,
    folder: str | Path = ".studies",
    settings: TwinSettings | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    any_version: bool = False,
    announce: Callable[[str], None] | None = None,
    progress: Progress = silent,
) -> OwnStudy:
    """Compare estimators on data like yours, where the truth is known.

    Parameters
    ----------
    data : CausalData or TwinDesign
        Data, of which a twin is learnt (and kept in ``folder``), or a twin.
    estimators : sequence, optional
        Names (:data:`causal_ddpm.evaluation.own_study.estimators.SHIPPED`), functions
        ``(data, estimand, random_state) -> estimate``, or objects with a ``name`` and a method
        ``estimate``; all that are shipped by default.
    effect : float, str or callable, optional
        The truth, as in :meth:`TwinDesign.fit`; zero for data, the twin's own for a twin.
    overlap : float, optional
        0 an experiment, 1 as in the data (the default for data), 2 worse.
    estimand : ATE, ATT or ATU, optional
        The ATE by default.
    draws : int or mapping of names to int
        Draws of each estimator; an integer means a fifth of it, at least 20, for slow ones.
    n : int, optional
        Rows of a draw; as many as the data have by default.
    folder : path
        The ledger; finished rows are kept here.
    settings : TwinSettings, optional
        How the twin is learnt.
    random_state : int
        Root seed of twin and draws.
    n_jobs : int
        Worker processes; the result does not depend on it.
    any_version : bool
        Accept finished rows that earlier code has made.
    announce : callable, optional
        Told the expected cost before anything is drawn.
    progress : callable
        Called with a stage name and the share done.

    Raises
    ------
    DataError
        If the data have no twin, or an argument cannot be used.
    """
    chosen, asked = estimators_of(estimators), estimand or ATE()
    _check(asked, n)
    plan = draws_of(chosen, draws)
    if isinstance(data, TwinDesign):
        twin = data.with_truth(effect, overlap)
    else:
        if announce is not None:
            announce(
                f"The twin of {data.n:,} rows is learnt unless it is kept in '{folder}': about a "
                "minute of CPU time for a thousand rows."
            )
        twin = twin_of(data, folder, settings, random_state, progress)
        twin = twin.with_truth(0.0 if effect is None else effect, overlap)
    size = twin.roles.n if n is None else int(n)
    specs = _specs(twin, chosen, plan, asked, size)
    task = functools.partial(
        estimate_draw, twin=twin, estimators={e.name: e for e in chosen}, estimand=asked,
        root=random_state,
    )  # fmt: skip
    study = Study(STUDY, task, specs, folder, random_state, _version(chosen), any_version)
    if announce is not None:
        announce(cost_in_words(chosen, plan, size, len(twin.units.columns), n_jobs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalDDPMWarning)
        rows = study.run(n_jobs=n_jobs, progress=progress)
    return OwnStudy.of(rows, {e.name: e.title or e.name for e in chosen}, twin, asked, size, LEVEL)


def twin_of(
    data: CausalData,
    folder: str | Path,
    settings: TwinSettings | None = None,
    random_state: int = 0,
    progress: Progress = silent,
) -> TwinDesign:
    """The twin of the data as it was learnt: read from the folder, or learnt and kept there.

    Raises
    ------
    DataError
        If the data have no twin.
    """
    check_fit_for_twin(data)
    settings = settings or TwinSettings()
    key = digest(f"{data.fingerprint}|{settings!r}|{random_state}|{fitting_version()}", 24)
    path = Path(folder) / TWINS / f"{key}.twin"
    if path.exists():
        return TwinDesign.load(path)
    twin = TwinDesign.fit(data, settings=settings, random_state=random_state, progress=progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    twin.save(path)
    return twin


def draws_of(
    estimators: Sequence[NamedEstimator], draws: int | Mapping[str, int]
) -> dict[str, int]:
    """Draws of each estimator.

    Raises
    ------
    DataError
        If a number is below two, or a name is unknown.
    """
    if isinstance(draws, Mapping):
        names = [e.name for e in estimators]
        unknown = [name for name in draws if name not in names]
        if unknown:
            raise DataError(f"draws are named for '{unknown[0]}'", ", ".join(names))
        plan = {name: draws.get(name, FEWEST_SLOW) for name in names}
    else:
        fewer = min(draws, max(FEWEST_SLOW, draws // SLOW_SHARE))
        plan = {e.name: fewer if e.slow else draws for e in estimators}
    for name, count in plan.items():
        if count < 2:
            raise DataError(f"{count} draws were asked for '{name}'", "at least 2")
    return plan


def cost_in_words(
    estimators: Sequence[NamedEstimator], plan: Mapping[str, int], n: int, p: int, n_jobs: int
) -> str:
    """What the draws are expected to cost, for an announcement."""
    known = {e.name: plan[e.name] * e.seconds(n, p) for e in estimators if e.seconds is not None}
    seconds = sum(known.values())
    listed = ", ".join(f"{name} {plan[name]} ({_time(cost)})" for name, cost in known.items())
    others = [e.name for e in estimators if e.name not in known]
    rest = f"; {', '.join(others)}: not known" if others else ""
    workers = f", {_time(seconds / n_jobs)} with {n_jobs} workers" if n_jobs > 1 else ""
    return (
        f"Draws of {n:,} rows: {listed}{rest}. About {_time(seconds)} of CPU time in all{workers}; "
        "finished draws are kept."
    )


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min"


def _check(estimand: Estimand, n: int | None) -> None:
    if estimand.name not in KNOWN:
        raise DataError(f"the study knows no '{estimand.name}' of a twin", ", ".join(KNOWN))
    if n is not None and n < 20:
        raise DataError(f"draws of {n} rows were asked for", "at least 20 rows")


def _specs(
    twin: TwinDesign,
    estimators: Sequence[NamedEstimator],
    plan: Mapping[str, int],
    estimand: Estimand,
    n: int,
) -> list[dict[str, Any]]:
    """One task a draw and estimator; all estimators grow together."""
    shared = {"twin": twin.fingerprint[:16], "estimand": repr(estimand), "n": n}
    return [
        {**shared, "draw": draw, "estimator": e.name}
        for draw in range(max(plan.values()))
        for e in estimators
        if draw < plan[e.name]
    ]


def _version(estimators: Sequence[NamedEstimator]) -> str:
    """Source of the package, and of the estimators that are not part of it."""
    others = [e for e in estimators if SHIPPED.get(e.name) is not e]
    sources = "".join(_source(e.function) for e in others)
    return package_version() + (f"+estimators.{digest(sources, 8)}" if others else "")


def estimate_draw(
    spec: Spec,
    seed: np.random.SeedSequence,
    twin: TwinDesign,
    estimators: Mapping[str, NamedEstimator],
    estimand: Estimand,
    root: Seed,
) -> dict[str, Any]:
    """One estimator on one draw: its estimate, interval, and what was true.

    A refusal for lack of overlap is a result: its numbers are missing and ``refused`` says why.
    """
    drawn = twin.draw(int(spec["n"]), seed_sequence(root, "own draw", int(spec["draw"])))  # type: ignore[arg-type]
    row: dict[str, Any] = {
        "truth": drawn.truth.value(estimand.name),
        "sample_truth": drawn.truth.sample[estimand.name],
        "value": None, "std_error": None, "ci_low": None, "ci_high": None, "refused": None,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalDDPMWarning)
        try:
            found = estimators[str(spec["estimator"])].estimate(drawn.data, estimand, seed)
        except OverlapError as refusal:
            return {**row, "refused": str(refusal)}
    low, high = found.interval(LEVEL)
    numbers = dict(value=found.value, std_error=found.std_error, ci_low=low, ci_high=high)
    if not all(np.isfinite(float(v)) for v in numbers.values()):
        raise DataError("the estimate or its interval is missing or infinite", "finite numbers")
    return {**row, **{name: float(v) for name, v in numbers.items()}}


def _source(function: Any) -> str:
    """Source of an estimator that was handed in; a partial's or object's is that of its class."""
    inner = getattr(function, "__func__", function)
    try:
        return inspect.getsource(inner if inspect.isroutine(inner) else type(inner))
    except (OSError, TypeError):
        return repr(type(inner))
