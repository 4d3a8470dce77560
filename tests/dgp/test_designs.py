"""Every design: its truth is that of its own potential outcomes, and a seed is a draw."""

from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.binary_outcome import BINARY_OUTCOME
from causal_ddpm.dgp.catalog import catalog, design_by_name, entries
from causal_ddpm.dgp.clustered import CLUSTERED
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS, LINEAR, NO_EFFECT
from causal_ddpm.dgp.heavy_tails import HEAVY_TAILS
from causal_ddpm.dgp.high_dimensional import HIGH_DIMENSIONAL
from causal_ddpm.dgp.incomes import INCOMES
from causal_ddpm.dgp.weak_overlap import WEAK_OVERLAP
from causal_ddpm.testing import check_design

N = 40_000
NAMES = ("ATE", "ATT", "ATU")
FAMILIES = ("confounded", "adoption", "instrument")
LARGE = {e.name: e.draw(N, seed=3) for family in FAMILIES for e in entries(family)}
CONTINUOUS = (
    GAUSS, BIMODAL, NO_EFFECT, LINEAR, HEAVY_TAILS, WEAK_OVERLAP, CLUSTERED, HIGH_DIMENSIONAL,
    INCOMES,
)  # fmt: skip

names = pytest.mark.parametrize("name", LARGE)  # other families have files of their own
continuous = pytest.mark.parametrize("design", CONTINUOUS, ids=lambda design: design.name)


def _check_uniform(pit):
    """Kolmogorov-Smirnov at 1 %."""
    n = len(pit)
    assert np.abs(np.sort(pit) - (np.arange(n) + 0.5) / n).max() < 1.63 / np.sqrt(n)


def _mean_and_error(values, clusters=None):
    if clusters is None:
        return values.mean(), values.std() / np.sqrt(len(values))
    sums = np.bincount(clusters, values - values.mean())
    return values.mean(), np.sqrt((sums**2).sum()) / len(values)


@names
def test_every_design_passes_the_importable_check(name):
    check_design(catalog()[name])


class Misreported:
    """A design whose draws are tampered with on the way out."""

    name = "misreported"

    def __init__(self, change):
        self.change = change

    def draw(self, n, seed):
        return self.change(LINEAR.draw(n, seed))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: replace(d, truth=replace(d.truth, population=dict.fromkeys(NAMES, 1.5))),
            "around the population ATE are not centred",
        ),
        (
            lambda d: replace(d, truth=replace(d.truth, sample=dict.fromkeys(NAMES, 1.0))),
            "the sample ATE is not that of the rows",
        ),
        (lambda d: replace(d, mean=d.mean + 0.3), "around the mean of arm 0 are not centred"),
        (
            lambda d: replace(d, propensity=0.9 * d.propensity + [0.1, 0.0]),
            "treatments around their propensities are not centred",
        ),
        (
            lambda d: replace(d, potential_outcomes=d.potential_outcomes[:, ::-1]),
            "not the arm's potential outcome",
        ),
        (lambda d: LINEAR.draw(len(d.frame), 3), "two seeds gave the same rows"),
        (lambda d: LINEAR.draw(len(d.frame), None), "the same seed gave different rows"),
    ],
)
def test_the_importable_check_finds_what_is_wrong(change, message):
    with pytest.raises(AssertionError, match=message):
        check_design(Misreported(change))


@names
def test_population_truth_is_the_mean_of_the_potential_outcomes(name):
    draw = LARGE[name]
    effect = draw.potential_outcomes[:, 1] - draw.potential_outcomes[:, 0]
    groups = {"ATE": slice(None), "ATT": draw.data.treatment == 1, "ATU": draw.data.treatment == 0}
    for label, rows in groups.items():
        clusters = None if draw.data.clusters is None else draw.data.clusters[rows]
        mean, error = _mean_and_error(effect[rows], clusters)
        assert draw.truth.population[label] == pytest.approx(mean, abs=4 * error)
        assert draw.truth.sample[label] == pytest.approx(mean, rel=1e-12)


