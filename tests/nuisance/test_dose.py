"""Nuisances of a dose: read out of fold, at the right doses, by any model."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.dose_design import DOSE
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.dose import (
    DiffusionDensity,
    blurred,
    dose_nodes,
    fit_dose_nuisances,
)
from causal_ddpm.nuisance.dose_learners import GaussianDoseDensity, LearnerDoseMean
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

LIGHT = (LearnerDoseMean(LinearRegression()), GaussianDoseDensity(LinearRegression()))
QUICK = PotentialOutcomeModel(
    "none", diffusion=DiffusionSettings(n_members=1, hidden_dim=16, n_steps=20), n_folds=3
)


def _with(frame, **roles):
    names = [f"x{j}" for j in range(5)]
    return CausalData(frame, "dose", "y", names, treatment_kind="dose", **roles)


def test_light_readings_equal_fits_made_by_hand():
    data = DOSE.draw(120, 0).data
    found = fit_dose_nuisances(data, *LIGHT, n_folds=4, random_state=3)
    x, a, y = data.covariates.values, data.treatment, data.outcome
    for k in range(4):
        train, test = found.fold_ids != k, found.fold_ids == k
        both = np.column_stack([x, a])
        model = LinearRegression().fit(both[train], y[train])
        np.testing.assert_allclose(found.mean.own[test], model.predict(both[test]), atol=1e-10)
        for g in (0, 12, 24):
            at = np.column_stack([x[test], np.full(test.sum(), found.nodes[g])])
            np.testing.assert_allclose(found.mean.grid[test, g], model.predict(at), atol=1e-10)
        dose = LinearRegression().fit(x[train], a[train]).predict(x[test])
        # normal around the line: own and grid densities imply the same spread
        own, grid = found.density.own[test], found.density.grid[test]
        log_ratio = np.log(own[:, None] / grid)
        distance = (found.nodes - dose[:, None]) ** 2 - (a[test] - dose)[:, None] ** 2
        np.testing.assert_allclose(log_ratio, distance / (2 * _spread(own, a[test], dose) ** 2))
    assert found.n_folds == 4
    assert found.fingerprint == data.fingerprint


def _spread(own, a, mean):
    """The sd of the normal density that takes the first value ``own``."""
    grid = np.linspace(0.8, 2.5, 200_001)
    near = norm.pdf(a[0], mean[0], grid) - own[0]
    crossings = np.flatnonzero(np.diff(np.sign(near)))
    roots = grid[crossings] - near[crossings] * (grid[1] - grid[0]) / np.diff(near)[crossings]
    errors = [np.abs(norm.pdf(a, mean, root) - own).max() for root in roots]
    return roots[int(np.argmin(errors))]


def test_a_row_never_helps_to_read_itself():
    draw = DOSE.draw(120, 1)
    before = fit_dose_nuisances(draw.data, *LIGHT)
    changed = draw.frame.copy()
    changed.loc[7, "y"] += 100.0
    after = fit_dose_nuisances(_with(changed), *LIGHT)
    fold = before.fold_ids == before.fold_ids[7]
    np.testing.assert_allclose(after.mean.grid[fold], before.mean.grid[fold])
    assert np.abs(after.mean.grid[~fold] - before.mean.grid[~fold]).max() > 0.1


def test_weights_reach_the_learners():
    frame = DOSE.draw(100, 2).frame.assign(w=np.arange(100) % 3)
    index = np.repeat(np.arange(100), frame["w"])
    folds = np.arange(100) % 5
    for model in LIGHT:
        weighted = model.read_doses(_with(frame, weights="w"), folds, np.arange(3.0, 6.0), 0)
        copies = _with(frame.iloc[index].reset_index(drop=True))
        doubled = model.read_doses(copies, folds[index], np.arange(3.0, 6.0), 0)
        if isinstance(model, LearnerDoseMean):
            np.testing.assert_allclose(weighted.grid[index], doubled.grid, atol=1e-8)
        else:  # inner folds of the spread differ
            np.testing.assert_allclose(weighted.grid[index], doubled.grid, rtol=0.3, atol=0.02)


def test_nodes_span_the_doses_and_crowd_where_rows_are():
    frame = DOSE.draw(400, 3).frame
    frame["dose"] = np.exp(frame["dose"])
    data = _with(frame)
    nodes = dose_nodes(data, 25)
    assert nodes[[0, -1]] == pytest.approx([data.treatment.min(), data.treatment.max()])
    assert (np.diff(nodes) > 0).all()
    assert np.median(nodes) < np.ptp(nodes) / 2


def test_shared_doses_are_blurred_within_their_cells_and_others_are_left():
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=200)
    assert blurred(smooth, rng) is smooth
    heaped = rng.choice([0.0, 1.0, 2.0, 5.0], 200)
    moved = blurred(heaped, rng)
    low = {0.0: -0.5, 1.0: 0.5, 2.0: 1.5, 5.0: 3.5}
    high = {0.0: 0.5, 1.0: 1.5, 2.0: 3.5, 5.0: 6.5}
    assert all(low[v] <= m <= high[v] for v, m in zip(heaped, moved, strict=True))
    assert len(np.unique(moved)) == 200


def test_the_diffusion_reads_means_and_densities():
    draw = DOSE.draw(150, 4)
    found = fit_dose_nuisances(draw.data, QUICK, DiffusionDensity(QUICK), n_folds=3, random_state=1)
    n, g = 150, len(found.nodes)
    assert found.mean.own.shape == found.density.own.shape == (n,)
    assert found.mean.grid.shape == found.density.grid.shape == (n, g)
    assert np.isfinite(found.mean.grid).all()
    assert (found.density.own > 0).all()
    np.testing.assert_array_equal(found.density.dose, draw.data.treatment)
    wide = np.linspace(-30, 40, 4001)
    law = DiffusionDensity(QUICK).read_doses(draw.data, found.fold_ids, wide, 1)
    np.testing.assert_allclose(law.grid.sum(axis=1) * (wide[1] - wide[0]), 1, atol=0.01)
    assert found.method.endswith("end-to-end diffusion law and diffusion density")


def test_clusters_stay_together():
    frame = DOSE.draw(150, 5).frame.assign(g=np.arange(150) // 5)
    found = fit_dose_nuisances(_with(frame, clusters="g"), *LIGHT)
    folds = pd.Series(found.fold_ids).groupby(frame["g"]).nunique()
    assert (folds == 1).all()


def test_models_that_cannot_read_doses_are_refused():
    data = DOSE.draw(100, 0).data
    with pytest.raises(DataError, match="the model is a LinearRegression; expected Potential"):
        fit_dose_nuisances(data, LinearRegression())
    with pytest.raises(DataError, match="the model is a str"):
        fit_dose_nuisances(data, LIGHT[0], "normal")
    for wrapper in (LearnerDoseMean, GaussianDoseDensity):
        with pytest.raises(DataError, match="the learner is a int; expected a scikit-learn"):
            wrapper(3)
    binary = CausalData(data_frame(), "d", "y", ["x"])
    with pytest.raises(DataError, match="of kind 'binary'; expected a dose"):
        fit_dose_nuisances(binary)


def data_frame():
    """A frame with a binary treatment."""
    rng = np.random.default_rng(0)
    columns = {"d": np.arange(60) % 2, "y": rng.normal(size=60), "x": rng.normal(size=60)}
    return pd.DataFrame(columns)
