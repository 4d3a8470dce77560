"""The laws of untreated outcomes: against the truth, and nothing read that must not be read."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.core.random import stream
from causal_ddpm.dgp.did import DifferenceInDifferences
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.end_to_end import MAX_UNITS, EndToEndPanelModel
from causal_ddpm.nuisance.panel.residual_law import ResidualPanelModel, earned_kappa
from causal_ddpm.nuisance.panel.two_way import TwoWay
from causal_ddpm.nuisance.panel.unit_trend import UnitTrend

QUICK = DiffusionSettings(n_steps=30, hidden_dim=16)
MODELS = {
    "H": ResidualPanelModel(UnitTrend(), QUICK, n_folds=3),
    "D": ResidualPanelModel(TwoWay(), QUICK, n_folds=3),
    "plain": EndToEndPanelModel(QUICK),
}


def drawn(noise_sd=0.1, n=20, seed=0):
    design = DifferenceInDifferences(n_periods=24, start=12, noise_sd=noise_sd)
    draw = design.draw(n, seed=seed)
    x = draw.frame["x"].to_numpy().reshape(draw.untreated.shape)
    return draw, x


def masks(draw):
    before = np.broadcast_to(np.arange(draw.untreated.shape[1]) < 12, draw.untreated.shape)
    return {"H": before, "D": ~draw.treated, "plain": ~draw.treated}


@pytest.mark.parametrize("kind", MODELS)
def test_outcomes_outside_the_information_set_change_nothing(kind):
    draw, x = drawn()
    observed = masks(draw)[kind]
    other = draw.outcome + np.where(observed, 0.0, 1e3 * np.random.default_rng(1).random(x.shape))
    laws = [MODELS[kind].fit(PanelCells.of(y, x, observed), 0) for y in (draw.outcome, other)]
    for read in (lambda law: law.mean(draw.treated), lambda law: law.sample(draw.treated, 3, 0)):
        np.testing.assert_array_equal(read(laws[0]), read(laws[1]))


@pytest.mark.parametrize("kind", MODELS)
def test_same_seed_same_bits_and_another_seed_other_draws(kind):
    draw, x = drawn()
    cells = PanelCells.of(draw.outcome, x, masks(draw)[kind])
    first, again, other = (MODELS[kind].fit(cells, seed) for seed in (3, 3, 4))
    nodes = [law.nodes(draw.treated, 5) for law in (first, again, other)]
    np.testing.assert_array_equal(nodes[0], nodes[1])
    assert not np.array_equal(nodes[0], nodes[2])


@pytest.mark.parametrize("kind", ["H", "D"])
def test_residual_model_is_exact_without_noise(kind):
    draw, x = drawn(noise_sd=0.0)
    law = MODELS[kind].fit(PanelCells.of(draw.outcome, x, masks(draw)[kind]), 0)
    truth = draw.untreated[draw.treated]
    assert law.diffusion is None
    np.testing.assert_allclose(law.mean(draw.treated), truth, atol=1e-8)
    np.testing.assert_allclose(law.sample(draw.treated, 2, 0), truth[:, None] + [[0, 0]], atol=1e-8)


def test_residual_model_keeps_the_att_of_its_base_and_learns_the_noise():
    draw, x = drawn(n=40)
    cells = PanelCells.of(draw.outcome, x, ~draw.treated)
    law = ResidualPanelModel(TwoWay(), DiffusionSettings(n_steps=120)).fit(cells, 0)
    base = TwoWay().fit(cells).predict(cells)[draw.treated]
    assert abs(law.mean(draw.treated).mean() - base.mean()) < 0.2 * 0.1 / np.sqrt(20)
    u = law.predictive(draw.treated).cdf(draw.untreated[draw.treated][:, None])
    assert np.mean((u > 0.05) & (u < 0.95)) == pytest.approx(0.9, abs=0.06)
    assert law.sample(draw.treated, 50, 0).std(axis=1).mean() == pytest.approx(0.1, rel=0.15)


def test_residual_model_bends_where_the_base_is_straight():
    draw, x = drawn(n=40)
    curve = 0.5 * x**2
    cells = PanelCells.of(draw.outcome + curve, x, ~draw.treated)
    model = ResidualPanelModel(TwoWay(), DiffusionSettings(n_steps=200))
    law, truth = model.fit(cells, 0), (draw.untreated_mean + curve)[draw.treated]
    base = TwoWay().fit(cells).predict(cells)[draw.treated]
    error, straight = (np.sqrt(np.mean((m - truth) ** 2)) for m in (law.mean(draw.treated), base))
    assert law.kappa > 0.7
    assert error < 0.6 * straight


def test_scales_follow_the_units():
    draw, x = drawn(n=40)
    sigma = np.where(np.arange(40) < 36, 0.1, 0.5)[:, None]
    y = draw.untreated_mean + sigma * stream(0, "noise").standard_normal(x.shape)
    law = MODELS["D"].fit(PanelCells.of(y, x, ~draw.treated), 0)
    quiet, loud = law.scale[:36, 0], law.scale[36:, 0]
    assert np.median(quiet) == pytest.approx(0.11, rel=0.15)
    assert quiet.max() < 0.2
    np.testing.assert_allclose(loud, 0.5, rtol=0.3)


def test_kappa_is_earned():
    rng = np.random.default_rng(0)
    correction, noise = rng.standard_normal((2, 200, 30))
    assert earned_kappa(noise, 0 * noise) == 0
    assert earned_kappa(-correction, correction) == 0
    assert earned_kappa(2 * correction + noise, correction) == 1
    assert earned_kappa(0.5 * correction + noise, correction) == pytest.approx(0.5, abs=0.05)
    chance = [earned_kappa(rng.standard_normal((50, 8)), rng.standard_normal((50, 8)))
              for _ in range(100)]  # fmt: skip
    assert np.mean([k == 0 for k in chance]) > 0.7


def test_refusals():
    draw, x = drawn()
    cells = PanelCells.of(draw.outcome, x, ~draw.treated)
    law = MODELS["D"].fit(cells, 0)
    with pytest.raises(DataError, match="at least one cell"):
        law.mean(np.zeros(x.shape, dtype=bool))
    with pytest.raises(DataError, match="n_samples"):
        law.sample(draw.treated, 0)
    with pytest.raises(DataError, match="at least 3"):
        ResidualPanelModel(n_folds=2).fit(cells)
    everyone = np.broadcast_to(np.arange(x.shape[1]) < 12, x.shape)
    unseen = ResidualPanelModel(TwoWay(), QUICK).fit(PanelCells.of(draw.outcome, x, everyone), 0)
    with pytest.raises(NotIdentifiedError, match="state a trend"):
        unseen.mean(draw.treated)
    with pytest.raises(DataError, match="constant"):
        EndToEndPanelModel().fit(PanelCells.of(np.ones((4, 4)), None, np.ones((4, 4), dtype=bool)))
    many = np.random.default_rng(0).random((MAX_UNITS + 1, 3))
    with pytest.raises(DataError, match="indicators"):
        EndToEndPanelModel().fit(PanelCells.of(many, None, many > -1))
