"""The dose-response curve: formula, influence, insensitivity, coverage, sampling, refusals."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline
from sklearn.linear_model import LinearRegression

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, OverlapError, OverlapWarning, SmallSampleWarning
from causal_ddpm.core.estimand import ATE, DoseResponse
from causal_ddpm.core.estimate import Estimate, influence_covariance
from causal_ddpm.dgp.dose_design import DOSE, DOSES, curve, slope
from causal_ddpm.dgp.population import normal_points
from causal_ddpm.estimators import dose
from causal_ddpm.estimators.api import estimate_effects, estimate_with
from causal_ddpm.estimators.curves import effect_curve
from causal_ddpm.estimators.dose import DoseCurve, influence, pseudo_outcomes
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.local_polynomial import local_fit, rule_of_thumb
from causal_ddpm.nuisance.dose import DoseNuisances, DoseReading, dose_nodes
from causal_ddpm.nuisance.dose_learners import GaussianDoseDensity

EXACT = 1e-10


class LeastSquaresMean:
    """mu(x, a) by least squares on x, x^2, x times the dose and powers of the dose."""

    def _features(self, x, dose):
        z = (dose - 5) / 2
        return np.column_stack(
            [np.ones(len(x)), x, x**2, x * z[:, None], z[:, None] ** range(1, 6)]
        )

    def read_doses(self, data, fold_ids, nodes, random_state, n_jobs=1):
        x, a = data.covariates.values, data.treatment
        own, grid = np.empty(data.n), np.empty((data.n, len(nodes)))
        for k in np.unique(fold_ids):
            train, test = fold_ids != k, fold_ids == k
            coef = np.linalg.lstsq(self._features(x, a)[train], data.outcome[train])[0]
            own[test] = self._features(x[test], a[test]) @ coef
            for g, node in enumerate(nodes):
                grid[test, g] = self._features(x[test], np.full(test.sum(), node)) @ coef
        return DoseReading(own, grid, {"model": "least squares"})


LIGHT = {
    "outcome_model": LeastSquaresMean(),
    "propensity_model": GaussianDoseDensity(LinearRegression()),
}
LEVEL, SLOPE = DoseResponse(DOSES), DoseResponse(DOSES, derivative=True)
both = pytest.mark.parametrize("estimand", [LEVEL, SLOPE], ids=["level", "slope"])


def _given(data, mean, mean_grid, density, density_grid, nodes):
    readings = DoseReading(mean, mean_grid), DoseReading(density, density_grid)
    return DoseNuisances(np.arange(data.n) % 5, nodes, *readings, data.fingerprint)


def _oracle(data):
    x, a, nodes = data.covariates.values, data.treatment, dose_nodes(data, 25)
    mean_grid = np.column_stack([DOSE.mean(x, node) for node in nodes])
    density_grid = np.column_stack([DOSE.density(x, node) for node in nodes])
    return _given(data, DOSE.mean(x, a), mean_grid, DOSE.density(x, a), density_grid, nodes)


def _unconfounded(nuisances):
    """The same with weights of one: a density that does not depend on the confounders."""
    own, grid = np.ones_like(nuisances.density.own), np.ones_like(nuisances.density.grid)
    return replace(nuisances, density=DoseReading(own, grid))


def _arbitrary(n=150, seed=0):
    """Arbitrary outcomes, nuisances and weights: formulas must hold for any numbers."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "y": rng.normal(size=n), "a": rng.uniform(0, 10, n), "x": rng.normal(size=n),
        "w": rng.integers(0, 4, n), "g": rng.integers(0, 12, n),
    })  # fmt: skip
    nodes = np.linspace(0, 10, 12)
    arrays = (
        rng.normal(size=n), rng.normal(size=(n, 12)),
        rng.uniform(0.05, 0.3, n), rng.uniform(0.05, 0.3, (n, 12)),
    )  # fmt: skip
    return frame, arrays, nodes


def _data(frame, **roles):
    return CausalData(frame, "a", "y", ["x"], treatment_kind="dose", **roles)


