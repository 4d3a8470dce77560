"""The diffusion law: isolation of folds, support, counterfactuals, and the file format."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError, ModelFileError
from causal_ddpm.core.outcome import find_atom
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.nuisance.continuous import END_TO_END_KAPPA, SharedScalars, empirical_nodes
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.shape import choose_kappa, law_nodes, within_support
from causal_ddpm.nuisance.stack import LocationStack

LIGHT = DiffusionSettings(n_members=1, n_steps=60, hidden_dim=16)
LINEAR = LocationStack(members=(LinkRidge(link=False, cross_index=False),))


def light_model(**changes: object) -> PotentialOutcomeModel:
    return replace(PotentialOutcomeModel(stack=LINEAR, diffusion=LIGHT, n_folds=3), **changes)


def linear_frame(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    d = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    y = 2.0 + x[:, 0] + d * (1.5 + 0.5 * x[:, 1]) + 0.5 * rng.normal(size=n)
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "d": d, "y": y})


def read(df: pd.DataFrame) -> CausalData:
    return CausalData(df, treatment="d", outcome="y", confounders=["a", "b"])


@pytest.fixture(scope="module")
def law() -> PotentialOutcomeLaw:
    return light_model().fit(read(linear_frame(600)), random_state=1)


def test_perturbing_a_fold_leaves_its_law_bit_equal():
    """With the shared scalars fixed, nothing of fold k's outcomes reaches the reader of fold k."""
    df = linear_frame(150)
    fold_ids = np.arange(len(df)) % 3
    model = light_model(shared=SharedScalars((1.0,), 0.5))
    noise = np.random.default_rng(5).normal(size=len(df))
    perturbed = df.assign(y=np.where(fold_ids == 1, df["y"] + noise, df["y"]))
    before, after = (model.cross_fit(read(f), fold_ids, random_state=0) for f in (df, perturbed))
    for a in (0, 1):
        same = before.laws[a].nodes == after.laws[a].nodes
        assert same[fold_ids == 1].all()
        assert not same[fold_ids != 1].all()


def test_the_support_of_a_fold_is_that_of_the_others():
    """The largest outcome of fold 1 bounds the laws of the other folds, and not its own."""
    df = earnings_frame(180)
    fold_ids = np.arange(len(df)) % 3
    largest = int(df["y"].where(fold_ids == 1).idxmax())
    moved = df.assign(y=df["y"].where(df.index != largest, 2 * df["y"].max()))
    high = [light_model().cross_fit(read(f), fold_ids, 0).laws[1].support[1] for f in (df, moved)]
    same = (high[0] == high[1])[:, 0]
    assert same[fold_ids == 1].all()
    assert not same[fold_ids != 1].any()


def test_result_does_not_depend_on_n_jobs():
    df, fold_ids = linear_frame(150), np.arange(150) % 3
    one, two = (light_model().cross_fit(read(df), fold_ids, 3, n_jobs=j) for j in (1, 2))
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.laws[1].nodes, two.laws[1].nodes)


def test_the_default_stack_gives_the_same_bits_for_any_n_jobs():
    df, fold_ids = linear_frame(120), np.arange(120) % 3
    model = PotentialOutcomeModel(diffusion=LIGHT)
    one, two = (model.cross_fit(read(df), fold_ids, 3, n_jobs=j) for j in (1, 2))
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.laws[0].nodes, two.laws[0].nodes)


def test_a_constant_column_changes_nothing():
    df, fold_ids = linear_frame(150).assign(c=7.0), np.arange(150) % 3
    wider = CausalData(df, treatment="d", outcome="y", confounders=["a", "b", "c"])
    plain, same = (light_model().cross_fit(d, fold_ids, 0) for d in (read(df), wider))
    np.testing.assert_array_equal(plain.mean, same.mean)


@pytest.mark.parametrize("location", ["stack", "none"])
def test_levels_that_some_folds_lack(location, tmp_path):
    """A level seen in one fold only gives the groups encodings of different widths."""
    df, fold_ids = linear_frame(150), np.arange(150) % 3
    df["sector"] = np.where(np.arange(150) % 30 == 0, "rare", "common")
    df.loc[[1, 4], "a"] = np.nan
    data = CausalData(df, treatment="d", outcome="y", confounders=["a", "b", "sector"])
    model = light_model(location=location)
    assert np.isfinite(model.cross_fit(data, fold_ids, random_state=0).mean).all()
    law = model.fit(data, random_state=0)
    new = df.assign(sector="unseen")
    again = PotentialOutcomeLaw.load(law.save(tmp_path / "law"))
    np.testing.assert_array_equal(again.cate(new), law.cate(new))


def test_shift_and_scale_of_the_outcome_carry_over():
    df, fold_ids = linear_frame(150), np.arange(150) % 3
    plain, moved = (
        light_model().cross_fit(read(f), fold_ids, 0)
        for f in (df, df.assign(y=1000.0 + 50.0 * df["y"]))
    )
    np.testing.assert_allclose(moved.mean, 1000.0 + 50.0 * plain.mean, rtol=1e-4)


