"""The record of an analysis: what it holds, and that its JSON is plain."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm import ATE, ATT, QTE, BudgetRule, CausalData, PolicyValue, TrimmedATE
from causal_ddpm.core.errors import DataError, OverlapError
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.evaluation.analysis import AnalysisSettings, analyse, plain
from causal_ddpm.evaluation.provenance import Reference, read_truth
from causal_ddpm.nuisance.oracle import OraclePropensityModel
from causal_ddpm.report.displays import DistributionsDisplay, QuantileDisplay
from causal_ddpm.report.html import render
from causal_ddpm.report.tables import estimates_frame

ESTIMATE_KEYS = {
    "estimand", "label", "value", "std_error", "ci_low", "ci_high", "level", "n", "method",
}  # fmt: skip


def test_estimates_are_those_of_estimate_effects(data, simulated, light_settings):
    settings = light_settings()
    expected = estimate_effects(
        data,
        [ATE(), ATT()],
        outcome_model=settings.outcome_model,
        propensity_model=settings.propensity_model,
    )
    for mine, theirs in zip(simulated.mean_effects, expected, strict=True):
        assert mine.value == theirs.value
        assert mine.std_error == theirs.std_error


def test_repeats_take_the_median_like_estimate_effects(data, light_settings):
    settings = light_settings(n_repeats=3)
    expected = estimate_effects(
        data,
        ATE(),
        outcome_model=settings.outcome_model,
        propensity_model=settings.propensity_model,
        n_repeats=3,
    )[0]
    found = analyse(data, ATE(), settings).headline
    assert (found.value, found.std_error) == (expected.value, expected.std_error)
    assert found.value != analyse(data, ATE(), light_settings()).headline.value


def test_json_has_the_promised_shape_and_no_nan(simulated):
    text = simulated.to_json()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(f"JSON holds {name}"))
    assert content["schema_version"] == 1
    assert [e["estimand"] for e in content["estimates"]] == ["ATE", "ATT", "QTE"]
    assert all(set(e) == ESTIMATE_KEYS for e in content["estimates"])
    assert {"naive_difference", "overlap", "balance", "distributions"} <= set(
        content["diagnostics"]
    )
    provenance = content["provenance"]
    assert provenance["data_hash"] == simulated.data.fingerprint
    assert provenance["random_state"] == 0
    assert provenance["wall_seconds"] > 0
    assert {"numpy", "torch"} <= set(provenance["versions"])
    assert content["simulated"]["provenance"] == "simulated"
    assert isinstance(content["warnings"], list)


def test_what_is_not_finite_becomes_null_and_unknown_objects_are_refused():
    found = plain({"a": np.array([1.0, np.nan]), 2: (np.int64(3), math.inf), "b": np.True_})
    assert found == {"a": [1.0, None], "2": [3, None], "b": True}
    with pytest.raises(TypeError, match="object has no JSON form"):
        plain({"a": object()})


def test_the_ate_joins_when_only_quantiles_are_asked_for(data, light_settings):
    found = analyse(data, QTE([0.5]), light_settings())
    assert [e.estimand for e in found.estimates] == ["ATE", "QTE"]
    assert found.headline.estimand == "ATE"


def test_models_of_the_mean_only_leave_the_distributions_out(data, light_settings):
    light = light_settings()

    class MeanOnly(type(light.outcome_model)):
        def cross_fit(self, *args, **kwargs):
            found = super().cross_fit(*args, **kwargs)
            return type(found)(found.mean, None, found.report)

    found = analyse(data, ATE(), AnalysisSettings(MeanOnly(), light.propensity_model))
    assert found.distributions is None
    assert found.quantiles is None
    assert found.to_dict()["diagnostics"]["distributions"] is None


def test_rows_of_a_table_tell_equal_labels_apart(data, light_settings):
    rules = [BudgetRule(0.3), PolicyValue(), PolicyValue(threshold=1.0)]
    found = analyse(data, [ATE(), TrimmedATE(0.1), TrimmedATE(0.2), *rules], light_settings())
    rows = estimates_frame(found)["Estimand"].tolist()
    assert len(set(rows)) == len(rows)
    assert rows[:4] == ["ATE", "trimmed ATE", "trimmed ATE 2", "budget rule: V(rule)"]
    assert "policy value 2: V(rule) - V(none)" in rows


@pytest.mark.filterwarnings("ignore::causal_ddpm.CausalDDPMWarning")
def test_distributions_are_those_of_the_headlines_units(firms, light_settings):
    """Treated rows live where many untreated ones are, but not the other way round."""
    frame = firms.frame.copy()
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, len(frame))
    frame["education"] = x
    frame["ai_adoption"] = ((x < 1) & (rng.random(len(frame)) < 0.5)).astype(int)
    data = CausalData(frame, "ai_adoption", "productivity", ["education"])
    propensity = OraclePropensityModel(lambda values: np.where(values[:, 0] < 1, 0.5, 5e-4))
    found = analyse(data, ATT(), replace(light_settings(), propensity_model=propensity))
    assert found.distributions.population == "treated units"
    assert found.quantiles.population == "treated units"
    assert np.isfinite(found.headline.value)
    with pytest.raises(OverlapError, match="No overlap for the ATE"):
        analyse(data, ATE(), replace(light_settings(), propensity_model=propensity))


@pytest.mark.filterwarnings("ignore::causal_ddpm.CausalDDPMWarning")
def test_weak_overlap_keeps_the_distributions_but_shows_no_quantile_effects(firms, light_settings):
    frame = firms.frame.copy()
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, len(frame))
    frame["education"] = x
    frame["ai_adoption"] = ((x < 1) & (rng.random(len(frame)) < 0.7)).astype(int)
    data = CausalData(frame, "ai_adoption", "productivity", ["education"])
    propensity = OraclePropensityModel(lambda values: np.where(values[:, 0] < 1, 0.7, 5e-4))
    found = analyse(data, ATT(), replace(light_settings(), propensity_model=propensity))
    assert found.thin_laws
    assert DistributionsDisplay.of(found) is not None
    assert QuantileDisplay.of(found) is None
    page = render(found)
    assert "Overlap is weak for this comparison" in page
    assert page.count("<svg") == 5


def test_unit_effects_are_read_out_of_fold_and_follow_the_headline(simulated, observed):
    mean = simulated.nuisances.mean
    np.testing.assert_array_equal(simulated.unit_effects, mean[:, 1] - mean[:, 0])
    assert simulated.headline_rows.all()
    np.testing.assert_array_equal(observed.headline_rows, observed.data.treatment == 1)


def test_progress_rises_to_one(data, light_settings):
    seen = []
    analyse(data, ATE(), light_settings(), progress=lambda stage, share: seen.append(share))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_reference_interval_is_the_normal_one():
    low, high = Reference("A trial", 2.0, 0.5).interval(0.95)
    assert low == pytest.approx(2 - 1.959964 * 0.5, abs=1e-6)
    assert high == pytest.approx(2 + 1.959964 * 0.5, abs=1e-6)


def test_a_broken_truth_file_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "firms.csv.truth.json"
    path.write_text("{not json", encoding="utf-8")
    with pytest.raises(DataError, match=r"cannot be read .*Delete it"):
        read_truth(path)
