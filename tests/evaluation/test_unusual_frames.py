"""Frames as they come: every public door gives finite numbers or one sentence, no traceback.

Light learners: what is tested is the way of a frame through the package. Warnings of numpy are
errors here as everywhere, so that a number may not even pass through infinity.
"""

import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from causal_ddpm import (
    ATE,
    ATO,
    ATT,
    ATU,
    BLP,
    GATE,
    QTE,
    ArmMeans,
    BudgetRule,
    CausalData,
    CDFDifference,
    DoseResponse,
    InstrumentData,
    PanelData,
    PotentialOutcomeModel,
    ShareBelow,
    TrimmedATE,
    augment,
    compare,
    conditional_effects,
    estimate_effects,
    fit_nuisances,
    joint_effects,
    overlap_report,
    refute,
    score_effects,
    sensitivity,
    unit_effect_intervals,
)  # fmt: skip
from causal_ddpm.core.errors import CausalDDPMError, CausalDDPMWarning
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.nuisance.dose_learners import GaussianDoseDensity, LearnerDoseMean
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel
from causal_ddpm.nuisance.learners.sklearn_learner import SklearnLearner
from causal_ddpm.nuisance.stack import LocationStack

N = 120
LIGHT = {
    "outcome_model": LearnerOutcomeModel(Ridge()),
    "propensity_model": LearnerPropensityModel(LogisticRegression(max_iter=200)),
}
LAW = PotentialOutcomeModel(
    stack=LocationStack((SklearnLearner(Ridge()),)),
    diffusion=DiffusionSettings(n_members=1, n_steps=10, hidden_dim=8, n_layers=1),
    one_step=False,
    n_folds=3,
)


def plain(n=N, seed=0):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, n))
    d = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    return pd.DataFrame({"d": d, "y": 1 + x + d + rng.normal(size=n), "x": x, "w": w})


def with_column(name, make):
    frame = plain()
    frame[name] = make(frame) if callable(make) else make
    return frame


def first(value, rest):
    """A column whose first entry is another."""
    return np.r_[value, np.asarray(rest, dtype=float)[1:]]


