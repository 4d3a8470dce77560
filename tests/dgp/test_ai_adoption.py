"""The AI-adoption design keeps its promises, on paper and on disk."""

import json

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth, truth_path
from causal_ddpm.dgp import ai_adoption
from causal_ddpm.dgp.ai_adoption import COLUMNS, AIAdoption, simulate, write

LARGE = simulate(50_000, seed=1)


def test_columns_are_exactly_those_promised():
    assert tuple(LARGE.frame.columns) == COLUMNS
    assert LARGE.frame["firm_id"].is_unique
    assert sorted(LARGE.frame["industry"].unique()) == [
        "finance", "information", "manufacturing", "retail", "services",
    ]  # fmt: skip
    kinds = {column.name: column.kind for column in LARGE.data.covariates.columns}
    assert kinds["industry"] == "categorical"


def test_naive_bias_is_at_least_half_the_effect():
    y, d = LARGE.data.outcome, LARGE.data.treatment
    naive = y[d == 1].mean() - y[d == 0].mean()
    ate = LARGE.truth.value("ATE")
    assert naive - ate > 0.5 * ate


def test_propensities_keep_away_from_zero_and_one():
    assert LARGE.propensity.min() > 0.03
    assert LARGE.propensity.max() < 0.97


def test_effects_are_heterogeneous():
    effect = LARGE.mean[:, 1] - LARGE.mean[:, 0]
    assert effect.std() > 0.4 * effect.mean()
    assert LARGE.truth.value("ATT") > LARGE.truth.value("ATE") + 0.5


def test_numeric_confounders_suffice_and_the_industry_does_not_choose():
    frame = LARGE.frame
    latent = np.column_stack([
        np.log(frame["industry_size"] / 50) / 0.6, np.log(frame["rd_intensity"] / 3) / 0.5,
        (frame["education"] - 13) / 1.2,
    ])  # fmt: skip
    e = 0.03 + 0.94 / (1 + np.exp(-(-0.3 + latent @ [0.7, 0.6, 0.5])))
    np.testing.assert_allclose(e, LARGE.propensity[:, 1], rtol=1e-10)
    surprise = (frame["ai_adoption"] - e).groupby(frame["industry"]).agg(["mean", "sem"])
    assert (surprise["mean"].abs() < 4 * surprise["sem"]).all()


def test_effects_differ_by_industry():
    """Against E[5 + 2 z3 + 2 tanh(z2) | industry], by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    centres = {
        "manufacturing": (0.1, -0.3), "services": (-0.3, 0.1), "retail": (-0.5, -0.4),
        "finance": (0.2, 0.5), "information": (0.8, 0.6),
    }  # fmt: skip
    for name, (m2, m3) in centres.items():
        bent = weights @ np.tanh(m2 + 0.85 * nodes) / weights.sum()
        expected = 5 + 2 * m3 + 2 * bent
        assert LARGE.truth.value(f"GATE(industry = {name})") == pytest.approx(expected, abs=0.01)
        effect = np.diff(LARGE.potential_outcomes)[LARGE.frame["industry"] == name].mean()
        assert LARGE.truth.sample[f"GATE(industry = {name})"] == pytest.approx(effect)


def test_files_hold_the_draw_and_its_truth(tmp_path):
    path = tmp_path / "firms.csv"
    draw = write(path, 100, seed=5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["firms.csv", "firms.csv.truth.json"]
    text = path.read_text()
    assert text.startswith(",".join(COLUMNS) + "\n")
    assert "#" not in text
    back = pd.read_csv(path)
    pd.testing.assert_frame_equal(back, draw.frame, check_dtype=False, check_exact=True)
    truth = json.loads(truth_path(path).read_text())
    assert truth["seed"] == 5
    assert truth["provenance"] == "simulated"
    assert truth["equations"]
    assert set(truth["population"]) == set(truth["sample"]) > {"ATE", "ATT", "ATU"}
    assert Truth.from_dict(truth) == draw.truth
    again = tmp_path / "again.csv"
    write(again, 100, seed=5)
    assert again.read_bytes() == path.read_bytes()
    assert truth_path(again).read_bytes() == truth_path(path).read_bytes()


def test_a_missing_folder_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"cannot be written to .*a folder that exists"):
        write(tmp_path / "nowhere" / "firms.csv", 100)


def test_too_few_firms_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(DataError, match="have 10 rows"):
        write(tmp_path / "firms.csv", 10)
    assert not list(tmp_path.iterdir())


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        write(tmp_path / "firms.csv", 100)
    assert not list(tmp_path.iterdir())


def test_simulate_is_the_design():
    assert AIAdoption().draw(60, 2).frame.equals(simulate(60, 2).frame)
    assert ai_adoption.simulate(60, 2).truth.seed == 2