def test_law_recovers_a_linear_gaussian_process(law):
    new = linear_frame(400, seed=9)
    for a in (0, 1):
        truth = 2.0 + new["a"] + a * (1.5 + 0.5 * new["b"])
        assert np.sqrt(np.mean((law.mean(new, a) - truth) ** 2)) < 0.15
        spread = law.quantile(new, a, [0.1, 0.9]) - truth.to_numpy()[:, None]
        np.testing.assert_allclose(spread.mean(axis=0), 0.5 * stats.norm.ppf([0.1, 0.9]), atol=0.12)
    error = law.cate(new) - (1.5 + 0.5 * new["b"])
    assert np.sqrt(np.mean(error**2)) < 0.2


def test_cdf_quantile_and_samples_agree(law):
    new = linear_frame(5, seed=2)
    q = law.quantile(new, 1, [0.3, 0.7])
    rank = np.array([law.cdf(new.iloc[[i]], 1, q[i])[0] for i in range(5)])
    np.testing.assert_allclose(rank, [[0.3, 0.7]] * 5, atol=0.02)
    draws = law.sample(new, 1, 4000, random_state=0)
    np.testing.assert_allclose(draws.mean(axis=1), law.mean(new, 1), atol=0.06)


def test_density_is_the_derivative_of_the_cdf(law):
    new, grid = linear_frame(5, seed=9), np.linspace(-8, 12, 2001)
    below = np.cumsum(law.density(new, 1, grid), axis=1) * (grid[1] - grid[0])
    np.testing.assert_allclose(below[:, -1], 1.0, atol=2e-3)
    np.testing.assert_allclose(below, law.cdf(new, 1, grid), atol=0.02)


def test_counterfactual_of_the_observed_arm_is_the_observed_outcome(law):
    df = linear_frame(50, seed=4)
    own = law.counterfactual(df, 1)
    np.testing.assert_array_equal(own[df["d"] == 1], df["y"][df["d"] == 1])


def test_coupling_moves_the_spread_of_effects_but_not_their_mean(law):
    control = linear_frame(500, seed=6).assign(d=0)
    control["y"] = law.sample(control, 0, random_state=3)[:, 0]

    def effects(**coupling: float) -> np.ndarray:
        return law.counterfactual(control, 1, random_state=5, **coupling) - control["y"].to_numpy()

    tied, loose = effects(treatment_strength=0.0), effects(treatment_strength=50.0)
    expected = law.cate(control).mean()
    np.testing.assert_allclose([tied.mean(), loose.mean()], expected, atol=0.1)
    assert loose.std() > 1.1 * tied.std()
    np.testing.assert_allclose(effects(correlation=1.0), tied)


@pytest.mark.parametrize("bad", [{"treatment_strength": -1.0}, {"correlation": 1.5}])
def test_bad_coupling_is_refused(law, bad):
    with pytest.raises(DataError):
        law.counterfactual(linear_frame(20), 1, **bad)


def test_end_to_end_model_learns_without_a_stack():
    model = PotentialOutcomeModel(location="none", diffusion=replace(LIGHT, n_steps=300), n_folds=3)
    law = model.fit(read(linear_frame(600)), random_state=0)
    new = linear_frame(300, seed=8)
    effect = law.cate(new)
    assert abs(effect.mean() - (1.5 + 0.5 * new["b"]).mean()) < 0.35
    assert law.report["stack_weights"] is None
    assert 0.8 < law.report["kappa"] <= END_TO_END_KAPPA


def earnings_frame(n: int = 400) -> pd.DataFrame:
    df = linear_frame(n, seed=3)
    out_of_work = np.random.default_rng(1).random(n) < 0.3
    return df.assign(y=np.where(out_of_work, 0.0, np.exp(0.4 * df["y"])))


def test_two_part_law_never_leaves_the_support():
    df = earnings_frame()
    law = light_model().fit(read(df), random_state=0)
    draws = law.sample(df, 1, 50, random_state=0)
    grid = np.linspace(*law.predictive(df, 1).support, 4001)
    mass = np.trapezoid(law.density(df[:4], 1, grid), grid, axis=1)
    assert (mass < 1.05 - law.predictive(df[:4], 1).atom_probability).all()
    positive = df["y"][df["y"] > 0]
    on = draws == 0.0
    assert 0.2 < on.mean() < 0.4
    assert draws[~on].min() >= positive.min()
    assert draws.max() <= positive.max()
    np.testing.assert_allclose(law.predictive(df, 0).cdf([-1e-9])[:, 0], 0.0)


def test_binary_outcome_gives_probabilities():
    df = linear_frame(400)
    df = df.assign(y=(df["y"] > 2.5).astype(float))
    out = light_model().cross_fit(read(df), np.arange(400) % 3, random_state=0)
    assert ((out.mean > 0) & (out.mean < 1)).all()
    assert set(np.unique(out.laws[1].sample(20, np.random.default_rng(0)))) == {0.0, 1.0}
    y, mu = df["y"].to_numpy(), out.mean[np.arange(400), df["d"]]
    assert np.mean((y - mu) ** 2) < 0.8 * y.var()


