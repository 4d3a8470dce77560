"""The decomposition adds up to the two-way coefficient, and names what is forbidden."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.dgp.staggered import STAGGERED
from causal_ddpm.evaluation.panel.bacon import bacon_weights

pytest.importorskip("diff_diff")


def staggered(seed=0, n=60):
    return PanelData(STAGGERED.draw(n, seed).frame, "unit", "period", "y", treated="treated")


def two_way_coefficient(panel):
    """Least squares of outcome on treatment, both swept of unit and period means."""

    def swept(z):
        return z - z.mean(axis=1, keepdims=True) - z.mean(axis=0) + z.mean()

    d = swept(panel.treated.astype(float))
    return float((d * panel.y).sum() / (d**2).sum())


@pytest.mark.parametrize("seed", range(3))
def test_weights_add_to_one_and_the_sum_is_the_coefficient(seed):
    panel = staggered(seed)
    found = bacon_weights(panel)
    assert found.table["weight"].sum() == pytest.approx(1.0, abs=1e-8)
    assert (found.table["weight"] >= 0).all()
    total = float((found.table["weight"] * found.table["estimate"]).sum())
    assert total == pytest.approx(found.twfe, abs=1e-8)
    assert found.twfe == pytest.approx(two_way_coefficient(panel), abs=1e-8)
    kinds = found.by_kind
    assert (kinds["weight"] * kinds["estimate"]).sum() == pytest.approx(found.twfe, abs=1e-8)


def test_one_comparison_by_hand():
    """Cohort 11 against never treated: all periods, means of the two groups."""
    panel = staggered()
    found = bacon_weights(panel).table
    row = found[(found["cohort"] == "11") & (found["control"] == "never")].iloc[0]
    away = panel.y[panel.first == 11].mean(axis=0) - panel.y[panel.is_control].mean(axis=0)
    assert row["estimate"] == pytest.approx(away[11:].mean() - away[:11].mean())


def test_words_of_growing_effects_and_of_one_start():
    assert "That is enough to distort it" in bacon_weights(staggered()).words
    panel = staggered()
    one = panel.rows((panel.first == 11) | panel.is_control)
    found = bacon_weights(one)
    assert found.forbidden == 0.0
    assert "no forbidden comparison" in found.words
    assert found.clean == pytest.approx(found.twfe)


def test_units_with_gaps_are_left_out_and_counted():
    frame = STAGGERED.draw(60, 0).frame
    panel = PanelData(frame.drop(index=[3, 47]), "unit", "period", "y", treated="treated")
    found = bacon_weights(panel)
    assert found.n_left_out == 2
    assert "2 units with gaps" in found.words
    assert found.to_dict()["n_left_out"] == 2


def test_a_panel_without_two_groups_is_refused():
    frame = pd.DataFrame({
        "u": np.repeat(np.arange(4), 5), "t": np.tile(np.arange(5), 4),
        "y": np.random.default_rng(0).normal(size=20), "g": np.repeat([2, 2, 9, 9], 5),
    })  # fmt: skip
    frame["g"] = frame["g"].where(frame["g"] < 9)
    frame.loc[[10, 15], "y"] = np.nan
    with pytest.raises(NotIdentifiedError, match="two or more groups"):
        bacon_weights(PanelData(frame, "u", "t", "y", cohort="g"))
