"""Effects on a panel as formatted text."""

import numpy as np

from causal_ddpm.core.truth import Truth
from causal_ddpm.report.panel_tables import LONG, effects_frame


def test_rows_are_those_of_the_record(effect):
    table = effects_frame(effect)
    assert list(table.columns) == ["Effect", "Estimate", "Interval"]
    assert list(table["Effect"][:2]) == ["ATT", f"Sum up to {effect.cumulative['period'].iloc[-1]}"]
    assert not table["Effect"].str.startswith("Cohort").any(), "one cohort is the ATT"
    low, high = effect.att.interval(effect.level)
    assert table["Estimate"][0] == f"{effect.att.value:.1f}".replace("-", "\N{MINUS SIGN}")
    shown = [float(v.replace("\N{MINUS SIGN}", "-")) for v in table["Interval"][0].split(" to ")]
    np.testing.assert_allclose(shown, [low, high], atol=0.05)


def test_many_event_times_are_thinned_and_leads_left_out(staggered_effect):
    table = effects_frame(staggered_effect)
    cohorts = table["Effect"].str.startswith("Cohort").sum()
    assert cohorts == min(LONG, len(staggered_effect.by_cohort.labels))
    times = table["Effect"][table["Effect"].str.startswith("Event time")]
    assert 0 < len(times) <= LONG
    assert not times.str.contains("-").any()


def test_a_simulated_panel_shows_its_truth(effect):
    truth = Truth("made up", {}, {"ATT": -6.0, "ATT(event_time=0)": -5.5})
    table = effects_frame(effect, truth).set_index("Effect")
    assert table.loc["ATT", "Truth"] == "\N{MINUS SIGN}6.0"
    assert table.loc["Event time 0", "Truth"] == "\N{MINUS SIGN}5.5"
    assert table["Truth"].iloc[1] == ""
