"""The facade delegates: same numbers as the full-control door, and a sentence for every misuse."""

import numpy as np
import pytest

from causal_ddpm import (
    ATE,
    CausalConfig,
    CausalData,
    CausalDDPMError,
    CausalInferenceFramework,
    DataError,
    SyntheticDataError,
    estimate_effects,
)
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.dgp.ai_adoption import simulate
from causal_ddpm.diffusion.settings import _CHOICES

pytestmark = pytest.mark.filterwarnings("ignore::causal_ddpm.CausalDDPMWarning")

CONFOUNDERS = ["industry", "industry_size", "education"]
ATTENTION = pytest.mark.skipif(
    "attention" not in _CHOICES["backbone"], reason="the engine has no attention backbone"
)
QUICK = {"location": "none", "n_folds": 2, "n_epochs": 5, "batch_size": 64, "hidden_dim": 16}


@pytest.fixture(scope="module")
def frame():
    return simulate(220, 7).frame


def prepared(framework, frame):
    return framework.prepare_data(
        frame, treatment_col="ai_adoption", outcome_col="productivity", confounder_cols=CONFOUNDERS
    )


@pytest.fixture(scope="module")
def trained(frame):
    framework = CausalInferenceFramework(CausalConfig(**QUICK))
    dataset = prepared(framework, frame.head(160))
    framework.train(dataset)
    return framework, dataset


def test_the_ate_is_that_of_the_full_control_door(trained):
    framework, dataset = trained
    ate, ate_std = framework.estimate_ate(dataset)
    expected = estimate_effects(
        dataset, ATE(), outcome_model=framework.config.outcome_model(), n_folds=2
    )[0]
    assert (ate, ate_std) == (expected.value, expected.std_error)
    assert isinstance(ate, float)
    assert isinstance(ate_std, float)
    assert framework.estimate_att(dataset) != (ate, ate_std)
    assert any("out-of-fold" in note for note in framework.notes)


def test_the_cate_of_training_rows_is_out_of_fold(trained):
    framework, dataset = trained
    cate = framework.estimate_cate(dataset)
    assert cate.shape == (160,)
    law = framework._trained().law
    assert not np.allclose(cate, law.cate(dataset.covariates))


def test_new_rows_are_scored_with_the_training_nuisances_and_it_says_so(trained, frame):
    framework, _ = trained
    new = prepared(framework, frame.tail(60))
    ate, ate_std = framework.estimate_ate(new)
    assert np.isfinite(ate)
    assert ate_std > 0
    assert any(note.startswith("New rows: 60 rows scored") for note in framework.notes)
    assert not any("were also trained on" in note for note in framework.notes)


def test_rows_that_come_back_are_noticed(trained, frame):
    framework, _ = trained
    framework.estimate_ate(prepared(framework, frame.iloc[100:220]))
    assert any(note.startswith("60 of these rows were also trained on") for note in framework.notes)


def test_new_rows_with_fewer_levels_are_read_under_the_training_schema(trained, frame):
    framework, _ = trained
    few = frame.tail(60)
    one = few.assign(industry=few["industry"].replace({"services": "something new"}))
    for rows in (few[few["industry"] != "finance"], one):
        new = prepared(framework, rows)
        law = framework._trained().law
        np.testing.assert_array_equal(
            law.mean(new.covariates, 0), law.mean(rows.reset_index(drop=True), 0)
        )


def test_counterfactuals_keep_what_was_observed(trained, frame):
    framework, dataset = trained
    found = framework.generate_counterfactuals(dataset, 1)
    treated = dataset.treatment == 1
    np.testing.assert_array_equal(found[treated], dataset.outcome[treated])
    assert (found[~treated] != dataset.outcome[~treated]).all()


def test_treatment_strength_decouples_the_two_outcomes(trained, frame):
    framework, dataset = trained
    other = CausalInferenceFramework(CausalConfig(**QUICK, treatment_strength=3.0))
    other.train(prepared(other, frame.head(160)))
    untreated = dataset.treatment == 0
    tight = framework.generate_counterfactuals(dataset, 1)[untreated]
    loose = other.generate_counterfactuals(dataset, 1)[untreated]
    observed = dataset.outcome[untreated]
    assert np.corrcoef(tight, observed)[0, 1] > np.corrcoef(loose, observed)[0, 1] + 0.1


