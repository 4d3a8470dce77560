"""Curves over the coupling and Makarov bounds: closed forms, coverage, robustness, atoms."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as for_all, settings, strategies as st
from scipy.special import expit, ndtr, ndtri

from causal_ddpm import joint_effects
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import DiscreteLaw
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError, SmallSampleWarning, SyntheticDataError
from causal_ddpm.estimators import makarov
from causal_ddpm.estimators.coupling import copula_mass, coupled_effects
from causal_ddpm.nuisance.crossfit import Nuisances

SD = (1.0, 0.6)
CORRELATIONS = (-1.0, -0.5, 0.0, 0.5, 0.9, 1.0)


def gaussian_laws(m0, m1, s0, s1, n_nodes=128):
    z = ndtri(mid_levels(n_nodes))
    pairs = ((m0, s0), (m1, s1))
    return tuple(ConditionalLaw(np.asarray(m, float)[:, None] + s * z) for m, s in pairs)


def mean_effect(x):
    return 0.3 + 1.2 * x


def drawn(n, seed, sd=SD, n_nodes=64):
    """Confounded Gaussian data with effect .3 + 1.2 x, their true laws and propensities."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    e = expit(0.8 * x)
    d = (rng.random(n) < e).astype(int)
    means = np.column_stack([x, x + mean_effect(x)])
    y = means[np.arange(n), d] + np.asarray(sd)[d] * rng.normal(size=n)
    laws = gaussian_laws(*means.T, *sd, n_nodes)
    return pd.DataFrame({"y": y, "d": d, "x": x}), means, np.column_stack([1 - e, e]), laws


def nuisances_of(data, means, e, laws):
    return Nuisances(np.arange(data.n) % 5, means, e, laws, data.fingerprint)


@pytest.fixture(scope="module")
def case():
    frame, means, e, laws = drawn(800, 0)
    data = CausalData(frame, "d", "y", ["x"])
    return data, nuisances_of(data, means, e, laws)


@pytest.fixture(scope="module")
def effects(case):
    return joint_effects(*case, correlations=CORRELATIONS)


# -- the curve ------------------------------------------------------------------------------
def test_the_share_follows_the_closed_form_at_every_correlation(case, effects):
    delta = mean_effect(case[0].covariates.values[:, 0])
    for rho, share, sd in zip(effects.correlation, effects.share, effects.sd, strict=True):
        within = np.sqrt(SD[0] ** 2 + SD[1] ** 2 - 2 * rho * SD[0] * SD[1])
        assert share == pytest.approx(ndtr(-delta / within).mean(), abs=0.004)
        assert sd == pytest.approx(np.hypot(within, delta.std()), rel=0.02)


def test_quantiles_of_the_effect_follow_the_closed_form():
    n, rho, levels = 400, 0.5, (0.1, 0.5, 0.9)
    frame, *_ = drawn(n, 1)
    data = CausalData(frame, "d", "y", ["x"])
    laws = gaussian_laws(np.zeros(n), np.full(n, 2.0), *SD)
    known = nuisances_of(data, np.zeros((n, 2)), np.full((n, 2), 0.5), laws)
    found = joint_effects(data, known, correlations=[rho], levels=levels).quantiles[0]
    within = np.sqrt(SD[0] ** 2 + SD[1] ** 2 - 2 * rho * SD[0] * SD[1])
    np.testing.assert_allclose(found, 2 + within * ndtri(levels), atol=0.03)


@pytest.mark.parametrize("rho", [*CORRELATIONS, 0.2, 0.99, -0.99])
def test_the_copula_keeps_the_marginals_and_has_its_correlation(rho):
    p, z = copula_mass(rho), ndtri(mid_levels(64))
    np.testing.assert_allclose(p.sum(axis=0), 1 / 64, rtol=1e-9)
    np.testing.assert_allclose(p.sum(axis=1), 1 / 64, rtol=1e-9)
    assert (p >= 0).all()
    assert z @ p @ z / (z @ z / 64) == pytest.approx(rho, abs=0.02)


def test_the_spread_of_effects_grows_with_lambda(effects):
    strength = effects.treatment_strength
    known = ~np.isnan(strength)
    np.testing.assert_allclose(strength[known], [np.inf, np.sqrt(3), np.sqrt(1 / 0.81 - 1), 0])
    assert (np.diff(effects.sd) < 0).all()


def test_the_curve_of_all_is_the_mixture_of_the_two_groups(case):
    shares = {
        among: joint_effects(*case, correlations=[0.3], among=among).share[0]
        for among in ("all", "treated", "untreated")
    }
    p = case[0].treatment.mean()
    assert shares["all"] == pytest.approx(p * shares["treated"] + (1 - p) * shares["untreated"])


