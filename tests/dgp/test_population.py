"""Truths of estimands: the same as those of potential outcomes drawn in great number."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import (
    ATE,
    ATO,
    ATT,
    ATU,
    LATE,
    QTE,
    ArmContrast,
    ArmMeans,
    CDFDifference,
    GiniEffect,
    LorenzEffect,
    ShareBelow,
)
from causal_ddpm.core.estimand.policies import POLICY_LABELS
from causal_ddpm.dgp.catalog import catalog, entries
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS, LINEAR
from causal_ddpm.dgp.laws import Mixture
from causal_ddpm.dgp.population import Population, normal_points, truth_of, values_of_rule

N = 100_000
DRAW = BIMODAL.draw(N, seed=12)
Y0, Y1 = DRAW.potential_outcomes.T
D = DRAW.data.treatment
GROUPS = {"all": D >= 0, "treated": D == 1, "untreated": D == 0}

groups = pytest.mark.parametrize("group", list(GROUPS))


def _agree(truth, labels, brute, error):
    assert tuple(truth) == tuple(labels)
    np.testing.assert_allclose(list(truth.values()), brute, atol=5 * error)


def test_mean_effects():
    effect, sd = Y1 - Y0, (Y1 - Y0).std() / np.sqrt(N)
    for estimand, group in ((ATE(), "all"), (ATT(), "treated"), (ATU(), "untreated")):
        _agree(BIMODAL.truth_of(estimand), [estimand.name], effect[GROUPS[group]].mean(), sd * 1.5)
        assert BIMODAL.truth_of(estimand)[estimand.name] == pytest.approx(
            BIMODAL.truth().value(estimand.name), abs=1e-12
        )
    h = DRAW.propensity.prod(axis=1)
    _agree(BIMODAL.truth_of(ATO()), ["ATO"], h @ effect / h.sum(), sd * 1.5)


def test_means_under_each_arm():
    sd = 1.5 * Y1.std() / np.sqrt(N)
    for among, group in (("all", "all"), (1, "treated"), (0, "untreated")):
        rows = GROUPS[group]
        means, contrast = ArmMeans(among=among), ArmContrast(0, 1, among=among)
        schema, (m0, m1) = DRAW.data.treatment_schema, (Y0[rows].mean(), Y1[rows].mean())
        _agree(BIMODAL.truth_of(means), means.labels(schema), [m0, m1], sd)
        _agree(BIMODAL.truth_of(contrast), contrast.labels(schema), [m0 - m1], sd)


@groups
def test_quantiles_and_distributions(group):
    rows, u, points = GROUPS[group], (0.2, 0.5, 0.9), (-1.0, 0.5, 2.0)
    error = 0.7 / np.sqrt(rows.sum())
    quantiles = QTE(u, among=group)
    brute = np.quantile(Y1[rows], u) - np.quantile(Y0[rows], u)
    _agree(BIMODAL.truth_of(quantiles), quantiles.labels, brute, 8 * error)
    f0, f1 = ((y[rows, None] <= points).mean(axis=0) for y in (Y0, Y1))
    difference = CDFDifference(points, among=group)
    _agree(BIMODAL.truth_of(difference), difference.labels_at(points), f1 - f0, error)
    shares = ShareBelow(points, among=group)
    _agree(BIMODAL.truth_of(shares), shares.labels, np.concatenate([f1 - f0, f1, f0]), error)


class _Amounts(Mixture):
    """Normal laws so far above zero that none of their mass lies below."""

    def bracket(self):
        return 0.0, super().bracket()[1]


@groups
def test_inequality_of_amounts(group):
    z = np.vstack([normal_points(2)[:2048], -normal_points(2)[:2048]])
    laws = [
        _Amounts(np.ones(len(z)), 12 + a + z[:, [0, 0]] * (1 + a), np.ones(len(z))) for a in (0, 1)
    ]
    known = Population(z, 1 / (1 + np.exp(-z[:, 0])), tuple(laws))
    rng = np.random.default_rng(0)
    x = rng.standard_normal(N)
    e = 1 / (1 + np.exp(-x))
    rows = {"all": e > 0, "treated": rng.random(N) < e, "untreated": rng.random(N) > e}[group]
    gini, lorenz = [], []
    for a in (0, 1):
        y = np.sort((12 + a + x * (1 + a) + rng.standard_normal(N))[rows])
        ranks = (np.arange(len(y)) + 0.5) / len(y)
        gini.append(2 * (ranks @ y) / y.sum() - 1)
        lorenz.append(np.interp([0.2, 0.6], ranks, np.cumsum(y) / y.sum()))
    brute = [gini[1] - gini[0], gini[1], gini[0]]
    _agree(truth_of(GiniEffect(among=group), known), GiniEffect.labels, brute, 2e-4)
    estimand = LorenzEffect((0.2, 0.6), among=group)
    _agree(truth_of(estimand, known), estimand.labels, lorenz[1] - lorenz[0], 3e-4)


def test_value_of_a_rule():
    x, sd = DRAW.data.covariates.values, 1.5 * (Y1 - Y0).std() / np.sqrt(N)
    pi, known = np.clip(x[:, 1], 0, 1), BIMODAL.population()
    truth = values_of_rule(lambda x: np.clip(x[:, 1], 0, 1), known)
    value, none, everyone = (pi * Y1 + (1 - pi) * Y0).mean(), Y0.mean(), Y1.mean()
    observed, random = DRAW.data.outcome.mean(), none + pi.mean() * (everyone - none)
    gains = [value - none, value - everyone, value - observed, value - random]
    _agree(truth, POLICY_LABELS, [value, none, everyone, observed, *gains], sd)


def test_points_of_the_population_are_those_of_the_normal_law():
    z = normal_points(3)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(z.T), np.eye(3), atol=2e-3)
    assert (z < 1).mean() == pytest.approx(0.841345, abs=1e-4)


def test_all_designs_answer_and_what_they_do_not_know_is_refused():
    for entry in (*entries("confounded"), *entries("instrument")):
        assert np.isfinite(entry.design.truth_of(ATT())["ATT"])
    assert LINEAR.truth_of(QTE([0.3], among="treated"))["QTT(0.3)"] == pytest.approx(1, abs=1e-6)
    with pytest.raises(DataError, match="no truth of the LATE is known"):
        GAUSS.truth_of(LATE())
    with pytest.raises(DataError, match="without points the CDF difference depends on the data"):
        GAUSS.truth_of(CDFDifference())
    with pytest.raises(DataError, match="below zero; expected a design of amounts"):
        GAUSS.truth_of(GiniEffect())
    with pytest.raises(DataError, match="takes separate values"):
        catalog()["binary-outcome"].truth_of(QTE())
    with pytest.raises(DataError, match=r"no column 'x10'; expected x0"):
        GAUSS.population().column("x10")