_EVEN = np.arange(N) % 2 == 0
ANSWERED = {
    "constant": ("w", 3.0),
    "a huge constant": ("w", 2**62),
    "a duplicate": ("w", lambda f: -1e6 * f.x + 5),
    "one value seen": ("w", first(1.0, [np.nan] * N)),
    "one level": ("w", "only"),
    "levels without rows": ("w", pd.Categorical(np.where(_EVEN, "a", "b"), list("abcd"))),
    "a level of one row": ("w", np.where(np.arange(N) == 7, "rare", "common")),
    "a level without text": ("w", np.where(_EVEN, "", "a")),
    "levels with missing": ("w", np.where(_EVEN, "a", None)),
    "true, false, missing": ("w", pd.array(np.where(_EVEN, True, None), dtype="boolean")),
    "a confounder of trillions": ("w", lambda f: f.w * 1e12 + 1e12),
    "a tiny confounder": ("w", lambda f: f.w * 1e-320),
    "an outlier": ("w", lambda f: first(1e15, f.w)),
    "an outcome of trillions": ("y", lambda f: f.y * 1e12),
    "a far outcome": ("y", lambda f: f.y + 1e12),
    "a tiny outcome": ("y", lambda f: f.y * 1e-12),
    "an outcome with an outlier": ("y", lambda f: first(1e15, f.y)),
    "an outcome constant in an arm": ("y", lambda f: np.where(f.d == 1, 1.0, f.y)),
    "an outcome that is the treatment": ("y", lambda f: 3 + 2.5 * f.d),
    "an outcome that is a confounder": ("y", lambda f: f.x),
    "one outcome differs": ("y", first(1.0, np.zeros(N))),
    "small integers": ("y", lambda f: (f.y * 20).clip(-128, 127).astype("int8")),
    "largest integers": ("y", lambda f: np.where(f.y > 1, 2**63 - 1, -(2**63))),
    "unsigned integers": ("y", lambda f: np.where(f.y > 1, 2**64 - 1, 0).astype("uint64")),
    "a yes-no outcome": ("y", lambda f: f.y > 1),
    "a treatment in words": ("d", lambda f: f.d.astype(str)),
}
REFUSED = {
    "all missing": ("w", np.nan, "every value is missing"),
    "infinite": ("w", lambda f: first(np.inf, f.w), "infinite"),
    "beyond squares": ("w", lambda f: f.w * 1e200, "the largest confounder is"),
    "at the edge of numbers": ("w", lambda f: np.sign(f.w) * 1.7e308, "the largest confounder is"),
    "names": ("w", [f"name {i}" for i in range(N)], "distinct texts"),
    "dates": ("w", pd.date_range("2020", periods=N), "dates"),
    "periods": ("w", pd.period_range("2020", periods=N, freq="D"), "type"),
    "lists": ("w", [[1, 2]] * N, "type list"),
    "bytes": ("w", [b"a", b"b"] * (N // 2), "type bytes"),
    "complex numbers": ("w", lambda f: f.w + 1j, "type"),
    "no overlap": ("d", lambda f: (f.x > 0).astype(int), "No overlap"),
    "a copy of the treatment": ("w", lambda f: 2.0 * f.d - 1, "copy of the treatment"),
    "nearly a copy": ("w", lambda f: f.d + 1e-9 * f.w, "No overlap"),
    "missing where treated": ("w", lambda f: np.where(f.d == 1, np.nan, f.w), "No overlap"),
    "one treated": ("d", (np.arange(N) == 3).astype(int), "only 1 treated"),
    "all treated": ("d", 1, "constant"),
    "a missing treatment": ("d", lambda f: first(np.nan, f.d), "missing"),
    "an infinite outcome": ("y", lambda f: first(np.inf, f.y), "infinite"),
    "outcomes beyond squares": ("y", lambda f: f.y * 1e200, "the largest outcome is"),
    "outcomes at the edge": ("y", lambda f: np.sign(f.y) * 1.7e308, "the largest outcome is"),
    "outcomes beside zero": ("y", lambda f: f.y * 1e-300, "the largest outcome is"),
    "an outcome lost in rounding": ("y", lambda f: f.y + 1e17, "constant"),
    "numbers as objects": ("y", lambda f: f.y.astype(object), "astype(float)"),
    "marked rows": ("__synthetic__", lambda f: np.arange(N) > 100, "synthetic"),
}
WEIGHTS = {
    "all zero": (0.0, "all zero"),
    "one negative": (first(-1.0, np.ones(N)), "negative"),
    "one missing": (first(np.nan, np.ones(N)), "missing"),
    "none in an arm": (lambda f: (f.d == 0).astype(float), "weight zero"),
    "beyond squares": (1e300, "the largest weight is"),
    "beside zero": (1e-300, "the largest weight is"),
    "one of the treated": (lambda f: np.where(f.d == 1, f.d.cumsum() == 1, 1.0), "weight"),
    "one row weighs all": (first(1e12, np.ones(N)), "No overlap"),
}
CLUSTERS = {"one in all": (0, "1 cluster"), "one missing": (first(np.nan, np.arange(N)), "missing")}
AVERAGES = [ATE(), ATT(), ATU(), ATO(), TrimmedATE(0.02), ATE(targeted=True)]


def ask(frame, estimands=AVERAGES, **roles):
    data = CausalData(frame, "d", "y", ["x", "w"], **roles)
    return estimate_effects(data, estimands, n_folds=3, **LIGHT)


def assert_finite(estimates):
    for estimate in estimates:
        for numbers in (estimate.values, estimate.cov, estimate.influence, estimate.interval()):
            assert np.isfinite(np.asarray(numbers, dtype=float)).all(), estimate


def assert_said(call, words):
    start = time.perf_counter()
    with pytest.raises(CausalDDPMError) as refused:
        call()
    text = str(refused.value)
    assert words in text, text
    assert "\n" not in text
    assert time.perf_counter() - start < 1.0


def found_or_said(call):
    """What a call returns, or the one sentence with which it refuses."""
    try:
        return call()
    except CausalDDPMError as error:
        text = str(error)
    assert "\n" not in text
    return text


pytestmark = pytest.mark.filterwarnings("ignore::causal_ddpm.core.errors.CausalDDPMWarning")


@pytest.mark.parametrize("case", ANSWERED)
def test_unusual_columns_get_finite_estimates(case):
    assert_finite(ask(with_column(*ANSWERED[case])))


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_columns_get_one_quick_sentence(case):
    name, make, words = REFUSED[case]
    assert_said(lambda: ask(with_column(name, make)), words)


@pytest.mark.parametrize("case", WEIGHTS)
def test_unusable_weights_get_one_quick_sentence(case):
    make, words = WEIGHTS[case]
    assert_said(lambda: ask(with_column("v", make), weights="v"), words)


@pytest.mark.parametrize("case", CLUSTERS)
def test_unusable_clusters_get_one_quick_sentence(case):
    make, words = CLUSTERS[case]
    assert_said(lambda: ask(with_column("g", make), clusters="g"), words)


def test_a_cluster_for_each_row_is_no_cluster():
    alone, clustered = ask(plain()), ask(with_column("g", np.arange(N)), clusters="g")
    assert_finite(clustered)
    ratio = np.asarray(clustered[0].std_error) / np.asarray(alone[0].std_error)
    assert 0.7 < float(ratio) < 1.4
    assert_finite(ask(plain(), [ATE()], clusters=None))


def test_two_folds_do_for_clusters():
    data = CausalData(with_column("g", np.arange(N) % 40), "d", "y", ["x"], clusters="g")
    assert_finite(estimate_effects(data, ATE(), n_folds=2, **LIGHT))


def test_frequency_weights_count_rows_that_can_be_counted():
    frame = with_column("v", 1e15)
    assert_said(
        lambda: ask(frame, weights="v", weights_type="frequency"), "the weights stand for 1.2e+17"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.set_index(np.zeros(N, int)),
        lambda f: f.set_index(pd.MultiIndex.from_product([range(12), range(10)])),
        lambda f: f.join(pd.DataFrame({0: f.x, 1: f.w})),
        lambda f: f.convert_dtypes(),
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: pytest.importorskip("polars").from_pandas(f),
        lambda f: pytest.importorskip("pyarrow").Table.from_pandas(f),
    ],
    ids=["one label", "two labels", "numbers beside", "nullable", "arrow types", "polars", "arrow"],
)  # fmt: skip
def test_the_frame_around_the_numbers_changes_nothing(change):
    expected, found = ask(plain(), [ATE()])[0], ask(change(plain()), [ATE()])[0]
    assert float(found) == float(expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: CausalData(f.set_axis(range(4), axis=1), 0, 1, [2, 3]), "columns.astype(str)"),
        (lambda f: CausalData(f.rename(columns={"x": 7}), "d", "y", [7]), "columns.astype(str)"),
        (lambda f: CausalData(f, "d", "y", None), "confounders is None"),
        (lambda f: CausalData(f, None, "y", ["x"]), "treatment is None"),
        (lambda f: CausalData(f, "d", "y", ["x"], weights=f.w), "a role is given as a Series"),
        (lambda f: CausalData(f, "d", "y", ["x"], clusters=np.ones(N)), "a role is given as a nd"),
        (lambda f: CausalData(f, "d", ["y"], ["x"]), "a role is given as a list"),
        (lambda f: CausalData(pytest.importorskip("polars").from_pandas(f).lazy(), "d", "y", "x"),
         "collect"),
        (lambda f: CausalData(f.to_numpy(), "d", "y", ["x"]), "pandas, polars or pyarrow"),
        (lambda f: CausalData(f.head(10), "d", "y", ["x"]), "10 rows"),
    ],
)  # fmt: skip
def test_roles_that_are_no_names_get_one_sentence(make, words):
    assert_said(lambda: make(plain()), words)