# -- the bounds -----------------------------------------------------------------------------
def without_outcomes(laws):
    """Rows whose scores read the laws alone."""
    n = len(laws[0])
    return makarov.Rows(np.zeros(n), np.ones(n), (np.zeros(n), np.zeros(n)), laws)


def plug_in(laws, deltas):
    return makarov.bound_scores(without_outcomes(laws), np.asarray(deltas)).mean(axis=1)


def sharp_bounds(effect, sd, delta=0.0):
    """Closed form for equal variances (Fan and Park 2010, example 1), averaged over x."""
    gap = 2 * ndtr((delta - effect) / (2 * sd)) - 1
    return np.maximum(gap, 0).mean(), 1 + np.minimum(gap, 0).mean()


def test_bounds_follow_the_closed_form_for_equal_variances():
    effect = np.linspace(-2, 2, 41)
    laws = gaussian_laws(0 * effect, effect, 0.7, 0.7)
    for delta in (-1.0, 0.0, 0.4):
        found = plug_in(laws, [delta])[:, 0]
        np.testing.assert_allclose(found, sharp_bounds(effect, 0.7, delta), atol=2e-3)


def test_bounds_of_quantiles_follow_the_closed_form():
    laws, levels = gaussian_laws(np.zeros(3), np.ones(3), 0.5, 0.5), np.array([0.1, 0.5, 0.8])
    deltas = makarov.effect_grid(without_outcomes(laws), np.ones(3), 81)
    found = makarov.quantile_bounds(deltas, *plug_in(laws, deltas), levels)
    np.testing.assert_allclose(found[0], 1 + ndtri(levels / 2), atol=0.03)
    np.testing.assert_allclose(found[1], 1 + ndtri((1 + levels) / 2), atol=0.03)


@settings(max_examples=25, deadline=None)
@for_all(st.integers(0, 10**6), st.floats(-1, 1))
def test_the_curve_lies_inside_the_bounds_at_every_correlation(seed, rho):
    rng = np.random.default_rng(seed)
    n, shift = 8, rng.normal(size=2)
    laws = tuple(
        ConditionalLaw(np.sort(shift[a] + rng.standard_t(3, size=(n, 64)), axis=1)) for a in (0, 1)
    )
    deltas = np.sort(rng.normal(scale=2, size=5))
    lower, upper = plug_in(laws, deltas)
    cdf = coupled_effects(laws, np.ones(n), np.array([rho, 1.0, -1.0]), deltas).cdf
    assert (lower - 1 / 64 <= cdf).all()
    assert (cdf <= upper + 1 / 64).all()


def test_the_bounds_of_the_record_hold_the_curve(effects):
    lower, upper = effects.share_bounds.values
    assert ((lower < effects.share) & (effects.share < upper)).all()
    assert (effects.quantile_bounds[0] <= effects.quantiles).all()
    assert (effects.quantiles <= effects.quantile_bounds[1]).all()
    assert (effects.quantile_limits[0] <= effects.quantile_bounds[0]).all()
    assert (effects.quantile_limits[1] >= effects.quantile_bounds[1]).all()


def test_the_score_is_the_formula(case):
    """At a point chosen by hand: with one candidate the score can be written in one line."""
    data, nuisances = case
    d, e, y = data.treatment, nuisances.propensity, data.outcome
    omega = 1 / e[np.arange(data.n), d]
    rows = makarov.Rows(y, np.ones(data.n), (omega * (d == 0), omega * (d == 1)), nuisances.laws)
    a, b = np.full((data.n, 1, 1), 0.5), np.full((data.n, 1, 1), -0.1)
    f1, f0 = nuisances.laws[1].cdf([0.5]), nuisances.laws[0].cdf([-0.1])
    by_hand = np.where(
        f1 > f0,
        f1 - f0
        + (d / e[:, 1] * ((y <= 0.5) - f1[:, 0]))[:, None]
        - ((1 - d) / e[:, 0] * ((y <= -0.1) - f0[:, 0]))[:, None],
        0.0,
    )  # fmt: skip
    values = f1[:, :, None], f0[:, :, None]
    np.testing.assert_allclose(makarov._score(rows, (a, b), values, 1.0), by_hand, atol=1e-12)


# -- coverage -------------------------------------------------------------------------------
def one_sided(frame, e, laws, delta=0.0, level=0.95):
    """Bounds and their one-sided limits, with the average and its error written by hand."""
    d, y = frame["d"].to_numpy(), frame["y"].to_numpy()
    omega = 1 / e[np.arange(len(d)), d]
    rows = makarov.Rows(y, np.ones(len(d)), (omega * (d == 0), omega * (d == 1)), laws)
    psi = makarov.bound_scores(rows, np.array([delta]))[:, :, 0]
    value, error = psi.mean(axis=1), psi.std(axis=1, ddof=1) / np.sqrt(len(d))
    z = ndtri(level)
    return value, error, (value[0] - z * error[0], value[1] + z * error[1])


