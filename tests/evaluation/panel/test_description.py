"""Raw means and balance by hand; every rule of caution with a panel that calls for it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.reported import Account, reported_estimate
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.evaluation.panel.cautions import cautions
from causal_ddpm.evaluation.panel.description import describe_panel
from causal_ddpm.nuisance.panel.two_way import TwoWay


def panel_of(first, n_periods=12, seed=0, shift=0.0, missing=0.0, clusters=None):
    """Units with the given first treated periods (None for never)."""
    rng, n = np.random.default_rng(seed), len(first)
    later = np.array([g is not None for g in first])
    y = rng.normal(size=(n, n_periods)) + shift * later[:, None]
    y[rng.random(y.shape) < missing] = np.nan
    frame = pd.DataFrame({
        "unit": np.repeat(np.arange(n), n_periods), "t": np.tile(np.arange(1, n_periods + 1), n),
        "y": y.ravel(), "g": np.repeat([np.nan if g is None else g for g in first], n_periods),
        "x": np.repeat(np.where(later, 2.0, 1.0) + 0.01 * rng.normal(size=n), n_periods),
        "c": np.repeat(np.arange(n) % (clusters or n), n_periods),
    })  # fmt: skip
    roles = {"clusters": "c"} if clusters else {}
    return PanelData(frame, "unit", "t", "y", cohort="g", covariates=["x"], **roles)


def rules(*args, **kwargs):
    return set(cautions(panel_of(*args, **kwargs)).rules)


def test_cohorts_means_and_pattern_by_hand():
    panel = panel_of([7, 7, 9] + [None] * 9)
    found = describe_panel(panel)
    cohorts = found.cohorts.set_index("cohort")
    assert cohorts["units"].to_dict() == {"7": 2, "9": 1, "never": 9}
    assert cohorts.loc["9", ["before", "after"]].tolist() == [8, 4]
    assert found.never_treated == pytest.approx(0.75)
    mean = found.means.query("cohort == '7' and period == 3")["mean"].iloc[0]
    assert mean == pytest.approx(panel.y[:2, 2].mean())


def test_balance_by_hand():
    panel = panel_of([7, 7, 9] + [None] * 9, shift=3.0)
    balance = describe_panel(panel).balance.set_index("variable")
    before = panel.y[:, :6].mean(axis=1)
    difference = before[:3].mean() - before[3:].mean()
    s = np.sqrt((before[:3].var(ddof=1) + before[3:].var(ddof=1)) / 2)
    row = balance.loc["mean of y"]
    assert row["difference"] == pytest.approx(difference)
    assert row["standardised"] == pytest.approx(difference / s)
    slope = np.polyfit(np.arange(6), panel.y[:3, :6].mean(axis=0), 1)[0]
    assert balance.at["slope of y", "treated"] == pytest.approx(slope)
    assert balance.at["mean of x", "standardised"] > 10
    assert "mean of x 1.99 against 0.999" in describe_panel(panel).words


def test_alike_groups_are_called_alike():
    panel = panel_of([7] * 6 + [None] * 6)
    frame = panel.frame().assign(y=lambda d: d["t"] + d["unit"] % 6)
    same = describe_panel(PanelData(frame, "unit", "t", "y", cohort="g"))
    assert "alike in all that is observed" in same.words


def test_an_ordinary_panel_calls_for_no_caution():
    found = cautions(panel_of([7] * 6 + [None] * 24))
    assert found.rules == ()
    assert found.words == "No rule asks for caution."
    assert len(found.frame()) == 0


@pytest.mark.parametrize(
    ("rule", "first", "options"),
    [
        ("one treated unit", [7] + [None] * 12, {}),
        ("short past", [4, 7] + [None] * 12, {}),
        ("few donors", [7] * 3 + [None] * 9, {}),
        ("mostly treated", [7] * 13 + [None] * 12, {}),
        ("short panel", [3] * 3 + [None] * 12, {"n_periods": 3}),
        ("staggered start", [7, 8] + [None] * 12, {}),
        ("missing cells", [7] * 3 + [None] * 12, {"missing": 0.1}),
        ("few clusters", [7] * 3 + [None] * 12, {"clusters": 6}),
        ("outside the range of controls", [7] * 3 + [None] * 12, {"shift": 9.0}),
    ],
)
def test_each_rule_speaks_where_it_should(rule, first, options):
    panel = panel_of(first, **options)
    item = next(i for i in cautions(panel).items if i.rule == rule)
    assert item.words == f"{rule.capitalize()} ({item.found}): {item.done}, since {item.why}."


def test_anticipation_and_the_base_in_words():
    frame = panel_of([4] + [None] * 12).frame()
    panel = PanelData(frame, "unit", "t", "y", cohort="g")
    effect = PanelDiffusion(base=TwoWay(), diffusion=None, n_draws=100, leads=False).estimate(panel)
    assert "anticipation" not in cautions(panel, effect).rules
    account = Account("ATT by event time", "treated cells", "made up", 13)
    study = reported_estimate(account, [2.0, 1.0], [0.5, 0.5], ["-1", "0"])
    found = cautions(panel, replace(effect, event_study=study))
    assert "anticipation" in found.rules
    assert "an effect of 2 already" in found.words
    assert f"the base is '{effect.base.name}'" in found.words
    quiet = replace(study, values=np.array([0.5, 1.0]))
    assert "anticipation" not in cautions(panel, replace(effect, event_study=quiet)).rules