def test_confounders_may_come_from_anything_that_can_be_listed():
    wanted = CausalData(plain(), "d", "y", ["x", "w"]).fingerprint
    assert CausalData(plain(), "d", "y", (c for c in "xw")).fingerprint == wanted
    assert CausalData(plain(), "d", "y", plain().columns[2:]).fingerprint == wanted


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outcome_model": Ridge()}, "LearnerOutcomeModel(Ridge())"),
        ({"outcome_model": PotentialOutcomeModel}, "PotentialOutcomeModel()"),
        ({"propensity_model": LogisticRegression()}, "LearnerPropensityModel(Logis"),
        ({"n_folds": 2.5}, "n_folds is 2.5"),
        ({"estimands": ATE}, "ATE()"),
        ({"estimands": "ate"}, "ATE()"),
        ({"estimands": None}, "ATE()"),
    ],
)
def test_settings_of_the_wrong_kind_get_one_sentence(change, words):
    given_ = {"estimands": ATE(), "n_folds": 3, **LIGHT} | change
    data = CausalData(plain(), "d", "y", ["x", "w"])
    assert_said(lambda: estimate_effects(data, **given_), words)


def test_questions_that_are_no_numbers_get_one_sentence():
    data = CausalData(plain(), "d", "y", ["x", "w"])
    [ate] = ask(plain(), [ATE()])
    for call in (lambda: QTE("half"), lambda: ShareBelow(["a"]), lambda: DoseResponse("a")):
        assert_said(call, "number")
    assert_said(lambda: ate.contrast([np.nan]), "1 of finite numbers")
    assert_said(lambda: ate.contrast([1, 2]), "2 columns")
    assert_said(lambda: augment(PotentialOutcomeModel(), data), "PotentialOutcomeModel().fit(data)")
    assert QTE(np.float64(0.5)) == QTE([0.5])


