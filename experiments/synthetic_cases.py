"""Designs of the laboratory, the estimators that face them, and one row of the study.

Every estimator is judged by the truth of what it estimates: the ATE; with an instrument the LATE;
on panels the mean effect on the treated cells drawn (ATT). The cheaper an estimator, the more draws
it gets; Monte Carlo errors say what they are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from causal_ddpm import ATE, ATT, LATE, PanelData
from causal_ddpm.baselines.catalog import CROSS_SECTION
from causal_ddpm.baselines.meta_learners import TLearner, XLearner
from causal_ddpm.baselines.panel.low_rank import InteractiveFixedEffects
from causal_ddpm.baselines.panel.registry import PANEL_BASELINES
from causal_ddpm.baselines.panel.synthetic import SyntheticControl, SyntheticDiD
from causal_ddpm.core.errors import NotIdentifiedError, OverlapError
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.hidden_confounder import HiddenConfounder
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.estimators.panel.placebos import untreated_cells
from causal_ddpm.evaluation.compare import DiffusionScores
from causal_ddpm.evaluation.own_study.estimators import SHIPPED
from causal_ddpm.evaluation.studies import Spec
from causal_ddpm.nuisance.panel.choose import choose_base

LEVEL = 0.95
DIFFUSION, LINEAR, PANEL = "diffusion", "aipw", "panel-diffusion"
Estimate = Callable[[Any, Estimand, Seed], Any]

_AVERAGE = ATE()
_CHEAP, _LEARNER, _BOOTSTRAP, _SLOW = (40, 10), (12, 3), (4, 2), (3, 2)
"""Draws of the default and of the quick study."""
QUICK = ("gauss", "weak-overlap", "hidden-confounder", "instrument", "staggered", "donor-pool")
QUICK_SLOW = ("gauss", "staggered")
"""Designs of the quick study, and those where this package's estimators join it."""


@dataclass(frozen=True)
class Method:
    """An estimator as this study calls it.

    Parameters
    ----------
    title : str
    estimate : callable
        ``(data, estimand, seed) -> estimate``.
    draws : (int, int)
        In the default and in the quick study.
    seconds : float
        CPU seconds of one draw, roughly.
    """

    title: str
    estimate: Estimate
    draws: tuple[int, int] = _CHEAP
    seconds: float = 0.07


@dataclass(frozen=True)
class Case:
    """A design and who faces it.

    Parameters
    ----------
    title : str
    design : object
        With ``draw(n, seed)``.
    n : int
        Rows or units.
    methods : sequence of str
    why : str
        What theory says about who copes, written before the study ran.
    answers : mapping
        Estimand of the methods that do not answer the ATE.
    default : Estimand
    """

    title: str
    design: Any
    n: int
    methods: Sequence[str]
    why: str
    answers: Mapping[str, Estimand] = field(default_factory=dict)
    default: Estimand = _AVERAGE

    def estimand(self, method: str) -> Estimand:
        """What the method is asked for."""
        return self.answers.get(method, self.default)


def chosen_base(panel: Any, estimand: Estimand, seed: Seed) -> Any:
    """``PanelDiffusion`` with the base it would choose and the plain law of errors.

    From ten treated units on that is its default; with fewer the default also tries the diffusion
    as the law of the errors, which costs half a minute a draw.
    """
    base = choose_base(untreated_cells(panel), seed_sequence(seed, "base")).base
    return PanelDiffusion(base, None, level=LEVEL, leads=False).estimate(panel, seed).att


_CLASSICS = {
    m.name: m for m in (*CROSS_SECTION, TLearner(n_bootstrap=15), XLearner(n_bootstrap=15))
}
_PANELS = {
    m.name: m
    for m in (
        *PANEL_BASELINES,
        SyntheticDiD(replications=20),
        SyntheticControl(replications=10),
        InteractiveFixedEffects(replications=20),
    )
}
"""Standard errors of 10 to 20 bootstraps or placebos are themselves uncertain by a fifth."""


def _adapters(known: Mapping[str, Any], names: str, *more: Any) -> dict[str, Method]:
    return {n: Method(known[n].title, known[n].estimate, *more) for n in names.split()}


METHODS: Mapping[str, Method] = {
    DIFFUSION: Method("Diffusion (this package)", DiffusionScores().estimate, _SLOW, 12.0),
    LINEAR: Method("Same scores, linear nuisances", SHIPPED[LINEAR].function),
    PANEL: Method("PanelDiffusion (this package)", chosen_base, _SLOW, 4.0),
    **_adapters(_CLASSICS, "difference ols interacted full-matching ipw 2sls liml"),
    **_adapters(_CLASSICS, "plr irm dr-learner causal-forest iivm", _LEARNER, 0.5),
    **_adapters(_CLASSICS, "t-learner x-learner", _BOOTSTRAP, 1.5),
    **_adapters(_PANELS, "twfe cs bjs did", _LEARNER, 0.2),
    **_adapters(_PANELS, "sdid sc ife", _LEARNER, 1.0),
}

