"""Refutation: p-values that hold their level, faults that are found, bad questions refused."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge

from causal_ddpm import ATE, ATT, QTE, CausalData, catalog, estimate_effects, refute
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import OutcomePredictions
from causal_ddpm.evaluation.refutation import CHECKS
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
from causal_ddpm.nuisance.oracle import OraclePropensityModel

LINEAR = catalog()["linear"]


@dataclass(frozen=True)
class ArmLeastSquares:
    """Least squares in each arm."""

    name: str = "least squares"

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1, progress=None):
        x = np.column_stack([np.ones(data.n), data.covariates.values])
        mean = np.empty((data.n, 2))
        for fold in np.unique(fold_ids):
            test = fold_ids == fold
            for arm in (0, 1):
                train = ~test & (data.treatment == arm)
                coef, *_ = np.linalg.lstsq(x[train], data.outcome[train], rcond=None)
                mean[test, arm] = x[test] @ coef
        return OutcomePredictions(mean)


@dataclass(frozen=True)
class LeastSquaresProbability:
    """Least squares, kept inside (.02, .98)."""

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1):
        x = np.column_stack([np.ones(data.n), data.covariates.values])
        e = np.empty(data.n)
        for fold in np.unique(fold_ids):
            test = fold_ids == fold
            coef, *_ = np.linalg.lstsq(x[~test], data.treatment[~test].astype(float), rcond=None)
            e[test] = np.clip(x[test] @ coef, 0.02, 0.98)
        return np.column_stack([1 - e, e]), {}


PROPENSITY = LearnerPropensityModel(LogisticRegression())
MODELS = {"outcome_model": ArmLeastSquares(), "propensity_model": LeastSquaresProbability()}


@pytest.fixture(scope="module")
def data():
    return LINEAR.draw(400, seed=1).data


def _check(found, name):
    [check] = [c for c in found.checks if c.name == name]
    return check


def test_a_sound_analysis_passes_and_says_so(data):
    found = refute(ATE(), data, **MODELS)
    assert [c.name for c in found.checks] == list(CHECKS)
    assert found.passed
    table = found.to_frame()
    assert list(table["check"]) == list(CHECKS)
    assert table["p_value"].between(0, 1).all()
    assert np.isfinite(table[["value", "std_error"]].to_numpy()).all()
    assert all("as it should be" in sentence for sentence in found.sentences)
    assert all(sentence in repr(found) for sentence in found.sentences)
    assert json.loads(json.dumps(found.to_dict()))["passed"] is True


def test_the_p_values_are_the_formulas(data):
    found = refute(ATE(), data, n_runs=6, **MODELS)
    for name in ("placebo treatment", "placebo outcome"):
        check = _check(found, name)
        z = np.sqrt(6) * np.mean(check.values / check.std_errors)
        assert check.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))
    cause = _check(found, "random common cause")
    assert cause.p_value == pytest.approx(stats.ttest_1samp(cause.values, 0).pvalue)
    subsets = _check(found, "random subsets")
    z = subsets.values / (found.std_error * np.sqrt(1 / 0.8 - 1))
    assert subsets.p_value == pytest.approx(stats.chi2.sf(np.sum(z**2), 6))


def test_the_p_values_hold_their_level_where_nothing_is_wrong():
    # Thirty data sets: at a true level of .05 more than six rejections have probability 2e-3.
    p = []
    for s in range(30):
        rows = LINEAR.draw(400, seed=700 + s).data
        found = refute(ATE(), rows, n_runs=3, random_state=s, **MODELS)
        p.append([check.p_value for check in found.checks])
    assert ((np.array(p) < 0.05).sum(axis=0) <= 6).all()
    assert (np.mean(p, axis=0) > 0.25).all()


def test_the_same_seed_gives_the_same_numbers(data):
    asked = {"checks": CHECKS[::2], "n_runs": 2, **MODELS}
    first = refute(ATE(), data, random_state=4, **asked).to_dict()
    assert first == refute(ATE(), data, random_state=4, **asked).to_dict()
    assert first != refute(ATE(), data, random_state=5, **asked).to_dict()


@pytest.mark.slow
def test_the_numbers_do_not_depend_on_the_number_of_workers(data):
    models = {"outcome_model": LearnerOutcomeModel(Ridge()), "propensity_model": PROPENSITY}
    asked = {"n_runs": 2, **models}
    one = refute(ATE(), data, **asked).to_dict()
    assert one == refute(ATE(), data, n_jobs=2, **asked).to_dict()


def test_an_estimator_that_ignores_confounding_fails_the_placebos():
    # Neither model sees the confounders: the effect of what decides treatment remains.
    @dataclass(frozen=True)
    class Blind:
        def cross_fit(self, data, fold_ids, random_state, n_jobs=1, progress=None):
            means = [data.outcome[data.treatment == a].mean() for a in (0, 1)]
            return OutcomePredictions(np.tile(means, (data.n, 1)))

    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 2))
    d = (rng.random(800) < 1 / (1 + np.exp(-1.5 * x[:, 0]))).astype(int)
    frame = pd.DataFrame(x, columns=["before", "other"]).assign(
        d=d, y=2 * x[:, 0] + rng.normal(size=800)
    )
    data = CausalData(frame, "d", "y", ["before", "other"])
    half = OraclePropensityModel(lambda x: np.full(len(x), 0.5))
    found = refute(
        ATE(), data, checks="placebo outcome", placebo_outcome="before",
        outcome_model=Blind(), propensity_model=half,
    )  # fmt: skip
    assert not found.passed
    assert "NOT as it should be" in found.sentences[0]
    assert found.checks[0].details["dropped_confounders"] == ["before"]


def test_the_permuted_treatment_keeps_its_dependence_on_the_confounders():
    data, seen = LINEAR.draw(1_500, seed=0).data, []

    @dataclass(frozen=True)
    class Watching(LeastSquaresProbability):
        def cross_fit(self, data, fold_ids, random_state, n_jobs=1):
            seen.append(data.treatment)
            return super().cross_fit(data, fold_ids, random_state)

    models = {"outcome_model": ArmLeastSquares(), "propensity_model": Watching()}
    x0 = data.covariates.values[:, 0]
    gaps = {}
    for within in (True, False):
        seen.clear()
        refute(ATE(), data, checks="placebo treatment", within_strata=within, n_runs=12, **models)
        assert all(d.sum() == data.treatment.sum() for d in seen)
        assert not np.array_equal(seen[1], data.treatment)
        gaps[within] = np.mean([x0[d == 1].mean() - x0[d == 0].mean() for d in seen[1:]])
    own = x0[data.treatment == 1].mean() - x0[data.treatment == 0].mean()
    assert gaps[True] > 0.5 * own
    assert abs(gaps[False]) < 0.25 * own


def test_clusters_are_permuted_and_drawn_whole():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(60), 8)
    x = rng.normal(size=480) + rng.normal(size=60)[g]
    d = rng.integers(0, 2, 60)[g]
    y = x + rng.normal(size=60)[g] + rng.normal(size=480)
    frame = pd.DataFrame({"x": x, "d": d, "y": y, "g": g})
    data = CausalData(frame, "d", "y", ["x"], clusters="g")
    seen = []

    @dataclass(frozen=True)
    class Watching(ArmLeastSquares):
        def cross_fit(self, data, fold_ids, random_state, n_jobs=1, progress=None):
            seen.append(data)
            return super().cross_fit(data, fold_ids, random_state)

    models = {"outcome_model": Watching(), "propensity_model": LeastSquaresProbability()}
    refute(ATE(), data, checks=["placebo treatment", "random subsets"], n_runs=3, **models)
    for version in seen:
        share = np.bincount(version.clusters, version.treatment) / np.maximum(
            np.bincount(version.clusters), 1
        )
        assert np.isin(share, (0.0, 1.0)).all()
    assert [len(np.unique(v.clusters)) for v in seen[-3:]] == [48] * 3


def test_outcomes_are_simulated_without_an_effect(data):
    binary = CausalData(
        LINEAR.draw(400, seed=1).frame.assign(y=lambda f: (f["y"] > 0.5).astype(int)),
        data.treatment_name, data.outcome_name, list(data.confounder_names),
    )  # fmt: skip
    for rows in (data, binary):
        found = refute(ATE(), rows, checks="placebo outcome", n_runs=20, **MODELS)
        check = found.checks[0]
        assert check.passed
        assert abs(check.value) < 4 * check.std_error
        assert abs(found.value) > 4 * found.std_error  # the effect that was taken away


def test_an_estimate_can_be_given(data):
    [att] = estimate_effects(data, ATT(), **MODELS)
    found = refute(att, data, checks="random subsets", **MODELS)
    assert found.estimand == "ATT"
    assert found.given == att.value
    assert found.value == pytest.approx(att.value)


def test_light_models_are_the_default(data):
    found = refute(ATE(), data, checks="random subsets", n_runs=2)
    assert found.value == pytest.approx(1.0, abs=0.5)


def test_impossible_questions_are_refused(data):
    frame = LINEAR.draw(400, seed=0).frame
    with pytest.raises(DataError, match=r"refute\(ATE\(\), data\)"):
        refute(ATE(), frame)
    with pytest.raises(DataError, match="some of placebo treatment"):
        refute(ATE(), data, checks="bootstrap")
    with pytest.raises(DataError, match="n_runs is 1"):
        refute(ATE(), data, n_runs=1)
    with pytest.raises(DataError, match="confidence level"):
        refute(ATE(), data, level=95)
    with pytest.raises(DataError, match="an estimand such as ATE"):
        refute("ATE", data)
    with pytest.raises(DataError, match=r"the QTE has 3 entries|learned means only"):
        refute(QTE(), data, **MODELS)
    [ate] = estimate_effects(data, ATE(), **MODELS)
    roles = (data.treatment_name, data.outcome_name, list(data.confounder_names))
    with pytest.raises(DataError, match="belongs to other data"):
        refute(ate, CausalData(frame.iloc[:300], *roles))
    weighted = CausalData(frame.assign(w=2), *roles, weights="w", weights_type="frequency")
    with pytest.raises(DataError, match="frequency weights"):
        refute(ATE(), weighted)
    for outcome, message in (
        ("q", "no confounder 'q'"),
        (np.where(np.arange(400) == 7, np.nan, 1.0 * np.arange(400)), "missing"),
        (np.zeros(3), r"shape \(3,\)"),
        (["a"] * 400, "does not hold numbers"),
        (np.ones(400), r"constant|one value|does not vary"),
    ):
        with pytest.raises(DataError, match=message):
            refute(ATE(), data, checks="placebo outcome", placebo_outcome=outcome, **MODELS)
    alone = CausalData(frame, *roles[:2], [roles[2][0]])
    with pytest.raises(DataError, match="only confounder"):
        refute(ATE(), alone, checks="placebo outcome", placebo_outcome=roles[2][0], **MODELS)
    named = CausalData(frame.assign(k=np.where(frame[roles[2][0]] > 0, "a", "b")), *roles[:2],
                       [*roles[2], "k"])  # fmt: skip
    with pytest.raises(DataError, match="is a category"):
        refute(ATE(), named, checks="placebo outcome", placebo_outcome="k", **MODELS)