def test_scale_of_the_outcome_decides_nothing():
    wanted = [GATE("effect", n_groups=2), BLP()]
    expected, small = ask(plain(), wanted), ask(with_column("y", lambda f: f.y * 1e-12), wanted)
    for a, b in zip(expected, small, strict=True):
        scale = [1e-12, 1.0] if a.estimand == "BLP" else 1e-12
        np.testing.assert_allclose(b.values, a.values * scale, rtol=1e-6)


FITTED = {
    "as it is": ("w", lambda f: f.w),
    "constant": ("w", 1.0),
    "a level of one row": ("w", np.where(np.arange(N) == 7, "rare", "common")),
    "an outcome of trillions": ("y", lambda f: f.y * 1e12),
    "a tiny outcome": ("y", lambda f: f.y * 1e-12),
    "an outcome that is the treatment": ("y", lambda f: 3 + 2.5 * f.d),
    "one outcome differs": ("y", first(1.0, np.zeros(N))),
}


@pytest.mark.parametrize("case", FITTED)
def test_every_door_of_a_fitted_law_is_finite_or_says_why(case):
    data = CausalData(with_column(*FITTED[case]), "d", "y", ["x", "w"])
    nuisances = fit_nuisances(data, LAW, LIGHT["propensity_model"], n_folds=3)
    distributions = [QTE([0.25, 0.5]), CDFDifference(), ShareBelow(float(data.outcome.mean()))]
    assert_finite(estimate_with(data, distributions, nuisances))
    [ate] = estimate_with(data, ATE(), nuisances)
    doors = {
        "effect": lambda: conditional_effects(data, nuisances).effect,
        "unit": lambda: unit_effect_intervals(data, nuisances).effect,
        "joint": lambda: joint_effects(data, nuisances).share,
        "scores": lambda: score_effects(data, nuisances).scores.values,
        "overlap": lambda: overlap_report(data, nuisances).shares,
        "sensitivity": lambda: sensitivity(ate, data, nuisances=nuisances).value,
    }
    for name, door in doors.items():
        numbers = found_or_said(door)
        assert isinstance(numbers, str) or np.isfinite(np.asarray(numbers, float)).all(), name


@pytest.mark.parametrize(
    "door",
    [conditional_effects, unit_effect_intervals, joint_effects, overlap_report, score_effects],
)
def test_doors_of_nuisances_say_what_they_need(door):
    data = CausalData(plain(), "d", "y", ["x", "w"])
    assert_said(lambda: door(plain(), None), "expected CausalData")
    assert_said(lambda: door(data, LIGHT["outcome_model"]), "fit_nuisances")


