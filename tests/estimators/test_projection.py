"""Best linear predictors of the effect: least squares of the scores, and what the slope says."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.estimand import ATE, BLP
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.estimators.effect_scores import EffectScores
from causal_ddpm.estimators.projection import LinearPredictor
from causal_ddpm.nuisance.crossfit import Nuisances

EXACT = 1e-10
DRAW = GAUSS.draw(700, seed=41)


def test_projection_is_least_squares_with_robust_errors(oracle):
    import statsmodels.api as sm

    nuisances, x = oracle(DRAW), DRAW.data.covariates.values
    psi = EffectScores.of(BLP(), DRAW.data, nuisances, calibrated=False).effect
    fit = sm.OLS(psi, sm.add_constant(x[:, [1, 2]])).fit(cov_type="HC0")
    found = LinearPredictor(BLP(on=["x1", "x2"], calibrated=False)).estimate(DRAW.data, nuisances)
    assert found.labels == ("BLP(constant)", "BLP(x1)", "BLP(x2)")
    np.testing.assert_allclose(found.values, fit.params, atol=EXACT)
    n = DRAW.data.n
    np.testing.assert_allclose(found.std_error, fit.bse * np.sqrt(n / (n - 1)), atol=EXACT)


def test_line_is_the_average_effect_and_the_slope_within_folds(oracle):
    import statsmodels.api as sm

    nuisances = oracle(DRAW)
    scored = EffectScores.of(BLP(), DRAW.data, nuisances, calibrated=False)
    fold = nuisances.fold_ids
    centred = (
        scored.predicted - np.array([scored.predicted[fold == k].mean() for k in range(5)])[fold]
    )
    fit = sm.OLS(scored.effect, sm.add_constant(centred)).fit(cov_type="HC0")
    found = LinearPredictor(BLP(calibrated=False)).estimate(DRAW.data, nuisances)
    ate = MeanEffect(ATE(calibrated=False)).estimate(DRAW.data, nuisances)
    assert found.values[0] == pytest.approx(ate.value, abs=EXACT)
    assert found.std_error[0] == pytest.approx(ate.std_error, abs=EXACT)
    assert found.values[1] == pytest.approx(fit.params[1], abs=EXACT)
    n = DRAW.data.n
    error = fit.bse[1] * (n / (n - 1)) ** 0.5
    stretch = np.sqrt(2 - np.clip(fit.params[1] - 2 * error, 0, 1))
    assert scored.stretch == pytest.approx(stretch, abs=EXACT)
    assert found.std_error[1] == pytest.approx(stretch * error, abs=EXACT)


def test_slope_is_one_for_true_effects_and_half_for_doubled_ones(oracle):
    draw = GAUSS.draw(20_000, seed=42)
    true = oracle(draw)
    found = LinearPredictor(BLP()).estimate(draw.data, true)
    assert abs(found.values[1] - 1) < 4 * found.std_error[1]
    # arms whose difference is twice the effect, with propensities that set the mean right
    effect = draw.mean[:, 1] - draw.mean[:, 0]
    doubled = Nuisances(
        true.fold_ids, draw.mean + np.outer(effect, [-0.5, 0.5]), true.propensity, None,
        true.fingerprint,
    )  # fmt: skip
    half = LinearPredictor(BLP()).estimate(draw.data, doubled)
    assert abs(half.values[1] - 0.5) < 4 * half.std_error[1]


def test_categories_and_missing_values():
    rng = np.random.default_rng(1)
    n = 300
    frame = pd.DataFrame({
        "y": rng.normal(size=n), "d": rng.integers(0, 2, n),
        "region": rng.choice(["east", "north", "west"], n),
        "income": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
    })  # fmt: skip
    data = CausalData(frame, "d", "y", ["region", "income"])
    nuisances = Nuisances(
        np.arange(n) % 5, rng.normal(size=(n, 2)), np.full((n, 2), 0.5), None, data.fingerprint
    )
    found = LinearPredictor(BLP(on=["region", "income"])).estimate(data, nuisances)
    assert found.labels == (
        "BLP(constant)", "BLP(region = north)", "BLP(region = west)", "BLP(income)",
        "BLP(income missing)",
    )  # fmt: skip
    only = LinearPredictor(BLP(on="region", calibrated=False)).estimate(data, nuisances)
    psi = EffectScores.of(BLP(), data, nuisances, calibrated=False).effect
    means = [psi[(frame["region"] == r).to_numpy()].mean() for r in ("east", "north", "west")]
    np.testing.assert_allclose(only.values, [means[0], *(np.array(means[1:]) - means[0])])


def test_refusals(oracle):
    nuisances = oracle(DRAW)
    with pytest.raises(DataError, match=r"projected on \['x1', 'x1'\]; expected one or more"):
        BLP(on=["x1", "x1"])
    with pytest.raises(DataError, match=r"projected on \[\]"):
        BLP(on=[])
    with pytest.raises(DataError, match="no confounder 'age'"):
        LinearPredictor(BLP(on=["age"])).estimate(DRAW.data, nuisances)
    frame = DRAW.frame.assign(twice=2 * DRAW.frame["x1"] + 1)
    data = CausalData(frame, "d", "y", ["x1", "twice", "x2"])
    same = Nuisances(nuisances.fold_ids, nuisances.mean, nuisances.propensity, None,
                     data.fingerprint)  # fmt: skip
    with pytest.raises(DataError, match="'twice' is determined by the columns before it"):
        LinearPredictor(BLP(on=["x1", "twice"])).estimate(data, same)
    flat = Nuisances(nuisances.fold_ids, np.zeros((700, 2)), nuisances.propensity, None,
                     DRAW.data.fingerprint)  # fmt: skip
    with pytest.raises(NotIdentifiedError, match="the same effect for every unit"):
        LinearPredictor(BLP()).estimate(DRAW.data, flat)
