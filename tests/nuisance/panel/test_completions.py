"""Bases that complete a table: exact without noise, and what the peer libraries find."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.nuisance.panel.average import MIN_SEEN, ConvexAverage
from causal_ddpm.nuisance.panel.candidates import TwoWayCompletion
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.completion import Completion, held_out, two_way_tables
from causal_ddpm.nuisance.panel.factors import InteractiveFactors
from causal_ddpm.nuisance.panel.period_weights import PeriodWeighted
from causal_ddpm.nuisance.panel.ridge_donors import RidgeDonors
from causal_ddpm.nuisance.panel.simplex import simplex_weights
from causal_ddpm.nuisance.panel.soft_impute import SoftImpute
from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl
from causal_ddpm.nuisance.panel.synthetic_did import SyntheticDID
from causal_ddpm.nuisance.panel.two_way import TwoWay

EXACT = 1e-8
BASES = [
    TwoWayCompletion(), SyntheticControl(), SyntheticControl(intercept=True), SyntheticDID(),
    RidgeDonors(1.0), InteractiveFactors(2), SoftImpute(0.1), PeriodWeighted(RidgeDonors(1.0)),
    ConvexAverage((SyntheticDID(), RidgeDonors(1.0)), (0.4, 0.6)),
]  # fmt: skip


def factor_panel(rank=2, n_units=25, n_periods=24, noise=0.0, seed=0):
    """Two-way effects and factors; the first three units are treated from period 16 on."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(n_units)[:, None] + np.cumsum(rng.standard_normal(n_periods))
    y += rng.standard_normal((n_units, rank)) @ rng.standard_normal((rank, n_periods))
    y += noise * rng.standard_normal(y.shape)
    observed = np.ones(y.shape, dtype=bool)
    observed[:3, 16:] = False
    return y, observed


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "base",
    [
        InteractiveFactors(2, tolerance=1e-11, limit=5000),
        SoftImpute(1e-9, tolerance=1e-11, limit=5000, max_rank=2),
    ],
    ids=["factors", "matrix completion"],
)
def test_a_factor_panel_is_recovered(base, gaps):
    y, observed = factor_panel()
    if gaps:
        observed &= np.random.default_rng(1).random(y.shape) > 0.1
    cells = PanelCells.of(y, None, observed)
    np.testing.assert_allclose(base.fit(cells).predict(cells), y, atol=EXACT)


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_two_way_panels_are_recovered(base):
    """Unit and period effects lie within the reach of all but weights without a level."""
    y, observed = factor_panel(rank=0)
    cells = PanelCells.of(y, None, observed)
    found = base.fit(cells).predict(cells)
    if base == SyntheticControl():
        assert np.isfinite(found).all()
    else:
        np.testing.assert_allclose(found, y, atol=1e-6)


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_many_masks_are_many_fits(base):
    y, observed = factor_panel(noise=0.5)
    x = np.random.default_rng(3).standard_normal(y.shape)
    hidden = np.zeros((3, *y.shape), dtype=bool)
    for k in range(3):
        hidden[k, 5 + k, 10:] = True
    for covariates in (None, x):
        cells = PanelCells.of(y, covariates, observed)
        together = held_out(base, cells, hidden)
        for k in range(3):
            part = cells.without(hidden[k])
            alone = base.fit(part).predict(part)
            np.testing.assert_allclose(together[k, 5 + k], alone[5 + k], atol=EXACT)


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_hidden_outcomes_are_not_read(base):
    y, observed = factor_panel(noise=0.5)
    wild = np.where(observed, y, 1e9)
    one, other = PanelCells.of(y, None, observed), PanelCells.of(wild, None, observed)
    np.testing.assert_array_equal(base.fit(one).predict(one), base.fit(other).predict(other))


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_outcomes_may_be_measured_in_other_units(base):
    y, observed = factor_panel(noise=0.5)
    one, other = PanelCells.of(y, None, observed), PanelCells.of(100 + 1e4 * y, None, observed)
    found = base.fit(other).predict(other)
    np.testing.assert_allclose(found, 100 + 1e4 * base.fit(one).predict(one), rtol=1e-4, atol=1)


def test_covariates_are_swept_and_added_back():
    y, observed = factor_panel(rank=0)
    x = np.random.default_rng(1).standard_normal((*y.shape, 2))
    cells = PanelCells.of(y + x @ [1.0, -2.0], x, observed)
    fit = SyntheticDID().fit(cells)
    np.testing.assert_allclose(fit.coef, [1.0, -2.0], atol=EXACT)
    np.testing.assert_allclose(fit.predict(cells), y + x @ [1.0, -2.0], atol=1e-6)
    assert fit.features(cells).shape == (*y.shape, 4)
    np.testing.assert_allclose(fit.unit, TwoWay().fit(cells).unit)