@names
def test_means_and_propensities_are_those_of_the_draw(name):
    draw = LARGE[name]
    for arm in (0, 1):
        residual = draw.potential_outcomes[:, arm] - draw.mean[:, arm]
        # residuals are centred, and unrelated to the mean itself
        for product in (residual, residual * draw.mean[:, arm]):
            mean, error = _mean_and_error(product, draw.data.clusters)
            assert abs(mean) < 4 * error
    e = draw.propensity[:, 1]
    np.testing.assert_allclose(draw.propensity.sum(axis=1), 1.0)
    surprise = (draw.data.treatment - e) / np.sqrt(e * (1 - e))
    assert abs(surprise.mean()) < 4 / np.sqrt(N)
    assert surprise.var() == pytest.approx(1.0, abs=0.05)


@names
def test_observed_outcome_is_the_potential_outcome_of_the_arm(name):
    draw = LARGE[name]
    rows = np.arange(N)
    expected = draw.potential_outcomes[rows, draw.data.treatment]
    np.testing.assert_array_equal(draw.data.outcome, expected)


@names
def test_efficiency_bound_is_the_spread_of_the_oracle_score(name):
    draw = LARGE[name]
    (mu0, mu1), (e0, e1) = draw.mean.T, draw.propensity.T
    y, d = draw.data.outcome, draw.data.treatment
    theta, p = draw.truth.population, d.mean()
    if draw.data.clusters is not None:
        assert not draw.truth.efficiency_sd  # the bound of independent rows is none of clusters
        return
    scores = {
        "ATE": mu1 - mu0 + d / e1 * (y - mu1) - (1 - d) / e0 * (y - mu0) - theta["ATE"],
        "ATT": ((d - (1 - d) * e1 / e0) * (y - mu0) - d * theta["ATT"]) / p,
        "ATU": ((d * e0 / e1 - (1 - d)) * (y - mu1) - (1 - d) * theta["ATU"]) / (1 - p),
    }
    for label in scores.keys() & draw.truth.efficiency_sd.keys():
        psi = scores[label]
        variance, error = _mean_and_error(psi**2)
        assert draw.truth.efficiency_sd[label] ** 2 == pytest.approx(variance, abs=4 * error)


@names
def test_same_seed_same_draw_and_another_seed_another(name):
    design = catalog()[name]
    first, again, other = design.draw(50, 7), design.draw(50, 7), design.draw(50, 8)
    assert first.frame.equals(again.frame)
    assert first.data.fingerprint == again.data.fingerprint
    assert first.truth == again.truth
    assert first.truth.seed == 7
    assert not np.array_equal(first.data.outcome, other.data.outcome)


@continuous
def test_marginal_quantile_effects_agree_with_brute_force(design):
    y0, y1 = LARGE[design.name].potential_outcomes.T
    tolerance = 0.06 if LARGE[design.name].data.clusters is None else 0.3  # 50 clusters only
    for label, value in design.truth().population.items():
        if label.startswith("QTE"):
            u = float(label[4:-1])
            brute = np.quantile(y1, u) - np.quantile(y0, u)
            assert brute == pytest.approx(value, abs=tolerance)


@continuous
def test_conditional_law_is_consistent_with_itself_and_with_draws(design):
    draw = LARGE[design.name]
    x = draw.data.covariates.values
    u = np.array([0.05, 0.3, 0.5, 0.9])
    for arm in (0, 1):
        q = design.quantile(x[:200], arm, u)
        np.testing.assert_allclose(design.cdf(x[:200], arm, q), np.tile(u, (200, 1)), atol=1e-9)
        if draw.data.clusters is None:
            _check_uniform(design.cdf(x, arm, draw.potential_outcomes[:, [arm]])[:, 0])
        levels = (np.arange(400) + 0.5) / 400
        mean = design.quantile(x[:50], arm, levels).mean(axis=1)
        np.testing.assert_allclose(mean, design.mean(x[:50], arm), atol=0.01)


