"""One effect by every method that can answer: the classics, learners, and the diffusion law.

``compare(data, ATT())`` asks the adapters of :mod:`causal_ddpm.baselines` and this package's own
cross-fitted scores about the same rows. A method that does not apply, or whose library is not
installed, says so instead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.catalog import CROSS_SECTION
from causal_ddpm.baselines.cross_section import is_slope, label_of
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.estimand import ATE, ATO, ATT, ATU, LATE, ArmContrast, Estimand, TrimmedATE
from causal_ddpm.core.estimate import Estimate, refuse_synthetic
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.estimators.groups import FEW_ROWS_IN_ARM
from causal_ddpm.evaluation.comparison import Comparison, Question
from causal_ddpm.evaluation.method_table import MethodRow, ask
from causal_ddpm.evaluation.provenance import Provenance, Reference, Source

_ONE_NUMBER = (ATE, ATT, ATU, ATO, TrimmedATE, ArmContrast, LATE)
_INSTRUMENT = (
    "an instrument as good as random given the confounders, that touches the outcome only through "
    "the treatment and moves nobody away from it; overlap of its two values"
)


@dataclass(frozen=True)
class DiffusionScores:
    """The answer of this package: cross-fitted orthogonal scores with the diffusion law.

    Parameters
    ----------
    assumes : str
        What carries its result.
    n_folds, n_repeats : int
        Folds of the cross-fitting, and how often it is repeated with fresh folds.
    """

    assumes: str = "no confounders beyond those named; overlap"
    n_folds: int = 5
    n_repeats: int = 1
    name: ClassVar[str] = "diffusion"
    title: ClassVar[str] = "Diffusion (this package)"
    library: ClassVar[str] = "causal_ddpm"
    extra: ClassVar[str] = ""

    def applies(self, data: CausalData, estimand: Estimand) -> str | None:
        """Why it cannot answer, or None."""
        if not isinstance(data, CausalData):
            return f"it takes a cross-section (CausalData), not a {type(data).__name__}"
        if not (isinstance(estimand, _ONE_NUMBER) or is_slope(estimand)):
            return f"the {estimand.name} is no single number"
        if isinstance(estimand, LATE) and data.instrument is None:
            return "the data have no instrument"
        return None

    def estimate(
        self, data: CausalData, estimand: Estimand, random_state: Seed = 0, level: float = 0.95
    ) -> Estimate:
        """The estimate of :func:`~causal_ddpm.estimators.api.estimate_effects`.

        Raises
        ------
        DataError, OverlapError, NotIdentifiedError
            With one sentence.
        """
        reason = self.applies(data, estimand)
        if reason is not None:
            raise NotIdentifiedError(f"{self.title} does not apply: {reason}.")
        (found,) = estimate_effects(
            data, estimand, n_folds=self.n_folds, n_repeats=self.n_repeats,
            random_state=random_state, level=level,
        )  # fmt: skip
        return found


def methods_for(
    estimand: Estimand, wanted: Sequence[str | Baseline[CausalData]] | None = None
) -> list[Baseline[CausalData]]:
    """Methods by name, or all of them; the package's own comes first.

    Parameters
    ----------
    estimand : Estimand
    wanted : sequence of str or Baseline, optional
        Names, or methods with settings of their own.

    Raises
    ------
    DataError
        For an unknown name, or one that occurs twice.
    """
    own = DiffusionScores(_INSTRUMENT) if isinstance(estimand, LATE) else DiffusionScores()
    shipped: dict[str, Baseline[CausalData]] = {own.name: own}
    shipped |= {method.name: method for method in CROSS_SECTION}
    found: dict[str, Baseline[CausalData]] = {}
    for item in shipped if wanted is None else wanted:
        if isinstance(item, str) and item not in shipped:
            raise DataError(f"there is no method '{item}'", f"some of {', '.join(shipped)}")
        method = shipped[item] if isinstance(item, str) else item
        if method.name in found:
            raise DataError(f"the method '{method.name}' is asked for twice", "each method once")
        found[method.name] = method
    if not found:
        raise DataError("no method was given", f"some of {', '.join(shipped)}")
    return list(found.values())


def compare(  # noqa: PLR0913 - the public door, all but one have defaults
    data: CausalData,
    estimand: Estimand | None = None,
    methods: Sequence[str | Baseline[CausalData]] | None = None,
    benchmark: float | Reference | None = None,
    *,
    random_state: Seed = 0,
    n_jobs: int = 1,
    level: float = 0.95,
    source: Source | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Every applicable method on one effect and one sample.

    Parameters
    ----------
    data : CausalData
    estimand : Estimand, optional
        A single number: ``ATE()`` by default, ``ATT()``, ``ATU()``, ``LATE()`` with an instrument,
        or for a dose its slope, ``DoseResponse([12], derivative=True)``.
    methods : sequence of str or Baseline, optional
        Names, such as ``["ols", "ipw", "diffusion"]``, or adapters with settings of their own; all
        by default.
    benchmark : float or Reference, optional
        A number that is believed, e.g. an experiment's: each method's distance to it is shown in
        the method's standard errors.
    random_state : int, SeedSequence or None
        The same root for every method.
    n_jobs : int
        Worker processes, one method a job; no number but times depends on it.
    level : float
        Confidence level.
    source : Source, optional
        Where the rows come from, and the unit of the outcome.
    progress : callable
        Told the method that has just ended, and the share of methods done.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError
        If the estimand is no single number or cannot be asked of the treatment, a method is
        unknown, the benchmark is not finite, or none has an answer.
    SyntheticDataError
        If rows are marked as synthetic.
    """
    if not isinstance(data, CausalData):
        raise DataError(
            f"the data are a {type(data).__name__}",
            "CausalData",
            "Wrap the frame: CausalData(df, treatment=..., outcome=..., confounders=[...]).",
        )
    estimand, source = estimand or ATE(), source or Source()
    _check_question(data, estimand, level)
    believed = _reference(benchmark)
    chosen = methods_for(estimand, methods)
    start = time.perf_counter()
    rows = ask(
        [(method, isinstance(method, DiffusionScores)) for method in chosen],
        data, estimand, random_state, level, progress, n_jobs,
    )  # fmt: skip
    return Comparison(
        rows=rows,
        estimand=label_of(estimand),
        fingerprint=data.fingerprint,
        level=level,
        question=Question(
            estimand.population, data.treatment_name, source.labelled(data.outcome_name),
            _sample(data), _cautions(data),
        ),
        benchmark=believed,
        provenance=_provenance(source, data, random_state, rows, time.perf_counter() - start),
    )  # fmt: skip