@pytest.fixture(scope="module")
def truth():
    x = ndtri(mid_levels(20_000))
    return sharp_bounds(mean_effect(x), 0.7)


def test_one_sided_limits_cover_at_their_level(truth):
    n_draws, covered = 400, np.zeros(2)
    for r in range(n_draws):
        frame, _, e, laws = drawn(300, 1000 + r, (0.7, 0.7), 16)
        _, _, (low, high) = one_sided(frame, e, laws)
        covered += [low <= truth[0], high >= truth[1]]
    error = np.sqrt(0.95 * 0.05 / n_draws)
    assert (np.abs(covered / n_draws - 0.95) < 3 * error).all()


def test_a_wrong_law_with_the_right_propensity_widens_but_stays_valid(truth):
    frame, means, e, laws = drawn(8_000, 7, (0.7, 0.7), 16)
    wrong = gaussian_laws(0 * means[:, 0], 0.3 + 0 * means[:, 1], 2.0, 1.0, 16)
    right, _, _ = one_sided(frame, e, laws)
    value, error, _ = one_sided(frame, e, wrong)
    assert value[0] < truth[0] + 3 * error[0]
    assert value[1] > truth[1] - 3 * error[1]
    assert value[1] - value[0] > right[1] - right[0] + 0.1


def test_a_wrong_propensity_with_the_right_law_stays_centred(truth):
    frame, _, e, laws = drawn(8_000, 8, (0.7, 0.7), 16)
    value, error, _ = one_sided(frame, np.full_like(e, 0.5), laws)
    assert (np.abs(value - truth) < 4 * error).all()


def test_with_both_wrong_the_limit_can_fail(truth):
    """So that the two tests above could have failed."""
    frame, means, e, _ = drawn(8_000, 9, (0.7, 0.7), 16)
    wrong = gaussian_laws(0 * means[:, 0], 1 + 0 * means[:, 1], 0.7, 0.7, 16)
    value, error, _ = one_sided(frame, 1 - e, wrong)
    assert value[1] < truth[1] - 4 * error[1]


# -- atoms: <= and < differ -----------------------------------------------------------------
@pytest.fixture(scope="module", params=["atom and point mass", "table of probabilities"])
def binary(request):
    """Y in {0, 1} with P(Y(0) = 1) = 3/8, P(Y(1) = 1) = 5/8, randomised."""
    n, rng = 1_200, np.random.default_rng(3)
    d = np.arange(n) % 2
    y = (rng.random(n) < np.where(d == 1, 5 / 8, 3 / 8)).astype(float)
    data = CausalData(pd.DataFrame({"y": y, "d": d, "x": rng.normal(size=n)}), "d", "y", ["x"])
    kinds = {
        "atom and point mass": lambda p: ConditionalLaw(
            np.ones((n, 4)), 0.0, np.full(n, 1 - p), (0.0, 1.0)
        ),
        "table of probabilities": lambda p: DiscreteLaw(
            np.array([0.0, 1.0]), np.tile([1 - p, p], (n, 1))
        ),
    }
    laws = tuple(kinds[request.param](p) for p in (3 / 8, 5 / 8))
    return data, nuisances_of(data, np.tile([3 / 8, 5 / 8], (n, 1)), np.full((n, 2), 0.5), laws)


@pytest.mark.parametrize(
    ("threshold", "independent", "lower", "upper"),
    [
        (0.0, 1 - 5 / 8 * 5 / 8, 3 / 8, 6 / 8),  # all but the gainers
        (-0.5, 3 / 8 * 3 / 8, 0.0, 3 / 8),  # losers
        (-1.0, 3 / 8 * 3 / 8, 0.0, 3 / 8),
        (1.0, 1.0, 1.0, 1.0),
    ],
)
def test_binary_outcomes_follow_frechet_and_hoeffding(binary, threshold, independent, lower, upper):
    found = joint_effects(*binary, correlations=[0.0], threshold=threshold)
    assert found.share[0] == pytest.approx(independent, abs=1e-9)
    error = 4 * found.share_bounds.std_error
    assert (np.abs(found.share_bounds.values - [lower, upper]) <= error + 1e-12).all()
    np.testing.assert_allclose(found.quantiles, np.round(found.quantiles), atol=1e-8)
    np.testing.assert_allclose(found.quantile_bounds[:, 0], [-1.0, 0.0], atol=1e-8)


