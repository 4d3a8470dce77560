"""Effects of all rows: out of fold, recalibrated only where the departure is clear."""

from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotIdentifiedError, SyntheticDataError
from causal_ddpm.core.estimand import ATE
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.cate import conditional_effects, kept
from causal_ddpm.estimators.effect_scores import EffectScores

DRAW = GAUSS.draw(2000, seed=61)
TAU = DRAW.mean[:, 1] - DRAW.mean[:, 0]


def test_a_departure_is_believed_as_far_as_it_is_beyond_two_errors():
    np.testing.assert_allclose(kept(np.array([0.1, -0.2, 0.0]), np.array([0.1, 0.1, 0.0])), 0)
    np.testing.assert_allclose(kept(np.array([0.4, -0.4]), np.full(2, 0.1)), [0.3, -0.3])
    np.testing.assert_allclose(kept(np.array([5.0]), np.zeros(1)), [5.0])


def test_good_predictions_are_left_alone(oracle):
    effects = conditional_effects(DRAW.data, oracle(DRAW))
    assert np.abs(effects.slope - 1).max() < 0.1
    assert np.sqrt(((effects.effect - TAU) ** 2).mean()) < 0.05
    np.testing.assert_array_equal(effects.predicted, TAU)


def test_exaggerated_and_shifted_predictions_are_brought_back(oracle):
    nuisances = oracle(DRAW)
    wrong = 0.7 + 2.2 * (TAU - TAU.mean()) - 0.5 * TAU.mean()
    mean = nuisances.mean + np.outer(wrong, [-0.5, 0.5])
    effects = conditional_effects(DRAW.data, replace(nuisances, mean=mean))
    before = np.sqrt(((effects.predicted - TAU) ** 2).mean())
    after = np.sqrt(((effects.effect - TAU) ** 2).mean())
    assert before > 1
    assert after < 0.2
    assert (effects.slope < 0.5).all()


def test_a_row_is_recalibrated_by_the_scores_of_other_folds(oracle):
    nuisances = oracle(DRAW)
    mean = nuisances.mean * 2.0
    own = nuisances.fold_ids == 3
    y = DRAW.data.outcome.copy()
    y[own] += np.random.default_rng(0).normal(size=own.sum()) * 50
    noisy = CausalData(DRAW.frame.assign(y=y), "d", "y", DRAW.data.confounder_names)
    a = conditional_effects(DRAW.data, replace(nuisances, mean=mean))
    b = conditional_effects(noisy, replace(nuisances, mean=mean, fingerprint=noisy.fingerprint))
    np.testing.assert_array_equal(a.effect[own], b.effect[own])
    assert not np.allclose(a.effect[~own], b.effect[~own])


def test_the_record_reads_as_a_frame_and_says_what_it_lacks(oracle):
    effects = conditional_effects(DRAW.data, oracle(DRAW))
    frame = effects.to_frame()
    assert frame.columns.tolist() == ["unit", "effect", "predicted_effect", "score", "fold"]
    assert len(frame) == len(effects) == 2000
    psi = EffectScores.of(ATE(), DRAW.data, oracle(DRAW), calibrated=False).effect
    np.testing.assert_array_equal(frame["score"], psi)
    summary = effects.summary()
    assert summary["mean"] == pytest.approx(effects.effect.mean())
    assert summary["q0.5"] == pytest.approx(np.median(effects.effect), abs=0.01)
    assert "not calibrated" in repr(effects)


def test_nothing_grows_with_the_square_of_the_rows(oracle):
    big = GAUSS.draw(50_000, seed=62)
    effects = conditional_effects(big.data, oracle(big))
    arrays = [v for v in vars(effects).values() if isinstance(v, np.ndarray)]
    assert max(a.size for a in arrays) == 50_000


def test_weights_equal_row_duplication(small_sample, as_data, given):
    frame, mean, e, _ = small_sample(200)
    index = np.repeat(np.arange(200), frame["w"])
    weighted = as_data(frame, weights="w", weights_type="frequency")
    doubled = as_data(frame.iloc[index].reset_index(drop=True))
    copies = given(doubled, 3 * mean[index], e[index])
    copies.fold_ids[:] = index % 5
    a = conditional_effects(weighted, given(weighted, 3 * mean, e))
    b = conditional_effects(doubled, copies)
    np.testing.assert_allclose(a.effect[index], b.effect, atol=1e-10)
    assert (a.slope != 1).any()


def test_refusals(oracle):
    nuisances = oracle(DRAW)
    other = GAUSS.draw(2000, seed=1)
    with pytest.raises(DataError, match="nuisances belong to other data"):
        conditional_effects(other.data, nuisances)
    with pytest.raises(NotIdentifiedError, match="the same effect for every unit"):
        conditional_effects(DRAW.data, replace(nuisances, mean=np.ones((2000, 2))))
    marked = DRAW.frame.assign(**{SYNTHETIC_MARKER: True})
    data = CausalData(marked, "d", "y", DRAW.data.confounder_names)
    with pytest.raises(SyntheticDataError):
        conditional_effects(data, nuisances)
    dose = CausalData(DRAW.frame, "x9", "y", ["x0"], treatment_kind="dose")
    with pytest.raises(DataError, match="kind 'dose'"):
        conditional_effects(dose)
