"""Designs of every family get the sections that fit them."""

from __future__ import annotations

import pytest

from causal_ddpm.evaluation.recovery.api import recover
from causal_ddpm.evaluation.recovery.report import Recovery


def bootstrapped(name: str) -> Recovery:
    return recover(name, "bootstrap", n=300, random_state=0, n_generated=1000, n_replicates=3)


def truths(found: Recovery) -> dict[str, float]:
    table = found.frame().dropna(subset=["truth"])
    return dict(zip(table["quantity"], table["truth"], strict=True))


def test_a_market_is_read_by_two_stage_least_squares() -> None:
    found = bootstrapped("log-linear")
    known = truths(found)
    assert known["the coefficient of log price in demand"] == -0.9
    assert known["the coefficient of log price in supply"] == 0.7
    assert found.verdicts["coefficients"] in ("recovered", "in part")
    assert "tax" in found.section("effects").not_assessed


def test_an_instrument_has_compliers_and_no_counterfactuals() -> None:
    found = bootstrapped("instrument")
    known = truths(found)
    assert known["the LATE"] == pytest.approx(known["the ITT"] / known["the share of compliers"])
    assert found.verdicts["counterfactual"] == "not judged"
    assert found.section("take-up").findings


def test_a_dose_has_a_response() -> None:
    found = bootstrapped("dose")
    assert "the mean outcome at dose 5" in truths(found)
    assert found.section("effects").ratio is not None


def test_arms_have_a_contrast_each() -> None:
    known = truths(bootstrapped("three-arms"))
    assert known["the ATE of visit"] > known["the ATE of letter"]


def test_levels_and_separate_values() -> None:
    adoption = bootstrapped("ai-adoption")
    assert "does not state" in adoption.section("quantiles").not_assessed
    assert any("industry=services" in q for q in truths(adoption))
    binary = bootstrapped("binary-outcome")
    assert "its law is in its mean" in binary.section("noise").not_assessed


def test_factors_have_simple_effects() -> None:
    found = bootstrapped("factorial")
    known = truths(found)
    assert known["the coefficient of a:b:c"] == pytest.approx(-0.5)
    assert found.verdicts["coefficients"] == "recovered"
