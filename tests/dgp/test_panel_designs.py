"""Panel designs: balanced frames made of their parts, laws as stated, truth by brute force."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.ai_adoption_panel import AI_ADOPTION_PANEL
from causal_ddpm.dgp.did import (
    BROKEN_TREND,
    DID,
    DIVERGING_TRENDS,
    DYNAMIC,
    HETEROGENEOUS,
    DifferenceInDifferences,
)
from causal_ddpm.dgp.factor_panel import DONOR_POOL, INTERACTIVE, FactorPanel
from causal_ddpm.dgp.panel_draw import NEVER, NoiseLaw, average_effects
from causal_ddpm.dgp.staggered import STAGGERED
from causal_ddpm.testing import check_panel_design

DESIGNS = (
    DID, BROKEN_TREND, DIVERGING_TRENDS, HETEROGENEOUS, DYNAMIC, STAGGERED, INTERACTIVE, DONOR_POOL,
    AI_ADOPTION_PANEL,
)  # fmt: skip
every = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)


def wide(frame, column):
    return frame.pivot(index="unit", columns="period", values=column).to_numpy()


@every
def test_every_design_passes_the_importable_check(design):
    check_panel_design(design)


@settings(max_examples=15)
@given(
    n_periods=st.integers(2, 8),
    numbers=st.lists(st.floats(-2, 2), min_size=5, max_size=5),
    remaining=st.floats(0, 0.9),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
def test_panels_of_all_shapes_are_made_of_their_parts(n_periods, numbers, remaining, seed, data):
    effect, trend, trend_break, divergence, heterogeneity = numbers
    start = data.draw(st.integers(1, n_periods - 1))
    design = DifferenceInDifferences(
        "any", n_periods=n_periods, start=start, effect=effect, trend=trend, noise_sd=0.5,
        trend_break=trend_break, divergence=divergence, heterogeneity=heterogeneity,
        remaining=remaining,
    )  # fmt: skip
    drawn = design.draw(12, seed)
    g, t, x = drawn.cohort > 0, np.arange(n_periods), wide(drawn.frame, "x")
    k = t - start
    expected = drawn.unit_effect[:, None] + trend * t + trend_break * np.maximum(k + 1, 0)
    expected = expected + divergence * np.outer(g, t) + 1.1 * x + drawn.noise
    np.testing.assert_allclose(drawn.untreated, expected, atol=1e-12)
    tau = effect * (1 - remaining ** (np.maximum(k, 0) + 1.0))
    tau = np.outer(1 + heterogeneity * drawn.unit_effect, tau) * np.outer(g, k >= 0)
    np.testing.assert_allclose(wide(drawn.frame, "y"), expected + tau, atol=1e-12)


class Misreported:
    """A design whose draws are tampered with on the way out."""

    def __init__(self, change):
        self.change = change

    def draw(self, n, seed):
        return self.change(STAGGERED.draw(n, seed))


def with_frame(**columns):
    return lambda drawn: replace(drawn, frame=drawn.frame.assign(**columns))


def with_truth(**changed):
    return lambda drawn: replace(drawn, truth=replace(drawn.truth, **changed))


WRONG = dict.fromkeys(STAGGERED.truth().population, 1.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: STAGGERED.draw(d.untreated.shape[0], 3), "two seeds gave the same panel"),
        (lambda d: STAGGERED.draw(d.untreated.shape[0], None), "the same seed gave different"),
        (lambda d: STAGGERED.draw(d.untreated.shape[0] + 1, int(d.truth.seed)), "number of units"),
        (with_frame(extra=np.inf), "not finite everywhere"),
        (lambda d: replace(d, frame=d.frame[::-1]), "not balanced"),
        (with_frame(cohort=lambda f: f["cohort"] + f["period"]), "changes its cohort"),
        (with_frame(treated=0), "treated cells are not those"),
        (lambda d: replace(d, effect=d.effect + 1), "an untreated cell has an effect"),
        (with_frame(y=0.0), "y is not"),
        (lambda d: replace(d, unit_effect=d.unit_effect + 1), "do not add up"),
        (with_truth(sample={"ATT": 1.0}), "other groups than the cells"),
        (with_truth(sample=WRONG), "the sample ATT is not that of the cells"),
        (with_truth(population=WRONG), "around the population ATT are not centred"),
        (lambda d: replace(d, noise_law=NoiseLaw(2.0)), "the noise has another law"),
    ],
)
def test_the_importable_check_finds_what_is_wrong(change, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_panel_design(Misreported(change))


@every
def test_a_seed_is_a_panel_and_a_size_need_not_be_named(design):
    first, again = design.draw(seed=3), design.draw(design.n_units, 3)
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)
    assert first.truth == again.truth
    assert first.truth.seed == 3
    assert not first.frame.equals(design.draw(seed=4).frame)


@every
def test_the_truth_of_the_sample_is_the_mean_over_its_treated_cells(design):
    drawn = design.draw(60, 1)
    table = drawn.frame.assign(effect=drawn.effect.ravel())
    table = table[table["treated"] == 1].assign(event_time=lambda t: t["period"] - t["cohort"])
    expected = {"ATT": table["effect"].mean()}
    for name in ("cohort", "event_time"):
        means = table.groupby(name)["effect"].mean()
        expected |= {f"ATT({name}={key})": value for key, value in means.items()}
    assert drawn.truth.sample.keys() == expected.keys() == drawn.truth.population.keys()
    assert drawn.truth.sample == pytest.approx(expected, rel=1e-12)


def brute_force(design, n, repeats):
    """Sample truths of many panels of n units, one row a panel."""
    draws = [design.draw(n, seed).truth.sample for seed in range(repeats)]
    return pd.DataFrame(draws)


@every
def test_the_population_truth_is_a_mean_of_many_potential_outcomes(design):
    n, repeats = (1_500, 20) if design in (STAGGERED, AI_ADOPTION_PANEL) else (400, 20)
    table = brute_force(design, n, repeats)
    error = table.std() / np.sqrt(repeats)
    for label, value in design.truth().population.items():
        assert value == pytest.approx(table[label].mean(), abs=4 * error[label] + 1e-9), label


def test_known_constants():
    assert DID.truth().value("ATT") == 0.5
    # mean over k = 0, ..., 49 of .5 (1 - .9^(k + 1))
    assert DYNAMIC.truth().value("ATT") == pytest.approx(0.5 * (1 - 0.9 * (1 - 0.9**50) / 5))
    assert HETEROGENEOUS.truth().value("ATT(event_time=49)") == 0.5
    assert STAGGERED.truth().value("ATT") == pytest.approx(105.3 / 27)
    assert STAGGERED.truth().value("ATT(cohort=6)") == pytest.approx(2 * (1 + 0.3 * 6.5))
    assert STAGGERED.truth().value("ATT(event_time=0)") == pytest.approx(3.5 / 3)
    assert STAGGERED.truth().value("ATT(event_time=13)") == pytest.approx(2 * 4.9)
    # mean over k = 0, 1, 2, 3 of 3 (1 - .7^(k + 1))
    mean = 3 * (1 - (0.7 + 0.49 + 0.343 + 0.2401) / 4)
    assert AI_ADOPTION_PANEL.truth().value("ATT(cohort=12)") == pytest.approx(mean)
    assert INTERACTIVE.truth().value("ATT") == 1
    assert DONOR_POOL.truth().value("ATT(event_time=1)") == pytest.approx(-2 * (1 - 0.49))


def test_a_control_and_a_treated_unit_differ_by_their_parts_alone():
    drawn = replace(DID, noise_sd=0.0).draw(40, 2)
    x, treated = wide(drawn.frame, "x"), wide(drawn.frame, "treated")
    historic = drawn.unit_effect[:, None] + 0.01 * np.arange(100) + 1.1 * x + 0.5 * treated
    np.testing.assert_allclose(drawn.outcome, historic, atol=1e-12)
    assert (drawn.noise == 0).all()
    assert "e_it" not in " ".join(replace(DID, noise_sd=0.0).equations())


def test_trends_break_for_all_and_diverge_for_the_treated():
    t = np.arange(100)
    np.testing.assert_allclose(BROKEN_TREND.period_effect()[:50], 0.01 * t[:50])
    np.testing.assert_allclose(np.diff(BROKEN_TREND.period_effect())[49:], 0.03)
    assert (BROKEN_TREND.draw(50, 0).structure == 1.1 * x_of(BROKEN_TREND.draw(50, 0))).all()
    drawn = DIVERGING_TRENDS.draw(50, 0)
    drift = drawn.structure - 1.1 * x_of(drawn)
    np.testing.assert_allclose(drift[drawn.cohort == 50], np.tile(0.01 * t, (sum_of(drawn), 1)))
    np.testing.assert_allclose(drift[drawn.cohort == NEVER], 0, atol=1e-12)


def x_of(drawn):
    return wide(drawn.frame, "x")


def sum_of(drawn):
    return int((drawn.cohort != NEVER).sum())


def test_a_random_half_is_treated_whatever_the_unit_effects():
    drawn = replace(DID, n_periods=2, start=1).draw(20_000, 5)
    g = drawn.cohort == 1
    assert g.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(20_000))
    gap = drawn.unit_effect[g].mean() - drawn.unit_effect[~g].mean()
    assert abs(gap) < 4 * 2 / np.sqrt(20_000)


def test_effects_differ_with_the_unit_effect_only_where_they_should():
    drawn = HETEROGENEOUS.draw(100, 1)
    own = drawn.effect[drawn.treated[:, 99]][:, 60]
    np.testing.assert_allclose(own, 0.5 * (1 + 0.6 * drawn.unit_effect[drawn.treated[:, 99]]))
    assert np.unique(DID.draw(100, 1).effect).tolist() == [0.0, 0.5]


def test_cohorts_and_noise_of_the_staggered_panel_are_as_stated():
    drawn = STAGGERED.draw(20_000, 6)
    assert np.bincount(drawn.cohort)[[0, 6, 11, 16]] / 20_000 == pytest.approx(0.25, abs=0.0125)
    ever = drawn.cohort != NEVER
    assert drawn.unit_effect[ever].mean() == pytest.approx(0.5, abs=0.04)
    assert drawn.unit_effect[~ever].mean() == pytest.approx(0.0, abs=0.06)
    steps = [np.diff(STAGGERED.draw(8, s).period_effect, prepend=0) for s in range(300)]
    assert np.std(steps) == pytest.approx(0.3, rel=0.04)
    unit = np.flatnonzero(drawn.cohort == 11)[0]
    np.testing.assert_allclose(drawn.effect[unit, 9:14], [0, 0, 1, 1.3, 1.6])


def test_factors_persist_and_the_treated_load_more_on_them():
    drawn = replace(INTERACTIVE, n_treated=4_000, n_periods=6, start=3, noise_sd=0.0).draw(8_000, 1)
    means = [drawn.structure[:4_000].mean(axis=0), drawn.structure[4_000:].mean(axis=0)]
    # two factors; the gap between groups is a combination of them, far beyond sampling error
    _, size, factors = np.linalg.svd(drawn.structure, full_matrices=False)
    assert (size[2:] < 1e-8 * size[0]).all()
    gap = means[0] - means[1]
    np.testing.assert_allclose(factors[:2].T @ factors[:2] @ gap, gap, atol=1e-8)
    assert np.abs(gap).max() > 10 * np.abs(means[1]).max()
    # with many factors, V[l' f_t] / R is near E[f_t^2] = 1 + .81 + ... + .81^t
    many = replace(INTERACTIVE, n_factors=2_000, n_periods=12, start=11).draw(1_600, 1)
    found = (many.structure[5:] ** 2).mean(axis=0) / 2_000
    expected = (1 - 0.81 ** np.arange(1, 13)) / (1 - 0.81)
    np.testing.assert_allclose(found, expected, rtol=0.2)


@pytest.mark.parametrize("law", [NoiseLaw(0.5), NoiseLaw(2.0, 0.5), NoiseLaw(1.0, -0.7)])
def test_noise_has_the_law_it_states(law):
    e = law.sample(np.random.default_rng(0), 40_000, 4)
    for t in range(4):
        pit = np.sort(law.cdf(e[:, t]))
        assert np.abs(pit - (np.arange(40_000) + 0.5) / 40_000).max() < 1.63 / 200
    assert np.corrcoef(e[:, 1], e[:, 3])[0, 1] == pytest.approx(law.autocorrelation**2, abs=0.02)
    levels = np.array([0.1, 0.5, 0.8])
    np.testing.assert_allclose(law.cdf(law.quantile(levels)), levels)


def test_no_noise_is_a_law_too():
    law = NoiseLaw(0.0)
    assert (law.sample(np.random.default_rng(0), 3, 4) == 0).all()
    assert law.cdf([-0.1, 0.0, 0.1]).tolist() == [0, 1, 1]


def test_average_effects_weigh_cells():
    effect = np.array([[0.0, 2.0, 4.0], [0.0, 0.0, 9.0], [5.0, 5.0, 5.0]])
    table = average_effects(effect, np.array([1, 2, NEVER]), np.array([1.0, 3.0, 7.0]))
    assert table == {
        "ATT": pytest.approx(33 / 5),
        "ATT(cohort=1)": 3.0,
        "ATT(cohort=2)": 9.0,
        "ATT(event_time=0)": pytest.approx(29 / 4),
        "ATT(event_time=1)": 4.0,
    }


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DID.draw(1), "a panel of 1 units was asked for; expected at least 2"),
        (lambda: DID.draw(-5), "a panel of -5 units was asked for"),
        (lambda: STAGGERED.draw(3), "expected at least 4"),
        (lambda: INTERACTIVE.draw(5), "expected at least 6, of which 5 are treated"),
        (lambda: DifferenceInDifferences(start=0), "starts in period 0 of a panel with 100"),
        (lambda: DifferenceInDifferences(start=100), "expected a start from 1 to 99"),
        (lambda: DifferenceInDifferences(n_periods=1), "expected at least 2 periods"),
        (lambda: DifferenceInDifferences(noise_sd=-1.0), "standard deviation -1"),
        (lambda: DifferenceInDifferences(effect=np.nan), "effect is nan; expected a finite"),
        (lambda: DifferenceInDifferences(remaining=1.0), "share remaining is 1"),
        (lambda: FactorPanel(n_treated=0), "0 units are treated; expected at least one"),
        (lambda: FactorPanel(n_factors=-1), "there are -1 factors"),
        (lambda: FactorPanel(start=40), "starts in period 40"),
        (lambda: FactorPanel(shift=np.inf), "shift is inf"),
        (lambda: NoiseLaw(1.0, 1.0), "autocorrelation 1"),
        (lambda: DID.draw(10, seed=-1), "random_state is -1"),
    ],
)
def test_a_panel_that_cannot_be_drawn_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(DataError, match=sentence):
        make()
