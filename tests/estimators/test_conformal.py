"""Intervals of unit effects: the quantile by hand, coverage under every coupling, refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtri

from causal_ddpm import new_unit_effect_intervals, unit_effect_intervals
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import DiscreteLaw
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import (
    DataError,
    NotCalibratedWarning,
    OverlapWarning,
    SyntheticDataError,
)
from causal_ddpm.estimators.conformal import conformal_quantile
from causal_ddpm.nuisance.crossfit import Nuisances

SD = np.array([1.0, 0.6])
Z = ndtri(mid_levels(32))


def means_at(x):
    return np.column_stack([x, 0.5 + 1.5 * x])


def laws_at(x, shift=0.0, stretch=1.0):
    centre = means_at(x) + shift
    return tuple(ConditionalLaw(centre[:, [a]] + stretch * SD[a] * Z) for a in (0, 1))


def drawn(n, seed, rho=0.0):
    """Confounded rows with their potential outcomes, joined by a Gaussian copula."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    e = np.column_stack([expit(-x), expit(x)])
    d = (rng.random(n) < e[:, 1]).astype(int)
    z0, noise = rng.normal(size=(2, n))
    z1 = rho * z0 + np.sqrt(1 - rho**2) * noise
    both = means_at(x) + SD * np.column_stack([z0, z1])
    data = CausalData(pd.DataFrame({"y": both[np.arange(n), d], "d": d, "x": x}), "d", "y", ["x"])
    return data, both, x, e


def nuisances_of(data, x, e, laws):
    return Nuisances(np.arange(data.n) % 5, means_at(x), e, laws, data.fingerprint, "given laws")


def quiet(function, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverlapWarning)
        return function(*args, **settings)


def test_the_quantile_is_the_smallest_score_with_enough_weight():
    rng = np.random.default_rng(0)
    scores, weights = rng.normal(size=40), rng.uniform(0.1, 3, 40)
    own = np.array([0.0, 0.5, 2.0, 100.0])
    found = conformal_quantile(scores, weights, own, 0.9)
    for q, w in zip(found, own, strict=True):
        total = weights.sum() + w
        enough = [s for s in scores if weights[scores <= s].sum() >= 0.9 * total]
        assert q == (min(enough) if enough else np.inf)


def test_equal_weights_give_the_split_conformal_order_statistic():
    scores = np.random.default_rng(1).normal(size=99)
    found = conformal_quantile(scores, np.ones(99), np.ones(1), 0.9)
    assert found[0] == np.sort(scores)[int(np.ceil(100 * 0.9)) - 1]


@pytest.mark.parametrize(
    ("law", "propensity"),
    [({"shift": 0.7, "stretch": 0.4}, "right"), ({"stretch": 2.0}, "right"), ({}, "wrong")],
)
def test_a_wrong_law_or_a_wrong_propensity_leaves_coverage_in_both_arms(law, propensity):
    inside = {0: [], 1: []}
    for seed in range(50):
        data, both, x, e = drawn(300, seed)
        used = e if propensity == "right" else np.full_like(e, 0.5)
        found = quiet(unit_effect_intervals, data, nuisances_of(data, x, used, laws_at(x, **law)))
        effect = both[:, 1] - both[:, 0]
        held = (found.lower <= effect) & (effect <= found.upper)
        for arm in inside:
            inside[arm].append(held[data.treatment == arm].mean())
    for shares in inside.values():
        error = np.std(shares) / np.sqrt(len(shares))
        assert 0.95 - 3 * error <= np.mean(shares) < 0.975


def test_right_laws_give_nearly_the_width_of_the_known_law():
    data, _, x, e = drawn(4000, 0)
    found = quiet(unit_effect_intervals, data, nuisances_of(data, x, e, laws_at(x)), 0.9)
    known = 2 * 1.6449 * SD[1 - data.treatment]
    assert np.median(found.upper - found.lower) == pytest.approx(np.median(known), rel=0.12)


def test_the_effect_is_the_observed_outcome_against_the_interval_of_the_other():
    data, _, x, e = drawn(200, 3)
    frame = quiet(unit_effect_intervals, data, nuisances_of(data, x, e, laws_at(x)), 0.8).to_frame()
    treated = frame[frame["treatment"] == 1]
    untreated = frame[frame["treatment"] == 0]
    assert np.allclose(treated["lower"], treated["observed"] - treated["other_upper"])
    assert np.allclose(untreated["lower"], untreated["other_lower"] - untreated["observed"])
    assert (frame["lower"] <= frame["upper"]).all()


def test_the_point_keeps_the_rank():
    data, _, x, e = drawn(200, 4)
    found = quiet(unit_effect_intervals, data, nuisances_of(data, x, e, laws_at(x)))
    m, d = means_at(x), data.treatment
    own, other = (np.arange(200), d), (np.arange(200), 1 - d)
    kept = m[other] + SD[1 - d] / SD[d] * (data.outcome - m[own])
    middle = np.abs(data.outcome - m[own]) < 1.8 * SD[d]
    assert np.allclose(found.outcomes["other_outcome"][middle], kept[middle], atol=1e-6)


