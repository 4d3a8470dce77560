"""Rosenbaum bounds against the published table, and the matching that makes pairs."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from causal_ddpm import CausalData
from causal_ddpm.core.errors import DataError, OverlapError
from causal_ddpm.evaluation.sensitivity.matching import checked_pairs, matched_pairs
from causal_ddpm.evaluation.sensitivity.rosenbaum import matched_bounds, rosenbaum_bounds

# Lead in the blood of 33 children of lead workers and of matched neighbours, in micrograms per
# decilitre (Morton et al. 1982; the bounds are table 4.1 of Rosenbaum 2002).
EXPOSED = np.array([
    38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14, 21, 17, 16, 20, 15, 10, 45, 39, 22, 35, 49, 48,
    44, 35, 43, 39, 34, 13, 73, 25, 27,
])  # fmt: skip
CONTROL = np.array([
    16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13, 19, 10, 16, 16, 24, 13, 9, 14, 21, 19, 7, 18,
    19, 12, 11, 22, 25, 16, 13, 11, 13,
])  # fmt: skip
PUBLISHED = {2.0: 0.0018, 3.0: 0.0136, 4.0: 0.0388, 4.25: 0.0468, 5.0: 0.0740}


def test_the_published_bounds_of_lead_in_childrens_blood():
    found = rosenbaum_bounds(EXPOSED - CONTROL, gammas=list(PUBLISHED))
    assert found.statistic == 527
    assert found.n_pairs == 33
    table = found.to_frame().set_index("gamma")
    assert table["p_upper"][1.0] < 1e-4
    for gamma, p in PUBLISHED.items():
        assert round(table["p_upper"][gamma], 4) == p
    assert (table["p_lower"] < 1e-4).all()
    assert found.gamma_limit == pytest.approx(4.34, abs=0.01)
    at_limit = rosenbaum_bounds(EXPOSED - CONTROL, gammas=[found.gamma_limit])
    assert at_limit.p_upper[-1] == pytest.approx(0.05, abs=1e-9)


def test_without_hidden_bias_it_is_the_signed_rank_test():
    y = np.random.default_rng(1).normal(0.4, 1, 60)
    expected = wilcoxon(y, alternative="greater", correction=False, method="asymptotic").pvalue
    assert rosenbaum_bounds(y).p_upper[0] == pytest.approx(expected, rel=1e-10)


def test_the_direction_follows_the_sign_and_the_null():
    y = np.random.default_rng(1).normal(0.6, 1, 80)
    up, down = rosenbaum_bounds(y), rosenbaum_bounds(-y)
    assert (up.direction, down.direction) == ("higher", "lower")
    np.testing.assert_allclose(up.p_upper, down.p_upper)
    assert rosenbaum_bounds(y, null=2.0).direction == "lower"
    assert rosenbaum_bounds(y - y.mean()).gamma_limit == 1.0
    assert "nothing to explain away" in rosenbaum_bounds(y - y.mean()).sentence()


def test_the_bounds_hold_their_level_under_the_bias_they_allow():
    # Pairs in which hidden bias favours the higher outcome by odds of exactly 2, no effect.
    rng = np.random.default_rng(0)
    size = np.abs(rng.normal(size=(500, 80)))
    sign = np.where(rng.random(size.shape) < 2 / 3, 1, -1)
    p = [rosenbaum_bounds(y, [2.0], treated_higher=True).p_upper[-1] for y in size * sign]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.08
    naive = [
        rosenbaum_bounds(y, [2.0], treated_higher=True).p_upper[0] for y in size[:50] * sign[:50]
    ]
    assert np.mean(np.array(naive) < 0.05) > 0.8


def test_pairs_are_nearest_free_neighbours_without_replacement():
    d = np.array([1] * 12 + [0] * 30)
    e = np.clip(np.random.default_rng(0).beta(2, 3, 42), 0.05, 0.95)
    pairs = matched_pairs(d, e, caliper=np.inf)
    assert len(pairs) == 12
    assert len(np.unique(pairs)) == 24
    assert (d[pairs[:, 0]] == 1).all()
    assert (d[pairs[:, 1]] == 0).all()
    score, free, expected = np.log(e / (1 - e)), set(range(12, 42)), {}
    for i in np.argsort(-score[:12], kind="stable"):
        best = min(free, key=lambda j: (abs(score[j] - score[i]), score[j]))
        expected[int(i)] = best
        free.discard(best)
    assert {int(a): int(b) for a, b in pairs} == expected


def test_the_smaller_arm_is_matched_and_the_caliper_is_kept():
    rng = np.random.default_rng(2)
    e = rng.beta(3, 2, 400)
    d = (rng.random(400) < e).astype(int)
    assert d.sum() > 200
    pairs = matched_pairs(d, e)
    score = np.log(e / (1 - e))
    assert np.abs(np.diff(score[pairs], axis=1)).max() <= 0.2 * score.std()
    assert (d[pairs] == [1, 0]).all()
    assert len(np.unique(pairs[:, 1])) == len(pairs)


def test_pairs_can_be_given_or_made_with_and_without_nuisances(drawn, nuisances):
    data = drawn.data
    own = matched_bounds(data)
    ours = matched_bounds(data, nuisances)
    assert own.n_pairs > 150
    assert ours.n_pairs > 150
    pairs = matched_pairs(data.treatment, nuisances.propensity[:, 1])
    given = matched_bounds(data, None, pairs)
    np.testing.assert_array_equal(given.p_upper, ours.p_upper)


def test_weights_have_no_place_in_a_rank_test(drawn):
    frame = drawn.frame.assign(w=1.0 + (drawn.frame["x0"] > 0))
    with pytest.raises(DataError, match="equally weighted rows"):
        matched_bounds(CausalData(frame, "d", "y", ["x0", "x1", "x2"], weights="w"))


def test_unusable_pairs_and_gammas_are_refused(drawn):
    data = drawn.data
    treated, untreated = (np.flatnonzero(data.treatment == a)[:20] for a in (1, 0))
    good = np.column_stack([treated, untreated])
    assert (checked_pairs(good.tolist(), data) == good).all()
    bad = {
        "shape": good[:, 0],
        "there are 5 pairs": good[:5],
        "0 to 599": good + 600,
        "in several pairs": np.vstack([good, good[:1]]),
        "one treated and one untreated": good[:, ::-1],
        "float64": good.astype(float),
    }
    for message, pairs in bad.items():
        with pytest.raises(DataError, match=message):
            checked_pairs(pairs, data)
    with pytest.raises(DataError, match="values of Gamma"):
        rosenbaum_bounds(EXPOSED - CONTROL, gammas=[0.5])
    with pytest.raises(DataError, match="difference of zero"):
        rosenbaum_bounds(np.zeros(20))
    with pytest.raises(OverlapError, match="Only 0 matched pairs"):
        matched_pairs(np.array([1] * 20 + [0] * 20), np.array([0.9] * 20 + [0.1] * 20))
