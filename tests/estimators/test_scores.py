"""The formulas: by hand, robust to one wrong nuisance, insensitive to small errors."""

import numpy as np
import pytest

from causal_ddpm.core.estimand import ATE, ATT, ATU
from causal_ddpm.dgp.confounded import GAUSS
from causal_ddpm.estimators import scores
from causal_ddpm.estimators.ate import SCORES

DRAW = GAUSS.draw(60_000, seed=11)

estimands = pytest.mark.parametrize("estimand", [ATE(), ATT(), ATU()], ids=lambda k: k.name)


def _theta(estimand, y, d, mu, e, w=None, c=0.0):
    w = np.ones(len(y)) if w is None else w
    omega = scores.TARGETS[estimand.group].weights(d, e, c)
    return scores.solve(SCORES[type(estimand)](y, d, mu, omega), w)


def test_scores_equal_the_formulas_written_by_hand():
    rng = np.random.default_rng(0)
    n, c = 40, 0.02
    y, d = rng.normal(size=n), np.arange(n) % 2
    mu, e1 = rng.normal(size=(n, 2)), rng.uniform(0.001, 0.999, n)
    e = np.column_stack([1 - e1, e1])
    ate, att_up, atu_up, n1 = 0.0, 0.0, 0.0, d.sum()
    for i in range(n):
        bounded1, bounded0 = max(e1[i], c), max(1 - e1[i], c)
        if d[i]:
            ate += mu[i, 1] - mu[i, 0] + (y[i] - mu[i, 1]) / bounded1
            att_up += y[i] - mu[i, 0]
            atu_up += (1 - e1[i]) / bounded1 * (y[i] - mu[i, 1])
        else:
            ate += mu[i, 1] - mu[i, 0] - (y[i] - mu[i, 0]) / bounded0
            att_up -= e1[i] / bounded0 * (y[i] - mu[i, 0])
            atu_up -= y[i] - mu[i, 1]
    by_hand = {"ATE": ate / n, "ATT": att_up / n1, "ATU": atu_up / (n - n1)}
    for estimand in (ATE(), ATT(), ATU()):
        theta, phi = _theta(estimand, y, d, mu, e, c=c)
        assert theta == pytest.approx(by_hand[estimand.name], abs=1e-12)
        assert phi.mean() == pytest.approx(0.0, abs=1e-12)


def test_influence_of_the_att_is_the_textbook_one():
    y, d = DRAW.data.outcome, DRAW.data.treatment
    mu, e = DRAW.mean, DRAW.propensity
    theta, phi = _theta(ATT(), y, d, mu, e)
    odds = e[:, 1] / e[:, 0]
    expected = d * (y - mu[:, 0]) - (1 - d) * odds * (y - mu[:, 0]) - d * theta
    np.testing.assert_allclose(phi, expected / d.mean(), atol=1e-10)


def test_bound_follows_the_smaller_arm():
    d = np.array([1] * 10 + [0] * 990)
    assert scores.clip_bound(d, np.ones(1000)) == pytest.approx(0.001)
    assert scores.clip_bound(1 - d, np.ones(1000)) == pytest.approx(0.001)
    assert scores.clip_bound(np.array([0, 1]), np.ones(2)) == 0.02
    # weights decide the share: 10 treated rows of weight 99 are half of the population
    assert scores.clip_bound(d, np.where(d == 1, 99.0, 1.0)) == 0.02


def test_only_the_denominator_at_hand_is_bounded():
    d, c = np.array([0, 1, 0, 1]), 0.02
    e1 = np.array([0.999, 0.001, 0.001, 0.999])
    e = np.column_stack([1 - e1, e1])
    np.testing.assert_allclose(scores.ate_weights(d, e, c), [50, 50, 1 / 0.999, 1 / 0.999])
    np.testing.assert_allclose(scores.att_weights(d, e, c), [0.999 / 0.02, 1, 0.001 / 0.999, 1])
    np.testing.assert_allclose(scores.atu_weights(d, e, c), [1, 0.999 / 0.02, 1, 0.001 / 0.999])


@estimands
def test_one_wrong_nuisance_stays_centred_and_two_do_not(estimand):
    truth = DRAW.truth.value(estimand.name)
    y, d = DRAW.data.outcome, DRAW.data.treatment
    wrong_mu = np.zeros_like(DRAW.mean)
    wrong_e = np.full_like(DRAW.propensity, 0.5)

    def errors_off(mu, e):
        theta, phi = _theta(estimand, y, d, mu, e)
        return abs(theta - truth) / (phi.std() / np.sqrt(len(y)))

    assert errors_off(DRAW.mean, DRAW.propensity) < 4
    assert errors_off(wrong_mu, DRAW.propensity) < 4
    assert errors_off(DRAW.mean, wrong_e) < 4
    assert errors_off(wrong_mu, wrong_e) > 8


