"""Real factorial data for ``bench_factorial.py``; each left out where its file is not there.

Bertrand and Mullainathan (2004): 4 870 resumes with names, race of the name and quality of the
resume assigned by halves, sex of the name mostly by the job. Angrist, Lang and Oreopoulos (2009):
services (SSP) x incentives (SFP) for first-year students, 250, 250 and 150 of 1 656 students in the
treated cells. Hainmueller and Hopkins (2015): profiles of immigrants, attributes drawn with equal
probabilities; two levels of one attribute are compared among the profiles that have one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from datasets import SHARED

from causal_ddpm.core.assignment import Assignment
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.estimators.factorial import FactorialFit
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.estimators.factorial_scores import factorial_scores

FOLDER = SHARED / "data" / "factorial"
RESUMES = "resume_names_bertrand_mullainathan.parquet"
COLLEGE = "angrist_lang_oreopoulos_2009_star.parquet"
CONJOINT = "conjoint_immigration_hainmueller_hopkins.parquet"
Row = dict[str, Any]


def real_tables() -> list[tuple[str, pd.DataFrame]]:
    """Tables of the data that are there."""
    makers = {RESUMES: resumes, COLLEGE: college, CONJOINT: conjoint}
    tables = []
    for name, make in makers.items():
        path = FOLDER / name
        if path.exists():
            tables.append(make(path))
        else:
            print(f"left out: there is no {path}")
    return tables


def compared(
    data: FactorialData, order: int, labels: dict[str, str], published: dict[str, str]
) -> list[Row]:
    """Least squares beside the scores, for the effects named."""
    fits = {"OLS": factorial_ols(data, order), "scores": factorial_scores(data, order)}
    rows = []
    for label, words in labels.items():
        row: Row = {"effect": words}
        row |= {name: shown(fit, label) for name, fit in fits.items()}
        rows.append({**row, "published": published.get(label, "")})
    return rows


def shown(fit: FactorialFit, label: str) -> str:
    effects = fit.effects("ame")
    at = effects.labels.index(label)
    return f"{effects.values[at]:.4f} ({effects.cov[at, at] ** 0.5:.4f})"


def resumes(path: Path) -> tuple[str, pd.DataFrame]:
    df = pd.read_parquet(path)
    df = df.assign(y=(df["call"] == "yes").astype(float))
    # the file does not say which resumes answered one advertisement: no clusters
    share = float((df["gender"] == "male").mean())
    data = FactorialData(
        df, ["ethnicity", "quality", "gender"], "y",
        {"ethnicity": 0.5, "quality": 0.5, "gender": share},
        baseline={"ethnicity": "afam", "quality": "low", "gender": "female"},
    )  # fmt: skip
    labels = {
        "ethnicity": "white name", "quality": "high quality", "gender": "male name",
        "ethnicity:quality": "white x high quality",
    }  # fmt: skip
    published = {"ethnicity": ".0320 (table 1)"}
    caption = (
        "## Call-backs by name (Bertrand and Mullainathan 2004)\n\nAverage effects on the chance "
        "of a call-back, standard errors in brackets; 4 870 resumes, all interactions."
    )
    return caption, pd.DataFrame(compared(data, 3, labels, published))


def college(path: Path) -> tuple[str, pd.DataFrame]:
    df = pd.read_parquet(path)
    df = df.assign(
        services=((df["ssp"] == 1) | (df["sfsp"] == 1)).astype(int),
        incentives=((df["sfp"] == 1) | (df["sfsp"] == 1)).astype(int),
    )
    cells = {(0, 0): 1006 / 1656, (1, 0): 250 / 1656, (0, 1): 250 / 1656, (1, 1): 150 / 1656}
    labels = {
        "services": "services", "incentives": "incentives",
        "services:incentives": "services x incentives",
    }  # fmt: skip
    rows: list[Row] = []
    for sex, words in (("F", "women"), ("M", "men")):
        own = df[(df["sex"] == sex) & (df["noshow"] == 0) & df["GPA_year1"].notna()]
        names = ["services", "incentives"]
        assignment = Assignment.table(cells, names)
        data = FactorialData(own, names, "GPA_year1", assignment, covariates=["gpa0", "age"])
        for row in compared(data, 2, labels, {}):
            del row["published"]
            rows.append({"who": words, **row})
    caption = (
        "## Services and incentives at college (Angrist, Lang and Oreopoulos 2009)\n\nAverage "
        "effects on first-year GPA of those who registered and got grades. Cells were not assigned "
        "independently: the scores know the table of the four. They adjust for high-school grades "
        "and age, least squares for nothing."
    )
    return caption, pd.DataFrame(rows)


CONTRASTS = (
    ("LanguageSkills", "Fluent English", "Used Interpreter"),
    ("LanguageSkills", "Fluent English", "Tried English but Unable"),
    ("PriorEntry", "Never", "Once w/o Authorization"),
    ("JobPlans", "Contract with Employer", "No Plans to Look for Work"),
    ("Gender", "Female", "Male"),
)


def conjoint(path: Path) -> tuple[str, pd.DataFrame]:
    df = pd.read_parquet(path)
    rows = []
    for attribute, base, other in CONTRASTS:
        pair = df[df[attribute].isin([base, other])]
        data = FactorialData(
            pair, [attribute], "ChosenImmigrant", clusters="CaseID", baseline={attribute: base}
        )
        row = compared(data, 1, {attribute: f"{attribute}: {other} against {base}"}, {})[0]
        del row["published"]
        means = pair.groupby(attribute)["ChosenImmigrant"].mean()
        rows.append({**row, "difference of shares": f"{means[other] - means[base]:.4f}"})
    caption = (
        "## Immigrants chosen (Hainmueller and Hopkins 2015)\n\nAverage marginal component effects "
        "on the chance of being chosen, clustered by respondent; levels compared in pairs."
    )
    return caption, pd.DataFrame(rows)