def test_known_constants():
    # E[1 + .5 x1 + .8 1{x2 > 0} + .3 sin(2 x0)] = 1.4 by symmetry
    assert GAUSS.truth().value("ATE") == pytest.approx(1.4, abs=1e-10)
    assert LINEAR.truth().value("ATT") == pytest.approx(1.0, abs=1e-10)
    assert LINEAR.truth().value("QTE(0.25)") == pytest.approx(1.0, abs=1e-6)
    assert NO_EFFECT.truth().value("QTE(0.9)") == pytest.approx(0.0, abs=1e-6)
    # bounds measured independently on 400 000 rows
    assert GAUSS.truth().efficiency_sd["ATE"] == pytest.approx(2.070, abs=0.01)
    assert BIMODAL.truth().efficiency_sd["ATE"] == pytest.approx(2.761, abs=0.015)
    assert BIMODAL.truth().value("ATE") == pytest.approx(1.707, abs=0.01)


def test_rows_of_different_clusters_are_independent_and_of_one_cluster_are_not():
    pits, products, treated = [], [], []
    for seed in range(40):
        draw = CLUSTERED.draw(500, seed)
        x, y = draw.data.covariates.values, draw.potential_outcomes
        noise = (y - draw.mean) / np.sqrt(CLUSTERED.law(x, 0).variance())[:, None]
        pits.append(CLUSTERED.cdf(x[:50], 0, y[:50, [0]])[:, 0])  # one row of each cluster
        pairs = noise[:50, 0] * noise[50:100, 0]  # two rows of each cluster
        products.append(pairs.mean())
        treated.append(np.bincount(draw.data.clusters, draw.data.treatment).std() / 10)
        assert np.array_equal(np.bincount(draw.data.clusters), np.full(50, 10))
        assert np.array_equal(x[:50, 4], x[50:100, 4])
        assert not np.isclose(x[:50, :4], x[50:100, :4]).any()
    _check_uniform(np.concatenate(pits))
    assert np.mean(products) == pytest.approx(0.3, abs=4 * np.std(products) / np.sqrt(40))
    # shares of treated differ by cluster by more than chance, yet every cluster is mixed
    assert 0.17 < np.mean(treated) < 0.35


def test_binary_outcomes_follow_their_probabilities():
    draw = LARGE["binary-outcome"]
    x = draw.data.covariates.values
    assert set(np.unique(draw.potential_outcomes)) == {0.0, 1.0}
    assert draw.data.outcome_schema.kind == "binary"
    assert BINARY_OUTCOME.truth().population.keys() == set(NAMES)
    p = BINARY_OUTCOME.mean(x[:4], 1)
    np.testing.assert_allclose(
        BINARY_OUTCOME.cdf(x[:4], 1, [-0.5, 0, 0.5, 1]),
        np.column_stack([0 * p, 1 - p, 1 - p, 1 + 0 * p]),
    )
    expected = np.column_stack([1 - p < 0.2, 1 - p < 0.7]).astype(float)
    np.testing.assert_array_equal(BINARY_OUTCOME.quantile(x[:4], 1, [0.2, 0.7]), expected)


def test_what_makes_the_harder_designs_hard():
    e = LARGE["weak-overlap"].propensity[:, 1]
    assert e.min() == pytest.approx(0.02)
    assert e.max() == pytest.approx(0.98)
    z = LARGE["heavy-tails"].potential_outcomes - LARGE["heavy-tails"].mean
    assert np.abs(z).max() > 10 * z.std()  # 4.5 standard deviations if it were normal
    x = LARGE["high-dimensional"].data.covariates.values
    assert x.shape == (N, 100)
    assert np.corrcoef(x[:, 50], x[:, 52])[0, 1] == pytest.approx(0.25, abs=0.02)
    # the laws are decided by the first columns alone, over which population values integrate
    few = HIGH_DIMENSIONAL.population().x
    assert few.shape[1] == 5
    np.testing.assert_allclose(HIGH_DIMENSIONAL.mean(x, 1), HIGH_DIMENSIONAL.mean(x[:, :5], 1))
    np.testing.assert_allclose(np.corrcoef(few[:, 0], few[:, 2])[0, 1], 0.25, atol=0.01)


def test_unknown_names_and_sizes_are_refused():
    with pytest.raises(DataError, match=r"no design 'gaus'.*Did you mean 'gauss'"):
        design_by_name("gaus")
    assert design_by_name("bimodal") is BIMODAL
    with pytest.raises(DataError, match="a draw of 0 rows"):
        GAUSS.draw(0)
    with pytest.raises(DataError, match="knows no 'LATE'"):
        GAUSS.truth().value("LATE")
