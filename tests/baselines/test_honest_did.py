"""Published numbers of the minimum wage example, and agreement of two libraries."""

import numpy as np
import pytest

from causal_ddpm.baselines.honest_did import honest_interval, universal_event_study
from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.panel_data import PanelData

moderndid = pytest.importorskip("moderndid")
pytest.importorskip("diff_diff")

UNIFORM = np.full(4, 0.25)


@pytest.fixture(scope="module")
def panel():
    frame = moderndid.load_mpdta().to_pandas()
    return PanelData(frame, "countyreal", "year", "lemp", cohort="first.treat")


@pytest.fixture(scope="module")
def study(panel):
    return universal_event_study(panel)


def test_effects_after_treatment_are_the_published_ones(study):
    after = dict(zip(study.labels, study.values, strict=True))
    assert [after[k] for k in "0123"] == pytest.approx(
        [-0.0199, -0.0510, -0.1373, -0.1008], abs=5e-5
    )
    assert "-1" not in study.labels
    assert study.std_error[3:] == pytest.approx([0.0118, 0.0169, 0.0364, 0.0344], abs=5e-5)


def test_relative_magnitudes_of_the_library_are_the_published_interval(study):
    low, high = honest_interval(study.values, study.cov, 3, UNIFORM, 1.0, "plug-in")
    assert (low, high) == pytest.approx((-0.178, 0.023), abs=5e-4)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_smoothness_agrees_with_the_other_library(study):
    from moderndid.didhonest import create_sensitivity_results_sm

    theirs = create_sensitivity_results_sm(
        study.values, study.cov, 3, 4, m_vec=[0.01], l_vec=UNIFORM[:, None]
    ).to_pandas()
    for m, low, high in theirs[["m", "lb", "ub"]].to_numpy():
        ours = honest_interval(study.values, study.cov, 3, UNIFORM, m)
        assert ours == pytest.approx((low, high), abs=2e-4)


def test_one_period_before_treatment_is_refused(panel):
    frame = panel.frame()
    kept = frame["first.treat"].isna() | (frame["first.treat"] == 2007)
    late = frame[kept & (frame["year"] >= 2006)]
    with pytest.raises(NotIdentifiedError, match="two periods before"):
        universal_event_study(PanelData(late, "countyreal", "year", "lemp", cohort="first.treat"))
