"""Pictures of sensitivity keep their numbers."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from causal_ddpm import ATE, sensitivity
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.hidden_confounder import HiddenConfounder
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.report import style
from causal_ddpm.report.displays import HiddenBiasDisplay, OmittedVariableDisplay


@pytest.fixture(scope="module")
def found():
    design = HiddenConfounder(2.0)
    draw = design.draw(400, seed=1)
    x = draw.data.covariates.values
    nuisances = Nuisances(
        np.arange(400) % 5,
        np.column_stack([design.observed_mean(x, a) for a in (0, 1)]),
        draw.propensity,
        tuple(ConditionalLaw(design.observed_quantile(x, a, mid_levels(16))) for a in (0, 1)),
        draw.data.fingerprint,
    )
    [ate] = estimate_with(draw.data, ATE(), nuisances)
    return sensitivity(ate, draw.data, nuisances, benchmarks=["x0"])


def _drawn(display):
    with style.look():
        return display.plot(Figure().add_subplot())


@pytest.mark.parametrize("method", ["dml_ovb", "linear_ovb"])
def test_contours_are_the_adjusted_estimates(found, method):
    display = OmittedVariableDisplay.of(found, method, n_points=20)
    rows, part = display.frame(), found[method]
    assert len(rows) == 400
    expected = part.adjusted(rows["r2_treatment"], rows["r2_outcome"])
    np.testing.assert_allclose(rows["estimate"], expected)
    assert rows["estimate"].min() < 0 < rows["estimate"].max()
    ax = _drawn(display)
    labels = {text.get_text() for text in ax.texts}
    assert "robustness value" in labels
    assert ("1 x x0" in labels) == (method == "linear_ovb")


@pytest.mark.parametrize("method", ["msm", "rosenbaum"])
def test_bounds_are_drawn_over_the_odds_ratio(found, method):
    display = HiddenBiasDisplay.of(found, method)
    rows, part = display.frame(), found[method]
    own = part.to_frame()
    np.testing.assert_array_equal(rows.to_numpy(), own.to_numpy())
    assert display.threshold == (0.0 if method == "msm" else pytest.approx(0.05))
    ax = _drawn(display)
    assert "Λ" in ax.get_xlabel() or "Γ" in ax.get_xlabel()
    np.testing.assert_allclose(ax.lines[1].get_ydata(), rows["upper"])


def test_other_methods_have_no_such_picture(found):
    with pytest.raises(DataError, match="no contours"):
        OmittedVariableDisplay.of(found, "e_value")
    with pytest.raises(DataError, match="no curves"):
        HiddenBiasDisplay.of(found, "dml_ovb")
