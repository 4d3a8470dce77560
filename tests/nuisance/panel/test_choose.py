"""The base of untreated outcomes is chosen on controls, and says why."""

import json

import numpy as np
import pytest

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.dgp.factor_panel import FactorPanel
from causal_ddpm.nuisance.panel import choose
from causal_ddpm.nuisance.panel.average import ConvexAverage
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.choose import choose_base
from causal_ddpm.nuisance.panel.two_way import TwoWay

ONE_FACTOR = FactorPanel(
    n_units=15, n_periods=16, start=11, n_treated=1, n_factors=1, noise_sd=0.1
)  # fmt: skip
PARALLEL = FactorPanel(n_units=26, n_periods=12, start=7, n_treated=2, n_factors=0)


def cells_of(drawn, hidden=None):
    seen = ~drawn.treated if hidden is None else ~hidden
    return PanelCells.of(drawn.outcome, None, seen)


@pytest.fixture(scope="module")
def choice():
    return choose_base(cells_of(ONE_FACTOR.draw(seed=1)), random_state=0)


def test_factors_are_found_where_there_are_factors(choice):
    assert not choice.fallback
    assert isinstance(choice.base, ConvexAverage)
    rows = choice.to_frame().set_index("name")
    assert rows["weight"].sum() == pytest.approx(1)
    assert rows.iloc[-1]["against_two_way"] < 0.5
    assert rows.iloc[-1]["rmse"] < 0.3
    assert rows["std_error"].between(0, rows["rmse"]).all()
    assert "hidden paths of controls" in choice.reason
    assert choice.starts == (11,)


def test_the_record_is_json(choice):
    told = json.loads(json.dumps(choice.report))
    assert told["base"] == choice.base.name
    assert len(told["candidates"]) == len(choice.candidates)


def test_the_better_base_predicts_the_treated_better(choice):
    drawn = ONE_FACTOR.draw(seed=1)
    cells, truth = cells_of(drawn), drawn.untreated[drawn.treated]
    ours, plain = (b.fit(cells).predict(cells)[drawn.treated] for b in (choice.base, TwoWay()))
    assert np.sqrt(np.mean((ours - truth) ** 2)) < 0.5 * np.sqrt(np.mean((plain - truth) ** 2))


def test_two_way_effects_are_kept_where_they_are_right():
    kept = choose_base(cells_of(PARALLEL.draw(seed=0)), random_state=0)
    assert kept.fallback
    assert isinstance(kept.base, TwoWay)
    assert "less than one standard error" in kept.reason
    assert kept.to_frame().set_index("family")["weight"]["two-way effects"] == 1


def test_treated_units_have_no_say(choice):
    """Neither their past nor what follows; their start alone."""
    drawn = ONE_FACTOR.draw(seed=1)
    y = drawn.outcome.copy()
    y[drawn.cohort > 0] = 1e3 * np.arange(16.0)
    other = choose_base(PanelCells.of(y, None, ~drawn.treated), random_state=0)
    assert other.report == choice.report


def test_the_same_seed_gives_the_same_choice_and_units_of_measurement_do_not_matter(choice):
    drawn = ONE_FACTOR.draw(seed=1)
    again = choose_base(PanelCells.of(1e3 * drawn.outcome, None, ~drawn.treated), random_state=0)
    assert [c.weight for c in again.candidates] == pytest.approx(
        [c.weight for c in choice.candidates], abs=1e-4
    )


def test_panels_are_read_as_their_untreated_cells(choice):
    panel = PanelData(ONE_FACTOR.draw(seed=1).frame, "unit", "period", "y", treated="treated")
    assert choose_base(panel, random_state=0).report == choice.report


def test_staggered_starts_are_all_tried():
    drawn = PARALLEL.draw(seed=5)
    hidden = np.zeros(drawn.outcome.shape, dtype=bool)
    for unit, first in ((0, 2), (1, 6), (2, 10)):
        hidden[unit, first:] = True
    assert choose_base(cells_of(drawn, hidden), random_state=0).starts == (6, 10)


def test_gaps_and_a_period_that_one_control_alone_has():
    drawn = ONE_FACTOR.draw(seed=2)
    seen = ~drawn.treated & (np.random.default_rng(0).random(drawn.outcome.shape) > 0.1)
    seen[1:, -1], seen[2:, 12] = True, False
    seen[1, 12] = True
    found = choose_base(PanelCells.of(drawn.outcome, None, seen), random_state=0)
    assert all(np.isfinite([c.rmse, c.std_error, c.weight]).all() for c in found.candidates)


@pytest.mark.parametrize(
    ("n_units", "start", "words"),
    [(24, 3, "3 periods before treatment are too few"), (8, 14, "5 controls are too few")],
)
def test_little_data_keep_two_way_effects_and_say_so(n_units, start, words):
    drawn = FactorPanel(n_units=n_units, n_periods=20, start=start, n_treated=3).draw(seed=0)
    found = choose_base(cells_of(drawn), random_state=0)
    assert found.fallback
    assert isinstance(found.base, TwoWay)
    assert found.candidates == ()
    assert words in found.reason


def test_nothing_to_predict():
    drawn = PARALLEL.draw(seed=0)
    found = choose_base(PanelCells.of(drawn.untreated, None, np.ones((26, 12), dtype=bool)))
    assert "nothing to predict" in found.reason


def test_weights_favour_small_errors_and_find_an_exact_base():
    noise = np.random.default_rng(0).exponential(size=(3, 12))
    errors = noise / noise.mean(axis=1, keepdims=True) * np.array([[1.0], [1.2], [1.0]])
    w = choose._weights(errors)
    assert w[0] == pytest.approx(w[2])
    assert w[1] == pytest.approx(w[0] / 1.2**3)
    np.testing.assert_array_equal(choose._weights(errors * [[0.0], [2.0], [1.0]]), [1.0, 0.0, 0.0])


def test_a_family_that_is_clearly_worse_has_no_weight():
    common = np.random.default_rng(0).exponential(size=40)
    errors = np.stack([common, common + 0.2, common + np.tile([-1.0, 1.2], 20)])
    w = choose._weights(errors)
    assert w[1] == 0  # worse on every path, by little
    assert 0 < w[2] < w[0]  # worse by chance