_ADJUSTERS = (
    DIFFUSION, LINEAR, "difference", "ols", "interacted", "full-matching", "ipw", "plr", "irm",
    "dr-learner", "causal-forest", "t-learner", "x-learner",
)  # fmt: skip
_INSTRUMENTED = (DIFFUSION, "2sls", "liml", "iivm")
_STAGGERED = (PANEL, "twfe", "cs", "bjs", "did", "sdid")
_FEW_TREATED = (PANEL, "twfe", "did", "sdid", "sc", "ife")

CASES: Mapping[str, Case] = {
    "gauss": Case(
        "confounded, curved", design_by_name("gauss"), 500, _ADJUSTERS,
        "Everything that matters is seen, but curved: a line through it leaves bias, flexible "
        "regressions with doubly robust scores do not.",
    ),
    "bimodal": Case(
        "confounded, two modes", design_by_name("bimodal"), 500, _ADJUSTERS,
        "The same surfaces with two-moded outcomes: means are harder to learn, and nothing else "
        "changes for methods that only ask for means.",
    ),
    "weak-overlap": Case(
        "weak overlap", design_by_name("weak-overlap"), 500, _ADJUSTERS,
        "Some units are almost never, others almost always, treated: weights explode, intervals "
        "must be wide, and regressions extrapolate.",
    ),
    "heavy-tails": Case(
        "heavy tails", design_by_name("heavy-tails"), 500, _ADJUSTERS,
        "Outliers cost precision for all; who fits them, costs more.",
    ),
    "hidden-confounder": Case(
        "hidden confounder", HiddenConfounder(2.0), 500, _ADJUSTERS,
        "One confounder is missing from the table: whoever adjusts for the others is wrong by the "
        "same amount, and no interval says so. Only bounds under a stated strength help.",
    ),
    "instrument": Case(
        "instrument", design_by_name("instrument"), 1000,
        ("difference", "ols", "irm", *_INSTRUMENTED),
        "Treatment is confounded by a type that nobody sees: adjusting for covariates cannot find "
        "the ATE; the instrument finds the effect on compliers.",
        dict.fromkeys(_INSTRUMENTED, LATE()),
    ),
    "instrument-weak": Case(
        "weak instrument", design_by_name("instrument-weak"), 1000,
        ("difference", "ols", "irm", *_INSTRUMENTED),
        "Few comply: the ratio of two small differences is not normal, so intervals of the form "
        "estimate plus or minus two standard errors can be anything; Anderson-Rubin sets hold.",
        dict.fromkeys(_INSTRUMENTED, LATE()),
    ),
    "did": Case(
        "panel, one start", design_by_name("did"), 40, _STAGGERED,
        "Parallel trends, one start, one effect: every method of the family finds it.",
        default=ATT(),
    ),
    "staggered": Case(
        "panel, staggered", design_by_name("staggered"), 150, _STAGGERED,
        "Cohorts start at different times and gain differently: two-way fixed effects compare late "
        "with early adopters and are wrong; methods that use untreated cells only are not.",
        default=ATT(),
    ),
    "interactive": Case(
        "panel, factors", design_by_name("interactive"), 50, _FEW_TREATED,
        "The treated load more on common factors, so trends are not parallel: differences in "
        "differences fail; factor models and weights on donors follow the factors.",
        default=ATT(),
    ),
    "donor-pool": Case(
        "one treated, 39 donors", design_by_name("donor-pool"), 40, _FEW_TREATED,
        "One treated unit that loads more on the factors: the home of synthetic control; intervals "
        "can only come from placebos on the donors.",
        default=ATT(),
    ),
}  # fmt: skip


def plan(quick: bool = False, times: int = 1) -> list[Spec]:
    """All rows, draw by draw, so that every cell has some when half is done."""
    cells = [(name, method) for name, case in CASES.items() for method in case.methods]
    counts = {cell: _draws(*cell, quick) * times for cell in cells}
    return [
        {"design": name, "method": method, "draw": draw}
        for draw in range(max(counts.values()))
        for name, method in cells
        if draw < counts[name, method]
    ]


def _draws(design: str, method: str, quick: bool) -> int:
    left_out = design not in (QUICK_SLOW if method in (DIFFUSION, PANEL) else QUICK)
    return 0 if quick and left_out else METHODS[method].draws[quick]


def row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """One estimator on one draw: what it says, and the truth of what it was asked for.

    An estimator may refuse to answer, for lack of overlap or of a first stage: then it says why.
    """
    case, method = CASES[str(spec["design"])], str(spec["method"])
    drawn = case.design.draw(case.n, seed_sequence(0, "synthetic", case.design.name, spec["draw"]))
    estimand = case.estimand(method)
    if hasattr(drawn, "data"):
        data, truth = drawn.data, drawn.truth.population[estimand.name]
    else:
        data = PanelData(drawn.frame, "unit", "period", "y", treated="treated")
        truth = drawn.truth.sample[estimand.name]
    asked = {"estimand": estimand.name, "truth": float(truth)}
    try:
        found = METHODS[method].estimate(data, estimand, seed)
    except (NotIdentifiedError, OverlapError) as error:
        return {**asked, "refused": str(error)}
    low, high = found.interval(LEVEL)
    return {
        **asked, "value": float(found.value), "std_error": float(found.std_error),
        "ci_low": float(low), "ci_high": float(high),
    }  # fmt: skip


def expected_seconds(spec: Spec) -> float:
    """Rough CPU seconds of a row."""
    return METHODS[str(spec["method"])].seconds