# ---------------------------------------------------------------------------------- the formula


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("derivative", [0, 1])
def test_estimate_and_standard_error_equal_the_formula_written_by_hand(derivative, weights):
    frame, (mu, mu_grid, f, f_grid), nodes = _arbitrary()
    data = _data(frame, weights=weights)
    estimand = DoseResponse([3.0, 5.0], derivative=bool(derivative))
    nuisances = _given(data, mu, mu_grid, f, f_grid, nodes)
    estimate = DoseCurve(estimand).estimate(data, nuisances)
    y, a, w = data.outcome, data.treatment, data.weights
    share = w / w.sum()
    m, marginal = share @ mu_grid, CubicSpline(nodes, share @ f_grid)(a)
    ratio = np.minimum(marginal / f, 20)
    xi = np.array([ratio[i] * (y[i] - mu[i]) + float(CubicSpline(nodes, m)(a[i]))
                   for i in range(len(y))])  # fmt: skip
    n, order = len(y), derivative + 2
    mu_at, f_at = CubicSpline(nodes, mu_grid.T)(a).T, CubicSpline(nodes, f_grid.T)(a).T
    for g, at in enumerate((3.0, 5.0)):
        h = estimate.details["bandwidths"][g]
        kernel = w * np.where(np.abs(a - at) < h, 0.75 * (1 - ((a - at) / h) ** 2), 0)
        powers = (a - at)[:, None] ** np.arange(order + 1)
        inverse = np.linalg.inv(powers.T @ (kernel[:, None] * powers))
        beta = inverse @ powers.T @ (kernel * xi)
        assert estimate.values[g] == pytest.approx(beta[derivative], abs=EXACT)
        line = (inverse @ powers.T)[derivative] * kernel
        slack = 1 - kernel * np.einsum("ij,jk,ik->i", powers, inverse, powers)
        unclipped = marginal < 20 * f
        psi = line * (xi - powers @ beta) / np.maximum(slack, 0.2)
        for i in range(n):
            change = mu_at[i] - mu_at.T @ share
            change += unclipped * (y - mu) * (f_at[i] - f_at.T @ share) / f
            psi[i] += share[i] * (line @ change)
        positive = (w > 0).sum()
        variance = np.sum(psi**2) * positive / (positive - 1)
        assert estimate.std_error[g] == pytest.approx(np.sqrt(variance), abs=EXACT)


def test_bandwidth_is_the_rule_of_thumb_unless_rows_are_few():
    draw = DOSE.draw(800, 1)
    nuisances = _unconfounded(_oracle(draw.data))
    estimate = DoseCurve(DoseResponse([5.0, 9.5])).estimate(draw.data, nuisances)
    xi = pseudo_outcomes(draw.data, nuisances).xi
    h = rule_of_thumb(draw.data.treatment, xi, np.ones(800), 1, 0)
    near, far = estimate.details["bandwidths"]
    assert near == pytest.approx(h, abs=EXACT)
    assert far > h
    assert [k["n_rows"] for k in estimate.details["overlap"]][1] >= 30


@both
def test_influence_is_the_derivative_in_the_weights_of_the_rows(estimand):
    frame, arrays, nodes = _arbitrary(80)
    data = _data(frame, weights="w")
    nuisances = _given(data, *arrays, nodes)
    at, h, order = np.array([4.0, 6.0]), np.array([2.5, 3.0]), estimand.order + 2

    def fit(weights):
        changed = copy.copy(data)
        changed.weights = weights
        pseudo = pseudo_outcomes(changed, nuisances)
        return pseudo, local_fit(data.treatment, pseudo.xi, weights, at, h, order, estimand.order)

    pseudo, fitted = fit(data.weights)
    phi = influence(data, nuisances, pseudo, fitted, Sampling.of(data), jackknife=False)
    for i in (0, 7, 33):
        step = np.zeros(data.n)
        step[i] = 1e-5
        high, low = (
            f.weights @ (w * p.xi)
            for w in (data.weights + step, np.maximum(data.weights - step, 0) * 1.0)
            for p, f in [fit(w)]
        )
        width = 2e-5 if data.weights[i] > 0 else 1e-5
        np.testing.assert_allclose(phi[i] / data.weights.sum(), (high - low) / width, atol=1e-5)
    np.testing.assert_allclose(data.weights @ phi, 0, atol=1e-8)


# ------------------------------------------------------------------------ what the score is for