def test_two_way_tables_are_two_way_fits():
    y, observed = factor_panel(noise=1.0)
    masks = np.stack([observed, observed & (np.random.default_rng(0).random(y.shape) > 0.2)])
    masks[1, :, 5] &= np.arange(len(y)) < 12
    for table, mask in zip(two_way_tables(y, masks), masks, strict=True):
        cells = PanelCells.of(y, None, mask)
        np.testing.assert_allclose(table, TwoWay().fit(cells).predict(cells), atol=EXACT)


def test_units_without_donors_and_periods_without_units_keep_the_two_way_fit():
    y, observed = factor_panel(noise=1.0)
    observed[2:, -1] = False
    observed[:2, -1] = True
    cells = PanelCells.of(y, None, observed)
    level = TwoWay().fit(cells).predict(cells)
    found = SyntheticDID().fit(cells).predict(cells)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:2], SyntheticDID().complete(y, observed[None])[0][:2])
    assert np.isfinite(level).all()


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
def test_a_period_that_nobody_has_is_not_identified(base):
    y, observed = factor_panel(noise=1.0)
    observed[:, -1] = False
    cells = PanelCells.of(y, None, observed)
    found = base.fit(cells).predict(cells)
    assert np.isnan(found[:, -1]).all()
    assert np.isfinite(found[:, :-1]).all()


def test_any_other_base_is_refitted_mask_by_mask():
    y, observed = factor_panel(noise=1.0)
    hidden = np.zeros((2, *y.shape), dtype=bool)
    hidden[0, 4, 10:] = hidden[1, 5, 10:] = True
    cells = PanelCells.of(y, None, observed)
    assert not isinstance(TwoWay(), Completion)
    np.testing.assert_allclose(
        held_out(TwoWay(), cells, hidden), held_out(TwoWayCompletion(), cells, hidden), atol=EXACT
    )


def test_short_pasts_keep_the_two_way_fit_in_an_average():
    y, observed = factor_panel(noise=1.0)
    observed[0, MIN_SEEN - 1 :] = False
    average = ConvexAverage((SyntheticDID(),), (1.0,))
    table, level = average.complete(y, observed[None])[0], two_way_tables(y, observed[None])[0]
    np.testing.assert_array_equal(table[0], level[0])
    assert not np.allclose(table[1], level[1])


def test_a_penalty_moves_ridge_between_free_weights_and_two_way_effects():
    y, observed = factor_panel(noise=0.3)
    observed[1:3] = True
    level = two_way_tables(y, observed[None])[0, 0]
    free, tight = (RidgeDonors(p).complete(y, observed[None])[0, 0] for p in (1e-9, 1e9))
    np.testing.assert_allclose(tight[16:], level[16:], atol=1e-6)
    np.testing.assert_allclose(free[:16], y[0, :16], atol=1e-5)


def test_weights_are_the_best_on_the_simplex():
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((8, 5)), rng.standard_normal(8)
    for ridge, centre in ((0.0, None), (2.0, None), (2.0, np.full(5, 0.2))):
        w = simplex_weights(A, b, ridge, centre)
        shift = 0.0 if centre is None else centre

        def loss(v, ridge=ridge, shift=shift):
            return ((A @ v - b) ** 2).sum() + ridge * ((v - shift) ** 2).sum()

        assert w.min() >= 0
        assert w.sum() == pytest.approx(1)
        gradient = 2 * A.T @ (A @ w - b) + 2 * ridge * (w - shift)
        assert (gradient - w @ gradient).min() > -1e-8
        assert all(loss(w) <= loss(v) + 1e-12 for v in rng.dirichlet(np.ones(5), 200))
    np.testing.assert_array_equal(simplex_weights(np.zeros((3, 4)), np.zeros(3)), 0.25)
    np.testing.assert_array_equal(simplex_weights(A[:, :1], b), 1.0)


def test_refusals():
    y, observed = factor_panel()
    with pytest.raises(DataError, match="rank is 0"):
        InteractiveFactors(0)
    with pytest.raises(DataError, match="share is 1"):
        SoftImpute(1.0)
    with pytest.raises(DataError, match="one weight a base"):
        ConvexAverage((SyntheticDID(),), (0.5, 0.5))
    with pytest.raises(DataError, match="masks of hidden cells"):
        held_out(TwoWay(), PanelCells.of(y, None, observed), observed)
    with pytest.raises(DataError, match="penalty is 0"):
        RidgeDonors(0.0)
