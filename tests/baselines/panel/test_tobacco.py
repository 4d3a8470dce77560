"""Proposition 99 through the adapters: published figures of synthetic controls and their kin."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.baselines.panel.low_rank import MatrixCompletion
from causal_ddpm.baselines.panel.predictors import PredictorSyntheticControl
from causal_ddpm.baselines.panel.synthetic import (
    DifferenceInDifferences,
    SyntheticControl,
    SyntheticDiD,
)
from causal_ddpm.core.estimand import ATT
from causal_ddpm.core.panel_data import PanelData

SMOKING = Path(__file__).resolve().parents[4] / "shared/data/synth/smoking_adh.parquet"


@pytest.mark.parametrize(
    ("method", "value", "tolerance"),
    [
        (SyntheticDiD(2), -15.604, 5e-4),
        (SyntheticControl(2), -19.620, 5e-4),
        (DifferenceInDifferences(2), -27.349, 5e-4),
        (MatrixCompletion(2), -19.98, 5e-3),
    ],
    ids=lambda m: getattr(m, "name", None),
)
def test_californias_tobacco_programme(prop99, method, value, tolerance):
    estimate = method.estimate(prop99, ATT())
    assert estimate.value == pytest.approx(value, abs=tolerance)
    path = estimate.details["path"]
    gap = np.subtract(path["observed"], path["counterfactual"])
    assert path["period"][0] == "1970"
    assert gap[19:].mean() == pytest.approx(value, abs=tolerance)
    assert estimate.details["pre_fit"] == pytest.approx(np.sqrt(np.mean(gap[:19] ** 2)))


@pytest.mark.skipif(not SMOKING.exists(), reason=f"needs the file {SMOKING}")
def test_californias_programme_with_predictors_from_a_user_file():
    """Income, prices, age and beer; published with nearly the same predictors: about -19."""
    frame = pd.read_parquet(SMOKING)
    frame["treated"] = (frame["state"] == "California") & (frame["year"] >= 1989)
    predictors = ["lnincome", "retprice", "age15to24", "beer"]
    means = frame.groupby("state")[predictors].transform("mean")
    frame[predictors] = frame[predictors].fillna(means)
    panel = PanelData(frame, "state", "year", "cigsale", treated="treated", covariates=predictors)
    estimate = PredictorSyntheticControl(2, n_starts=1).estimate(panel, ATT())
    assert estimate.value == pytest.approx(-19.0, abs=1.0)
    weights = dict(zip(panel.units[panel.is_control], _weights(estimate), strict=True))
    assert sum(weights.values()) == pytest.approx(1.0)
    assert max(weights, key=weights.get) == "Utah"


def _weights(estimate):
    return estimate.details["donor_weights"]["19"]


def test_every_control_is_a_placebo_once_where_one_unit_is_treated(prop99):
    """By hand: each control less the mean of the others, after less before."""
    y = prop99.y[prop99.is_control]
    change = y[:, 19:].mean(axis=1) - y[:, :19].mean(axis=1)
    n = len(change)
    placebos = change - (change.sum() - change) / (n - 1)
    estimate = DifferenceInDifferences().estimate(prop99, ATT())
    assert estimate.std_error == pytest.approx(placebos.std(), rel=1e-9)
    assert estimate.details["replications"] == 38
