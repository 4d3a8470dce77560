"""The location fitted to one-step outcomes: closed forms, isolation of folds, and what it gains."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.conditional import DiffusionSettings, TrainingGroup, train_conditional
from causal_ddpm.nuisance.continuous import SharedScalars
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.one_step import (
    TAU,
    RefinedScalars,
    noise_share,
    one_step_targets,
    scorers,
)
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.shape import ShapeTask, train_batch
from causal_ddpm.nuisance.stack import LocationStack

LINEAR = LocationStack(members=(LinkRidge(link=False, cross_index=False),))
LIGHT = DiffusionSettings(n_members=1, n_steps=250, hidden_dim=16)
UNTRAINED = DiffusionSettings(n_members=2, n_steps=1, learning_rate=1e-8, hidden_dim=8)
MODEL = PotentialOutcomeModel(stack=LINEAR, diffusion=LIGHT, n_folds=3)


def frame(n: int, seed: int, noise: str) -> pd.DataFrame:
    """E[Y(a) | x] = x_a + x_b + a with unit-variance noise: two sharp modes, or normal."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    d = rng.integers(0, 2, n)
    v = rng.normal(size=n)
    if noise == "modes":
        v = np.where(rng.random(n) < 0.5, 1, -1) * 0.97 + 0.243 * v
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "d": d, "y": x.sum(axis=1) + d + v})


def read(df: pd.DataFrame) -> CausalData:
    return CausalData(df, treatment="d", outcome="y", confounders=["a", "b"])


def trained(settings: DiffusionSettings, n: int = 90) -> tuple:
    """A sample, its scorers (kappa = 1) and its locations, which are off by .3 on purpose."""
    df, folds = frame(n, 0, "normal"), np.arange(n) % 3
    x = Covariates.from_array(df[["a", "b"]].to_numpy())
    everyone = np.ones(n, dtype=bool)
    sample = Sample(x, df["d"].to_numpy(), df["y"].to_numpy(), None, folds, everyone)
    held_out = np.column_stack([df["a"] + df["b"], df["a"] + df["b"] + 1]) + 0.3
    pairwise = {k: np.where((folds == k)[:, None], np.nan, held_out) for k in range(3)}
    batch = train_batch(ShapeTask((0, 1, 2), settings, True, 8), sample, pairwise, held_out, 0)
    return sample, scorers([batch], kappa=1.0), held_out, pairwise


def test_gaussian_noise_leaves_outcomes_as_they_are():
    """A network that has learnt nothing is N(0, 1): psi(v) = v / (1 + tau^2), so y* = y."""
    sample, each, held_out, pairwise = trained(UNTRAINED)
    targets = one_step_targets(each, sample, held_out, pairwise)
    np.testing.assert_allclose(targets, np.broadcast_to(sample.outcome, (3, 90)), atol=2e-3)
    assert noise_share(each, sample, held_out) == pytest.approx(1, abs=2e-3)


def test_the_score_of_an_untrained_network_is_that_of_a_normal():
    rng = np.random.default_rng(0)
    group = TrainingGroup(rng.normal(size=(40, 1)), np.zeros(40, int), rng.normal(size=40))
    model = train_conditional([group], UNTRAINED, 0, n_arms=1)
    v = np.linspace(-3, 3, 7)
    score = model.score(0, np.zeros((2, 1)), 0, v, TAU)
    np.testing.assert_allclose(score, np.broadcast_to(-v / (1 + TAU**2), (2, 7)), atol=1e-4)
    with pytest.raises(DataError, match="tau is 0"):
        model.score(0, np.zeros((2, 1)), 0, v, 0.0)


def test_perturbing_a_fold_leaves_its_refined_law_bit_equal():
    df, folds = frame(150, 1, "modes"), np.arange(150) % 3
    shared = SharedScalars((1.0,), 0.5, RefinedScalars((1.0,), 0.7))
    model = replace(MODEL, shared=shared, diffusion=replace(LIGHT, n_steps=40))
    noise = np.random.default_rng(5).normal(size=len(df))
    moved = df.assign(y=np.where(folds == 1, df["y"] + noise, df["y"]))
    before, after = (model.cross_fit(read(f), folds, random_state=0) for f in (df, moved))
    plain = replace(model, shared=SharedScalars((1.0,), 0.5)).cross_fit(read(df), folds, 0)
    for a in (0, 1):
        same = before.laws[a].nodes == after.laws[a].nodes
        assert same[folds == 1].all()
        assert not same[folds != 1].all()
        assert not (plain.laws[a].nodes == before.laws[a].nodes).all()


def test_sharp_modes_locate_better_than_squares(tmp_path):
    """With two sharp modes the error of the location falls by more than a third."""
    df, new = frame(900, 2, "modes"), frame(400, 3, "modes")
    model = replace(MODEL, diffusion=replace(LIGHT, n_steps=600))
    law = model.fit(read(df), random_state=0)
    report = law.report["one step"]
    assert report["noise share"] < 0.6
    assert report["omega"] > 0.5
    truth = (new["a"] + new["b"]).to_numpy()
    nodes = law.part.continuous
    location = nodes.locate(read(new).covariates)
    centre = nodes.centre(read(new).covariates, location)
    error = [np.sqrt(np.mean((m[:, 0] - truth) ** 2)) for m in (location, centre)]
    assert error[1] < error[0] / 1.5
    again = PotentialOutcomeLaw.load(law.save(tmp_path / "law"))
    np.testing.assert_array_equal(again.mean(new, 1), law.mean(new, 1))


def test_normal_noise_is_not_fitted_twice():
    law = MODEL.fit(read(frame(600, 4, "normal")), random_state=0)
    assert law.report["one step"]["noise share"] > 0.9
    assert law.report["one step"]["omega"] == 0.0


def test_it_can_be_left_out():
    data = read(frame(300, 2, "modes"))
    law = replace(MODEL, one_step=False).fit(data, random_state=0)
    assert law.report["one step"] is None
    assert law.part.continuous.refined is None
