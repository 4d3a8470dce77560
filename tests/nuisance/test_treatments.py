"""Laws under treatments of every kind: arms, doses and cells of factors against known truths."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.nuisance.arms import single_arm_members
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.propensity import PropensityMix
from causal_ddpm.nuisance.stack import LocationStack

LIGHT = DiffusionSettings(n_members=1, n_steps=60, hidden_dim=16)
LINEAR = LinkRidge("linear", link=False, cross_index=False)
LABELS = ("none", "low", "high")


def base(n: int, seed: int) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)}), rng


def arms_frame(n: int = 450, seed: int = 0) -> pd.DataFrame:
    df, rng = base(n, seed)
    score = np.column_stack([np.zeros(n), 0.8 * df["a"], -0.8 * df["a"]])
    chosen = np.argmax(score + rng.gumbel(size=(n, 3)), axis=1)
    df["drug"] = np.asarray(LABELS)[chosen]
    mean = np.choose(chosen, [arms_mean(df, label) for label in LABELS])
    return df.assign(y=mean + 0.4 * rng.normal(size=n))


def arms_mean(df: pd.DataFrame, label: str) -> np.ndarray:
    effect = {"none": 0 * df["b"], "low": 1 + 0 * df["b"], "high": 2 + df["b"]}[label]
    return (3 + df["a"] + effect).to_numpy()


def dose_frame(n: int = 600, seed: int = 0) -> pd.DataFrame:
    df, rng = base(n, seed)
    df["dose"] = np.clip(3 + df["a"] + 1.5 * rng.normal(size=n), 0, 6)
    return df.assign(y=2 * np.sin(df["dose"]) + df["a"] + 0.3 * rng.normal(size=n))


def factor_frame(n: int = 500, seed: int = 0) -> pd.DataFrame:
    """Three factors; the cell (1, 1, 1) is never run."""
    df, rng = base(n, seed)
    f = rng.integers(0, 2, (n, 3))
    f[f.all(axis=1), rng.integers(3)] = 0
    df[["f", "g", "h"]] = f
    return df.assign(y=1 + df["a"] + f @ [1.0, 2.0, -1.0] + 0.3 * rng.normal(size=n))


def read(df: pd.DataFrame, kind: str) -> CausalData:
    treatment = {"arms": "drug", "dose": "dose", "factors": ["f", "g", "h"]}[kind]
    control = "none" if kind == "arms" else None
    return CausalData(df, treatment, "y", ["a", "b"], treatment_kind=kind, control=control)


FRAMES = {"arms": arms_frame, "dose": dose_frame, "factors": factor_frame}
WORLDS = {"arms": "high", "dose": 2.0, "factors": (1, 0, 1)}


def fit(kind: str) -> PotentialOutcomeLaw:
    members = {"arms": (LINEAR,), "factors": (LINEAR,), "dose": single_arm_members()[2:]}[kind]
    settings = PotentialOutcomeModel(stack=LocationStack(members), diffusion=LIGHT, n_folds=3)
    return settings.fit(read(FRAMES[kind](), kind), random_state=1)


@pytest.fixture(scope="module")
def laws() -> dict[str, PotentialOutcomeLaw]:
    return {kind: fit(kind) for kind in FRAMES}


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def test_three_arms_are_recovered(laws):
    new = arms_frame(300, seed=9)
    for label in LABELS:
        assert rms(laws["arms"].mean(new, label) - arms_mean(new, label)) < 0.15
    effect = laws["arms"].cate(new, "high", "low")
    assert rms(effect - (1 + new["b"])) < 0.2
    np.testing.assert_array_equal(
        laws["arms"].cate(new, "low"), laws["arms"].cate(new, "low", "none")
    )


def test_relabelling_the_arms_permutes_the_law():
    """Only the control plays a part of its own: other labels may trade places."""
    df = arms_frame(240)
    other = df.assign(drug=df["drug"].map({"none": "none", "low": "z", "high": "a"}))
    fold_ids = np.arange(len(df)) % 3
    settings = PotentialOutcomeModel(stack=LocationStack((LINEAR,)), diffusion=LIGHT, n_folds=3)
    plain, renamed = (settings.cross_fit(read(f, "arms"), fold_ids, 0) for f in (df, other))
    # codes: none, high, low and none, a, z
    np.testing.assert_array_equal(plain.mean, renamed.mean)
    swapped = df.assign(drug=df["drug"].map({"none": "none", "low": "a", "high": "z"}))
    turned = settings.cross_fit(read(swapped, "arms"), fold_ids, 0)
    assert rms(turned.mean[:, [0, 2, 1]] - plain.mean) < 0.1


def test_a_dose_response_is_recovered(laws):
    df = dose_frame(600, seed=9)
    grid, curve = laws["dose"].dose_response(df, np.linspace(0.5, 5.5, 11))
    truth = 2 * np.sin(grid) + df["a"].mean()
    assert rms(curve - truth) < 0.15
    own = laws["dose"].mean(df, df["dose"].to_numpy())
    assert rms(own - (2 * np.sin(df["dose"]) + df["a"])) < 0.3
    spread = laws["dose"].quantile(df, 3.0, [0.1, 0.9])
    assert np.mean(spread[:, 1] - spread[:, 0]) == pytest.approx(2 * 1.2816 * 0.3, rel=0.25)


def test_a_cell_that_was_never_run_is_read(laws):
    df = factor_frame(300, seed=9)
    assert rms(laws["factors"].mean(df, (1, 1, 1)) - (1 + df["a"] + 2.0)) < 0.2
    by_name = laws["factors"].mean(df, {"h": 1, "g": 1, "f": 1})
    np.testing.assert_array_equal(by_name, laws["factors"].mean(df, (1, 1, 1)))
    assert laws["factors"].cate(df, (0, 1, 0)).mean() == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("kind", FRAMES)
def test_saving_and_loading_is_the_identity(laws, kind, tmp_path):
    df = FRAMES[kind](40, seed=3)
    again = PotentialOutcomeLaw.load(laws[kind].save(tmp_path / "law.cddpm"))
    assert again.treatment == laws[kind].treatment
    for law in (again, laws[kind]):
        assert law.treatment.name in repr(law)
    np.testing.assert_array_equal(
        again.quantile(df, WORLDS[kind], [0.2, 0.8]),
        laws[kind].quantile(df, WORLDS[kind], [0.2, 0.8]),
    )


@pytest.mark.parametrize("kind", FRAMES)
def test_samples_and_cdf_follow_the_quantiles(laws, kind):
    df, law, world = FRAMES[kind](6, seed=3), laws[kind], WORLDS[kind]
    draws = law.sample(df, world, 3000, random_state=0)
    np.testing.assert_allclose(draws.mean(axis=1), law.mean(df, world), atol=0.05)
    median = law.quantile(df, world, [0.5])[:, 0]
    np.testing.assert_allclose(np.diag(law.cdf(df, world, median)), 0.5, atol=0.02)


@pytest.mark.parametrize("kind", FRAMES)
def test_the_world_a_unit_lived_in_returns_what_was_observed(laws, kind):
    df, world = FRAMES[kind](90, seed=5), WORLDS[kind]
    names = list(laws[kind].treatment.names)
    df.loc[:44, names] = [world] if kind != "factors" else [list(world)]
    out = laws[kind].counterfactual(df, world, correlation=0.3)
    np.testing.assert_array_equal(out[:45], df["y"][:45])
    elsewhere = (df[names].to_numpy() != np.asarray(world)).any(axis=1)
    assert not np.isclose(out, df["y"])[elsewhere].any()
    ranks = laws[kind].counterfactual(df, world)
    data = CausalData(
        df, names if kind == "factors" else names[0], "y", ["a", "b"], treatment_kind=kind,
        control="none" if kind == "arms" else None,
    )  # fmt: skip
    np.testing.assert_allclose(laws[kind].counterfactual(data, world), ranks)


def test_arms_share_one_noise_and_each_adds_its_own(laws):
    """corr(z_a, z_b) = rho_a rho_b, whichever world was observed."""
    law, rho, n = laws["arms"], {"low": 0.8, "high": 0.5}, 1500
    one = arms_frame(1, seed=1)
    df = pd.concat([one] * n, ignore_index=True)
    own = law.sample(one, "low", n, random_state=4)[0]
    df = df.assign(drug="low", y=own)
    none, high = (
        law.counterfactual(df, a, correlation=rho, random_state=2) for a in ("none", "high")
    )
    assert np.corrcoef(own, none)[0, 1] == pytest.approx(0.8, abs=0.06)
    assert np.corrcoef(own, high)[0, 1] == pytest.approx(0.4, abs=0.08)
    assert np.corrcoef(none, high)[0, 1] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("kind", ["dose", "factors"])
def test_two_doses_or_cells_are_tied_by_rho(laws, kind):
    law, n = laws[kind], 1200
    one = FRAMES[kind](1, seed=1)
    here = {"dose": 4.0, "factors": (0, 1, 0)}[kind]
    df = pd.concat([one] * n, ignore_index=True)
    df[list(law.treatment.names)] = here
    df["y"] = law.sample(one, here, n, random_state=4)[0]
    loose = law.counterfactual(df, WORLDS[kind], correlation=-0.6)
    assert np.corrcoef(df["y"], loose)[0, 1] == pytest.approx(-0.6, abs=0.07)


@pytest.mark.parametrize(
    "correlation", [{"low": 0.2}, {"low": 0.2, "high": 1.2}, {"none": 1.0, "low": 0.1, "high": 0.1}]
)
def test_correlations_must_name_every_other_arm(laws, correlation):
    with pytest.raises(DataError):
        laws["arms"].counterfactual(arms_frame(20), "low", correlation=correlation)


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        ("arms", lambda law, df: law.mean(df, "medium")),
        ("arms", lambda law, df: law.dose_response(df, [1.0])),
        ("dose", lambda law, df: law.mean(df, 7.0)),
        ("dose", lambda law, df: law.cate(df, 2.0)),
        ("dose", lambda law, df: law.dose_response(df, [1.0, -3.0])),
        ("dose", lambda law, df: law.counterfactual(df.drop(columns="dose"), 1.0)),
        ("factors", lambda law, df: law.mean(df, (1, 1))),
        ("factors", lambda law, df: law.counterfactual(df.drop(columns="y"), (1, 1, 1))),
    ],
)
def test_what_cannot_be_asked_is_refused(laws, kind, ask):
    with pytest.raises(DataError) as refused:
        ask(laws[kind], FRAMES[kind](20, seed=2))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(
    "use",
    [
        lambda data: estimate_effects(data, ATE()),
        lambda data: PropensityMix().fit(data, 0),
        lambda data: PropensityMix().cross_fit(data, np.arange(data.n) % 3, 0),
    ],
)
def test_what_needs_two_arms_refuses_the_others(kind, use):
    with pytest.raises(DataError, match=r"a binary treatment|of kind 'binary'"):
        use(read(FRAMES[kind](90), kind))


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if kind != "arms"])
def test_a_learner_by_arm_refuses_what_has_no_arms(kind):
    data = read(FRAMES[kind](90), kind)
    with pytest.raises(DataError, match="binary treatment"):
        LearnerOutcomeModel(LINEAR).cross_fit(data, np.arange(data.n) % 3, 0)


def test_folds_are_balanced_over_arms_cells_and_doses():
    for kind, make in FRAMES.items():
        data = read(make(300), kind)
        folds = draw_folds(data, 3, 0)
        strata = data.treatment_schema.strata(data.treatment)
        for stratum in np.unique(strata):
            counts = np.bincount(folds[strata == stratum], minlength=3)
            assert np.ptp(counts) <= 1


def test_an_arm_that_is_too_small_for_the_folds_is_named():
    df = arms_frame(90)
    df["drug"] = np.where(np.arange(90) < 3, "high", np.where(np.arange(90) < 50, "low", "none"))
    with pytest.raises(DataError, match="only 3 'high' rows"):
        draw_folds(read(df, "arms"), 3, 0)
