"""TwinDesign: the truth that was set is the truth of what it draws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, ModelFileError
from causal_ddpm.core.estimand import ATE, ATT, QTE
from causal_ddpm.diffusion.joint import JointDiffusion
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.evaluation.twin.design import TwinDesign
from causal_ddpm.evaluation.twin.fit import TwinSettings

BIG = 60_000


def _brute_force(twin, n=BIG, seed=5):
    """ATE, ATT and ATU of many rows, with their Monte Carlo errors."""
    drawn = twin.draw(n, seed)
    effect = drawn.potential_outcomes[:, 1] - drawn.potential_outcomes[:, 0]
    d = drawn.data.treatment
    groups = {"ATE": effect, "ATT": effect[d == 1], "ATU": effect[d == 0]}
    return {k: (v.mean(), v.std() / np.sqrt(len(v))) for k, v in groups.items()}


@pytest.mark.parametrize("effect", [0, 0.5, -1.25])
def test_a_constant_effect_is_the_truth_exactly(twin, effect):
    known = twin.with_truth(effect)
    for name in ("ATE", "ATT", "ATU", "ATO"):
        assert known.truth().population[name] == pytest.approx(effect, abs=1e-12)
    drawn = known.draw(300, seed=2)
    np.testing.assert_allclose(np.diff(drawn.potential_outcomes, axis=1), effect, atol=1e-12)
    assert drawn.truth.sample["ATT"] == pytest.approx(effect)
    assert known.truth_of(ATT()) == {"ATT": pytest.approx(effect, abs=1e-12)}


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        ("number", "learnt"),
        ("number", "0.1 + 0.3 * (age > 40)"),
        ("amount", "0.1 + 0.3 * (age > 40)"),
        ("count", "-0.2 - 0.001 * age"),
        ("two values", "0.1 * member"),
    ],
)
def test_truth_agrees_with_brute_force(people_data, light, kind, effect):
    twin = TwinDesign.fit(people_data, effect, settings=light.quick(kind), random_state=1)
    assert twin.effect.kind == kind
    for name, (mean, error) in _brute_force(twin).items():
        assert abs(mean - twin.truth().population[name]) < 4.5 * error + 1e-9, name


@pytest.mark.parametrize("kind", ["number", "amount", "count", "two values"])
@pytest.mark.parametrize("effect", ["learnt", 0.1, -0.15])
def test_means_and_variances_of_a_unit_are_those_of_its_draws(people_data, light, kind, effect):
    twin = TwinDesign.fit(people_data, effect, settings=light.quick(kind), random_state=1)
    rng, unit = np.random.default_rng(0), 7
    y = twin.effect.outcomes(twin.units, np.full(BIG, unit), rng)
    mean, variance = twin.means[unit], twin.effect.variances(twin.units)[unit]
    assert np.all(np.abs(y.mean(axis=0) - mean) < 4.5 * y.std(axis=0) / np.sqrt(BIG) + 1e-9)
    np.testing.assert_allclose(y.var(axis=0), variance, rtol=0.08)


def test_amounts_keep_their_zeros_and_counts_stay_whole(people_data, light):
    amount = TwinDesign.fit(people_data, -0.5, settings=light.quick("amount"))
    y0, y1 = amount.draw(5000, 1).potential_outcomes.T
    assert (y1 >= 0).all()
    assert (y1[y0 == 0] == 0).all()
    assert ((y0 > 0) & (y1 < y0)).any()
    for effect in (0.7, -0.7):
        count = TwinDesign.fit(people_data, effect, settings=light.quick("count"))
        y = count.draw(5000, 1).potential_outcomes
        assert (y >= 0).all()
        np.testing.assert_array_equal(y, np.round(y))


def test_an_effect_beyond_what_the_outcome_allows_is_cut_and_said(people_data, light):
    twin = TwinDesign.fit(people_data, 0.6, settings=light.quick("two values"))
    assert 0 < twin.effect.cut < 1
    assert twin.truth().population["ATE"] < 0.6
    assert (twin.means <= 1 + 1e-12).all()
    assert "cut to what the outcome allows" in twin.equations[-1]


def test_the_propensity_is_the_learnt_one_scaled(twin, people_data):
    as_learnt, none, twice = (twin.with_truth(overlap=k) for k in (1.0, 0.0, 2.0))
    share = people_data.treatment.mean()
    for known in (as_learnt, none, twice):
        assert known.probability.mean() == pytest.approx(share, abs=1e-10)
    np.testing.assert_allclose(none.probability, share, atol=1e-10)
    spread = [np.std(stats.logistic.ppf(k.probability)) for k in (as_learnt, twice)]
    assert spread[1] == pytest.approx(2 * spread[0])
    np.testing.assert_allclose(
        stats.logistic.ppf(as_learnt.probability), twin.units.log_odds, atol=0.05
    )


def test_without_selection_treatment_is_independent_of_the_confounders(twin):
    experiment = twin.with_truth(overlap=0.0).draw(20_000, seed=3)
    selected = twin.draw(20_000, seed=3)
    p_values, gaps = [], []
    for drawn in (experiment, selected):
        x = np.nan_to_num(drawn.data.covariates.values)
        d = drawn.data.treatment
        tests = [stats.ttest_ind(x[d == 1, j], x[d == 0, j]) for j in range(x.shape[1])]
        p_values.append(min(t.pvalue for t in tests))
        gaps.append(max(abs(t.statistic) for t in tests))
    assert p_values[0] > 0.005
    assert gaps[1] > 20


def test_draws_are_what_they_say(twin, people_data):
    drawn = twin.with_truth(1.0).draw(seed=4)
    assert drawn.data.n == people_data.n
    assert list(drawn.frame.columns) == [*people_data.confounder_names, "d", "y"]
    assert set(drawn.frame["region"].dropna()) == {"north", "south", "west"}
    assert drawn.frame["member"].dtype == bool
    assert drawn.frame["skill"].isna().mean() == pytest.approx(0.05, abs=0.03)
    d = drawn.data.treatment
    np.testing.assert_array_equal(drawn.frame["y"], drawn.potential_outcomes[np.arange(len(d)), d])
    np.testing.assert_allclose(drawn.propensity.sum(axis=1), 1)
    assert drawn.truth.provenance == "simulated"
    assert drawn.truth.seed == 4
    assert drawn.data.n_synthetic == 0


def test_same_seed_same_bits(people_data, light, twin):
    again = TwinDesign.fit(people_data, settings=light.quick(), random_state=1)
    assert again.fingerprint == twin.fingerprint
    assert again.draw(200, 3).data.fingerprint == twin.draw(200, 3).data.fingerprint
    assert twin.draw(200, 4).data.fingerprint != twin.draw(200, 3).data.fingerprint
    other = TwinDesign.fit(people_data, "0.2", settings=light.quick(), random_state=1)
    assert other.fingerprint != twin.fingerprint


def test_save_and_load_are_the_identity(people_data, light, tmp_path):
    for kind in ("amount", "count"):
        twin = TwinDesign.fit(people_data, "0.1 * member", 0.5, light.quick(kind))
        back = TwinDesign.load(twin.save(tmp_path / "a.twin"))
        assert back.fingerprint == twin.fingerprint
        assert back.truth().to_dict() == twin.truth().to_dict()
        assert back.likeness == twin.likeness
        assert back.draw(100, 1).data.fingerprint == twin.draw(100, 1).data.fingerprint
        assert back.with_truth(lambda f: 0.1 * f["member"]).effect.words == "<lambda>"
    shorter = replace(twin, units=replace(twin.units, missing=twin.units.missing[1:]))
    with pytest.raises(ModelFileError, match="different lengths"):
        TwinDesign.load(shorter.save(tmp_path / "c.twin"))
    (tmp_path / "b.twin").write_bytes(b"nothing")
    with pytest.raises(ModelFileError):
        TwinDesign.load(tmp_path / "b.twin")


def test_functions_and_expressions_agree(twin):
    by_text = twin.with_truth("0.5 + 0.2 * (age > 40)")
    by_function = twin.with_truth(lambda frame: 0.5 + 0.2 * (frame["age"] > 40))
    np.testing.assert_allclose(by_text.effect.values, by_function.effect.values)


def test_weights_say_which_population(light):
    data = light.people(weights=True)
    rows = TwinDesign.fit(data, settings=light.quick(n_units=6000))
    member = rows.units.covariates.values[:, 2].mean()
    assert member == pytest.approx(
        np.average(data.covariates.values[:, 2], weights=data.weights), abs=0.03
    )
    assert not rows.draw(100).data.has_weights


def test_the_joint_diffusion_generates_new_units(light):
    data = light.people(200)
    quick = light.quick()
    settings = TwinSettings(
        n_units=400, generator=JointDiffusion(DiffusionSettings(n_steps=20, n_members=1)),
        outcome_model=quick.outcome_model, propensity_model=quick.propensity_model,
    )  # fmt: skip
    twin = TwinDesign.fit(data, 0.0, settings=settings, random_state=0)
    assert len(twin.units) == 400
    known = {tuple(row) for row in np.nan_to_num(data.covariates.values)}
    new = [tuple(row) not in known for row in np.nan_to_num(twin.units.covariates.values)]
    assert np.mean(new) > 0.9
    assert twin.units.missing[:, 1].any()
    assert twin.truth().population["ATT"] == 0.0


def test_likeness_tells_a_good_twin_from_a_bad_one(twin, people_data):
    assert twin.likeness.close
    assert "can hardly tell" in twin.likeness.sentence()
    frame = twin.likeness.frame()
    assert list(frame["column"]) == [*people_data.confounder_names, "d", "y"]
    assert frame["distance"].max() < 0.1
    from causal_ddpm.core.rows import replaced
    from causal_ddpm.evaluation.twin.likeness import likeness_of

    drawn = twin.draw(seed=1).data
    shifted = replaced(drawn, outcome=(drawn.outcome + 5.0, drawn.outcome_schema))
    found = likeness_of(people_data, shifted, 0)
    assert found.auc > 0.8
    assert not found.close
    assert "easily tells" in found.sentence()
    assert "'y'" in found.sentence()


def test_truth_is_known_of_average_effects_only(twin):
    assert set(twin.truth_of(ATE())) == {"ATE"}
    with pytest.raises(DataError, match="knows no 'QTE'"):
        twin.truth_of(QTE([0.5]))


def test_the_efficiency_bound_is_that_of_a_linear_law(people_data, light):
    """With equal noise in both arms: V = sigma^2 E[1/e + 1/(1-e)] + V[tau]."""
    twin = TwinDesign.fit(people_data, 1.0, settings=light.quick())
    e, noise = twin.probability, twin.units.variances[:, 0]
    expected = np.sqrt(np.mean(noise / e + noise / (1 - e)))
    assert twin.truth().efficiency_sd["ATE"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"effect": "0.1 * skill"}, "missing or infinite for .* where"),
        ({"effect": lambda f: np.ones(3)}, "has shape"),
        ({"effect": None, "overlap": -1.0}, "the overlap is -1.0"),
        ({"effect": None, "overlap": float("nan")}, "the overlap is nan"),
        ({"effect": None, "overlap": "much"}, "the overlap is 'much'"),
        ({"effect": [1, 2]}, "the effect is a list"),
        ({"effect": "1 / 0"}, "missing or infinite"),
    ],
)
def test_truths_that_cannot_be_are_refused(twin, change, sentence):
    with pytest.raises(DataError, match=sentence):
        twin.with_truth(**change)


def test_ratings_take_no_effect_of_a_size(people_data, light):
    twin = TwinDesign.fit(people_data, 0, settings=light.quick("rating"))
    assert twin.truth().population["ATE"] == 0
    with pytest.raises(DataError, match="ordered levels"):
        twin.with_truth(0.5)


def test_data_without_a_twin_are_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "d": np.arange(120) % 2, "y": rng.standard_normal(120), "x": rng.standard_normal(120),
        "g": np.arange(120) // 10, "arm": np.arange(120) % 3, "z": rng.integers(0, 2, 120),
        "level": np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, 120)],
    })  # fmt: skip
    refused = [
        (CausalData(frame, "d", "y", ["x"], clusters="g"), "clusters of g"),
        (CausalData(frame, "arm", "y", ["x"], treatment_kind="arms"), "kind 'arms'"),
        (CausalData(frame, "d", "y", ["x"], instrument="z"), "instrument 'z'"),
        (CausalData(frame, "d", "level", ["x"], outcome_kind="categorical"), "no order"),
    ]
    for data, sentence in refused:
        with pytest.raises(DataError, match=sentence):
            TwinDesign.fit(data)


@pytest.mark.parametrize(
    "wrong", [{"covariates": "copula"}, {"n_units": 10}, {"n_nodes": 1}, {"n_units": 400.5}]
)
def test_settings_check_themselves(wrong):
    with pytest.raises(DataError):
        TwinSettings(**wrong)
