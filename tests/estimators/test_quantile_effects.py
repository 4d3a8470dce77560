"""Corrected distributions and quantile effects: truth, properties, atoms, bands."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import QTE, PotentialDistributions
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS
from causal_ddpm.estimators.corrected_law import outcome_grid
from causal_ddpm.estimators.curves import distribution_curves
from causal_ddpm.estimators.distribution import DistributionEffect
from causal_ddpm.estimators.qte import QuantileEffect

LEVELS = (0.25, 0.5, 0.75)


def _experiment(y, d, laws=None):
    """Randomised data with nuisances that know nothing: the estimates are empirical laws."""
    data = CausalData(pd.DataFrame({"y": y, "d": d, "x": np.arange(len(y)) % 7}), "d", "y", ["x"])
    flat = ConditionalLaw(np.tile(np.quantile(y, mid_levels(16)), (len(y), 1)))
    return data, laws or (flat, flat)


@pytest.mark.parametrize("design", [GAUSS, BIMODAL], ids=lambda design: design.name)
def test_quantile_effects_are_centred_at_the_truth(design, oracle):
    draw = design.draw(3_000, seed=31)
    estimate = QuantileEffect(QTE(LEVELS)).estimate(draw.data, oracle(draw, design))
    truth = [draw.truth.value(label) for label in estimate.labels]
    assert estimate.labels == ("QTE(0.25)", "QTE(0.5)", "QTE(0.75)")
    assert (np.abs(estimate.value - truth) < 4 * estimate.std_error).all()
    low, high = estimate.interval()
    np.testing.assert_allclose(high - low, 2 * 1.96 * estimate.std_error, rtol=0.2)


def test_a_wrong_law_with_the_right_propensity_stays_centred(oracle, given):
    draw = GAUSS.draw(12_000, seed=32)
    wrong = ConditionalLaw(np.tile(np.linspace(-2, 2, 8), (draw.data.n, 1)))
    nuisances = given(draw.data, draw.mean, draw.propensity, (wrong, wrong))
    estimate = QuantileEffect(QTE(LEVELS), n_bootstrap=200).estimate(draw.data, nuisances)
    truth = [draw.truth.value(label) for label in estimate.labels]
    assert (np.abs(estimate.value - truth) < 4 * estimate.std_error).all()
    both = given(draw.data, draw.mean, np.full_like(draw.propensity, 0.5), (wrong, wrong))
    biased = QuantileEffect(QTE(LEVELS), n_bootstrap=200).estimate(draw.data, both)
    assert (np.abs(biased.value - truth) > 4 * biased.std_error).any()


def test_in_an_experiment_without_a_model_it_is_the_difference_of_empirical_quantiles(given):
    rng = np.random.default_rng(33)
    y, d = rng.normal(size=300), np.arange(300) % 2
    data, laws = _experiment(y, d)
    nuisances = given(data, np.zeros((300, 2)), np.full((300, 2), 0.5), laws)
    estimate = QuantileEffect(QTE(LEVELS)).estimate(data, nuisances)
    for j, u in enumerate(LEVELS):
        quantiles = [np.quantile(y[d == a], u, method="inverted_cdf") for a in (0, 1)]
        # within a step of the empirical distribution function
        assert estimate.value[j] == pytest.approx(quantiles[1] - quantiles[0], abs=0.05)


def test_influence_and_bootstrap_agree_on_the_standard_error(oracle):
    draw = GAUSS.draw(1_500, seed=34)
    estimate = QuantileEffect(QTE(LEVELS)).estimate(draw.data, oracle(draw, GAUSS))
    from_influence = estimate.influence.std(axis=0) / np.sqrt(draw.data.n)
    np.testing.assert_allclose(from_influence, estimate.std_error, rtol=0.15)
    np.testing.assert_allclose(estimate.influence.mean(axis=0), 0, atol=1e-10)


@pytest.mark.parametrize("among", ["treated", "untreated"])
def test_quantile_effects_of_a_group_are_centred_at_its_truth(among, oracle):
    population = BIMODAL.draw(200_000, seed=77)
    members = population.data.treatment == (among == "treated")
    levels = [0.25, 0.5, 0.75]
    q0, q1 = np.quantile(population.potential_outcomes[members], levels, axis=0).T
    draw = BIMODAL.draw(3_000, seed=78)
    estimator = QuantileEffect(QTE(levels, among=among), n_bootstrap=300)
    estimate = estimator.estimate(draw.data, oracle(draw, BIMODAL))
    assert (np.abs(estimate.values - (q1 - q0)) < 3.5 * estimate.std_error).all()
    assert estimate.population == f"{among} units"


def test_the_treated_keep_their_own_distribution_under_treatment(oracle):
    draw = GAUSS.draw(500, seed=5)
    estimator = DistributionEffect(PotentialDistributions(among="treated"), n_bootstrap=50)
    curve = distribution_curves(estimator.estimate(draw.data, oracle(draw, GAUSS)))[1]
    own = draw.data.outcome[draw.data.treatment == 1]
    empirical = (own[:, None] <= curve.grid).mean(axis=0)
    np.testing.assert_allclose(curve.estimate.values[:-1], empirical[:-1], atol=1e-12)


def test_unknown_group_is_refused():
    for make in (lambda: QTE(among="some"), lambda: PotentialDistributions(among="some")):
        with pytest.raises(DataError, match="'all', 'treated' or 'untreated'"):
            make()


@pytest.mark.parametrize("scale", [4.0, 0.25])
def test_shift_and_scale_move_quantiles_alike(scale, small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=150)
    data, moved = as_data(frame), as_data(frame.assign(y=3 + scale * frame["y"]))
    scaled = tuple(ConditionalLaw(3 + scale * law.nodes) for law in laws)
    a = QuantileEffect(QTE(LEVELS)).estimate(data, given(data, mean, e, laws))
    b = QuantileEffect(QTE(LEVELS)).estimate(moved, given(moved, mean, e, scaled))
    np.testing.assert_allclose(b.value, scale * a.value, atol=1e-10)
    np.testing.assert_allclose(b.std_error, scale * a.std_error, rtol=1e-8)


def test_relabelling_the_arms_flips_the_sign(small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=150)
    data, flipped = as_data(frame), as_data(frame.assign(d=1 - frame["d"]))
    a = QuantileEffect(QTE(LEVELS)).estimate(data, given(data, mean, e, laws))
    b = QuantileEffect(QTE(LEVELS)).estimate(
        flipped, given(flipped, mean[:, ::-1], e[:, ::-1], laws[::-1])
    )
    np.testing.assert_allclose(b.value, -a.value, atol=1e-12)
    np.testing.assert_allclose(b.std_error, a.std_error, rtol=1e-10)


def test_row_order_moves_only_the_bootstrap(small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=150)
    order = np.random.default_rng(3).permutation(len(frame))
    data, moved = as_data(frame), as_data(frame.iloc[order].reset_index(drop=True))
    again = given(moved, mean[order], e[order], tuple(law.rows(order) for law in laws))
    a = QuantileEffect(QTE(LEVELS)).estimate(data, given(data, mean, e, laws))
    b = QuantileEffect(QTE(LEVELS)).estimate(moved, again)
    np.testing.assert_allclose(b.value, a.value, atol=1e-12)
    np.testing.assert_allclose(b.std_error, a.std_error, rtol=0.15)


def test_same_seed_same_bootstrap(small_sample, as_data, given):
    frame, mean, e, laws = small_sample(n=150)
    data = as_data(frame)
    nuisances = given(data, mean, e, laws)
    a, b, c = (QuantileEffect(QTE(0.5), seed).estimate(data, nuisances) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.bootstrap, b.bootstrap)
    assert a.bootstrap.shape == (999, 1)
    assert not np.array_equal(a.bootstrap, c.bootstrap)
    assert a.value == c.value


def _earnings(n, seed):
    """A third of the outcomes are zero, the rest at least 1 000."""
    rng = np.random.default_rng(seed)
    d = np.arange(n) % 2
    zero = rng.random(n) < np.where(d == 1, 0.25, 0.4)
    return np.where(zero, 0.0, 1_000 + 5_000 * rng.exponential(size=n)), d


def test_an_atom_keeps_mass_out_of_the_gap(given):
    y, d = _earnings(2_000, 35)
    q = 1_000 + 5_000 * -np.log(1 - mid_levels(16))
    n = len(y)
    laws = tuple(
        ConditionalLaw(np.tile(q, (n, 1)), 0.0, np.full(n, p), (0.0, np.inf)) for p in (0.4, 0.25)
    )
    data, laws = _experiment(y, d, laws)
    nuisances = given(data, np.zeros((n, 2)), np.full((n, 2), 0.5), laws)
    levels = tuple(np.linspace(0.02, 0.98, 49))
    estimate = QuantileEffect(QTE(levels)).estimate(data, nuisances)
    untreated = np.array(estimate.details["quantiles_untreated"])
    treated = np.array(estimate.details["quantiles_treated"])
    for quantiles in (untreated, treated):
        assert ((quantiles == 0) | (quantiles >= y[y > 0].min())).all()
        assert quantiles.max() <= y.max()
    # the share of zeros is the corrected one
    assert (untreated == 0).mean() == pytest.approx((y[d == 0] == 0).mean(), abs=0.03)
    assert (treated == 0).mean() == pytest.approx((y[d == 1] == 0).mean(), abs=0.03)
    # where both quantiles are the atom there is no effect and no uncertainty
    low = QuantileEffect(QTE(0.1)).estimate(data, nuisances)
    assert (low.value, low.std_error) == (0.0, 0.0)


def test_a_discrete_outcome_has_discrete_quantiles(given):
    rng = np.random.default_rng(36)
    y, d = rng.integers(0, 6, 500).astype(float), np.arange(500) % 2
    data, laws = _experiment(y, d)
    nuisances = given(data, np.zeros((500, 2)), np.full((500, 2), 0.5), laws)
    estimate = QuantileEffect(QTE(tuple(np.linspace(0.05, 0.95, 19)))).estimate(data, nuisances)
    assert set(estimate.details["quantiles_treated"]) <= set(range(6))
    assert set(np.unique(estimate.bootstrap)) <= set(range(-5, 6))


def test_grid_holds_extremes_atoms_and_their_neighbours():
    y, _ = _earnings(3_000, 37)
    grid = outcome_grid(y, np.ones(len(y)), 97)
    assert grid.points[0] == y.min() == 0
    assert grid.points[-1] == y.max()
    assert grid.points[1] == y[y > 0].min()
    assert grid.jumps.tolist() == [True] + [False] * (len(grid.points) - 2)
    assert np.isin(grid.points, y).all()
    # weighting is duplication here too
    w = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    copies = np.repeat(y, w.astype(int))
    weighted, doubled = outcome_grid(y, w, 97), outcome_grid(copies, np.ones(len(copies)), 97)
    np.testing.assert_array_equal(weighted.points, doubled.points)
    few = outcome_grid(np.repeat(np.arange(50.0), 9), np.ones(450), 10)
    assert few.jumps.all()
    assert len(few.points) == 50


def test_distributions_are_proper_and_near_the_truth(oracle):
    draw = BIMODAL.draw(4_000, seed=38)
    estimate = DistributionEffect(PotentialDistributions(41)).estimate(
        draw.data, oracle(draw, BIMODAL)
    )
    curves = distribution_curves(estimate)
    population = BIMODAL.draw(100_000, seed=39).potential_outcomes
    for arm, curve in enumerate(curves):
        f = curve.estimate.values
        assert curve.uniform
        assert (np.diff(f) >= 0).all()
        assert f.min() >= 0
        assert f[-1] == 1
        assert ((curve.lower <= f) & (f <= curve.upper)).all()
        assert (np.diff(curve.lower) >= 0).all()
        assert (np.diff(curve.upper) >= 0).all()
        truth = (population[:, [arm]] <= curve.grid).mean(axis=0)
        assert np.abs(f - truth).max() < 0.04
        assert len(curve.to_frame()) == len(curve.grid)
    assert estimate.labels[0].startswith("F0(")
    assert estimate.labels[-1].startswith("F1(")


def test_uniform_bands_cover_both_curves_at_once(oracle):
    truth_of = None
    hits, pointwise = [], []
    for seed in range(50):
        draw = GAUSS.draw(300, seed)
        estimator = DistributionEffect(PotentialDistributions(25), n_bootstrap=300)
        estimate = estimator.estimate(draw.data, oracle(draw, GAUSS, n_nodes=12))
        if truth_of is None:
            truth_of = np.sort(GAUSS.draw(100_000, seed=99).potential_outcomes, axis=0)
        inside, inside_pointwise = [], []
        low, high = estimate.interval()
        for arm, curve in enumerate(distribution_curves(estimate)):
            truth = np.searchsorted(truth_of[:, arm], curve.grid, side="right") / len(truth_of)
            part = slice(arm * len(curve.grid), (arm + 1) * len(curve.grid))
            inside.append(((curve.lower <= truth) & (truth <= curve.upper)).all())
            inner = slice(1, -1)  # percentiles know nothing of the ends, which are 0 and 1
            inside_pointwise.append(((low[part] <= truth) & (truth <= high[part]))[inner].all())
        hits.append(all(inside))
        pointwise.append(all(inside_pointwise))
    assert np.mean(hits) >= 0.87  # .95 minus 2.6 Monte Carlo errors
    assert np.mean(pointwise) < np.mean(hits) - 0.15


def test_a_tail_without_rows_is_not_known_exactly(given):
    rng = np.random.default_rng(40)
    d = np.arange(400) % 2
    y = rng.normal(size=400) + 6 * d  # no untreated row beyond the smallest treated ones
    data, laws = _experiment(y, d)
    nuisances = given(data, np.zeros((400, 2)), np.full((400, 2), 0.5), laws)
    estimate = DistributionEffect(PotentialDistributions(15)).estimate(data, nuisances)
    assert estimate.std_error.min() == pytest.approx(1.5 / 200)
    upper_tail = distribution_curves(estimate)[0].lower[-1]
    assert 0.95 < upper_tail < 1 - 3 / 200


def test_means_only_models_are_refused(small_sample, as_data, given):
    frame, mean, e, _ = small_sample()
    data = as_data(frame)
    for estimator in (QuantileEffect(QTE()), DistributionEffect(PotentialDistributions())):
        with pytest.raises(DataError, match=r"learned means only; expected a model of the whole"):
            estimator.estimate(data, given(data, mean, e))
