"""The picture of a curve that is not identified says so, and keeps its numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from causal_ddpm import ATT
from causal_ddpm.core.errors import DataError
from causal_ddpm.estimators.counterfactual import joint_effects
from causal_ddpm.evaluation.analysis import analyse
from causal_ddpm.report import style
from causal_ddpm.report.displays import CouplingDisplay
from causal_ddpm.report.html import render
from causal_ddpm.report.prose import units_bounded


@pytest.fixture(scope="module")
def effects(simulated):
    return joint_effects(simulated.data, simulated.nuisances, correlations=[-0.5, 0, 0.5, 1])


@pytest.mark.parametrize("quantity", ["share", "q0.5"])
def test_the_picture_shows_curve_bounds_and_lambdas(effects, quantity):
    display = CouplingDisplay.of(effects, quantity)
    frame, bounds = display.frame(), effects.bounds().set_index("quantity").loc[quantity]
    np.testing.assert_array_equal(frame["correlation"], [-0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(frame["value"], effects.frame()[quantity])
    assert (frame[list(bounds.index)] == bounds).all().all()
    with style.look():
        ax = display.plot(Figure().add_subplot())
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("not identified" in text for text in legend)
    assert "bounds under any coupling" in legend
    upper = ax.child_axes[0]
    assert [t.get_text() for t in upper.get_xticklabels()] == ["0", "0.5", "1", "2", "5", "∞"]
    np.testing.assert_allclose(upper.get_xticks()[[0, 2, -1]], [1, 1 / np.sqrt(2), 0])


def test_an_unknown_quantity_is_refused(effects):
    with pytest.raises(DataError, match=r"q0\.1 or q0\.5 or q0\.9"):
        CouplingDisplay.of(effects, "q0.25")


@pytest.fixture(scope="module")
def asked(data, light_settings):
    """An analysis that was asked for effects on units too."""
    return analyse(data, [ATT()], light_settings(joint=True))


def test_the_report_and_the_json_say_that_only_bounds_are_known(asked, simulated):
    page, record = render(asked), asked.to_dict()["joint_effects"]
    assert "What the data cannot tell" in page
    assert "Not identified" in page
    assert record["identified"] is False
    assert record["population"] == "treated units"
    bounds = asked.joint.share_bounds.values
    assert [record["bounds"][0]["lower"], record["bounds"][0]["upper"]] == list(bounds)
    assert f"between {bounds[0]:.0%} and {bounds[1]:.0%}" in units_bounded(asked.joint)
    assert "What the data cannot tell" not in render(simulated)
    assert simulated.to_dict()["joint_effects"] is None
