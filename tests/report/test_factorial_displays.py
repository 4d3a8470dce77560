"""Pictures of factorial experiments keep their numbers."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.dgp.factorial_designs import FACTORIAL
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.estimators.lenth import lenth_test
from causal_ddpm.report import style
from causal_ddpm.report.displays import (
    FactorGridDisplay,
    FactorialEffectsDisplay,
    HalfNormalDisplay,
    InteractionDisplay,
)
from causal_ddpm.report.displays.factorial import interactions_to_show

FILTRATION = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]


@pytest.fixture(scope="module")
def draw():
    return FACTORIAL.draw(500, 0)


@pytest.fixture(scope="module")
def fit(draw):
    return factorial_ols(draw.data, 3)


def drawn(display):
    with style.look():
        return display.plot(Figure().add_subplot())


def test_half_normal_plots_mark_margins_and_name_what_stands_out():
    frame = pd.DataFrame(all_cells(4)[:, ::-1], columns=list("abcd"))
    test = lenth_test(FactorialData(frame.assign(y=np.array(FILTRATION, float)), [*"abcd"], "y"))
    display = HalfNormalDisplay.of(test)
    pd.testing.assert_frame_equal(display.frame(), test.frame())
    ax = drawn(display)
    assert {text.get_text() for text in ax.texts} == {"a", "c", "d", "a:c", "a:d"}
    heights = {line.get_label(): line.get_ydata()[-1] for line in ax.lines}
    assert heights["ME"] == pytest.approx(test.me)
    assert heights["SME"] == pytest.approx(test.sme)
    assert "Half-normal quantile" in ax.get_xlabel()
    assert "Size of the effect" in ax.get_title(loc="left")


def test_effects_show_both_intervals_truth_and_methods(draw, fit):
    effects = fit.effects()
    truth = dict(draw.truth.population)
    display = FactorialEffectsDisplay.of({"ols": effects, "again": effects}, "y", truth=truth)
    rows = display.frame()
    assert len(rows) == 14
    np.testing.assert_allclose(rows["value"][:7], effects.values)
    assert (rows["simultaneous_low"] < rows["ci_low"]).all()
    np.testing.assert_allclose(rows["truth"][:7], [truth[label] for label in effects.labels])
    ax = drawn(display)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(effects.labels)
    assert ax.get_xlabel().startswith("Average marginal effects on y")
    words = {text.get_text() for text in ax.get_legend().get_texts()}
    assert words == {"true effect", "ols", "again"}
    alone = drawn(FactorialEffectsDisplay.of({"ols": effects}, "y"))
    assert alone.get_legend() is None


def test_interactions_are_marginal_means(fit):
    display = InteractionDisplay.of(fit, "a", "b")
    rows, means = display.frame(), fit.marginal_means(["a", "b"])
    np.testing.assert_allclose(rows["value"], means.values)
    np.testing.assert_allclose(rows[["ci_low", "ci_high"]].T, means.interval())
    assert rows["by_level"].tolist() == ["0", "1", "0", "1"]
    ax = drawn(display)
    assert ax.get_xlabel() == "a"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["b = 0", "b = 1"]
    gaps = rows.pivot(index="by_level", columns="level", values="value").diff(axis=1)["1"]
    assert gaps["1"] - gaps["0"] == pytest.approx(fit.effects().values[3])


def test_main_effects_of_all_factors_side_by_side(fit):
    display = FactorGridDisplay.of(fit)
    rows = display.frame()
    assert rows["factor"].tolist() == ["a", "a", "b", "b", "c", "c"]
    gaps = rows["value"].to_numpy().reshape(3, 2) @ [-1, 1]
    np.testing.assert_allclose(gaps, fit.effects(order=1).values)
    ax = drawn(display)
    assert len(ax.get_xticks()) == 6
    assert "averaged over the other factors" in ax.get_title(loc="left")


def test_the_strongest_interactions_are_shown_first(fit):
    statistics = fit.effects(order=2).test()["statistic"].abs()[3:]
    assert ":".join(interactions_to_show(fit)[0]) == statistics.idxmax()
    assert len(interactions_to_show(fit, 2)) == 2
    assert interactions_to_show(factorial_ols(fit.data, 1)) == []


def test_unknown_factors_are_refused(fit):
    with pytest.raises(DataError, match="the factors are 'a' and 'z'; expected different ones"):
        InteractionDisplay.of(fit, "a", "z")
