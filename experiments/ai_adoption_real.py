"""Real data on AI, where a folder with them is there: one experiment, two sets of aggregates.

The randomised trial of METR (Becker, Rush, Barnes and Rein 2025, arXiv:2507.09089) is the benchmark
of credibility: chance decided which issues might be done with AI, so adjustment has nothing to
repair and every method must come out near the experiment. Adoption of countries, sectors and states
is nobody's experiment: what is shown there describes.
"""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from ai_adoption_parts import Part, Picture, forest, height

from causal_ddpm import (
    ATE,
    CausalData,
    DoseResponse,
    PanelData,
    PanelDiffusion,
    analyse_panel,
    compare,
)
from causal_ddpm.evaluation.provenance import Reference, Source
from causal_ddpm.report import displays, panel_prose

FILES = {
    "metr": "metr_ai_rct_2025.csv",
    "eu": "eu_country_sector_ai_adoption_rti_2023_2024.parquet",
    "states": "us_state_btos_ai_use_panel.parquet",
}
PUBLISHED = (1.188, 1.013, 1.394)
"""METR: with AI an issue takes 1.188 times as long, 95 % interval 1.013 to 1.394 (HC3)."""
USERS = 9.0
"""A state counts as adopting when this many per cent of its firms use AI: the mean of states in the
last survey."""
SECTIONS = {
    "C": "manufacturing", "D": "energy", "E": "water, waste", "F": "construction", "G": "trade",
    "H": "transport", "I": "hotels, food", "J": "information", "L": "real estate",
    "M": "professional", "N": "administrative", "S": "repair, other",
}  # fmt: skip
"""NACE sections of the European data."""
SMOOTH = 4
"""Surveys, two weeks each, over which a state's share is averaged before it is compared."""


def metr(folder: Path, args: Namespace) -> Part:
    """The randomised trial: minutes for an issue with and without AI, in logs."""
    rows = trial(pd.read_csv(folder / FILES["metr"]))
    outcome, forecast = "log_minutes", ["log_forecast"]
    low, high = np.log(PUBLISHED[1:])
    believed = Reference("published effect", float(np.log(PUBLISHED[0])), (high - low) / 3.92)
    data = CausalData(rows, "ai_allowed", outcome, forecast)
    names = ["diffusion", "difference", "ols", "interacted", "ipw", "plr"]
    found = compare(
        data, ATE(), names[:3] if args.quick else names, believed,
        random_state=args.random_state, source=Source("METR trial"),
    )  # fmt: skip
    grouped = CausalData(rows, "ai_allowed", outcome, forecast, clusters="dev_id")
    clustered = compare(grouped, ATE(), ["ols"], random_state=args.random_state)
    by_developer = clustered.frame()[_SHOWN].assign(method="OLS, clustered by developer")
    shown = displays.MethodForestDisplay.of(found)
    return Part(
        "metr",
        "Does AI make experienced developers faster? The randomised trial of METR.",
        [*trial_verdict(found.frame(), clustered.frame(), rows), found.summary()],
        [
            "Chance decided; what remains is for whom: 16 developers on projects that they know "
            "well, tools of early 2025. The effect on other work is not in these data.",
            "Issues of one developer are alike, and with 16 developers standard errors clustered "
            "by them are themselves unsure.",
            "Missing minutes after review count as none (16 of 246 issues).",
        ],
        {"methods": found.frame()[[*_SHOWN, "distance"]], "clustered": by_developer},
        {"methods": Picture(
            shown, shown.height,
            "The effect of allowing AI on log minutes by every method, beside the published one.",
        )},
    )  # fmt: skip


def trial(rows: pd.DataFrame) -> pd.DataFrame:
    """One row an issue: whether AI was allowed, log minutes, log forecast without AI, developer."""
    minutes = rows["initial_implementation_time"] + rows["post_review_implementation_time"].fillna(
        0
    )
    return pd.DataFrame({
        "ai_allowed": rows["ai_treatment"].astype(int),
        "log_minutes": np.log(minutes),
        "log_forecast": np.log(rows["predicted_time_no_ai"]),
        "log_saving_expected": np.log(
            rows["predicted_time_no_ai"] / rows["predicted_time_ai_allowed"]
        ),
        "dev_id": rows["dev_id"],
    })  # fmt: skip


