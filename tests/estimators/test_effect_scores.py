"""Folds that learn from each other: the variance of what compares rows by a cross-fitted effect."""

from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.core.estimand import ATE
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.effect_scores import (
    EffectScores,
    centred_in_folds,
    effect_line,
    stretch_of_folds,
)
from causal_ddpm.estimators.inference import Sampling

N, FOLDS = 200, np.arange(200) % 5
W = np.ones(N)
SAMPLING = Sampling(W, None, False)


def crossfitted(x, psi):
    """Least squares of psi on x in the other folds, read in the row's own."""
    predicted = np.empty(N)
    for k in range(5):
        rest = k != FOLDS
        coef, *_ = np.linalg.lstsq(x[rest], psi[rest], rcond=None)
        predicted[~rest] = x[~rest] @ coef
    return predicted


def slopes(signal, n_draws=300):
    """t statistics of the slope against what these models' slope is in the population."""
    rng = np.random.default_rng(4)
    plain, stretched = [], []
    beta = signal * np.array([1.0, -1.0, 0, 0, 0, 0])
    for _ in range(n_draws):
        x = rng.normal(size=(N, 6))
        psi = x @ beta + rng.normal(size=N)
        predicted = crossfitted(x, psi)
        centred = centred_in_folds(predicted, FOLDS, W)
        coef, phi = effect_line(psi, centred, W)
        true = centred @ (x @ beta) / (centred @ centred)
        t = (coef[1] - true) / (np.sqrt((phi[:, 1] ** 2).sum()) / N)
        plain.append(t)
        stretched.append(t / stretch_of_folds(psi, predicted, FOLDS, SAMPLING))
    return np.array(plain), np.array(stretched)


def test_without_an_effect_independent_folds_would_reject_too_often():
    plain, stretched = slopes(0.0)
    assert plain.std() == pytest.approx(np.sqrt(2), abs=0.2)
    assert (np.abs(plain) > 1.96).mean() > 0.1
    assert (np.abs(stretched) > 1.96).mean() < 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 300)


def test_with_a_clear_effect_there_is_little_to_stretch():
    plain, stretched = slopes(1.0)
    np.testing.assert_allclose(stretched.std(), plain.std(), rtol=0.1)
    assert (np.abs(stretched) > 1.96).mean() < 0.09


def test_predictions_that_do_not_differ_need_no_stretch():
    assert stretch_of_folds(np.arange(200.0), np.ones(N), FOLDS, SAMPLING) == 1.0


def test_calibrated_scores_average_to_the_calibrated_ate_with_its_error(oracle):
    draw = GAUSS.draw(600, seed=43)
    nuisances = oracle(draw)
    bent = replace(nuisances, mean=1.5 * nuisances.mean + np.array([0.3, -0.2]))
    ate = MeanEffect(ATE()).estimate(draw.data, bent)
    scored = EffectScores.of(ATE(), draw.data, bent, calibrated=True)
    assert scored.effect.mean() == pytest.approx(ate.value, abs=1e-10)
    centred = scored.wide_effect - scored.wide_effect.mean()
    np.testing.assert_allclose(centred, ate.influence[:, 0], atol=1e-10)
    assert scored.details["calibration"] == ate.details["calibration"]
    plain = EffectScores.of(ATE(), draw.data, bent, calibrated=False)
    assert (plain.wide_effect == plain.effect).all()
    assert plain.effect.std() > scored.effect.std()