def _both_arms_of(n):
    """Rows (x_i, D = 0) and (x_i, D = 1) with weights e_a(x_i): expectations given x are exact."""
    e, mu = DRAW.propensity[:n], DRAW.mean[:n]
    d = np.repeat([0, 1], n)
    return d, np.vstack([e, e]), np.vstack([mu, mu]), np.concatenate([e[:, 0], e[:, 1]])


@estimands
def test_score_mean_is_insensitive_to_first_order_nuisance_error(estimand):
    n = 2_000
    d, e, mu, w = _both_arms_of(n)
    y = mu[np.arange(2 * n), d]
    rng = np.random.default_rng(1)
    h = np.tile(rng.normal(size=(n, 2)), (2, 1))
    g = np.tile(np.outer(0.2 * rng.normal(size=n), [-1, 1]), (2, 1)) * e * (1 - e)
    theta, _ = _theta(estimand, y, d, mu, e, w)

    def mean_score(t, mu_error, e_error):
        omega = scores.TARGETS[estimand.group].weights(d, e + t * e_error, 0.0)
        score = SCORES[type(estimand)](y, d, mu + t * mu_error, omega)
        return w @ (score.psi_b - theta * score.psi_a) / w.sum()

    step = 1e-4
    for mu_error, e_error in ((h, 0 * g), (0 * h, g), (h, g)):
        slope = mean_score(step, mu_error, e_error) - mean_score(-step, mu_error, e_error)
        assert abs(slope / (2 * step)) < 1e-3
    # the plug-in, by contrast, follows the error one for one
    assert abs((h[:, 1] - h[:, 0]).mean()) > 1e-3


def test_distribution_score_is_insensitive_to_first_order_nuisance_error():
    n, q = 500, 5
    e, rng = DRAW.propensity[:n], np.random.default_rng(2)
    atoms = np.sort(DRAW.mean[:n, 1][:, None] + rng.normal(size=(n, q)), axis=1)
    grid = np.linspace(-1, 3, 9)
    cdf = (atoms[:, :, None] <= grid).mean(axis=1)
    # every x in arm 0 once and in arm 1 once for each of its q equally likely outcomes
    y = np.concatenate([np.zeros(n), atoms.ravel()])
    index = np.concatenate([np.arange(n), np.repeat(np.arange(n), q)])
    in_arm = np.concatenate([np.zeros(n, bool), np.ones(n * q, bool)])
    w = np.where(in_arm, e[index, 1] / q, e[index, 0])
    h, g = rng.normal(size=cdf.shape), 0.2 * rng.normal(size=n) * e[:, 0] * e[:, 1]

    def mean_score(t):
        omega = 1 / (e[:, 1] + t * g)
        psi = scores.cdf_scores(
            y, np.ones(len(y)), (cdf + t * h)[index], in_arm * omega[index], grid
        )
        return w @ psi / w.sum()

    np.testing.assert_allclose(mean_score(0.0), cdf.mean(axis=0), atol=1e-12)
    slope = (mean_score(1e-4) - mean_score(-1e-4)) / 2e-4
    assert np.abs(slope).max() < 1e-3
    assert np.abs(h.mean(axis=0)).max() > 1e-2


def test_rearranged_is_a_distribution_function():
    raw = np.array([[-0.2, 0.5, 0.3, 1.2, 0.9]])
    np.testing.assert_allclose(scores.rearranged(raw), [[0.0, 0.3, 0.5, 0.9, 1.0]])


def test_inverted_interpolates_or_jumps():
    cdf = np.array([[0.2, 0.6, 1.0]])
    grid, u = np.array([0.0, 10.0, 20.0]), np.array([0.1, 0.2, 0.4, 0.6, 0.8])
    smooth = scores.inverted(cdf, u, grid, np.array([False, False]))
    np.testing.assert_allclose(smooth, [[0, 0, 5, 10, 15]])
    steps = scores.inverted(cdf, u, grid, np.array([True, True]))
    np.testing.assert_allclose(steps, [[0, 0, 10, 10, 20]])
    flat = np.array([[0.5, 0.5, 0.5, 1.0]])
    found = scores.inverted(flat, np.array([0.5]), np.arange(4.0), np.zeros(3, bool))
    np.testing.assert_allclose(found, [[0.0]])


def test_effective_sample_size():
    assert scores.effective_sample_size(np.ones(7)) == pytest.approx(7)
    assert scores.effective_sample_size(np.array([1.0, 0, 0])) == pytest.approx(1)
    assert scores.effective_sample_size(np.zeros(3)) == 0
    # a row of weight 6 that stands for three rows of weight 2
    copies = np.array([2.0, 2, 2, 1])
    found = scores.effective_sample_size(np.array([6.0, 1]), counts=np.array([3.0, 1]))
    assert found == pytest.approx(scores.effective_sample_size(copies))
