"""Matching: whole units, closer groups, and the reasons why it does not apply."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.baselines.matching import FullMatching, PropensityMatching
from causal_ddpm.core.estimand import ATE, ATT, ATU


def test_pairs_balance_the_survey_controls_of_lalonde(classics):
    found = PropensityMatching().estimate(classics.cps, ATT())
    assert found.value == pytest.approx(1794, abs=2 * found.std_error)
    details = found.details
    assert details["matched_treated"] == details["matched_untreated"] == details["sets"] == 185
    apart = [abs(row["standardised_difference_before"]) for row in details["balance"]]
    after = [abs(row["standardised_difference_after"]) for row in details["balance"]]
    assert min(apart) < 0.3 < 1.5 < max(apart)
    assert max(after) < 0.3
    assert any("age (0.2" in text for text in found.warnings)


def test_pairs_are_a_difference_of_means_over_pairs(simulated, roles):
    frame = simulated(900, seed=2)
    frame = pd.concat([frame[frame["d"] == 0], frame[frame["d"] == 1].head(60)])
    found = PropensityMatching().estimate(roles(frame), ATT())
    assert found.details["sets"] == frame["d"].sum() == found.details["matched_untreated"]
    assert found.df == frame["d"].sum() - 1
    assert found.value == pytest.approx(1.0, abs=3.5 * found.std_error)


@pytest.mark.parametrize("estimand", [ATE(), ATT(), ATU()])
def test_full_matching_uses_everybody(simulated, roles, estimand):
    frame = simulated(300, seed=3)
    found = FullMatching().estimate(roles(frame), estimand)
    naive = frame.loc[frame["d"] == 1, "y"].mean() - frame.loc[frame["d"] == 0, "y"].mean()
    assert found.details["matched_treated"] + found.details["matched_untreated"] == 300
    assert abs(found.value - 1.0) < abs(naive - 1.0)
    assert found.value == pytest.approx(1.0, abs=3.5 * found.std_error)


def test_same_seed_same_answer(simulated, roles):
    data = roles(simulated(200))
    values = {FullMatching().estimate(data, ATT(), random_state=3).value for _ in range(2)}
    assert len(values) == 1
    assert np.isfinite(values.pop())


def test_reasons(simulated, roles):
    frame = simulated(200)
    assert "ATT or ATU, not the ATE" in PropensityMatching().applies(roles(frame), ATE())
    frame["d"] = np.where(frame["age"].fillna(0) > 32, 1, 0)
    reason = PropensityMatching().applies(roles(frame), ATT())
    assert "treated units want partners, and there are only" in reason
    assert "weights 'w'" in FullMatching().applies(roles(frame, weights="w"), ATT())
    assert "clusters 'g'" in FullMatching().applies(roles(frame, clusters="g"), ATT())
