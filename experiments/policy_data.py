"""The policies of run_policy.py: where their panels come from, what is asked, what to beware of.

A panel comes from an installed package (the extra ``data``) or from a file of the user. Published
numbers are asserted when a package's data are loaded: a package that serves other numbers under a
known name is found out at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from causal_ddpm import PanelData
from causal_ddpm.cli.read import read_table
from causal_ddpm.core.errors import DataError, MissingDependencyError


@dataclass(frozen=True)
class Policy:
    """One policy.

    Parameters
    ----------
    question : str
    name : str
        What the treatment is called in the report.
    outcome : str
        What the outcome is called in the report.
    region : str
        Where the policy was; the only region it can be asked for.
    unit : str
        What the outcome is measured in.
    columns : mapping
        For each of unit, period and outcome the names it goes by in the files that circulate.
    treated : tuple of str
        Names (or numbers) of the treated unit in those files; empty where a cohort column says it.
    start : int
        First treated period.
    caveats : tuple of str
    package : callable or None
        Gives the frame from an installed package, with the name of the source.
    left_out : tuple of str
        Units that are no donors, e.g. a country that holds all others.
    references : mapping
        Published numbers, by their labels.
    """

    question: str
    name: str
    outcome: str
    region: str
    unit: str
    columns: Mapping[str, tuple[str, ...]]
    treated: tuple[str, ...]
    start: int
    caveats: tuple[str, ...]
    package: Callable[[], tuple[pd.DataFrame, str]] | None = None
    left_out: tuple[str, ...] = ()
    references: Mapping[str, float] = field(default_factory=dict)


def load(policy: Policy, file: Path | None) -> tuple[PanelData, str]:
    """The panel of a policy and the name of its source.

    Raises
    ------
    DataError
        If there is no installed package with the data, and no file, or a file lacks a column.
    MissingDependencyError
        If the package is not installed.
    """
    if file is not None:
        frame, source = read_table(file), file.name
    elif policy.package is not None:
        frame, source = policy.package()
    else:
        raise DataError(
            "no installed package holds these data", "a file of yours, with --data FILE",
            f"Columns: {_columns(policy)}; {' or '.join(policy.treated)} is treated from "
            f"{policy.start} on.",
        )  # fmt: skip
    return panel_of(policy, frame), source


def panel_of(policy: Policy, frame: pd.DataFrame) -> PanelData:
    """The checked panel; one unit is treated from ``policy.start`` on, or cohorts say who is.

    Outcome and treatment go by the names of the policy, so that the report asks its question.
    """
    names = {role: _column(frame, role, wanted) for role, wanted in policy.columns.items()}
    unit, period = names["unit"], names["period"]
    frame = frame.dropna(subset=[names["outcome"]])
    frame = frame[~frame[unit].astype(str).isin(policy.left_out)]
    frame = frame.rename(columns={names["outcome"]: policy.outcome})
    if "cohort" in names:
        return PanelData(
            frame.rename(columns={names["cohort"]: policy.name}), unit, period, policy.outcome,
            cohort=policy.name, clusters=names.get("clusters"),
        )  # fmt: skip
    labels = frame[unit].astype(str)
    found = [name for name in policy.treated if (labels == name).any()]
    if not found:
        raise DataError(
            f"no unit in column '{unit}' is called {' or '.join(policy.treated)}",
            f"the treated unit of {policy.region} among the rows",
        )
    treated = (labels == found[0]) & (_years(frame[period]) >= policy.start)
    cells = frame.assign(**{policy.name: treated.astype(int)})
    return PanelData(cells, unit, period, policy.outcome, treated=policy.name)


def _columns(policy: Policy) -> str:
    return ", ".join(f"{role} ({' or '.join(names)})" for role, names in policy.columns.items())


def _years(periods: pd.Series) -> pd.Series:
    """Years as numbers, refused where they are something else."""
    years = pd.to_numeric(periods, errors="coerce")
    if years.isna().any():
        odd = periods[years.isna()].iloc[0]
        raise DataError(f"column '{periods.name}' holds {odd!r}", "years as numbers, such as 1970")
    return years


def _column(frame: pd.DataFrame, role: str, wanted: tuple[str, ...]) -> str:
    """The first of the names that the frame has, in upper or lower case."""
    lower = {str(name).lower(): str(name) for name in frame.columns}
    for name in wanted:
        if name.lower() in lower:
            return lower[name.lower()]
    raise DataError(
        f"there is no column for the {role}", f"one of {', '.join(wanted)}",
        f"The file has {', '.join(map(str, frame.columns[:12]))}.",
    )  # fmt: skip


def _county_wages() -> tuple[pd.DataFrame, str]:
    try:
        import moderndid
    except ModuleNotFoundError:
        raise MissingDependencyError("moderndid", "data") from None
    frame = moderndid.load_mpdta().to_pandas()
    means = frame.groupby(["first.treat", "year"])["lemp"].mean().unstack()
    change = means[2004] - means[2003]
    _assert("ATT of 2004 in 2004", round(float(change[2004] - change[0]), 4), -0.0105)
    return frame.assign(state=frame["countyreal"] // 1000), "moderndid.load_mpdta()"


def _california() -> tuple[pd.DataFrame, str]:
    try:
        import synthdid
    except ModuleNotFoundError:
        raise MissingDependencyError("synthdid-py", "data") from None
    frame = synthdid.load_california_prop99()
    groups = [frame["State"] == "California", frame["Year"] >= 1989]
    means = frame.groupby([group.rename(k) for k, group in enumerate(groups)])["PacksPerCapita"]
    m = means.mean()
    did = m[True, True] - m[True, False] - m[False, True] + m[False, False]
    _assert("difference in differences", round(float(did), 3), -27.349)
    return frame, "synthdid.load_california_prop99()"


def _texas() -> tuple[pd.DataFrame, str]:
    try:
        import causaldata
    except ModuleNotFoundError:
        raise MissingDependencyError("causaldata", "data") from None
    frame = causaldata.texas.load_pandas().data
    _assert("state-years", float(len(frame)), 816.0)
    return frame, "causaldata.texas"


def _assert(what: str, found: float, published: float) -> None:
    """Refuse data that are not the published ones."""
    if abs(found - published) > 1e-6:
        raise DataError(f"{what}: {found:g}", f"{published:g}, as published")


_GERMANY = Policy(
    question="What did reunification in 1990 do to West German GDP per head?",
    name="reunification", outcome="GDP per head",
    region="West Germany", unit="US dollars, purchasing power parity",
    columns={"unit": ("country",), "period": ("year",), "outcome": ("gdp", "gdpcap")},
    treated=("West Germany", "Germany", "7"), start=1990,
    caveats=(
        "Published and replicated answers for 2003 run from about -650 to -1,650 dollars a head, "
        "by method: the spread is wider than any one interval.",
        "Sixteen donors give a smallest placebo p-value of 1/17; neighbours such as Austria may "
        "have been affected themselves.",
    ),
)  # fmt: skip

_BASQUE = Policy(
    question="What did terrorism do to GDP per head in the Basque Country?",
    name="terrorism", outcome="GDP per head",
    region="Basque Country", unit="thousand 1986 US dollars",
    columns={"unit": ("regionname", "region", "regionno"), "period": ("year",),
             "outcome": ("gdpcap",)},
    treated=("Basque Country (Pais Vasco)", "Basque Country", "Pais Vasco", "17"), start=1970,
    left_out=("Spain (Espana)", "1"),
    caveats=(
        "When the treatment began is a judgement: violence grew from 1970 on; Abadie and "
        "Gardeazabal (2003) read the gap of the 1980s and 1990s, about ten per cent.",
        "Violence moved firms and people to other regions, which are the donors.",
    ),
)  # fmt: skip

POLICIES: dict[str, Policy] = {
    "minimum_wage": Policy(
        question="What did raising a state's minimum wage above the federal one do to teen "
        "employment?",
        name="a higher minimum wage", outcome="log teen employment", region="US",
        unit="log of persons",
        columns={"unit": ("countyreal",), "period": ("year",), "outcome": ("lemp",),
                 "cohort": ("first.treat", "first_treat"), "clusters": ("state",)},
        treated=(), start=2004, package=_county_wages,
        caveats=(
            "These are 500 counties of a teaching extract (Callaway and Sant'Anna 2021), 2003 to "
            "2007; the published study uses more counties, years and covariates.",
            "Workers and employers cross county lines: controls beside a state that raised its "
            "wage may be affected too (border spillovers).",
            "The literature disagrees, from clear losses of teen jobs to none once neighbouring "
            "counties are compared; one panel does not settle it.",
        ),
        references={"Callaway and Sant'Anna, simple ATT": -0.0400,
                    "Imputation (Borusyak, Jaravel, Spiess)": -0.0477},
    ),
    "smoking_tax": Policy(
        question="What did Proposition 99 do to cigarette sales in California?",
        name="Proposition 99", outcome="cigarette sales", region="California",
        unit="packs a head and year",
        columns={"unit": ("state",), "period": ("year",),
                 "outcome": ("packspercapita", "cigsale")},
        treated=("California", "3"), start=1989, package=_california,
        caveats=(
            "The programme was a tax of 25 cents and a media campaign at once; their effects are "
            "not told apart.",
            "Donors are states without a large programme of their own until 2000; smuggling and "
            "trips across the border would make the effect look larger.",
        ),
        references={"Synthetic difference in differences": -15.604, "Synthetic control": -19.620,
                    "Difference in differences": -27.349},
    ),
    "german_reunification": _GERMANY,
    "basque": _BASQUE,
    "texas": Policy(
        question="What did the prison building of 1993 do to the number of Black men in Texan "
        "prisons?",
        name="prison building", outcome="Black men in prison", region="Texas", unit="persons",
        columns={"unit": ("state",), "period": ("year",), "outcome": ("bmprison",)},
        treated=("Texas", "48"), start=1993, package=_texas,
        caveats=(
            "Texas holds more prisoners than almost any donor: a mean of donors with positive "
            "weights adding to one can hardly reach its level.",
            "Counts, not rates: states grow at different speeds.",
        ),
    ),
}  # fmt: skip
