"""Gini coefficients and Lorenz curves: formulas, influence, centring, refusals."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import GiniEffect, LorenzEffect
from causal_ddpm.core.estimate import influence_covariance
from causal_ddpm.dgp.incomes import INCOMES
from causal_ddpm.estimators.corrected_law import ArmScore, OutcomeGrid, outcome_grid
from causal_ddpm.estimators.curves import effect_curve
from causal_ddpm.estimators.inequality import Cells, Gini, Lorenz
from causal_ddpm.estimators.registry import estimator_for

LEVELS = (0.1, 0.3, 0.5, 0.8, 0.95)
EXACT = 1e-10


def _experiment(y, d):
    """Randomised data; the law of every row is that of its arm."""
    data = CausalData(pd.DataFrame({"y": y, "d": d, "x": np.arange(len(y)) % 7}), "d", "y", ["x"])
    laws = tuple(
        ConditionalLaw(np.tile(np.quantile(y[d == a], mid_levels(16)), (len(y), 1))) for a in (0, 1)
    )
    return data, laws


def _gini(y):
    return np.abs(y[:, None] - y).mean() / (2 * y.mean())


def _lorenz(y, p):
    y = np.sort(y)
    return np.interp(p, np.arange(len(y) + 1) / len(y), np.concatenate([[0], y.cumsum()])) / y.sum()


@pytest.mark.parametrize("n", [300, 3_000])
def test_among_the_treated_both_measures_are_those_of_the_observed_rows(n, given):
    # the treated keep their own distribution under treatment, so no model has a say
    rng = np.random.default_rng(n)
    y, d = rng.lognormal(sigma=0.8, size=n), np.arange(n) % 2
    data, laws = _experiment(y, d)
    nuisances = given(data, np.zeros((n, 2)), np.full((n, 2), 0.5), laws)
    gini = estimator_for(GiniEffect(among="treated")).estimate(data, nuisances)
    lorenz = estimator_for(LorenzEffect(LEVELS, among="treated")).estimate(data, nuisances)
    own = y[d == 1]
    assert gini.values[1] == pytest.approx(_gini(own), abs=1e-4 if n == 300 else 2e-4)
    np.testing.assert_allclose(lorenz.details["lorenz_treated"], _lorenz(own, LEVELS), atol=5e-4)
    assert gini.values[0] == pytest.approx(gini.values[1] - gini.values[2], abs=EXACT)
    assert gini.labels == ("Gini", "Gini(Y(1))", "Gini(Y(0))")


def test_measures_equal_their_formulas_written_by_hand(given):
    # outcomes on few values: every integral is a sum
    rng = np.random.default_rng(2)
    n = 400
    y, d = rng.integers(0, 9, n).astype(float), (rng.random(n) < 0.4).astype(int)
    x = rng.normal(size=n)
    data = CausalData(pd.DataFrame({"y": y, "d": d, "x": x}), "d", "y", ["x"])
    e1 = rng.uniform(0.2, 0.8, n)
    laws = tuple(ConditionalLaw(np.sort(rng.uniform(0, 8, (n, 8)), axis=1)) for _ in (0, 1))
    nuisances = given(data, np.zeros((n, 2)), np.column_stack([1 - e1, e1]), laws)
    gini = estimator_for(GiniEffect()).estimate(data, nuisances)
    lorenz = estimator_for(LorenzEffect(LEVELS)).estimate(data, nuisances)
    phis = {}
    for a, e in ((0, 1 - e1), (1, e1)):
        law = laws[a].cdf(np.arange(8.0))
        psi = law + ((d == a) / e)[:, None] * ((y[:, None] <= np.arange(8)) - law)
        f = np.sort(np.clip(psi.mean(axis=0), 0, 1))
        phi, mu, b = psi - psi.mean(axis=0), (1 - f).sum(), ((1 - f) ** 2).sum()
        phi_mu, phi_b = -phi.sum(axis=1), -2 * phi @ (1 - f)
        phis[a] = -phi_b / mu + b / mu**2 * phi_mu
        assert gini.values[2 - a] == pytest.approx(1 - b / mu, abs=EXACT)
        np.testing.assert_allclose(gini.influence[:, 2 - a], phis[a], atol=EXACT)
        shares = [np.maximum(p - f, 0).sum() / mu for p in LEVELS]
        side = lorenz.details["lorenz_treated" if a else "lorenz_untreated"]
        np.testing.assert_allclose(side, shares, atol=EXACT)
    variance = influence_covariance((phis[1] - phis[0])[:, None])[0, 0]
    assert gini.std_error[0] == pytest.approx(np.sqrt(variance), abs=EXACT)


@pytest.mark.parametrize("measure", [Gini(), Lorenz(np.array(LEVELS))], ids=["Gini", "Lorenz"])
def test_gradients_are_derivatives(measure):
    rng = np.random.default_rng(3)
    points = np.sort(rng.uniform(0.5, 9, 30))
    cells = Cells(OutcomeGrid(points, np.zeros(29, dtype=bool)))
    cdf = np.sort(rng.uniform(0.02, 0.98, 29))
    gradient = measure.gradient(cells, cdf)
    step = 1e-6
    for j in range(29):
        bump = np.zeros(29)
        bump[j] = step
        numeric = (measure.of(cells, cdf + bump) - measure.of(cells, cdf - bump)) / (2 * step)
        np.testing.assert_allclose(gradient[j], numeric, atol=1e-7)


def test_indicators_are_integrated_exactly_between_the_points():
    y = np.array([0.0, 1.0, 3.0, 6.0])
    arm = ArmScore(y, np.ones(4), np.ones(4), None, 0)
    cells = Cells(OutcomeGrid(np.array([0.0, 2.0, 6.0]), np.array([False, False])))
    object.__setattr__(arm, "cdf", lambda grid, rows: np.zeros((4, len(grid))))
    expected = [[1.0, 1.0], [0.5, 1.0], [0.0, 0.75], [0.0, 0.0]]
    np.testing.assert_allclose(cells.psi(arm), expected)


def test_scale_changes_nothing_and_a_shift_lowers_inequality(oracle):
    draw = INCOMES.draw(400, seed=5)
    frame, laws = draw.frame, oracle(draw, INCOMES).laws
    found = {}
    for name, scale, shift in (("as is", 1.0, 0.0), ("scaled", 250.0, 0.0), ("shifted", 1.0, 2.0)):
        data = CausalData(
            frame.assign(y=shift + scale * frame["y"]), "d", "y", [f"x{j}" for j in range(10)]
        )
        moved = tuple(ConditionalLaw(shift + scale * law.nodes) for law in laws)
        nuisances = oracle(draw)
        nuisances = type(nuisances)(
            nuisances.fold_ids, nuisances.mean, nuisances.propensity, moved, data.fingerprint
        )
        found[name] = estimator_for(GiniEffect()).estimate(data, nuisances)
    np.testing.assert_allclose(found["scaled"].values, found["as is"].values, atol=1e-9)
    np.testing.assert_allclose(found["scaled"].std_error, found["as is"].std_error, rtol=1e-7)
    assert (found["shifted"].values[1:] < found["as is"].values[1:] - 0.05).all()


def test_effects_are_centred_at_the_truth_and_covered(oracle):
    truth = np.array(list(INCOMES.truth_of(GiniEffect()).values()))
    inside, values = [], []
    for seed in range(100):
        draw = INCOMES.draw(400, seed)
        estimate = estimator_for(GiniEffect()).estimate(
            draw.data, oracle(draw, INCOMES, n_nodes=12)
        )
        low, high = estimate.interval()
        inside.append((low <= truth) & (truth <= high))
        values.append(estimate.values)
    error = np.mean(values, axis=0) - truth
    # the Gini coefficient of a small sample is a little too low
    assert (np.abs(error) < 0.5 * np.std(values, axis=0)).all()
    assert np.mean(inside, axis=0).min() >= 0.83
    assert np.mean(inside, axis=0)[0] >= 0.88


def test_lorenz_bands_are_curves(oracle):
    draw = INCOMES.draw(1_500, seed=7)
    estimate = estimator_for(LorenzEffect(LEVELS)).estimate(draw.data, oracle(draw, INCOMES))
    levels = np.array(LEVELS)
    curve = effect_curve(estimate)
    np.testing.assert_array_equal(curve.grid, levels)
    population = INCOMES.draw(100_000, seed=8).potential_outcomes
    truth = _lorenz(population[:, 1], levels) - _lorenz(population[:, 0], levels)
    assert ((curve.lower <= truth) & (truth <= curve.upper)).all()
    for side in ("lorenz_untreated", "lorenz_treated"):
        shares = np.array(estimate.details[side])
        assert (np.diff(shares) > 0).all()
        assert (shares < levels).all()


def test_weighting_is_duplication(given):
    rng = np.random.default_rng(9)
    n = 200
    frame = pd.DataFrame({
        "y": rng.lognormal(size=n), "d": np.arange(n) % 2, "x": rng.normal(size=n),
        "w": rng.integers(0, 4, n),
    })  # fmt: skip
    law = ConditionalLaw(np.sort(rng.lognormal(size=(n, 8)), axis=1))
    index = np.repeat(np.arange(n), frame["w"])
    weighted = CausalData(frame, "d", "y", ["x"], weights="w", weights_type="frequency")
    copies = CausalData(frame.iloc[index].reset_index(drop=True), "d", "y", ["x"])
    half = np.full((n, 2), 0.5)
    for estimand in (GiniEffect(), LorenzEffect(LEVELS)):
        estimator = estimator_for(estimand)
        a = estimator.estimate(weighted, given(weighted, 0 * half, half, (law, law)))
        again = law.rows(index)
        b = estimator.estimate(copies, given(copies, 0 * half[index], half[index], (again, again)))
        np.testing.assert_allclose(a.values, b.values, atol=EXACT)
        np.testing.assert_allclose(a.std_error, b.std_error, atol=EXACT)


def test_amounts_that_are_none_are_refused(given):
    n = 120
    half, d = np.full((n, 2), 0.5), np.arange(n) % 2
    rng = np.random.default_rng(10)
    below = np.where(np.arange(n) < 5, -1.0, 1 + rng.random(n))
    zero_arm = np.where(d == 1, 0.0, 1 + rng.random(n))
    for y, sentence in (
        (below, r"column 'y': 5 outcomes are negative; expected amounts of at least 0"),
        (zero_arm, r"the mean of Y\(1\) is 0; expected a positive mean in both arms"),
    ):
        data, laws = _experiment(y, d)
        for estimand in (GiniEffect(), LorenzEffect()):
            with pytest.raises(DataError, match=sentence):
                estimator_for(estimand).estimate(data, given(data, 0 * half, half, laws))


def test_bad_settings_are_refused():
    with pytest.raises(DataError, match=r"Lorenz levels are \[1.0\]; expected numbers strictly"):
        LorenzEffect(1.0)
    with pytest.raises(DataError, match="'all', 'treated' or 'untreated'"):
        GiniEffect(among="some")
    with pytest.raises(DataError, match="'all', 'treated' or 'untreated'"):
        LorenzEffect(among="some")


def test_the_grid_of_many_rows_is_fine_enough():
    y = np.random.default_rng(11).lognormal(sigma=1.0, size=50_000)
    grid = outcome_grid(y, np.ones(len(y)), 401)
    arm = ArmScore(y, np.ones(len(y)), np.ones(len(y)), None, 0)
    object.__setattr__(arm, "cdf", lambda points, rows: np.zeros((len(y[rows]), len(points))))
    cells = Cells(grid)
    parts = [cells.psi(arm, slice(k, k + 5_000)).mean(axis=0) for k in range(0, 50_000, 5_000)]
    cdf = np.mean(parts, axis=0)
    s = np.sort(y)
    exact = 2 * (np.arange(1, len(s) + 1) @ s) / (len(s) * s.sum()) - (len(s) + 1) / len(s)
    assert Gini().of(cells, cdf)[0] == pytest.approx(exact, abs=1e-4)