def test_augmented_rows_are_marked_and_never_counted(trained, frame):
    framework, dataset = trained
    rows = framework.augment(dataset)
    assert len(rows) == 320
    assert rows[SYNTHETIC_MARKER].sum() == 160
    made = rows[rows[SYNTHETIC_MARKER]]
    np.testing.assert_array_equal(made["ai_adoption"], 1 - dataset.treatment)
    np.testing.assert_array_equal(rows["industry"].head(160), frame["industry"].head(160))
    counted = CausalData(rows, "ai_adoption", "productivity", CONFOUNDERS)
    with pytest.raises(SyntheticDataError, match="160 rows are marked as synthetic"):
        framework.train(counted)


def test_save_then_load_is_the_identity(trained, frame, tmp_path):
    framework, dataset = trained
    path = framework.save(tmp_path / "framework.zip")
    again = CausalInferenceFramework.load(path)
    assert again.config == framework.config
    assert again.estimate_ate(dataset) == framework.estimate_ate(dataset)
    new = prepared(framework, frame.tail(60))
    assert again.estimate_ate(new) == framework.estimate_ate(new)
    np.testing.assert_array_equal(
        again.generate_counterfactuals(new, 1), framework.generate_counterfactuals(new, 1)
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda f, d: f.estimate_ate(d),
        lambda f, d: f.estimate_cate(d),
        lambda f, d: f.generate_counterfactuals(d, 1),
        lambda f, d: f.augment(d),
        lambda f, d: f.save("framework.zip"),
    ],
)
def test_everything_before_train_is_refused(call, frame):
    framework = CausalInferenceFramework()
    with pytest.raises(CausalDDPMError, match=r"not trained yet; call train\(dataset\) first"):
        call(framework, prepared(framework, frame))


def test_a_raw_frame_is_refused(frame):
    with pytest.raises(DataError, match=r"the dataset is a DataFrame; expected what prepare_data"):
        CausalInferenceFramework().train(frame)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"n_epoch": 3}, "no field 'n_epoch'.*Did you mean 'n_epochs'"),
        ({"n_epochs": 0}, "n_epochs is 0; expected greater than or equal to 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; expected greater than 0"),
        ({"backbone": "unet"}, "backbone is 'unet'; expected 'mlp' or 'attention'"),
        ({"schedule": "flow", "beta_end": 0.1}, "schedule is 'flow'; expected schedule='linear'"),
        ({"backbone": "mlp", "n_heads": 2}, "backbone is 'mlp'; expected backbone='attention'"),
        ({"beta_start": 0.02, "beta_end": 0.01}, "beta_start below beta_end"),
        ({"constraints": ["a"]}, "give constraints to VectorOutcomeModel"),
        ({"treatment_noise": "white"}, "treatment_noise is 'white'"),
        ({"level": 1.0}, "level is 1.0"),
        ({"location": "somewhere"}, "location is 'somewhere'"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(fields, sentence):
    with pytest.raises(DataError, match=sentence):
        CausalConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n_epochs": 7}, {"n_epochs": 7}),
        ({"batch_size": 32}, {"batch_size": 32}),
        ({"learning_rate": 0.02}, {"learning_rate": 0.02}),
        ({"hidden_dim": 48}, {"hidden_dim": 48}),
        ({"n_layers": 3}, {"n_layers": 3}),
        pytest.param({"dim": 16}, {"dim": 16, "backbone": "attention"}, marks=ATTENTION),
        pytest.param({"n_heads": 4}, {"n_heads": 4, "backbone": "attention"}, marks=ATTENTION),
        pytest.param({"backbone": "attention"}, {"backbone": "attention"}, marks=ATTENTION),
        ({"schedule": "cosine"}, {"schedule": "cosine"}),
        ({"diffusion_steps": 200}, {"diffusion_steps": 200, "schedule": "linear"}),
        ({"beta_start": 2e-4}, {"beta_start": 2e-4, "schedule": "linear"}),
        ({"beta_end": 0.03}, {"beta_end": 0.03, "schedule": "linear"}),
        ({"treatment_strength": 2.0}, {"condition_strength": 2.0}),
        ({"treatment_noise": "direction"}, {"condition_noise": "direction"}),
        ({"device": "cpu"}, {"device": "cpu"}),
    ],
)
def test_every_field_reaches_the_engine(fields, expected):
    plain, changed = CausalConfig().diffusion(), CausalConfig(**fields).diffusion()
    differs = {k: v for k, v in vars(changed).items() if v != getattr(plain, k)}
    assert differs == expected


def test_location_reaches_the_outcome_model():
    assert CausalConfig(location="none").outcome_model().location == "none"


def test_departures_from_the_recipe_are_noted(trained):
    _, dataset = trained
    fresh = CausalInferenceFramework(CausalConfig(**QUICK)).train(dataset)
    assert any(note.startswith("hidden_dim is 16; the recipe") for note in fresh.notes)