def test_units_without_a_counterpart_have_infinite_intervals():
    data, _, x, e = drawn(120, 5)
    with pytest.warns(OverlapWarning, match="intervals are infinite"):
        found = unit_effect_intervals(data, nuisances_of(data, x, e, laws_at(x)), level=0.99)
    assert 0 < found.n_infinite <= 120
    assert "infinite" in repr(found)


def test_binary_outcomes_have_effects_between_minus_one_and_one():
    rng = np.random.default_rng(6)
    x, d = rng.normal(size=300), rng.integers(0, 2, 300)
    p = np.column_stack([expit(x), expit(x + 1)])
    y = (rng.random(300) < p[np.arange(300), d]).astype(int)
    data = CausalData(pd.DataFrame({"y": y, "d": d, "x": x}), "d", "y", ["x"])
    laws = tuple(DiscreteLaw(np.array([0.0, 1.0]), np.column_stack([1 - q, q])) for q in p.T)
    nuisances = Nuisances(np.arange(300) % 5, p, np.full((300, 2), 0.5), laws, data.fingerprint)
    found = unit_effect_intervals(data, nuisances)
    assert found.lower.min() >= -1
    assert found.upper.max() <= 1


def test_a_frequency_weight_is_that_many_rows():
    data, _, x, e = drawn(150, 7)
    counts = np.random.default_rng(7).integers(1, 4, 150)
    frame = pd.DataFrame({"y": data.outcome, "d": data.treatment, "x": x, "w": counts})
    roles = {"treatment": "d", "outcome": "y", "confounders": ["x"]}
    weighted = CausalData(frame, **roles, weights="w", weights_type="frequency")
    again = np.repeat(np.arange(150), counts)
    repeated = CausalData(frame.iloc[again].reset_index(drop=True), **roles)
    short = quiet(unit_effect_intervals, weighted, nuisances_of(weighted, x, e, laws_at(x)), 0.9)
    long = quiet(
        unit_effect_intervals,
        repeated,
        nuisances_of(repeated, x[again], e[again], laws_at(x[again])),
        0.9,
    )
    assert np.allclose(short.lower[again], long.lower)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.9])
def test_intervals_of_new_units_hold_under_every_coupling(rho):
    shares = []
    for seed in range(20):
        data, _, x, e = drawn(400, seed, rho)
        _, both, fresh, e_new = drawn(200, 1000 + seed, rho)
        law = KnownLaw()
        nuisances = nuisances_of(data, x, e, laws_at(x, stretch=0.5))
        found = quiet(
            new_unit_effect_intervals, data, nuisances, law, fresh[:, None], propensity=e_new
        )
        effect = both[:, 1] - both[:, 0]
        shares.append(np.mean((found.lower <= effect) & (effect <= found.upper)))
    assert np.mean(shares) >= 0.95


class KnownLaw:
    """The law of new rows, as narrow as the one that is calibrated."""

    def predictive(self, X, arm):
        return laws_at(np.asarray(X)[:, 0], stretch=0.5)[arm]


def test_new_units_need_one_propensity_each():
    data, _, x, e = drawn(100, 8)
    with pytest.raises(DataError, match="the propensity has shape"):
        new_unit_effect_intervals(
            data, nuisances_of(data, x, e, laws_at(x)), KnownLaw(), x[:9, None], propensity=e
        )


def test_clusters_are_warned_about():
    data, _, x, e = drawn(200, 9)
    frame = pd.DataFrame({"y": data.outcome, "d": data.treatment, "x": x, "g": np.arange(200) % 40})
    clustered = CausalData(frame, "d", "y", ["x"], clusters="g")
    with pytest.warns(NotCalibratedWarning, match="clusters"):
        quiet(unit_effect_intervals, clustered, nuisances_of(clustered, x, e, laws_at(x)))


def test_refusals():
    data, _, x, e = drawn(100, 10)
    good = nuisances_of(data, x, e, laws_at(x))
    other, _, *_ = drawn(100, 11)
    with pytest.raises(DataError, match="belong to other data"):
        unit_effect_intervals(other, good)
    with pytest.raises(DataError, match="learned means only"):
        unit_effect_intervals(data, nuisances_of(data, x, e, None))
    with pytest.raises(DataError, match="confidence level is 2"):
        unit_effect_intervals(data, good, level=2)
    arms = pd.DataFrame({"y": x, "d": np.arange(100) % 3, "x": x}).astype({"d": str})
    three = CausalData(arms, "d", "y", ["x"], treatment_kind="arms")
    with pytest.raises(DataError, match="binary treatment"):
        unit_effect_intervals(three, good)
    marked = drawn(100, 10)[0]
    marked.n_synthetic = 3
    with pytest.raises(SyntheticDataError):
        unit_effect_intervals(marked, good)