def test_weights_count_rows():
    df = linear_frame(200).assign(w=1.0)
    plain = light_model().cross_fit(read(df), np.arange(200) % 3, 0)
    weighted = CausalData(df, "d", "y", ["a", "b"], weights="w")
    same = light_model().cross_fit(weighted, np.arange(200) % 3, 0)
    np.testing.assert_allclose(plain.mean, same.mean, rtol=1e-4, atol=1e-4)


def test_saving_and_loading_is_the_identity(law, tmp_path):
    new = linear_frame(30, seed=2)
    again = PotentialOutcomeLaw.load(law.save(tmp_path / "law.cddpm"))
    np.testing.assert_array_equal(
        again.quantile(new, 1, [0.2, 0.8]), law.quantile(new, 1, [0.2, 0.8])
    )
    assert again.report == law.report


def test_the_default_stack_survives_saving(tmp_path):
    df = linear_frame(120)
    law = PotentialOutcomeModel(diffusion=LIGHT, n_folds=3).fit(read(df), random_state=0)
    again = PotentialOutcomeLaw.load(law.save(tmp_path / "law.cddpm"))
    np.testing.assert_array_equal(again.cate(df), law.cate(df))


def tampered(source, target, change) -> None:
    with zipfile.ZipFile(source) as archive:
        tree, arrays = json.loads(archive.read("model.json")), archive.read("arrays.safetensors")
    change(tree)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("model.json", json.dumps(tree))
        archive.writestr("arrays.safetensors", arrays)


HOSTILE = {
    "newer version": lambda tree: tree.update(format_version=99),
    "foreign code": lambda tree: tree["model"].update(record="os:system"),
    "not a record": lambda tree: tree["model"].update(record="causal_ddpm.core.random:stream"),
    "another record": lambda tree: tree.update(model={"list": []}),
    "missing field": lambda tree: tree["model"]["fields"].pop("part"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_damaged_or_hostile_files_are_refused(law, tmp_path, case):
    good, bad = law.save(tmp_path / "good"), tmp_path / "bad"
    tampered(good, bad, HOSTILE[case])
    with pytest.raises(ModelFileError) as refused:
        PotentialOutcomeLaw.load(bad)
    assert "\n" not in str(refused.value)


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="no model file"):
        PotentialOutcomeLaw.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ModelFileError, match="not a readable model file"):
        PotentialOutcomeLaw.load(tmp_path / "text")


@pytest.mark.parametrize("bad", [{"location": "forest"}, {"n_nodes": 1}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(DataError):
        PotentialOutcomeModel(**bad)


def test_two_folds_are_too_few_for_pairwise_residuals():
    with pytest.raises(DataError, match="at least 3"):
        light_model(n_folds=2).fit(read(linear_frame(100)), random_state=0)


def test_unknown_arm_is_refused(law):
    with pytest.raises(DataError, match="arm"):
        law.mean(linear_frame(5), 2)


# -- the small functions ------------------------------------------------------------------------


def test_kappa_is_a_clipped_slope():
    c = np.array([1.0, -2.0, 0.5])
    assert choose_kappa(0.4 * c, c, None) == pytest.approx(0.4)
    assert choose_kappa(3.0 * c, c, None) == 1.0
    assert choose_kappa(-c, c, None) == 0.0
    assert choose_kappa(c, np.zeros(3), None) == 0.0
    assert choose_kappa(1.1 * c, c, None, most=1.25) == pytest.approx(1.1)


def test_kappa_zero_keeps_the_location_as_mean():
    q = np.sort(np.random.default_rng(0).normal(1.0, 1.0, size=(4, 16)))
    m, s = np.arange(4.0), np.full(4, 2.0)
    np.testing.assert_allclose(law_nodes(m, s, q, 0.0).mean(axis=1), m)
    np.testing.assert_allclose(law_nodes(m, s, q, 1.0), m[:, None] + s[:, None] * q)


def test_support_is_kept_without_moving_the_mean():
    q = np.sort(np.random.default_rng(0).normal(1.0, 1.0, size=(50, 32)))
    inside = within_support(q, (0.0, 2.5))
    assert inside.min() >= 0.0
    assert inside.max() <= 2.5
    np.testing.assert_allclose(inside.mean(axis=1), q.mean(axis=1), atol=1e-9)


def test_atom_needs_its_share():
    y = np.concatenate([np.zeros(6), np.arange(1, 95)])
    assert find_atom(y) == 0.0
    assert find_atom(y[2:]) is None
    assert find_atom(y, np.where(y == 0, 0.1, 1.0)) is None


def test_empirical_nodes_keep_mean_and_range():
    y = np.random.default_rng(2).exponential(size=101)
    w = np.random.default_rng(3).random(101)
    nodes = empirical_nodes(y, w, 16)
    assert nodes.mean() == pytest.approx(np.average(y, weights=w))
    assert nodes.min() >= y.min()
    assert nodes.max() <= y.max()
    assert (np.diff(nodes) > 0).all()
