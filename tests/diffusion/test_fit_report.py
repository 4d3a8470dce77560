"""The report of a fit, as a table and as text."""

from dataclasses import replace

import numpy as np
import pytest

from causal_ddpm.diffusion.conditional import DiffusionSettings, TrainingGroup, train_conditional
from causal_ddpm.diffusion.fit_report import FitReport

QUICK = DiffusionSettings(n_steps=20, n_members=2, hidden_dim=8)


def groups():
    rng = np.random.default_rng(0)
    return [
        TrainingGroup(rng.standard_normal((80, 2)), rng.integers(0, 2, 80), rng.standard_normal(80))
        for _ in range(3)
    ]


@pytest.fixture(scope="module")
def model():
    return train_conditional(groups(), QUICK, random_state=0)


def test_one_row_a_network(model):
    table = model.fit_report.frame()
    assert len(table) == 6
    np.testing.assert_array_equal(table["final_loss"], model.report["final_loss"])
    assert table["held_out_loss"].isna().all()
    assert (table["n_steps"] == 20).all()
    assert model.fit_report.cpu_seconds == model.report["cpu_seconds"]


def test_held_out_scores_of_each_network():
    settings = replace(QUICK, n_steps=None, n_epochs=4)
    fitted = train_conditional(groups(), settings, random_state=0)
    table = fitted.fit_report.frame()
    np.testing.assert_array_equal(table["held_out_loss"], fitted.report["held_out_loss"])
    assert table["best_epoch"].between(1, 4).all()
    assert "held-out loss" in str(fitted.fit_report)


def test_text_says_what_counts(model):
    text = str(model.fit_report)
    assert "6 in 1 batches, 20 steps, cpu" in text
    assert "departures     hidden_dim 8 (recipe 32), n_steps 20 (recipe 250)" in text
    assert "skipped steps  0" in text
    assert "resumed" not in text


def test_choices_of_a_law_are_told():
    facts = {"model": "diffusion law", "kappa": 0.25, "stack_weights": {"ridge": 0.4, "trees": 0.6}}
    assert str(FitReport(facts)).splitlines() == [
        "diffusion law",
        "  stack weights  ridge 0.40, trees 0.60",
        "  kappa          0.25",
        "  nothing was trained",
    ]
    assert FitReport(facts).frame().empty