@pytest.fixture(scope="module")
def population():
    """Rows x_j at every dose of a grid, weighted by f(a | x_j): the law of (x, A), no noise."""
    x, grid = normal_points(5)[:300], np.linspace(-4, 14, 46)
    rows, doses = np.repeat(x, len(grid), axis=0), np.tile(grid, len(x))
    frame = pd.DataFrame(rows, columns=[f"x{j}" for j in range(5)]).assign(
        a=doses, y=DOSE.mean(rows, doses), w=DOSE.density(rows, doses)
    )
    data = CausalData(frame, "a", "y", [f"x{j}" for j in range(5)], weights="w",
                      treatment_kind="dose")  # fmt: skip
    mu = np.repeat(np.column_stack([DOSE.mean(x, a) for a in grid]), len(grid), axis=0)
    f = np.repeat(np.column_stack([DOSE.density(x, a) for a in grid]), len(grid), axis=0)
    return data, _given(data, data.outcome, mu, frame["w"].to_numpy(), f, grid)


def _moved(nuisances, data, t, means=True, densities=True):
    """Nuisances with errors of size t that depend on confounders and dose."""
    x = data.covariates.values

    def error(a):
        return t * (0.5 + x[:, 0] * np.cos(0.5 * a) + 0.3 * x[:, 1] ** 2)

    at = np.column_stack([error(a) for a in nuisances.nodes])
    mean, density = nuisances.mean, nuisances.density
    if means:
        mean = DoseReading(mean.own + error(data.treatment), mean.grid + at)
    if densities:
        own = density.own * np.exp(0.3 * error(data.treatment))
        density = DoseReading(own, density.grid * np.exp(0.3 * at))
    return replace(nuisances, mean=mean, density=density)


def _at_five(data, nuisances, order):
    xi = pseudo_outcomes(data, nuisances).xi
    at, h = np.array([5.0]), np.array([2.0])
    fit = local_fit(data.treatment, xi, data.weights, at, h, order + 2, order)
    return float(fit.weights[0] @ (data.weights * xi))


@pytest.mark.parametrize("order", [0, 1])
def test_score_is_insensitive_to_small_errors_of_the_nuisances(population, order, monkeypatch):
    monkeypatch.setattr(dose, "MAX_RATIO", np.inf)
    data, nuisances = population
    up, down = (_at_five(data, _moved(nuisances, data, t), order) for t in (1e-3, -1e-3))
    assert abs(up - down) / 2e-3 < 1e-3
    # the plug-in curve is not
    plug = [
        (data.weights @ _moved(nuisances, data, t).mean.grid / data.weights.sum())
        for t in (1e-3, -1e-3)
    ]
    assert np.abs((plug[0] - plug[1]) / 2e-3).max() > 0.3


def test_one_right_nuisance_suffices(population):
    data, nuisances = population
    truth = _at_five(data, nuisances, 0)
    for wrong in ({"means": False}, {"densities": False}):
        assert _at_five(data, _moved(nuisances, data, 0.5, **wrong), 0) == pytest.approx(
            truth, abs=0.01
        )
    assert abs(_at_five(data, _moved(nuisances, data, 0.5), 0) - truth) > 0.02


@pytest.mark.filterwarnings("ignore:Weak overlap")
@pytest.mark.filterwarnings("ignore:Few doses")
def test_intervals_and_bands_cover_at_light_nuisances():
    hits, uniform, slopes, contrast = [], [], [], []
    truth, true_slope = curve(np.asarray(DOSES)) + 0.5, slope(np.asarray(DOSES))
    for seed in range(25):
        draw = DOSE.draw(400, seed)
        level, steep = estimate_effects(draw.data, [LEVEL, SLOPE], random_state=seed, **LIGHT)
        low, high = level.interval()
        hits.append((low <= truth) & (truth <= high))
        band = effect_curve(level)
        uniform.append(((band.lower <= truth) & (truth <= band.upper)).all())
        low, high = steep.interval()
        slopes.append((low <= true_slope) & (true_slope <= high))
        low, high = level.contrast([0, -1, 0, 1, 0]).interval()
        contrast.append(low <= truth[3] - truth[1] <= high)
    assert 0.90 <= np.mean(hits) <= 0.99
    assert 0.90 <= np.mean(slopes) <= 0.99
    assert np.mean(uniform) >= 0.85
    assert np.mean(contrast) >= 0.85


