"""Pictures of panels keep their numbers, and draw what the records hold."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from causal_ddpm.evaluation.panel.donors import Donors
from causal_ddpm.evaluation.panel.honest import HonestDiD, RobustInterval
from causal_ddpm.report import style
from causal_ddpm.report.displays import (
    CohortMeansDisplay,
    CounterfactualPathDisplay,
    DonorDisplay,
    EventStudyDisplay,
    GapDisplay,
    HonestDisplay,
    LeaveOneOutDisplay,
    MethodForestDisplay,
    PlaceboCoverageDisplay,
    PlaceboDistributionDisplay,
    TreatmentMapDisplay,
)
from causal_ddpm.report.displays.periods import apart, period_axis, places, written


def drawn(display):
    with style.look():
        return display.plot(Figure().add_subplot())


def texts(ax):
    return " ".join([ax.get_title(loc="left"), *(t.get_text() for t in ax.texts)])


class TestTreatmentMap:
    def test_cells_have_the_state_of_the_panel(self, counties):
        frame = TreatmentMapDisplay.of(counties).frame()
        counts = frame["state"].value_counts()
        assert counts["treated"] == (counties.treated & counties.observed).sum()
        assert counts["missing"] == (~counties.observed).sum() == 1
        assert len(frame) == np.prod(counties.shape)

    def test_units_are_sorted_by_cohort_the_first_on_top(self, counties):
        cohorts = TreatmentMapDisplay.of(counties).cohorts
        assert list(dict.fromkeys(cohorts)) == ["2004", "2006", "2007", "never treated"]

    def test_few_units_are_named_and_many_are_counted_by_cohort(self, state, counties):
        few, many = drawn(TreatmentMapDisplay.of(state)), drawn(TreatmentMapDisplay.of(counties))
        assert [t.get_text() for t in few.get_yticklabels()][:2] == ["state 00", "state 01"]
        labels = [t.get_text() for t in many.get_yticklabels()]
        n = int(counties.is_control.sum())
        assert labels[-1] == f"never treated ({n})"
        assert len(labels) == 4

    def test_500_units_stay_one_page(self, make):
        panel = make.staggered(500, 5, cohorts=(0, 0, 2003, 2004))
        assert TreatmentMapDisplay.of(panel).height < 6
        assert drawn(TreatmentMapDisplay.of(panel)).get_ylim() == (499.5, -0.5)


class TestRawMeans:
    def test_means_are_those_of_the_observed_cells(self, counties):
        frame = CohortMeansDisplay.of(counties).frame().set_index(["cohort", "period"])
        never = counties.y[counties.is_control]
        found = frame.loc["never treated", "mean"].to_numpy()
        np.testing.assert_allclose(found, np.nanmean(never, axis=0))
        rows = counties.first == list(counties.periods).index(2006)
        assert frame.loc[("2006", 2003), "n"] == rows.sum()

    def test_weights_count(self, counties):
        frame = counties.frame()
        frame["size"] = 1.0 + frame["county"] % 3
        from causal_ddpm.core.panel_data import PanelData

        panel = PanelData(frame, "county", "year", "employment", cohort="raised", weights="size")
        w, y = panel.weights[panel.is_control], panel.y[panel.is_control]
        expected = np.nansum(w[:, None] * y, axis=0) / (w[:, None] * np.isfinite(y)).sum(axis=0)
        found = CohortMeansDisplay.of(panel).frame().query("cohort == 'never treated'")["mean"]
        np.testing.assert_allclose(found, expected)

    def test_lines_are_named_at_their_ends(self, counties):
        words = texts(drawn(CohortMeansDisplay.of(counties, "jobs (log)")))
        assert "Mean jobs (log)" in words
        assert all(name in words for name in ("2004", "2006", "2007", "never treated"))

    def test_of_many_cohorts_the_largest_are_drawn(self, make):
        cohorts = (0, *range(2002, 2013))
        panel = make.staggered(120, 13, cohorts=cohorts)
        display = CohortMeansDisplay.of(panel)
        assert display.frame()["cohort"].nunique() == len(panel.cohorts) + 1
        assert len(drawn(display).texts) == 8


class TestPath:
    def test_the_frame_is_the_path_with_its_fan(self, effect):
        frame = CounterfactualPathDisplay.of(effect).frame()
        np.testing.assert_array_equal(frame["observed"], effect.path["observed"])
        half = effect.fan.query("level == 0.5")
        post = frame["fan_50_low"].notna()
        np.testing.assert_array_equal(frame.loc[post, "fan_50_low"], half["low"])
        assert frame.loc[~post, "low"].isna().all()

    def test_it_names_both_lines_the_start_and_the_unit(self, effect):
        ax = drawn(CounterfactualPathDisplay.of(effect, "packs a head"))
        assert ax.get_title(loc="left") == "packs a head: state 00"
        assert {"observed", "untreated", "treated from here"} <= {t.get_text() for t in ax.texts}
        (start,) = [line for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert start.get_xdata()[0] == 2010.5

    def test_several_cohorts_are_measured_from_their_own_past_in_event_time(self, staggered_effect):
        frame = CounterfactualPathDisplay.of(staggered_effect).frame().set_index("period")
        cells = staggered_effect.unit_paths
        past = cells[cells["event_time"] < 0].groupby("unit")["observed"].mean()
        dev = cells["observed"] - cells["unit"].map(past)
        np.testing.assert_allclose(frame.loc[1, "observed"], dev[cells["event_time"] == 1].mean())
        study = staggered_effect.event_study
        k = study.labels.index("1")
        effect_1 = frame.loc[1, "observed"] - frame.loc[1, "counterfactual"]
        assert effect_1 == pytest.approx(study.values[k])
        low, _ = study.interval(0.9)
        assert frame.loc[1, "observed"] - frame.loc[1, "high"] == pytest.approx(low[k])
        assert frame.loc[:-1, "low"].isna().all()
        assert drawn(CounterfactualPathDisplay.of(staggered_effect)).get_xlabel().startswith("Per")

    def test_every_band_is_drawn(self, effect):
        assert len(drawn(CounterfactualPathDisplay.of(effect)).collections) == 4


class TestGap:
    def test_one_cohort_is_drawn_over_the_calendar(self, effect):
        display = GapDisplay.of(effect)
        assert display.start == 2011
        treated = display.frame().query("unit == 'treated'")
        np.testing.assert_array_equal(treated["gap"], effect.path["effect"])
        assert display.rows["unit"].nunique() == effect.n_controls

    def test_several_cohorts_are_drawn_over_event_time(self, staggered_effect):
        display = GapDisplay.of(staggered_effect)
        assert display.start == 0
        study = staggered_effect.event_study
        np.testing.assert_array_equal(display.band["at"], [int(x) for x in study.labels])
        np.testing.assert_allclose(display.band["low"], study.interval(0.9)[0])

    def test_a_wild_placebo_does_not_flatten_the_picture(self, effect):
        display = GapDisplay.of(effect)
        wild = display.rows.copy()
        wild.loc[0, "gap"] = 1e6
        changed = GapDisplay(wild, display.band, 2011, "y", "year", "state 00")
        assert drawn(changed).get_ylim()[1] < 100

    def test_of_very_many_placebos_some_are_drawn_and_counted(self, make):
        found = make.effect_of(make.staggered(500, 5, cohorts=(0, 0, 0, 2003)))
        words = [t.get_text() for t in drawn(GapDisplay.of(found)).get_legend().get_texts()]
        n = int(next(w for w in words if "placebos" in w).split()[0])
        assert 75 <= n <= 150 < found.n_controls


class TestEventStudy:
    def test_bands_are_those_of_the_estimate(self, effect):
        frame = EventStudyDisplay.of(effect.event_study, "packs").frame()
        low, high = effect.event_study.interval(0.9, simultaneous=True)
        np.testing.assert_allclose(frame["uniform_low"], low)
        np.testing.assert_allclose(frame["uniform_high"], high)
        assert (frame["uniform_low"] < frame["ci_low"]).all()
        assert list(frame["event_time"]) == list(range(-4, 4))

    def test_methods_stand_beside_each_other(self, make, effect):
        other = make.estimate([1.0], [0.5], ["0"], method="Callaway-Sant'Anna")
        display = EventStudyDisplay.of({"ours": effect.event_study, "CS": other}, "packs", 0.95)
        assert list(display.frame()["method"]) == ["ours"] * 8 + ["CS"]
        legend = drawn(display).get_legend()
        assert [t.get_text() for t in legend.get_texts()] == ["ours", "CS"]

    def test_a_wide_uniform_band_does_not_flatten_the_effects(self, make):
        rows = EventStudyDisplay.of(make.estimate([1.0, 2.0], [0.5, 0.5], ["0", "1"]), "y").rows
        wide = rows.assign(uniform_low=[-0.5, -100.0], uniform_high=[2.5, 100.0])
        low, high = drawn(EventStudyDisplay(wide, 0.9, "y")).get_ylim()
        assert -3 < low < 0
        assert high < 6

    def test_one_post_period_has_a_visible_band(self, make):
        ax = drawn(EventStudyDisplay.of(make.estimate([1.0], [0.5], ["0"]), "y"))
        assert ax.patches[0].get_height() > 0


class TestPlacebos:
    def test_the_distribution_holds_every_unit_the_largest_first(self, effect):
        display = PlaceboDistributionDisplay.of(effect.placebo)
        frame = display.frame()
        assert len(frame) == effect.n_controls + 1
        assert frame["treated"].iloc[0]
        assert "0.083 among 11 placebos, the smallest possible" in display.words()

    def test_above_the_floor_both_numbers_are_said(self, effect):
        rows = effect.placebo.units.rename(columns={"ratio": "statistic"})
        display = PlaceboDistributionDisplay(rows, 0.25, 1 / 12, "ratio")
        assert display.words().endswith("0.25 among 11 placebos; smallest possible 0.083")

    def test_dots_do_not_overlap_and_the_treated_is_named(self, effect):
        ax = drawn(PlaceboDistributionDisplay.of(effect.placebo))
        dots = np.vstack([line.get_xydata() for line in ax.lines])
        assert len(np.unique(dots.round(6), axis=0)) == len(dots) == 12
        assert "state 00" in texts(ax)

    def test_a_perfect_fit_before_treatment_has_no_ratio_to_show(self, effect):
        units = effect.placebo.units.copy()
        units.loc[0, "ratio"] = np.inf
        display = PlaceboDistributionDisplay.of(replace(effect.placebo, units=units))
        assert len(display.frame()) == effect.n_controls
        drawn(display)

    def test_a_long_tail_gets_a_logarithmic_axis(self):
        rows = pd.DataFrame({
            "unit": list("abcd"), "statistic": [0.9, 1.0, 1.1, 90.0],
            "treated": [False, False, False, True],
        })  # fmt: skip
        assert drawn(PlaceboDistributionDisplay(rows, 0.25, 0.25, "r")).get_xscale() == "log"

    def test_coverage_by_horizon_has_the_range_of_chance(self, effect):
        display = PlaceboCoverageDisplay.of(effect.placebo)
        frame = display.frame()
        assert list(frame["coverage"]) == list(effect.placebo.by_horizon["coverage"])
        assert (frame["low"] < 0.9).all()
        assert (frame["high"] >= 0.9).all()
        assert "89.3%, standard error 3.1%" in texts(drawn(display))


class TestHonest:
    def intervals(self):
        found = [(0.0, -0.09, -0.01), (1.0, -0.15, 0.05), (2.0, -0.3, 0.2)]
        relative = [RobustInterval("relative magnitudes", *row) for row in found]
        return (*relative, RobustInterval("smoothness", 0.0, -0.1, 0.01))

    def record(self, breakdown):
        return HonestDiD(
            -0.05, 2, 3, 0.02, 0.01, breakdown, 0.0, 10.0, 0.04, self.intervals()[1],
            self.intervals(), 0.9,
        )  # fmt: skip

    def test_it_holds_the_intervals_by_relative_magnitudes_only(self):
        frame = HonestDisplay.of(self.record(0.4), "jobs").frame()
        assert frame.to_numpy().tolist() == [[0, -0.09, -0.01], [1, -0.15, 0.05], [2, -0.3, 0.2]]

    def test_the_breakdown_is_marked_where_it_lies_on_the_axis(self):
        assert "zero enters at 0.4" in texts(drawn(HonestDisplay.of(self.record(0.4), "jobs")))
        never = drawn(HonestDisplay.of(self.record(np.inf), "jobs"))
        assert "zero enters" not in texts(never)
        at_once = drawn(HonestDisplay.of(self.record(0.0), "jobs"))
        assert "zero enters" not in texts(at_once)


class TestMethodsAndDonors:
    def test_the_forest_says_the_range_and_hollows_methods_without_interval(self):
        rows = pd.DataFrame({
            "method": ["ours", "twfe"], "value": [-15.5, -27.25], "ci_low": [-20.0, np.nan],
            "ci_high": [-11.0, np.nan], "kind": ["own", "votes"], "agrees": [True, False],
        })  # fmt: skip
        display = MethodForestDisplay(rows, None, None, "Effect on packs")
        ax = drawn(display)
        assert "\N{MINUS SIGN}27.25 to \N{MINUS SIGN}15.5" in ax.get_xlabel()
        hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
        assert [line.get_marker() for line in hollow] == ["D"]
        assert ax.get_legend().get_texts()[0].get_text() == "interval misses our estimate"
        pd.testing.assert_frame_equal(display.frame(), rows)

    def test_the_forest_is_that_of_the_methods_table_ours_first(self, analysis):
        frame = MethodForestDisplay.of(analysis.methods, "packs").frame()
        assert list(frame["value"]) == [-7.125, -6.5, -15.25]
        assert frame["kind"].tolist() == ["own", "votes", "votes"]

    def test_donors_are_those_of_the_record(self, effect):
        table = pd.DataFrame({
            "unit": ["a", "b"], "weight": [0.75, 0.25], "distance": [1.0, 2.0],
            "att_without": [-5.0, -9.0], "change": [2.125, -1.875],
        })  # fmt: skip
        found = Donors(table, -7.125, 11, 1.6)
        assert list(DonorDisplay.of(found).frame()["weight"]) == [0.75, 0.25]
        without = LeaveOneOutDisplay.of(found, effect, "packs")
        assert list(without.frame()["value"]) == [-9.0, -5.0]
        assert (without.low, without.high) == effect.att.interval(0.9)

    def test_small_donors_are_summed_in_words(self):
        rows = pd.DataFrame({
            "unit": [f"u{k}" for k in range(10)], "weight": [0.5, 0.3, 0.2, *[0.001] * 7],
        })  # fmt: skip
        ax = drawn(DonorDisplay(rows, "Weight"))
        assert len(ax.get_yticks()) == 3
        assert "7 more donors carry 1%" in texts(ax)
        assert "0.50" in texts(ax)

    def test_the_donors_that_matter_most_come_first(self):
        rows = pd.DataFrame({"unit": list("abc"), "value": [-9.0, -7.5, -7.0]})
        ax = drawn(LeaveOneOutDisplay(rows, -7.2, -10, -4, "ATT"))
        assert [t.get_text() for t in ax.get_yticklabels()] == [
            "without a", "without b", "without c",
        ]  # fmt: skip


class TestPeriods:
    def test_labels_that_are_too_near_are_moved_apart_in_order(self):
        found = apart(np.array([1.0, 5.0, 1.1, 1.05]), 0.5)
        assert np.diff(np.sort(found)).min() >= 0.5 - 1e-12
        assert list(np.argsort(found)) == list(np.argsort([1.0, 5.0, 1.1, 1.05]))
        assert found[1] == 5.0

    def test_dates_are_written_without_a_time_and_texts_are_placed_in_order(self):
        assert written(pd.Timestamp("2020-03-01")) == "2020-03-01"
        assert written(np.datetime64("2020-03-01T00:00")) == "2020-03-01"
        assert written(2001.0) == "2001"
        np.testing.assert_array_equal(places(np.array(["2011Q3", "2011Q4"])), [0, 1])
        ax = Figure().add_subplot()
        period_axis(ax, np.array(["2011Q3", "2011Q4"]), "quarter")
        assert [t.get_text() for t in ax.get_xticklabels()] == ["2011Q3", "2011Q4"]
