"""The law of an outcome of every kind against designs whose law is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, ndtri

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.discrete import DiscreteLaw, LatticeLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, QTE
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.estimators.api import estimate_effects
from causal_ddpm.nuisance.continuous import SharedScalars
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.stack import LocationStack

LIGHT = DiffusionSettings(n_members=1, n_steps=100, hidden_dim=24)
MODEL = PotentialOutcomeModel(
    stack=LocationStack(members=(LinkRidge(link=True, cross_index=False),)),
    diffusion=LIGHT,
    n_folds=3,
)
GRADES = ("low", "middle", "high", "top")
KINDS = ("continuous", "heavy_tailed", "atom", "binary", "count", "grades", "categorical")
N = 600


def score(df: pd.DataFrame, arm: int) -> np.ndarray:
    return (0.6 * df["a"] - 0.4 * df["b"] + 0.5 * arm).to_numpy()


def table(kind: str, df: pd.DataFrame, arm: int) -> np.ndarray:
    """True probabilities of the levels (the first 60 of a count)."""
    s = score(df, arm)[:, None]
    if kind == "binary":
        return np.hstack([1 - expit(s), expit(s)])
    if kind == "count":
        return stats.poisson.pmf(np.arange(60), np.exp(0.4 + 0.7 * s))
    if kind == "grades":
        steps = expit(np.array([-1.0, 0.5, 2.0]) - 1.5 * s)
        return np.diff(np.hstack([np.zeros_like(s), steps, np.ones_like(s)]), axis=1)
    weights = np.exp(np.hstack([np.zeros_like(s), s, 0.3 - s]))
    return weights / weights.sum(axis=1, keepdims=True)


def outcome(kind: str, df: pd.DataFrame, arm: int, u: np.ndarray) -> np.ndarray:
    """Outcome of each row at the levels u of its law, in its levels."""
    s = score(df, arm)
    if kind == "continuous":
        return s + ndtri(u)
    if kind == "heavy_tailed":
        return np.exp(s + 1.5 * ndtri(u))
    if kind == "atom":
        return np.where(u < 0.3, 0.0, np.exp(0.4 * (s + ndtri((u - 0.3).clip(1e-9) / 0.7))))
    codes = (np.cumsum(table(kind, df, arm), axis=1) < u[:, None]).sum(axis=1)
    if kind == "grades":
        return pd.Categorical.from_codes(codes, GRADES, ordered=True)
    return np.array(["red", "green", "blue"])[codes] if kind == "categorical" else codes


def draw(kind: str, n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    df = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    d, u = (rng.random(n) < expit(df["a"])).astype(int), rng.random(n)
    y0, y1 = (outcome(kind, df, arm, u) for arm in (0, 1))
    if kind == "grades":
        codes = np.where(d == 1, y1.codes, y0.codes)
        return df.assign(d=d, y=pd.Categorical.from_codes(codes, GRADES, ordered=True))
    return df.assign(d=d, y=np.where(d == 1, y1, y0))


def read(kind: str, df: pd.DataFrame) -> CausalData:
    asked = {"grades": "ordinal", "atom": "auto"}.get(kind, kind)
    return CausalData(df, "d", "y", ["a", "b"], outcome_kind=asked)


@cache
def fitted(kind: str) -> PotentialOutcomeLaw:
    return MODEL.fit(read(kind, draw(kind)), random_state=0)


def w1_of_tables(p: np.ndarray, q: np.ndarray) -> float:
    """Mean over rows of the Wasserstein distance of two laws on 0, 1, .., in levels."""
    return float(np.abs(np.cumsum(p - q, axis=1)).sum(axis=1).mean())


@pytest.mark.parametrize(
    ("kind", "levels", "tolerance"),
    [
        ("binary", (0, 1), 0.06),
        ("grades", GRADES, 0.16),
        ("categorical", ("blue", "green", "red"), 0.12),
    ],
)
def test_probabilities_are_close_to_the_truth(kind, levels, tolerance):
    new = draw(kind, 150, seed=7)
    for arm in (0, 1):
        p, truth = fitted(kind).probability(new, arm), table(kind, new, arm)
        if kind == "categorical":
            truth = truth[:, [2, 1, 0]]
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        assert (p >= 0).all()
        assert np.abs(p - truth).sum(axis=1).mean() / 2 < tolerance
        one = fitted(kind).probability(new, arm, levels[-1])
        np.testing.assert_array_equal(one, p[:, -1])


def test_a_count_is_close_to_its_poisson_law():
    law, new = fitted("count"), draw("count", 150, seed=7)
    for arm in (0, 1):
        truth = table("count", new, arm)
        steps = law.cdf(new, arm, np.arange(60))
        assert w1_of_tables(np.diff(steps, axis=1, prepend=0.0), truth) < 0.35
        rates = truth @ np.arange(60)
        assert np.sqrt(np.mean((law.mean(new, arm) - rates) ** 2)) < 0.4
        np.testing.assert_allclose(law.probability(new, arm, 0), steps[:, 0])


def test_zeros_that_stand_apart_are_learnt_apart():
    rng, df = np.random.default_rng(5), draw("count", N, seed=5)
    nothing = rng.random(N) < expit(df["b"])
    df["y"] = np.where(nothing, 0, df["y"] + 2)
    law = MODEL.fit(read("count", df), random_state=0)
    assert "zeros apart" in law.report
    rows = law.predictive(df, 1)
    zero, one = rows.probability([0.0, 1.0]).T
    assert abs(zero.mean() - nothing.mean()) < 0.05
    assert np.mean(np.abs(zero - expit(df["b"]))) < 0.08
    assert one.mean() < 0.06
    values = np.arange(80.0)
    np.testing.assert_allclose(rows.probability(values) @ values, rows.mean(), rtol=1e-3)


def test_zeros_of_a_poisson_count_do_not_stand_apart():
    law = fitted("count")
    assert "zeros apart" not in law.report


def test_normal_scores_beat_the_plain_law_where_tails_are_heavy():
    """Mean pinball loss on fresh log-normal outcomes, and the share that 90 % intervals hold."""
    new, rng = draw("heavy_tailed", 200, seed=7), np.random.default_rng(8)
    plain = MODEL.fit(
        CausalData(draw("heavy_tailed"), "d", "y", ["a", "b"], outcome_kind="continuous"), 0
    )
    levels, losses, cover = np.linspace(0.05, 0.95, 19), [], []
    fresh = [np.exp(score(new, a) + 1.5 * rng.normal(size=len(new)))[:, None] for a in (0, 1)]
    for law in (fitted("heavy_tailed"), plain):
        loss = []
        for arm, y in enumerate(fresh):
            q = law.quantile(new, arm, levels)
            loss.append(np.maximum(levels * (y - q), (levels - 1) * (y - q)).mean())
            cover.append(np.mean((y >= q[:, :1]) & (y <= q[:, -1:])))
        losses.append(np.mean(loss))
    assert losses[0] < 0.95 * losses[1]
    assert 0.84 < np.mean(cover[:2]) < 0.95
    truth = np.exp(score(new, 1) + 1.125)
    assert abs(np.log(fitted("heavy_tailed").mean(new, 1) / truth).mean()) < 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_drawn_outside_the_support(kind):
    train, new = draw(kind), draw(kind, 50, seed=3)
    draws = fitted(kind).sample(new, 1, 200, random_state=0)
    if kind in ("binary", "grades", "categorical"):
        assert set(np.unique(draws)) <= set(train["y"])
    elif kind == "count":
        assert draws.min() >= 0
        assert (draws == np.round(draws)).all()
    elif kind == "atom":
        assert ((draws == 0) | (draws >= train["y"][train["y"] > 0].min())).all()
    else:
        assert np.isfinite(draws).all()


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "categorical"])
def test_ranks_give_the_observed_outcome_back(kind):
    df, law = draw(kind, 60, seed=4), fitted(kind)
    for arm in (0, 1):
        rows, rng = law.predictive(df, arm, n_nodes=64), np.random.default_rng(1)
        y = rows.sample(1, rng)[:, 0]
        back = rows.inverse(rows.rank(y, rng)[:, None])[:, 0]
        np.testing.assert_allclose(back, y, rtol=1e-6, atol=1e-6)
        moved = law.counterfactual(df, arm, treatment_strength=0.5)
        stayed = (df["d"] == arm).to_numpy()
        np.testing.assert_array_equal(moved[stayed], np.asarray(df["y"])[stayed])
        assert set(moved) <= set(GRADES) if kind == "grades" else np.isfinite(moved).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_saving(kind, tmp_path):
    law, new = fitted(kind), draw(kind, 20, seed=2)
    again = PotentialOutcomeLaw.load(law.save(tmp_path / "law"))
    np.testing.assert_array_equal(
        again.sample(new, 1, 5, random_state=0), law.sample(new, 1, 5, random_state=0)
    )
    assert again.report == law.report
    assert again.outcome == law.outcome
    shown = {"atom": "atom at 0", "grades": "ordinal"}.get(kind, kind)
    assert shown in repr(again)


def test_the_kind_is_reported_with_its_reason():
    law = MODEL.fit(CausalData(draw("binary", 200), "d", "y", ["a", "b"]), random_state=0)
    assert law.report["outcome kind"] == {
        "kind": "binary", "why": "it takes two values", "levels": [0.0, 1.0],
    }  # fmt: skip
    assert set(law.report["levels"]) == {"1"}
    assert ((law.mean(draw("binary", 50), 1) > 0) & (law.mean(draw("binary", 50), 1) < 1)).all()


def test_perturbing_a_fold_leaves_its_heavy_tailed_law_bit_equal():
    """The map to normal scores of a group has not seen the fold that the group reads."""
    df = draw("heavy_tailed", 180)
    fold_ids = np.arange(len(df)) % 3
    model = replace(MODEL, diffusion=replace(LIGHT, n_steps=30), shared=SharedScalars((1.0,), 0.5))
    noise = np.random.default_rng(5).lognormal(size=len(df))
    perturbed = df.assign(y=np.where(fold_ids == 1, df["y"] * noise, df["y"]))
    before, after = (
        model.cross_fit(read("heavy_tailed", f), fold_ids, random_state=0) for f in (df, perturbed)
    )
    for a in (0, 1):
        same = before.laws[a].nodes == after.laws[a].nodes
        assert same[fold_ids == 1].all()
        assert not same[fold_ids != 1].all()


@pytest.mark.parametrize("kind", ["count", "categorical"])
def test_the_same_bits_for_any_n_jobs(kind):
    model = replace(MODEL, diffusion=replace(LIGHT, n_steps=30))
    data, new = read(kind, draw(kind, 90)), draw(kind, 20, seed=2)
    one, two = (model.fit(data, random_state=3, n_jobs=j) for j in (1, 2))
    np.testing.assert_array_equal(
        one.sample(new, 1, 5, random_state=0), two.sample(new, 1, 5, random_state=0)
    )


def test_effects_on_counts_and_probabilities():
    """Estimators take laws of every kind as they are; quantiles of a count are whole numbers."""
    counts = read("count", draw("count", seed=11))
    ate, qte = estimate_effects(counts, [ATE(), QTE([0.5, 0.9])], outcome_model=MODEL, n_folds=3)
    draws = draw("count", 200_000, seed=12)
    means = [np.exp(0.4 + 0.7 * score(draws, a)).mean() for a in (0, 1)]
    assert abs(ate.value - (means[1] - means[0])) < 4 * ate.std_error
    assert (qte.value == np.round(qte.value)).all()
    binary = read("binary", draw("binary", seed=11))
    (ate,) = estimate_effects(binary, [ATE()], outcome_model=MODEL, n_folds=3)
    truth = np.mean(expit(score(draws, 1)) - expit(score(draws, 0)))
    assert abs(ate.value - truth) < 4 * ate.std_error


def test_levels_without_an_order_have_no_effect_and_no_mean():
    data = read("categorical", draw("categorical", 200))
    with pytest.raises(DataError, match=r"no order.*one level at a time"):
        estimate_effects(data, [ATE()], outcome_model=MODEL)
    law, new = fitted("categorical"), draw("categorical", 5)
    for ask in (
        lambda: law.mean(new, 1),
        lambda: law.quantile(new, 1, [0.5]),
        lambda: law.cdf(new, 1, [0.5]),
        lambda: law.counterfactual(new, 1),
    ):
        with pytest.raises(DataError, match="no order"):
            ask()


def test_questions_that_do_not_fit_the_kind_are_refused():
    new = draw("count", 5)
    with pytest.raises(DataError, match="kind 'continuous'"):
        fitted("continuous").probability(new, 1)
    with pytest.raises(DataError, match="no value of the count"):
        fitted("count").probability(new, 1)
    with pytest.raises(DataError, match="density"):
        fitted("count").density(new, 1, [0.5])
    with pytest.raises(DataError, match="no level"):
        fitted("binary").probability(new, 1, 2)
    with pytest.raises(DataError, match="no level"):
        fitted("grades").counterfactual(draw("grades", 60).assign(y="best"), 1)


def test_records_by_kind():
    new = draw("count", 5)
    assert isinstance(fitted("count").predictive(new, 0), LatticeLaw)
    for kind in ("binary", "grades", "categorical"):
        assert isinstance(fitted(kind).predictive(new, 0), DiscreteLaw)


def test_separate_values_have_no_density():
    law = MODEL.fit(CausalData(draw("binary", 200), "d", "y", ["a", "b"]), random_state=0)
    with pytest.raises(DataError, match="which has no density"):
        law.density(draw("binary", 5), 1, [0.0, 1.0])