# ------------------------------------------------------------------------------------- sampling


@both
@pytest.mark.parametrize("weights_type", ["frequency", "sampling"])
def test_weights_equal_row_duplication(estimand, weights_type):
    frame, arrays, nodes = _arbitrary(200)
    frame["origin"] = np.arange(len(frame))
    index = np.repeat(np.arange(len(frame)), frame["w"])
    copies = _data(frame.iloc[index].reset_index(drop=True))
    weighted = _data(frame, weights="w", weights_type=weights_type)
    pair = []
    for data, rows in ((weighted, np.arange(len(frame))), (copies, index)):
        nuisances = _given(data, *(array[rows] for array in arrays), nodes)
        if weights_type == "frequency":
            pair.append(DoseCurve(estimand).estimate(data, nuisances))
            continue
        xi = pseudo_outcomes(data, nuisances).xi
        at, h = np.asarray(DOSES), np.full(len(DOSES), 2.0)
        fit = local_fit(data.treatment, xi, data.weights, at, h, 3, estimand.order)
        pair.append(fit.weights @ (data.weights * xi))
    if weights_type == "sampling":
        np.testing.assert_allclose(pair[0], pair[1], atol=1e-8)
        return
    np.testing.assert_allclose(pair[0].values, pair[1].values, atol=1e-8)
    np.testing.assert_allclose(pair[0].std_error, pair[1].std_error, atol=1e-8)
    assert pair[0].details["bandwidths"] == pytest.approx(pair[1].details["bandwidths"])
    assert pair[0].n == pair[1].n


def test_standard_errors_follow_the_clusters():
    frame, arrays, nodes = _arbitrary(300)
    data = _data(frame, clusters="g")
    estimate = DoseCurve(LEVEL).estimate(data, _given(data, *arrays, nodes))
    expected = influence_covariance(estimate.influence, data.clusters, 12.0)
    np.testing.assert_allclose(estimate.cov, expected)
    assert estimate.df == 11
    four = _data(frame.assign(g=np.arange(300) % 4), clusters="g")
    with pytest.raises(DataError, match="there are only 4 clusters"):
        DoseCurve(LEVEL).estimate(four, _given(four, *arrays, nodes))


# ------------------------------------------------------------------------- records and questions


def test_contrasts_curves_and_files():
    draw = DOSE.draw(500, 3)
    estimate = DoseCurve(LEVEL).estimate(draw.data, _oracle(draw.data))
    assert estimate.labels == ("E[Y(3)]", "E[Y(4)]", "E[Y(5)]", "E[Y(6)]", "E[Y(7)]")
    difference = estimate.contrast([0, -1, 0, 1, 0])
    psi = estimate.influence[:, 3] - estimate.influence[:, 1]
    assert difference.value == pytest.approx(estimate.values[3] - estimate.values[1])
    assert difference.std_error == pytest.approx(np.sqrt(psi @ psi / 500 / 499))
    band, single = effect_curve(estimate), effect_curve(estimate, uniform=False)
    np.testing.assert_array_equal(band.grid, DOSES)
    assert ((band.lower < single.lower) & (single.upper < band.upper)).all()
    assert (band.uniform, single.uniform) == (True, False)
    with pytest.raises(DataError, match="is no curve along a grid"):
        effect_curve(difference)
    read = Estimate.from_dict(estimate.to_dict())
    np.testing.assert_array_equal(effect_curve(read).lower, band.lower)
    slopes = DoseCurve(SLOPE).estimate(draw.data, _oracle(draw.data))
    assert slopes.labels[0] == "slope(3)"
    assert any("does not depend on its potential outcomes" in text for text in slopes.assumptions)


def test_doses_left_out_span_the_middle_of_the_observed_ones():
    draw = DOSE.draw(500, 3)
    estimate = DoseCurve(DoseResponse(n_points=4)).estimate(draw.data, _oracle(draw.data))
    ends = np.quantile(draw.data.treatment, [0.05, 0.95])
    np.testing.assert_allclose(estimate.details["grid"], np.linspace(*ends, 4), atol=0.05)
    assert len(estimate) == 4


