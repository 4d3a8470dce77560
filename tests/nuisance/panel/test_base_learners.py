"""Least-squares bases of a panel against formulas and a dense regression."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.nuisance.panel.blocks import block_folds
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.two_way import TwoWay
from causal_ddpm.nuisance.panel.unit_scale import unit_scales
from causal_ddpm.nuisance.panel.unit_trend import UnitTrend

EXACT = 1e-8


def noiseless(n_units=12, n_periods=15, seed=0):
    """Unit effects, a line in time, two covariates; ragged starts of treatment."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_units, n_periods, 2))
    y = rng.standard_normal(n_units)[:, None] + 0.3 * np.arange(n_periods) + x @ [1.1, -2.0]
    start = rng.integers(4, n_periods + 4, n_units)
    start[0] = n_periods
    return y, x, np.arange(n_periods) < start[:, None]


def dense(y, x, observed):
    """Two-way least squares with indicator columns, predicted everywhere."""
    n_units, n_periods = y.shape
    unit = np.repeat(np.eye(n_units), n_periods, axis=0)
    period = np.tile(np.eye(n_periods), (n_units, 1))
    design = np.column_stack([unit, period, x.reshape(-1, x.shape[2])])
    rows = observed.ravel()
    coef = np.linalg.lstsq(design[rows], y.ravel()[rows], rcond=None)[0]
    return (design @ coef).reshape(y.shape), coef[n_units + n_periods :]


@pytest.mark.parametrize("base", [TwoWay(), UnitTrend()])
def test_exact_without_noise(base):
    y, x, observed = noiseless()
    fit = base.fit(PanelCells.of(y, x, observed))
    np.testing.assert_allclose(fit.predict(PanelCells.of(y, x, observed)), y, atol=EXACT)
    np.testing.assert_allclose(fit.coef, [1.1, -2.0], atol=EXACT)


def test_two_way_is_the_dense_regression():
    y, x, observed = noiseless()
    y = y + np.random.default_rng(1).standard_normal(y.shape)
    cells = PanelCells.of(y, x, observed)
    fit = TwoWay().fit(cells)
    predicted, coef = dense(y, x, observed)
    np.testing.assert_allclose(fit.predict(cells), predicted, atol=EXACT)
    np.testing.assert_allclose(fit.coef, coef, atol=EXACT)
    assert abs(fit.period.mean()) < EXACT


def test_unit_trend_is_the_dense_regression():
    y, x, observed = noiseless()
    y = y + np.random.default_rng(2).standard_normal(y.shape)
    cells = PanelCells.of(y, x, observed)
    n_units, n_periods = y.shape
    design = np.column_stack([
        np.repeat(np.eye(n_units), n_periods, axis=0),
        np.tile(np.arange(n_periods), n_units), x.reshape(-1, 2),
    ])  # fmt: skip
    rows = observed.ravel()
    coef = np.linalg.lstsq(design[rows], y.ravel()[rows], rcond=None)[0]
    fit = UnitTrend().fit(cells)
    np.testing.assert_allclose(fit.predict(cells).ravel(), design @ coef, atol=EXACT)
    np.testing.assert_allclose([fit.slope, *fit.coef], coef[n_units:], atol=EXACT)


def test_trend_counts_in_calendar_time():
    y, x, observed = noiseless()
    years = 1990.0 + 2 * np.arange(y.shape[1])
    assert UnitTrend().fit(PanelCells.of(y, x, observed, years)).slope == pytest.approx(0.15)


def test_no_covariates():
    y, _, observed = noiseless()
    y = y - y.mean()
    plain = np.add.outer(np.arange(len(y)), np.arange(y.shape[1]) ** 2).astype(float)
    cells = PanelCells.of(plain, None, observed)
    np.testing.assert_allclose(TwoWay().fit(cells).predict(cells), plain, atol=EXACT)


def test_cells_without_a_chain_are_not_identified():
    observed = np.ones((6, 8), dtype=bool)
    observed[:, 6:] = False
    observed[:3, 3:], observed[3:, :3] = False, False
    y = np.random.default_rng(0).standard_normal((6, 8))
    cells = PanelCells.of(y, None, observed)
    known = np.isfinite(TwoWay().fit(cells).predict(cells))
    np.testing.assert_array_equal(known, observed)
    assert np.isfinite(UnitTrend().fit(cells).predict(cells)).all()


def test_outcomes_outside_the_mask_are_blank():
    y, x, observed = noiseless()
    assert np.isnan(PanelCells.of(y, x, observed).outcome[~observed]).all()
    wild = np.where(observed, y, np.inf)
    for base in (TwoWay(), UnitTrend()):
        cells, other = PanelCells.of(y, x, observed), PanelCells.of(wild, x, observed)
        same = base.fit(other).predict(other)
        np.testing.assert_array_equal(base.fit(cells).predict(cells), same)


@pytest.mark.parametrize("base", [TwoWay(), UnitTrend()])
def test_covariate_of_the_unit_is_refused(base):
    y, _, observed = noiseless()
    gender = np.broadcast_to((np.arange(len(y)) % 2)[:, None], y.shape)
    with pytest.raises(NotIdentifiedError, match="vary within units"):
        base.fit(PanelCells.of(y, gender, observed))


def test_twice_the_same_covariate_is_refused():
    y, x, observed = noiseless()
    with pytest.raises(NotIdentifiedError, match="combination"):
        TwoWay().fit(PanelCells.of(y, x[..., [0, 0]], observed))


def test_refusals():
    y, x, observed = noiseless()
    with pytest.raises(DataError, match="truth values"):
        PanelCells.of(y, x, observed.astype(int))
    with pytest.raises(DataError, match=r"covariates have shape \(3, 3\)|covariates have shape"):
        PanelCells.of(y, np.zeros((3, 3)), observed)
    with pytest.raises(DataError, match="missing or infinite"):
        PanelCells.of(np.where(observed, np.nan, y), x, observed)
    with pytest.raises(DataError, match="increasing"):
        PanelCells.of(y, x, observed, np.zeros(y.shape[1]))
    lonely = observed.copy()
    lonely[3, 1:] = False
    with pytest.raises(DataError, match="unit in row 3"):
        PanelCells.of(y, x, lonely)
    with pytest.raises(DataError, match="at least 3"):
        block_folds(observed, 2, 0)


def test_blocks_are_runs_that_leave_every_unit_most_of_its_cells():
    observed = np.ones((20, 30), dtype=bool)
    observed[:10, 15:] = False
    folds = block_folds(observed, 5, 0)
    assert (folds[~observed] == -1).all()
    for k in range(5):
        left = (observed & (folds != k)).sum(axis=1)
        assert (left >= 0.7 * observed.sum(axis=1)).all()
        assert (observed & (folds != k)).any(axis=0).all()
    changes = (np.diff(folds[10:], axis=1) != 0).sum(axis=1)
    assert (changes == 4).all()
    np.testing.assert_array_equal(folds, block_folds(observed, 5, 0))


def test_unit_scales_are_common_when_chance_explains_them_and_apart_when_not():
    rng = np.random.default_rng(0)
    residual = 0.7 * rng.standard_normal((60, 40))
    assert np.ptp(unit_scales(residual)) < 0.1
    sigma = np.where(np.arange(60) < 30, 0.2, 2.0)
    found = unit_scales(sigma[:, None] * rng.standard_normal((60, 40)))
    np.testing.assert_allclose(found, sigma, rtol=0.35)
    residual[0] = np.nan
    assert unit_scales(residual)[0] == pytest.approx(0.7, rel=0.05)