def test_marked_rows_are_refused_at_every_door():
    frame = with_column("__synthetic__", np.arange(N) > 100)
    frame["z"], frame["a"] = np.arange(N) % 2, frame.x + np.arange(N)
    data = CausalData(frame, "d", "y", ["x", "w"])
    clean = CausalData(frame.drop(columns="__synthetic__"), "d", "y", ["x", "w"])
    nuisances = fit_nuisances(clean, n_folds=3, **LIGHT)
    [ate] = estimate_with(clean, ATE(), nuisances)
    instrumented = CausalData(frame, "d", "y", ["x", "w"], instrument="z")
    doors = [
        lambda: estimate_effects(data, ATE()),
        lambda: estimate_effects(instrumented, ATE()),
        lambda: compare(data, ATE(), methods=["difference"]),
        lambda: sensitivity(replace(ate, fingerprint=data.fingerprint), data),
        lambda: refute(ATE(), data),
        lambda: augment(object(), data),
        lambda: conditional_effects(data, nuisances),
        lambda: unit_effect_intervals(data, nuisances),
        lambda: joint_effects(data, nuisances),
        lambda: score_effects(data, nuisances),
        lambda: PanelData(frame.assign(unit=np.arange(N) // 4, t=np.arange(N) % 4, d=0),
                          "unit", "t", "y", treated="d"),
    ]  # fmt: skip
    for door in doors:
        assert_said(door, "synthetic")


def test_doses_and_arms_meet_unusual_frames():
    for case in ("one value seen", "an outcome of trillions", "a level of one row"):
        frame = with_column(*ANSWERED[case])
        rng = np.random.default_rng(1)
        frame["a"], frame["arm"] = rng.normal(size=N), rng.choice(["A", "B", "C"], N)
        dose = CausalData(frame, "a", "y", ["x", "w"], treatment_kind="dose")
        light = LearnerDoseMean(Ridge()), GaussianDoseDensity(Ridge())
        assert_finite(
            estimate_effects(
                dose, DoseResponse([-0.5, 0.5]), outcome_model=light[0], propensity_model=light[1],
                n_folds=3,
            )
        )  # fmt: skip
        arms = CausalData(frame, "arm", "y", ["x", "w"], treatment_kind="arms")
        assert_finite(estimate_effects(arms, ArmMeans(), n_folds=3, **LIGHT))
    huge = plain().assign(a=lambda f: f.x * 1e200)
    words = "the largest dose is"
    assert_said(lambda: CausalData(huge, "a", "y", ["w"], treatment_kind="dose"), words)
    assert_said(lambda: InstrumentData(huge, "a", "y", ["w"]), words)


scales = st.sampled_from([1.0, 1e-12, 1e12, 1e-30, 1e30, 1e90])
kinds = st.sampled_from(["constant", "missing", "levels", "flag", "copy"])
columns = st.one_of(
    st.tuples(st.just("scaled"), scales, st.sampled_from([0.0, 1.0, 1e9])),
    st.tuples(kinds, scales, st.just(0.0)),
)


def drawn_column(kind, scale, shift, rng, x):
    values = rng.normal(size=N)
    made = {
        "scaled": scale * values + shift,
        "constant": np.full(N, scale),
        "missing": np.where(values > 0.5, scale * values, np.nan),
        "levels": np.where(values > 1, "few", "many"),
        "flag": values > 0,
        "copy": scale * x,
    }
    return made[kind]


@settings(max_examples=20)
@given(st.lists(columns, min_size=1, max_size=4), scales, st.integers(0, 99), st.floats(0.05, 0.5))
def test_frames_by_chance_are_answered_or_refused_in_a_sentence(wanted, scale, seed, share):
    rng = np.random.default_rng(seed)
    frame = plain(seed=seed)
    names = [f"c{j}" for j in range(len(wanted))]
    for name, column in zip(names, wanted, strict=True):
        frame[name] = drawn_column(*column, rng, frame.x)
    frame["d"], frame["y"] = (rng.random(N) < share).astype(int), scale * frame.y
    wanted = [ATE(), ATO(), GATE("x", n_groups=2), BudgetRule(0.3)]

    def asked():
        data = CausalData(frame, "d", "y", ["x", *names])
        return estimate_effects(data, wanted, n_folds=3, **LIGHT)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalDDPMWarning)
        found = found_or_said(asked)
    if not isinstance(found, str):
        assert_finite(found)
