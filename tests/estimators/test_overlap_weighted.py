"""The effect in the overlap: its score by hand, its insensitivity, refusals and coverage."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import OverlapError, OverlapWarning
from causal_ddpm.core.estimand import ATE, ATO
from causal_ddpm.dgp.confounded import GAUSS, LINEAR
from causal_ddpm.estimators.api import estimate_effects, estimate_with
from causal_ddpm.estimators.overlap_weighted import OverlapWeightedEffect, ato_score
from causal_ddpm.estimators.scores import solve
from causal_ddpm.nuisance.crossfit import fit_nuisances

EXACT = 1e-10


def _estimate(data, nuisances):
    return OverlapWeightedEffect(ATO()).estimate(data, nuisances)


def test_score_equals_the_formula_written_by_hand(small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    data = as_data(frame)
    up = down = 0.0
    for y, d, (m0, m1), e1 in zip(data.outcome, data.treatment, mean, e[:, 1], strict=True):
        h, slope = e1 * (1 - e1), 1 - 2 * e1
        noise = (1 - e1) * (y - m1) if d else -e1 * (y - m0)
        up += h * (m1 - m0) + noise + slope * (d - e1) * (m1 - m0)
        down += h + slope * (d - e1)
    found = _estimate(data, given(data, mean, e))
    assert found.value == pytest.approx(up / down, abs=EXACT)
    assert found.labels == ("ATO",)
    assert found.population == "units in the overlap"


def test_it_is_the_regression_of_residual_outcome_on_residual_treatment(
    small_sample, as_data, given
):
    frame, mean, e, _ = small_sample()
    data = as_data(frame)
    v = data.treatment - e[:, 1]
    u = data.outcome - (e * mean).sum(axis=1)
    theta = v @ u / (v @ v)
    psi = v * (u - v * theta) / (v @ v / data.n)
    found = _estimate(data, given(data, mean, e))
    assert found.value == pytest.approx(theta, abs=EXACT)
    np.testing.assert_allclose(found.influence[:, 0], psi, atol=EXACT)


def test_mean_of_the_score_ignores_small_errors_of_the_nuisances():
    # E over D and Y at each x in closed form, at the truth and near it
    population = GAUSS.population()
    (theta,) = GAUSS.truth_of(ATO()).values()
    x, e = population.x, population.e
    mu = np.column_stack([law.mean() for law in population.laws])

    def mean_score(errors):
        e_error, mu_error = errors
        near_e, near_mu = e + e_error, mu + mu_error
        both = np.column_stack([1 - near_e, near_e])
        total = 0.0
        for a, share in ((0, 1 - e), (1, e)):
            d = np.full(len(e), a)
            score = ato_score(mu[:, a], d, near_mu, both)  # linear in Y
            total += (share * (score.psi_b - theta * score.psi_a)).mean()
        return total

    assert mean_score((0.0, 0.0)) == pytest.approx(0.0, abs=1e-12)
    towards_e = 0.3 * e * (1 - e) * np.tanh(x[:, 0] + x[:, 2])
    towards_mu = np.column_stack([np.sin(x[:, 0]), x[:, 1]])
    for direction in ((towards_e, 0.0), (0.0, towards_mu), (towards_e, towards_mu)):
        steps = [tuple(t * part for part in direction) for t in (1e-3, -1e-3)]
        derivative = (mean_score(steps[0]) - mean_score(steps[1])) / 2e-3
        assert abs(derivative) < 1e-4
        # without the derivative of h the error of e would show at once
    assert abs(_naive_derivative(x, e, mu, theta, towards_e)) > 1e-3


def _naive_derivative(x, e, mu, theta, direction):
    """Of the score that takes the weights h(e) for known."""

    def mean_score(near):
        h, tau = near * (1 - near), mu[:, 1] - mu[:, 0]
        return (h * (tau - theta)).mean()  # the residual terms have mean zero at the true mu

    return (mean_score(e + 1e-3 * direction) - mean_score(e - 1e-3 * direction)) / 2e-3


def test_estimate_is_centred_at_the_truth_and_as_precise_as_the_bound(oracle):
    draw = GAUSS.draw(20_000, seed=22)
    found = _estimate(draw.data, oracle(draw))
    (theta,) = GAUSS.truth_of(ATO()).values()
    assert abs(found.value - theta) < 4 * found.std_error
    assert found.std_error == pytest.approx(_efficiency_sd(theta) / np.sqrt(20_000), rel=0.05)
    assert found.warnings == ()
    assert 0.5 < found.details["share"] < 1


def _efficiency_sd(theta):
    """Spread of (D - e)(Y - m - theta (D - e)) / E[h], by integration over x."""
    population = GAUSS.population()
    e, gap = population.e, population.effect - theta
    v0, v1 = (law.variance() for law in population.laws)
    square = e * (1 - e) ** 2 * (v1 + ((1 - e) * gap) ** 2)
    square += (1 - e) * e**2 * (v0 + (e * gap) ** 2)
    return np.sqrt(square.mean()) / (e * (1 - e)).mean()


def test_in_a_fair_experiment_it_is_the_average_effect(small_sample, as_data, given):
    frame, mean, _, _ = small_sample()
    frame = frame.assign(d=np.arange(len(frame)) % 2)
    data = as_data(frame)
    nuisances = given(data, mean, np.full((data.n, 2), 0.5))
    ate, ato = estimate_with_quietly(data, [ATE(calibrated=False), ATO()], nuisances)
    assert ato.value == pytest.approx(ate.value, abs=EXACT)
    assert ato.std_error == pytest.approx(ate.std_error, abs=EXACT)


def estimate_with_quietly(data, estimands, nuisances):
    with pytest.warns(UserWarning, match="Small sample"):
        return estimate_with(data, estimands, nuisances)


@pytest.mark.parametrize(
    ("weights_type", "clusters", "doubled_clusters"),
    [("frequency", None, None), ("sampling", None, "origin"), ("sampling", "g", "g")],
)
def test_weights_equal_row_duplication(
    weights_type, clusters, doubled_clusters, small_sample, as_data, given
):
    frame, mean, e, _ = small_sample()
    index = np.repeat(np.arange(len(frame)), frame["w"])
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    weighted = as_data(frame, weights="w", weights_type=weights_type, clusters=clusters)
    doubled = as_data(rows, clusters=doubled_clusters)
    a = _estimate(weighted, given(weighted, mean, e))
    b = _estimate(doubled, given(doubled, mean[index], e[index]))
    assert a.value == pytest.approx(b.value, abs=EXACT)
    assert a.std_error == pytest.approx(b.std_error, abs=EXACT)
    if weights_type == "frequency":
        assert a.details["n_overlap"] == pytest.approx(b.details["n_overlap"])
        assert a.details["largest_share"] == pytest.approx(b.details["largest_share"])


# -- overlap -----------------------------------------------------------------------------------
def _one_sided(n, n_open, seed=0):
    """``n_open`` toss-ups; the others are almost surely as they are."""
    rng = np.random.default_rng(seed)
    e1 = np.where(np.arange(n) < n_open, 0.5, np.where(np.arange(n) % 2, 0.9999, 0.0001))
    d = np.where(np.arange(n) < n_open, np.arange(n) % 2, e1 > 0.5).astype(int)
    frame = pd.DataFrame({"y": rng.normal(size=n), "d": d, "x": rng.normal(size=n)})
    return CausalData(frame, "d", "y", ["x"]), np.column_stack([1 - e1, e1])


def test_it_is_answered_where_the_average_effect_is_refused(given):
    data, e = _one_sided(2_000, 120)
    nuisances = given(data, np.zeros((data.n, 2)), e)
    with pytest.raises(OverlapError):
        estimate_with(data, ATE(), nuisances)
    (found,) = estimate_with(data, ATO(), nuisances)
    assert found.details["n_overlap"] == pytest.approx(120, rel=0.01)
    assert found.details["share"] == pytest.approx(0.06, rel=0.01)


def test_few_units_in_the_overlap_are_warned_of_and_hardly_any_refused(given):
    data, e = _one_sided(2_000, 60)
    with pytest.warns(OverlapWarning, match=r"rows say as much as 60\.\d of a fair experiment"):
        estimate_with(data, ATO(), given(data, np.zeros((data.n, 2)), e))
    data, e = _one_sided(2_000, 16)
    message = (
        r"No overlap for the ATO: the 2,000 rows say as much as 16\.\d .*expected at least 20 "
    )
    with pytest.raises(OverlapError, match=message):
        estimate_with(data, ATO(), given(data, np.zeros((data.n, 2)), e))


def test_a_perfectly_predicted_treatment_is_refused_however_many_rows(light_models):
    rng = np.random.default_rng(3)
    x = rng.normal(size=4_000)
    frame = pd.DataFrame({"y": rng.normal(size=4_000), "d": (x > 0).astype(int), "x": x})
    with pytest.raises(OverlapError, match=r"4\d% of what their propensities promise"):
        estimate_effects(CausalData(frame, "d", "y", ["x"]), ATO(), **light_models)


# -- coverage ----------------------------------------------------------------------------------
def test_intervals_cover_with_light_nuisances(light_models):
    (theta,) = LINEAR.truth_of(ATO()).values()
    n_draws, covered, values, errors = 150, 0, [], []
    for seed in range(n_draws):
        data = LINEAR.draw(500, 1_000 + seed).data
        found = _estimate(data, fit_nuisances(data, **light_models, random_state=seed))
        low, high = found.interval()
        covered += low <= theta <= high
        values.append(found.value)
        errors.append(found.std_error)
    assert stats.binom.cdf(covered, n_draws, 0.95) > 0.005
    assert np.mean(values) == pytest.approx(theta, abs=4 * np.std(values) / np.sqrt(n_draws))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_solve_needs_no_clipping():
    rng = np.random.default_rng(1)
    y, d = rng.normal(size=50), np.arange(50) % 2
    e1 = np.where(np.arange(50) < 25, 1e-6, 0.5)
    theta, phi = solve(
        ato_score(y, d, np.zeros((50, 2)), np.column_stack([1 - e1, e1])), np.ones(50)
    )
    assert np.isfinite(theta)
    assert np.isfinite(phi).all()
