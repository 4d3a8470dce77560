"""Several arms: by hand, against the binary effects, overlap by arm, coverage, a real e-mail."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression

from causal_ddpm.core.combine import combine_estimates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, OverlapError, OverlapWarning
from causal_ddpm.core.estimand import ATE, ATO, ATT, ATU, QTE, ArmContrast, ArmMeans
from causal_ddpm.dgp.three_arms import ARMS, ThreeArms
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.estimators.arm_effects import ArmEffect
from causal_ddpm.estimators.ate import MeanEffect
from causal_ddpm.nuisance.crossfit import fit_nuisances
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel

EXACT = 1e-10
DESIGN = ThreeArms()
LIGHT = {
    "outcome_model": LearnerOutcomeModel(LinearRegression()),
    "propensity_model": LearnerPropensityModel(LogisticRegression()),
}
PAIR = ArmContrast("visit", "letter")
AMONG = ArmContrast("visit", "letter", among="control")
ON_TREATED = ArmContrast("visit", "control", among="visit")
ALL_MEANS, MEANS_OF_VISITED = ArmMeans(), ArmMeans(among="visit")
QUESTIONS = (PAIR, AMONG, ON_TREATED, ALL_MEANS, MEANS_OF_VISITED)

questions = pytest.mark.parametrize("estimand", QUESTIONS, ids=repr)


def _sample(n=160, seed=0, **roles):
    """Arbitrary outcomes and nuisances of three arms."""
    rng = np.random.default_rng(seed)
    e = rng.dirichlet([6.0, 6.0, 6.0], size=n)
    arm = (rng.random((n, 1)) > np.cumsum(e, axis=1)[:, :2]).sum(axis=1)
    frame = pd.DataFrame({
        "y": rng.normal(size=n), "arm": np.array(ARMS)[arm], "x": rng.normal(size=n),
        "w": rng.integers(0, 4, n), "g": rng.integers(0, 12, n),
    })  # fmt: skip
    return frame, rng.normal(size=(n, 3)), e


def _as_data(frame, **roles):
    return CausalData(frame, "arm", "y", ["x"], treatment_kind="arms", control="control", **roles)


def _estimate(estimand, data, nuisances):
    return ArmEffect(estimand).estimate(data, nuisances)


# -- formulas ----------------------------------------------------------------------------------
def _mean_by_hand(data, mean, e, a, t):
    """E[Y(a)], or E[Y(a) | A = t], row by row."""
    up = down = 0.0
    for i, (y, d) in enumerate(zip(data.outcome, data.treatment, strict=True)):
        if t is None:
            up += mean[i, a] + (d == a) * (y - mean[i, a]) / e[i, a]
            down += 1
        elif a == t:
            up += (d == t) * y
            down += d == t
        else:
            up += (d == t) * mean[i, a] + (d == a) * e[i, t] / e[i, a] * (y - mean[i, a])
            down += d == t
    return up / down


@questions
def test_means_equal_the_formula_written_by_hand(estimand, given):
    frame, mean, e = _sample()
    data = _as_data(frame)
    schema = data.treatment_schema
    expected = [
        _mean_by_hand(data, mean, e, a, estimand.meant(schema)) for a in estimand.asked(schema)
    ]
    if isinstance(estimand, ArmContrast):
        expected = [expected[0] - expected[1]]
    plain = replace(estimand, calibrated=False)
    found = _estimate(plain, data, given(data, mean, e))
    np.testing.assert_allclose(found.values, expected, atol=EXACT)
    assert found.labels == estimand.labels(schema)
    np.testing.assert_allclose(found.influence.mean(axis=0), 0, atol=EXACT)


def test_a_contrast_is_a_contrast_of_the_means(given):
    frame, mean, e = _sample()
    data = _as_data(frame)
    nuisances = given(data, mean, e)
    means = _estimate(ArmMeans(), data, nuisances)
    found = _estimate(PAIR, data, nuisances)
    by_hand = means.contrast([0, -1, 1])
    assert found.value == pytest.approx(by_hand.value, abs=EXACT)
    assert found.std_error == pytest.approx(by_hand.std_error, abs=EXACT)
    assert means.labels == ("E[Y(control)]", "E[Y(letter)]", "E[Y(visit)]")
    assert found.labels == ("E[Y(visit) - Y(letter)]",)
    assert means.contrast([-1, 0.5, 0.5], ["any - none"]).labels == ("any - none",)


@pytest.mark.parametrize(
    ("contrast", "effect"),
    [
        (ArmContrast(1, 0), ATE()),
        (ArmContrast(1, 0, among=1), ATT()),
        (ArmContrast(1, 0, among=0), ATU()),
    ],
    ids=repr,
)
def test_with_two_arms_contrasts_are_the_binary_effects(
    contrast, effect, small_sample, as_data, given
):
    frame, mean, e, _ = small_sample(n=400)
    frame["w"] += 1
    e[np.flatnonzero(frame["d"] == 1)[:2]] = [0.985, 0.015]  # some weights are bounded
    e[np.flatnonzero(frame["d"] == 0)[:2]] = [0.016, 0.984]
    data = as_data(frame, weights="w", clusters="g")
    nuisances = given(data, mean, e)
    a = MeanEffect(effect).estimate(data, nuisances)
    b = ArmEffect(contrast).estimate(data, nuisances)
    assert a.details["n_clipped"] > 0
    assert b.value == pytest.approx(a.value, abs=EXACT)
    assert b.std_error == pytest.approx(a.std_error, abs=EXACT)
    assert b.details["values_half_bound"][0] == pytest.approx(a.details["value_half_bound"])
    assert b.details["values_double_bound"][0] == pytest.approx(a.details["value_double_bound"])
    measured = {k["arm"]: k for k in a.details["overlap"]}
    for label, k in b.details["overlap"].items():
        for name, value in k.items():
            assert value == pytest.approx(measured[int(label)][name], abs=EXACT)


@questions
@pytest.mark.parametrize(
    ("weights_type", "clusters", "doubled_clusters"),
    [("frequency", None, None), ("sampling", None, "origin"), ("sampling", "g", "g")],
)
def test_weights_equal_row_duplication(estimand, weights_type, clusters, doubled_clusters, given):
    frame, mean, e = _sample()
    index = np.repeat(np.arange(len(frame)), frame["w"])
    rows = frame.iloc[index].assign(origin=index).reset_index(drop=True)
    weighted = _as_data(frame, weights="w", weights_type=weights_type, clusters=clusters)
    doubled = _as_data(rows, clusters=doubled_clusters)
    a = _estimate(estimand, weighted, given(weighted, mean, e))
    b = _estimate(estimand, doubled, given(doubled, mean[index], e[index]))
    np.testing.assert_allclose(a.values, b.values, atol=EXACT)
    np.testing.assert_allclose(a.cov, b.cov, atol=EXACT)
    if weights_type == "frequency":
        for label, k in a.details["overlap"].items():
            assert k == pytest.approx(b.details["overlap"][label])


def test_the_order_of_the_arms_does_not_matter(given):
    frame, mean, e = _sample()
    data = _as_data(frame)
    other = CausalData(frame, "arm", "y", ["x"], treatment_kind="arms", control="visit")
    order = [data.arms.index(label) for label in other.arms]
    a = _estimate(PAIR, data, given(data, mean, e))
    b = _estimate(PAIR, other, given(other, mean[:, order], e[:, order]))
    assert a.value == pytest.approx(b.value, abs=EXACT)
    assert a.std_error == pytest.approx(b.std_error, abs=EXACT)


@questions
def test_mean_of_the_score_ignores_small_errors_of_the_nuisances(estimand, given):
    # E over A and Y at each x in closed form: each row of x stands once in every arm
    x = DESIGN.draw(4_000, 9).data.covariates.values
    e = DESIGN.propensity(x)
    mean = np.column_stack([DESIGN.mean(x, a) for a in range(3)])
    rows = np.tile(x[:, 0], 3)
    frame = pd.DataFrame({
        "arm": np.repeat(ARMS, len(x)), "y": mean.T.ravel(), "x": rows, "share": e.T.ravel(),
    })  # fmt: skip
    data = _as_data(frame, weights="share")
    towards = (0.3 * np.tanh(x[:, [0, 1, 2]]), np.column_stack([np.sin(x[:, 0]), x[:, 1], x[:, 3]]))

    def values_at(t_e, t_mu):
        near = e * np.exp(t_e * towards[0])
        near /= near.sum(axis=1, keepdims=True)
        nuisances = given(data, np.tile(mean + t_mu * towards[1], (3, 1)), np.tile(near, (3, 1)))
        return _estimate(replace(estimand, calibrated=False), data, nuisances).values

    for step in ((1e-3, 0), (0, 1e-3), (1e-3, 1e-3)):
        derivative = (values_at(*step) - values_at(*(-s for s in step))) / 2e-3
        assert np.abs(derivative).max() < 1e-3
    # two errors at once show to second order
    assert np.abs(values_at(0.5, 0.5) - values_at(0, 0)).max() > 1e-3


# -- truth -------------------------------------------------------------------------------------
@questions
def test_estimate_is_centred_at_the_truth(estimand, oracle):
    draw = DESIGN.draw(20_000, 1)
    found = _estimate(estimand, draw.data, oracle(draw))
    truth = DESIGN.truth_of(estimand)
    assert tuple(truth) == found.labels
    assert (np.abs(found.values - list(truth.values())) < 4 * found.std_error).all()
    for label, se in zip(found.labels, np.atleast_1d(found.std_error), strict=True):
        if label in draw.truth.efficiency_sd:
            bound = draw.truth.efficiency_sd[label] / np.sqrt(20_000)
            assert se == pytest.approx(bound, rel=0.05)


def test_intervals_cover_with_light_nuisances(light_models):
    asked = (ArmMeans(), PAIR, ON_TREATED)
    truth = {label: v for k in asked for label, v in DESIGN.truth_of(k).items()}
    n_draws, covered, all_at_once = 80, dict.fromkeys(truth, 0), 0
    for seed in range(n_draws):
        data = _with_features(DESIGN.draw(400, seed).frame)
        nuisances = fit_nuisances(data, **light_models, random_state=seed)
        joint = combine_estimates([_estimate(k, data, nuisances) for k in asked])
        for row in joint.records():
            covered[row["label"]] += row["ci_low"] <= truth[row["label"]] <= row["ci_high"]
        low, high = joint.interval(simultaneous=True)
        values = np.array([truth[label] for label in joint.labels])
        all_at_once += bool(((low <= values) & (values <= high)).all())
    for count in (*covered.values(), all_at_once):
        assert stats.binom.cdf(count, n_draws, 0.95) > 0.001


def _with_features(frame):
    """Confounders in which the means of the design are linear, and its propensity nearly so."""
    x = [frame[f"x{j}"] for j in range(5)]
    features = {
        "a": x[0], "b": x[1], "c": x[2], "d": x[3], "f": np.sin(1.5 * x[0]), "g": x[1] ** 2,
        "h": (x[2] > 0).astype(float), "k": np.sin(x[0] * x[1]),
    }  # fmt: skip
    return CausalData(
        frame.assign(**features), "arm", "y", list(features), treatment_kind="arms",
        control="control",
    )  # fmt: skip


# -- overlap -----------------------------------------------------------------------------------
def _apart(visited_like):
    """Visits live where ``visited_like`` is true; nobody else does."""
    rng = np.random.default_rng(0)
    n = len(visited_like)
    e = np.where(visited_like[:, None], [0.01, 0.01, 0.98], [0.495, 0.495, 0.01])
    arm = np.where(visited_like, 2, np.arange(n) % 2)
    frame = pd.DataFrame({"y": rng.normal(size=n), "arm": np.array(ARMS)[arm], "x": rng.random(n)})
    return _as_data(frame), e


def test_an_arm_apart_is_refused_and_the_others_are_answered(given):
    data, e = _apart(np.arange(600) < 200)
    nuisances = given(data, np.zeros((600, 3)), e)
    with pytest.raises(OverlapError, match="No overlap for the arm contrast: the confounders"):
        _estimate(ArmContrast("visit", "control"), data, nuisances)
    with pytest.raises(OverlapError, match="expected 'letter' rows that resemble the 'visit' ones"):
        _estimate(ArmContrast("letter", "control", among="visit"), data, nuisances)
    among = ArmContrast("letter", "control", among="control")
    assert _estimate(among, data, nuisances).warnings == ()


def test_weak_overlap_names_the_arm_and_its_bound(given):
    rng = np.random.default_rng(2)
    frame, _, e = _sample(900, 3)
    own = np.flatnonzero(frame["arm"] == "visit")[:4]
    e[own] = [0.4995, 0.4995, 0.001]
    data = _as_data(frame.assign(y=rng.normal(size=900)))
    found = _estimate(PAIR, data, given(data, np.zeros((900, 3)), e))
    (text,) = found.warnings
    assert text.startswith("Weak overlap for the arm contrast: ")
    assert "the weights of 4 'visit' rows were bounded" in text
    assert found.details["warning_categories"] == [OverlapWarning.__name__]
    assert found.details["clip_bounds"] == {"visit": 0.02, "letter": 0.02}
    assert found.details["n_clipped"] == 4
    assert found.details["values_half_bound"] != found.details["values_double_bound"]


def test_the_bound_follows_the_share_of_the_arm(given):
    rng = np.random.default_rng(4)
    arm = np.where(np.arange(1_000) < 30, 2, np.arange(1_000) % 2)
    frame = pd.DataFrame({
        "y": rng.normal(size=1_000), "arm": np.array(ARMS)[arm], "x": rng.random(1_000)
    })  # fmt: skip
    data = _as_data(frame)
    nuisances = given(data, np.zeros((1_000, 3)), np.tile([0.485, 0.485, 0.03], (1_000, 1)))
    bounds = _estimate(ArmMeans(), data, nuisances).details["clip_bounds"]
    assert bounds == {"control": 0.02, "letter": 0.02, "visit": pytest.approx(0.003)}
    bounds = _estimate(ArmMeans(among="control"), data, nuisances).details["clip_bounds"]
    assert bounds["visit"] == pytest.approx(0.1 * 30 / (30 + 485))


def test_lack_of_overlap_is_known_before_the_outcome_is_fitted():
    class Never:
        def cross_fit(self, *args):
            raise AssertionError("the outcome model was fitted")

    data, e = _apart(np.arange(600) < 200)
    model = type("Known", (), {"cross_fit": lambda self, *args: (e, {})})()
    with pytest.raises(OverlapError, match="'visit' rows"):
        estimate_effects(data, ArmMeans(), outcome_model=Never(), propensity_model=model)


# -- refusals ----------------------------------------------------------------------------------
def test_arms_that_are_none_are_refused_before_anything_is_fitted():
    data = DESIGN.draw(100, 0).data
    with pytest.raises(DataError, match="both arms are 'visit'; expected two different arms"):
        ArmContrast("visit", "visit")
    with pytest.raises(DataError, match="the arm is 'call'; expected one of control, letter"):
        estimate_effects(data, ArmContrast("call", "letter"))
    with pytest.raises(DataError, match="the arm is 'treated'"):
        estimate_effects(data, ArmMeans(among="treated"))
    two = CausalData(pd.DataFrame({"d": [0, 1] * 30, "y": range(60), "x": np.arange(60) % 7}),
                     "d", "y", ["x"])  # fmt: skip
    with pytest.raises(DataError, match="are the same arm"):
        estimate_effects(two, ArmContrast(1, "1"))


def test_binary_questions_about_several_arms_are_refused():
    data = DESIGN.draw(100, 0).data
    for estimand in (ATE(), ATO(), QTE()):
        with pytest.raises(DataError, match="the treatment is of kind 'arms'"):
            estimate_effects(data, estimand)
    x = np.random.default_rng(0).normal(size=60)
    doses = pd.DataFrame({"d": np.linspace(0, 1, 60), "y": range(60), "x": x})
    data = CausalData(doses, "d", "y", ["x"], treatment_kind="dose")
    with pytest.raises(DataError, match=r"of kind 'dose'.*'binary' or 'arms' for the arm means"):
        estimate_effects(data, ArmMeans())


def test_assumptions_are_said_of_arms(given):
    frame, mean, e = _sample()
    data = _as_data(frame)
    found = _estimate(ON_TREATED, data, given(data, mean, e))
    text = " ".join(found.assumptions)
    assert "which arm a unit is in does not depend on the potential outcomes" in text
    assert "every unit of arm 'visit' could have been in arm 'visit' or 'control'" in text
    assert found.population == "units in arm 'visit'"


# -- real data ---------------------------------------------------------------------------------
SHARED = Path(__file__).resolve().parents[3] / "shared"
EMAIL = SHARED / "data/factorial/hillstrom_email.parquet"


def test_email_experiment_agrees_with_differences_in_means():
    if not EMAIL.exists():
        pytest.skip("needs the e-mail experiment of Hillstrom (2008)")
    frame = pd.read_parquet(EMAIL).sample(6_000, random_state=0)
    frame["newbie"] = frame["newbie"].astype(bool)
    confounders = ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"]
    data = CausalData(
        frame, "treatment", "visit", confounders, treatment_kind="arms", control="No E-Mail"
    )
    contrasts = [
        ArmContrast("Mens E-Mail", "No E-Mail"),
        ArmContrast("Womens E-Mail", "No E-Mail"),
        ArmContrast("Mens E-Mail", "Womens E-Mail"),
    ]
    found = estimate_effects(data, [*contrasts, ArmMeans()], **LIGHT)
    shares = frame.groupby("treatment")["visit"].mean()
    for contrast, estimate in zip(contrasts, found, strict=False):
        difference = shares[contrast.arm] - shares[contrast.control]
        assert abs(estimate.value - difference) < 0.5 * estimate.std_error
        assert 0.005 < estimate.std_error < 0.02
    assert found[0].interval()[0] > 0
    means = found[-1]
    assert means.labels[0] == "E[Y(No E-Mail)]"
    any_mail = means.contrast([-1, 0.5, 0.5], ["any e-mail - none"])
    assert any_mail.test().loc["any e-mail - none", "p_value"] < 1e-6
    adjusted = combine_estimates(found[:3]).test(adjust="romano-wolf")
    assert (adjusted["p_adjusted"] >= adjusted["p_value"]).all()