def test_repeats_are_combined():
    draw = DOSE.draw(300, 5)
    (one,) = estimate_effects(draw.data, LEVEL, **LIGHT)
    (three,) = estimate_effects(draw.data, LEVEL, n_repeats=3, **LIGHT)
    assert three.details["n_repeats"] == 3
    assert not np.array_equal(one.values, three.values)
    np.testing.assert_allclose(one.values, three.values, atol=0.2)


@pytest.mark.parametrize(
    ("doses", "found"), [([], "are []"), ([3, 2], "are [3.0, 2.0]"), ([1, np.nan], "nan")]
)
def test_doses_that_are_no_grid_are_refused(doses, found):
    with pytest.raises(DataError, match="finite numbers in ascending order") as refusal:
        DoseResponse(doses)
    assert found in str(refusal.value)
    with pytest.raises(DataError, match="n_points is 0"):
        DoseResponse(n_points=0)


def test_questions_that_the_data_cannot_answer_are_refused_before_any_fit():
    draw = DOSE.draw(300, 5)
    with pytest.raises(DataError, match=r"the dose 40 was asked for; expected doses within the"):
        estimate_effects(draw.data, DoseResponse([5, 40]))
    with pytest.raises(DataError, match="the treatment is of kind 'dose'"):
        estimate_effects(draw.data, ATE())
    frame = draw.frame.assign(dose=(draw.frame["dose"] > 5).astype(int))
    binary = CausalData(frame, "dose", "y", ["x0"])
    with pytest.raises(DataError, match="a treatment of kind 'dose' for the dose-response"):
        estimate_effects(binary, LEVEL)


def test_nuisances_of_arms_are_refused(given, as_data):
    frame, *_ = _arbitrary(100)
    data = _data(frame)
    with pytest.raises(DataError, match="the nuisances are a Nuisances; expected DoseNuisances"):
        estimate_with(data, LEVEL, given(data, np.zeros((100, 2)), np.full((100, 2), 0.5)))


def test_a_dose_without_overlap_is_refused():
    draw = DOSE.draw(400, 1)
    nuisances = _oracle(draw.data)
    own = nuisances.density.own.copy()
    near = np.flatnonzero(np.abs(draw.data.treatment - 5) < 1.5)
    own[near[3:]] *= 1e4
    rare = replace(nuisances, density=replace(nuisances.density, own=own))
    with pytest.raises(OverlapError, match=r"No overlap at the dose 5: .* count as \d\.\d compar"):
        DoseCurve(DoseResponse([5])).estimate(draw.data, rare)


def test_weak_overlap_and_few_rows_are_noted():
    draw = DOSE.draw(400, 4)
    nuisances = _oracle(draw.data)
    estimate = DoseCurve(DoseResponse([5.0, 8.6])).estimate(draw.data, _unconfounded(nuisances))
    kinds = dict(zip(estimate.warnings, estimate.details["warning_categories"], strict=True))
    (few,) = [text for text in kinds if text.startswith("Few doses")]
    assert few == "Few doses: fewer than 50 rows lie near the dose 8.6."
    assert kinds[few] == SmallSampleWarning.__name__
    heavy = replace(nuisances, density=replace(nuisances.density, own=nuisances.density.own / 2))
    estimate = DoseCurve(DoseResponse([4.0, 5.0])).estimate(draw.data, heavy)
    (weak,) = [text for text in estimate.warnings if text.startswith("Weak overlap")]
    assert "near the doses 4, 5 weights average outside 0.7 to 1.4 instead of 1" in weak
    assert OverlapWarning.__name__ in estimate.details["warning_categories"]
    clean = DoseCurve(DoseResponse([5.0])).estimate(draw.data, nuisances)
    assert clean.warnings == ()


def test_heaped_doses_are_noted_and_estimated():
    draw = DOSE.draw(600, 6)
    frame = draw.frame.assign(dose=draw.frame["dose"].round())
    data = CausalData(frame, "dose", "y", list(draw.data.confounder_names), treatment_kind="dose")
    estimate = DoseCurve(DoseResponse([4, 5, 6])).estimate(data, _oracle(data))
    assert any("of the rows have the dose 5" in text for text in estimate.warnings)
    truth = np.array(list(DOSE.truth_of(DoseResponse([4, 5, 6])).values()))
    assert (np.abs(estimate.values - truth) < 4 * estimate.std_error + 0.1).all()