def _check_question(data: CausalData, estimand: Estimand, level: float) -> None:
    """Refuse what no method could answer."""
    if not isinstance(estimand, Estimand):
        hint = "Pass an instance: ATE(), not ATE." if isinstance(estimand, type) else ""
        raise DataError(f"{estimand!r} is no estimand", "one such as ATE() or ATT()", hint)
    if not (isinstance(estimand, _ONE_NUMBER) or is_slope(estimand)):
        raise DataError(
            f"the {estimand.name} is no single number",
            "an estimand that is one: ATE(), ATT(), ATU(), LATE()",
            "For a dose ask for one slope: DoseResponse([12], derivative=True).",
        )
    if not 0.0 < level < 1.0:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1, e.g. 0.95")
    estimand.check_treatment(data.treatment_schema)
    refuse_synthetic(data.n_synthetic)
    data.outcome_schema.check_order(data.outcome_name)


def _sample(data: CausalData) -> str:
    """The sample in words."""
    if data.treatment_schema.kind != "binary":
        return f"{data.n:,} rows"
    n1 = int(data.treatment.sum())
    return f"{n1:,} treated and {data.n - n1:,} untreated rows"


def _cautions(data: CausalData) -> tuple[str, ...]:
    """What all methods suffer from: an arm of few rows."""
    if data.treatment_schema.kind != "binary":
        return ()
    treated = int(data.treatment.sum())
    few, word = min((treated, "treated"), (data.n - treated, "untreated"))
    if few >= FEW_ROWS_IN_ARM:
        return ()
    return (f"Only {few} {word} rows: every standard error rests on them, and may be too small.",)


def _provenance(
    source: Source, data: CausalData, random_state: Seed, rows: tuple[MethodRow, ...], wall: float
) -> Provenance:
    """The stamp; processor time is that of all methods, whichever process they ran in."""
    seed = random_state if isinstance(random_state, int) else None
    settings: dict[str, Any] = {"methods": ", ".join(row.name for row in rows)}
    cpu = sum(row.seconds for row in rows)
    return Provenance.now(source.name, data.fingerprint, seed, settings, (wall, cpu))


def _reference(benchmark: float | Reference | None) -> Reference | None:
    if benchmark is None:
        return None
    if not isinstance(benchmark, Reference):
        benchmark = Reference("benchmark", float(benchmark), 0.0)
    if not math.isfinite(benchmark.value):
        raise DataError(f"the benchmark is {benchmark.value}", "a finite number")
    return benchmark