def trial_verdict(found: pd.DataFrame, clustered: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """The experiment's own difference beside its published figure, and what was expected."""
    by = found.set_index("name")

    def slower(row: pd.Series) -> str:
        ends = [np.expm1(row[name]) for name in ("value", "ci_low", "ci_high")]
        return "{:+.1%} (95 % interval {:+.1%} to {:+.1%})".format(*ends)

    saved = -np.expm1(-rows["log_saving_expected"].mean())
    return [
        "What allowing AI changed in the time for an issue, by regression on the forecast: "
        f"{slower(by.loc['ols'])}; published +18.8% (+1.3% to +39.4%). Slower, not faster. The "
        f"diffusion law says {slower(by.loc['diffusion'])}, the plain difference "
        f"{slower(by.loc['difference'])}, the regression with issues of one developer dependent "
        f"{slower(clustered.iloc[0])}.",
        f"The developers had expected to save {saved:.0%} of the time.",
    ]


def eu(folder: Path, args: Namespace) -> Part:
    """Countries x sectors: does employment sit where AI is used? A description."""
    rows = pd.read_parquet(folder / FILES["eu"])
    rows = rows.assign(
        ai_use=100 * rows["IA_Adoption"], employment=100 * rows["Share_Sector"],
        year=rows["IdYear"].astype(str), education=rows["Educ_Rate"], gdp=rows["GDPCap"],
    )  # fmt: skip
    sectors = ["NACE", "year", "gdp", "education", "Unemp_Rate", "RTI"]
    rows["sector"] = rows["NACE"].map(SECTIONS) + " (" + rows["NACE"] + ")"
    by_sector = _between(rows, "sector")
    slopes = [("As it is", *_line(rows))]
    adjusted = compare(
        CausalData(rows, "ai_use", "employment", sectors, treatment_kind="dose",
                   clusters="Country"),
        DoseResponse([float(rows["ai_use"].mean())], derivative=True), ["ols"],
        random_state=args.random_state,
    ).frame().iloc[0]  # fmt: skip
    slopes.append(("Given sector, year, income, education, unemployment, routine tasks",
                   *adjusted[["value", "ci_low", "ci_high"]]))  # fmt: skip
    slopes.append(("Change of a country's sector, 2023 to 2024", *_line(_changes(rows))))
    table = pd.DataFrame(slopes, columns=["comparison", "value", "ci_low", "ci_high"])
    lines = table.rename(columns={"comparison": "label"})
    return Part(
        "eu",
        "Where do European firms use AI, and does employment sit there? 29 countries x 12 sectors.",
        ["A DESCRIPTION: no effect of AI is estimated here.",
         _most_and_least(by_sector),
         "A percentage point more firms with AI goes with "
         + "; ".join(f"{v:+.3f} ({low:+.3f} to {high:+.3f}) points of employment share "
                     f"[{name[0].lower()}{name[1:]}]" for name, v, low, high in slopes) + "."],
        [
            "NO EFFECT IS ESTIMATED HERE. The rows are averages of countries and sectors: firms "
            "that use AI and workers who gain or lose need not be in the same place (the "
            "ecological fallacy).",
            "Shares of employment add up within a country, so sectors are no separate trials; "
            "richer, more digital economies differ in everything at once.",
            "Two years, and one change between them: AI use rose nearly everywhere.",
        ],
        {"sectors": by_sector.rename(columns={"ci_low": "quartile_1", "ci_high": "quartile_3"}),
         "slopes": table},
        {
            "sectors": Picture(
                forest(by_sector.rename(columns={"sector": "label", "mean": "value"}),
                       "Firms using AI, mean over countries and years (%)"),
                height(by_sector), "AI use by sector; lines: middle half of countries.",
            ),
            "slopes": Picture(
                forest(lines.assign(label=["as it is", "adjusted", "2023 to 2024"]),
                       "Employment share, points a point of AI use"),
                height(lines), "Not effects: three ways to look at one association.",
            ),
        },
    )  # fmt: skip


def states(folder: Path, args: Namespace) -> Part:
    """US states: revenue balances around the survey in which many firms use AI."""
    rows, kept = state_panel(pd.read_parquet(folder / FILES["states"]))
    panel = PanelData(rows, "State", "survey", "revenue_balance", cohort="adopted")
    analysis = analyse_panel(
        panel, PanelDiffusion(diffusion=None), ["twfe", "cs", "bjs"],
        source=Source("Business Trends and Outlook Survey", "points"),
        random_state=args.random_state,
    )  # fmt: skip
    assert analysis.methods is not None
    beside = displays.MethodForestDisplay.of(
        analysis.methods, "firms with rising less falling revenue (points)"
    )
    map_of = displays.TreatmentMapDisplay.of(panel)
    own = ["method", "value", "std_error", "ci_low", "ci_high"]
    return Part(
        "states",
        f"Do states whose firms take up AI first ({USERS:g} % of them) see revenues move?",
        [
            "A DESCRIPTION: what moves when a share of users crosses a line is no effect of AI.",
            *panel_prose.verdict(analysis),
        ],
        [
            "NOT AN EFFECT OF AI: a state 'adopts' when a survey's share crosses a line that we "
            "drew. Firms of the other states use AI as well, only fewer or later, and states that "
            "cross first (technology, finance) differ in their cycles.",
            f"{kept} of 52 states and territories: small ones are suppressed in the survey.",
            *panel_prose.warnings(analysis),
        ],
        {"methods": analysis.methods.frame()[own]},
        {
            "adoption": Picture(map_of, map_of.height, panel_prose.captions(analysis)["map"]),
            "methods": Picture(
                beside,
                beside.height,
                "What moved beside it, by every method; no effect of AI.",
            ),
        },
    )


def state_panel(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """States with few suppressed shares: survey number, revenue balance, first survey at 9 %."""
    rows = rows[rows["State"] != "XX"].sort_values(["State", "period"])
    wide = rows.pivot(index="State", columns="period", values="ai__yes").dropna(axis=1, how="all")
    wide = wide[wide.isna().mean(axis=1) < 0.2]
    over = wide.T.rolling(SMOOTH, min_periods=2).mean().T >= USERS
    number = {name: k + 1 for k, name in enumerate(sorted(rows["period"].unique()))}
    first = over.idxmax(axis=1).where(over.any(axis=1)).map(number)
    rows = rows[rows["State"].isin(wide.index)]
    return rows.assign(
        survey=rows["period"].map(number), adopted=rows["State"].map(first),
        revenue_balance=rows["rev__increased"] - rows["rev__decreased"],
    ), len(wide)  # fmt: skip


STUDIES: dict[str, Callable[[Path, Namespace], Part]] = {"metr": metr, "eu": eu, "states": states}
_SHOWN = ["method", "value", "std_error", "ci_low", "ci_high"]


def _between(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """Mean and middle half of AI use over countries and years."""
    groups = rows.groupby(by)["ai_use"]
    found = pd.DataFrame({"mean": groups.mean(), "ci_low": groups.quantile(0.25),
                          "ci_high": groups.quantile(0.75)})  # fmt: skip
    return found.sort_values("mean", ascending=False).reset_index()


def _most_and_least(by: pd.DataFrame) -> str:
    first, last = by.iloc[0], by.iloc[-1]
    return (
        f"Most in {first['sector']}: {first['mean']:.1f} % of firms, mean over countries and "
        f"years; least in {last['sector']}: {last['mean']:.1f} %."
    )


def _line(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Slope of employment on AI use with an interval clustered by country."""
    x = rows["ai_use"] - rows["ai_use"].mean()
    slope = float((x * rows["employment"]).sum() / (x**2).sum())
    residual = rows["employment"] - rows["employment"].mean() - slope * x
    scores = (x * residual).groupby(rows["Country"]).sum()
    g = len(scores)
    error = float(np.sqrt(g / (g - 1) * (scores**2).sum()) / (x**2).sum())
    return slope, slope - 2.05 * error, slope + 2.05 * error


def _changes(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a country and sector: change from 2023 to 2024."""
    keys, names = ["Country", "NACE"], ["ai_use", "employment"]
    early, late = (rows[rows["year"] == y].set_index(keys)[names] for y in ("23", "24"))
    return (late - early).dropna().reset_index()
