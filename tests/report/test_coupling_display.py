"""The picture of a curve that is not identified says so, and keeps its numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from causal_ddpm.core.errors import DataError
from causal_ddpm.estimators.counterfactual import joint_effects
from causal_ddpm.report import style
from causal_ddpm.report.displays import CouplingDisplay


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