# -- sampling designs -----------------------------------------------------------------------
def test_frequency_weights_equal_duplicated_rows():
    frame, means, e, laws = drawn(300, 5)
    counts = np.random.default_rng(5).integers(1, 4, 300)
    repeated = np.repeat(np.arange(300), counts)
    weighted = CausalData(
        frame.assign(w=counts), "d", "y", ["x"], weights="w", weights_type="frequency"
    )
    long = CausalData(frame.iloc[repeated], "d", "y", ["x"])
    long_laws = tuple(law.rows(repeated) for law in laws)
    a = joint_effects(weighted, nuisances_of(weighted, means, e, laws))
    b = joint_effects(long, nuisances_of(long, means[repeated], e[repeated], long_laws))
    np.testing.assert_allclose(a.share, b.share, atol=1e-10)
    np.testing.assert_allclose(a.share_bounds.values, b.share_bounds.values, atol=1e-10)
    np.testing.assert_allclose(a.share_bounds.cov, b.share_bounds.cov, atol=1e-10)


def test_clusters_give_wider_t_limits(case):
    _, nuisances = case
    frame, *_ = drawn(800, 0)
    clustered = CausalData(frame.assign(g=np.arange(800) // 20), "d", "y", ["x"], clusters="g")
    same = nuisances_of(clustered, nuisances.mean, nuisances.propensity, nuisances.laws)
    found = joint_effects(clustered, same, correlations=[0.0])
    assert found.share_bounds.df == 39
    reach = found.share_limits()[1] - found.share_bounds.values[1]
    assert reach == pytest.approx(1.685 * found.share_bounds.std_error[1], rel=1e-3)


def test_a_small_sample_is_warned_about():
    frame, means, e, laws = drawn(120, 6)
    data = CausalData(frame, "d", "y", ["x"])
    with pytest.warns(SmallSampleWarning):
        joint_effects(data, nuisances_of(data, means, e, laws))


# -- the record -----------------------------------------------------------------------------
def test_the_record_says_that_the_curve_is_not_identified(effects):
    assert "Not identified" in repr(effects)
    written = json.loads(json.dumps(effects.to_dict(), allow_nan=False))
    assert written["identified"] is False
    assert written["curve"][0]["treatment_strength"] is None
    np.testing.assert_allclose([row["share"] for row in written["curve"]], effects.share)
    assert [row["quantity"] for row in written["bounds"]] == ["share", "q0.1", "q0.5", "q0.9"]
    pd.testing.assert_series_equal(
        effects.frame()["q0.5"], pd.Series(effects.quantiles[:, 1], name="q0.5")
    )
    low, high = effects.share_limits(0.5)
    np.testing.assert_allclose([low, high], effects.share_bounds.values)


@pytest.mark.parametrize(
    "bad",
    [
        {"correlations": [0.2, 1.5]}, {"correlations": [np.nan]}, {"correlations": []},
        {"threshold": np.nan}, {"levels": [0.0]}, {"levels": []}, {"level": 1.0},
        {"among": "everyone"},
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_in_a_sentence(case, bad):
    with pytest.raises(DataError, match="expected"):
        joint_effects(*case, **bad)


def test_nuisances_of_other_data_or_without_laws_are_refused(case):
    data, nuisances = case
    frame, means, e, _ = drawn(800, 0)
    other = CausalData(frame.assign(y=frame["y"] + 1), "d", "y", ["x"])
    with pytest.raises(DataError, match="belong to other data"):
        joint_effects(other, nuisances)
    with pytest.raises(DataError, match="means only"):
        joint_effects(data, nuisances_of(data, means, e, None))


def test_synthetic_rows_are_refused(case):
    frame, means, e, laws = drawn(800, 0)
    marked = CausalData(frame.assign(__synthetic__=frame["x"] > 2), "d", "y", ["x"])
    with pytest.raises(SyntheticDataError):
        joint_effects(marked, nuisances_of(marked, means, e, laws))


def test_more_than_two_arms_are_refused(case):
    frame, means, e, laws = drawn(800, 0)
    arms = frame.assign(d=np.arange(800) % 3)
    data = CausalData(arms, "d", "y", ["x"], treatment_kind="arms")
    with pytest.raises(DataError, match="binary"):
        joint_effects(data, nuisances_of(data, means, e, laws))


def test_levels_without_an_order_are_refused():
    frame, means, e, laws = drawn(300, 0)
    named = frame.assign(y=np.where(frame["y"] > 0, "work", "school"))
    data = CausalData(named, "d", "y", ["x"], outcome_kind="categorical")
    with pytest.raises(DataError, match="no order"):
        joint_effects(data, nuisances_of(data, means, e, laws))
