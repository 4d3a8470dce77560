"""The conditional diffusion as a whole: laws, equalities, refusals, round trips."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.diffusion.batches import Standardiser
from causal_ddpm.diffusion.conditional import (
    ConditionalDiffusion,
    DiffusionSettings,
    TrainingGroup,
    train_conditional,
)
from causal_ddpm.diffusion.network import MLP
from causal_ddpm.diffusion.runtime import ACTIVATION_FLOATS

QUICK = DiffusionSettings(n_steps=40, n_members=2, hidden_dim=16, batch_size=64)
U = (np.arange(32) + 0.5) / 32
Z = norm.ppf(U)


def bimodal(n, seed, name=None):
    """v has two modes whose weights depend on x_0 under arm 1; one mode under arm 0."""
    rng = np.random.default_rng(seed)
    x, arm = rng.standard_normal((n, 4)), rng.integers(0, 2, n)
    sign = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * x[:, 0])), 1.0, -1.0)
    v = np.where(arm == 1, 0.9 * sign + 0.3 * rng.standard_normal(n), rng.standard_normal(n))
    return TrainingGroup(x, arm, v, name=name)


def zeroed(model):
    weights = {
        k: torch.zeros_like(w) if k.startswith("out") else w for k, w in model.weights.items()
    }
    return replace(model, weights=weights)


@pytest.fixture(scope="module")
def groups():
    return [bimodal(300, 0, "a"), bimodal(260, 1, "b"), bimodal(280, 2, "c")]


@pytest.fixture(scope="module")
def model(groups):
    return train_conditional(groups, QUICK, random_state=3)


@pytest.fixture(scope="module")
def good():
    """One group trained long enough to have learnt the law."""
    settings = DiffusionSettings(n_members=2, hidden_dim=32, n_steps=400, weight_decay=0.5)
    return train_conditional([bimodal(3000, 5)], settings, random_state=0)


# -- what it reads --------------------------------------------------------------------------
def test_zero_network_is_exactly_the_gaussian(model, groups):
    q = zeroed(model).nodes(0, groups[0].condition[:20], 1, 32)
    np.testing.assert_allclose(q, np.tile(Z, (20, 1)), atol=1e-3)
    np.testing.assert_allclose(q.mean(1), 0, atol=1e-5)


def test_law_is_learnt(good):
    """Two modes with the right weights under arm 1, a Gaussian under arm 0."""
    x = np.zeros((3, 4))
    x[:, 0] = [-1.0, 0.0, 1.0]
    q1, q0 = good.nodes(0, x, 1, 128), good.nodes(0, x, 0, 128)
    weight = 1 / (1 + np.exp(-2 * x[:, 0]))
    np.testing.assert_allclose((q1 > 0).mean(1), weight, atol=0.1)
    np.testing.assert_allclose(np.abs(q1).mean(1), 0.9, atol=0.12)
    assert (np.abs(q1) < 0.3).mean() < 0.12
    np.testing.assert_allclose(
        q0, np.tile(norm.ppf((np.arange(128) + 0.5) / 128), (3, 1)), atol=0.45
    )
    assert np.abs(q0.std(1) - 1).max() < 0.2


def test_no_quantile_crosses(good):
    x = np.random.default_rng(9).standard_normal((50, 4))
    assert good.report["crossing_share"] == 0.0
    assert [good.crossing_share(0, x, arm) for arm in (0, 1)] == [0.0, 0.0]


def test_values_rise_with_latents(model, groups):
    x = groups[1].condition[:30]
    assert (np.diff(model.nodes(1, x, 0, 64), axis=1) >= 0).all()
    swapped = model.transport(1, x, 0, Z[::-1].copy())
    np.testing.assert_array_equal(np.sort(swapped, axis=1), model.transport(1, x, 0, Z))


@pytest.mark.parametrize("arm", [0, 1])
def test_encode_returns_the_latents(good, arm):
    x = np.random.default_rng(1).standard_normal((40, 4))
    z = np.random.default_rng(2).standard_normal((40, 5)).clip(-2.5, 2.5)
    back = good.encode(0, x, arm, good.transport(0, x, arm, z))
    np.testing.assert_allclose(back, z, atol=0.01)


def test_density_is_the_derivative_of_the_distribution(good):
    """Integrates to one, and up to v it integrates to Phi(encode(v))."""
    x = np.random.default_rng(4).standard_normal((20, 4))
    grid = np.linspace(-4, 4, 801)
    for arm in (0, 1):
        p = good.density(0, x, arm, grid)
        mass = np.cumsum(p, axis=1) * (grid[1] - grid[0])
        np.testing.assert_allclose(mass[:, -1], 1.0, atol=2e-3)
        below = norm.cdf(good.encode(0, x, arm, grid[200:601:50]))
        np.testing.assert_allclose(mass[:, 200:601:50], below, atol=0.01)


def test_density_of_a_zero_network_is_normal(model, groups):
    v = np.linspace(-3, 3, 13)
    p = zeroed(model).density(0, groups[0].condition[:5], 1, v)
    np.testing.assert_allclose(p, np.tile(norm.pdf(v), (5, 1)), atol=1e-3)


def test_density_sees_both_modes(good):
    grid = np.linspace(-2, 2, 81)
    p = good.density(0, np.zeros((1, 4)), 1, grid)[0]
    truth = 0.5 * (norm.pdf(grid, -0.9, 0.3) + norm.pdf(grid, 0.9, 0.3))
    assert np.abs(p - truth).mean() < 0.06
    assert p[40] < 0.1
    assert min(p[:40].max(), p[41:].max()) > 0.45


def test_few_levels_agree_with_many(good):
    x = np.random.default_rng(3).standard_normal((40, 4))
    twenty, many = good.reading(n_steps=20), good.reading(n_steps=200)
    for arm in (0, 1):
        few, fine = twenty.nodes(0, x, arm, 32), many.nodes(0, x, arm, 32)
        assert np.abs(few - fine).max() < 0.02
    heun = good.reading("heun", 60)
    np.testing.assert_allclose(heun.nodes(0, x, 1, 32), good.nodes(0, x, 1, 32), atol=0.03)


def test_ancestral_samples_follow_the_law_that_is_read(good):
    chain = replace(good.settings, sampler="ddpm", schedule="linear", diffusion_steps=300)
    x = np.zeros((1, 4))
    draws = replace(good, settings=chain).sample(0, x, 1, 4000, random_state=0)[0]
    flow = good.sample(0, x, 1, 4000, random_state=0)[0]
    read = good.nodes(0, x, 1, 256)[0]
    for sample in (draws, flow):
        assert np.abs(np.quantile(sample, (np.arange(256) + 0.5) / 256) - read).mean() < 0.05


def test_samples_are_repeatable(model, groups):
    x = groups[0].condition[:5]
    first = model.sample(0, x, 1, 7, random_state=4)
    assert first.shape == (5, 7)
    np.testing.assert_array_equal(first, model.sample(0, x, 1, 7, random_state=4))
    assert (first != model.sample(0, x, 1, 7, random_state=5)).all()


# -- equalities -----------------------------------------------------------------------------
def test_same_seed_same_bits(groups, model):
    again = train_conditional(groups, QUICK, random_state=3)
    assert all(torch.equal(again.weights[k], w) for k, w in model.weights.items())
    other = train_conditional(groups, QUICK, random_state=4)
    assert any(not torch.equal(other.weights[k], w) for k, w in model.weights.items())


@pytest.mark.parametrize("backbone", ["mlp", "attention"])
def test_a_group_does_not_feel_the_others(groups, backbone):
    settings = replace(QUICK, backbone=backbone, dim=8)
    together = train_conditional(groups, settings, random_state=3)
    alone = train_conditional(groups[1:2], settings, random_state=3)
    x = groups[1].condition[:20]
    np.testing.assert_allclose(together.nodes(1, x, 1, 16), alone.nodes(0, x, 1, 16), atol=1e-5)


def test_members_do_not_feel_each_other(groups):
    """The second of two members alone: its own weights come out."""
    two = train_conditional(groups[:1], QUICK, random_state=3)
    three = train_conditional(groups[:1], replace(QUICK, n_members=3), random_state=3)
    for k, w in two.weights.items():
        torch.testing.assert_close(three.weights[k][:2], w, atol=1e-4, rtol=1e-3)


@dataclass(frozen=True)
class Spy(MLP):
    """The backbone, remembering the largest activation of its head."""

    floats: list[int] = field(default_factory=list)

    def head(self, weights, context, u, log_tau):
        self.floats.append(u.numel() * self.node_floats)
        return super().head(weights, context, u, log_tau)


def test_memory_is_bounded_in_rows_and_in_values(model, groups):
    """However many rows, nodes or draws, one activation holds at most a chunk."""
    b = model.backbone
    spy = Spy(b.n_columns, b.n_arms, b.width, b.n_layers)
    watched = replace(model, backbone=spy)
    x = np.repeat(groups[0].condition, 8, axis=0)
    watched.nodes(0, x, 1, 64)
    watched.reading(n_steps=3).sample(0, x[:2], 1, 20_000, random_state=0)
    watched.density(0, x[:64], 1, np.linspace(-2, 2, 50))
    assert max(spy.floats) <= ACTIVATION_FLOATS["cpu"]


def test_many_values_of_a_row_are_read_in_blocks(model, groups):
    z = np.linspace(-3, 3, 10_000)
    whole = model.transport(0, groups[0].condition[:2], 1, z)
    some = model.transport(0, groups[0].condition[:2], 1, z[::997])
    np.testing.assert_allclose(whole[:, ::997], some, atol=1e-5)


def test_another_reading_of_the_same_networks(model, groups):
    x = groups[0].condition[:5]
    heun = model.reading("heun", n_steps=40)
    assert (heun.settings.sampler, heun.settings.n_sampling_steps) == ("heun", 40)
    assert heun.reading("ddpm").settings.n_sampling_steps is None
    assert heun.reading(n_steps=50).settings.sampler == "heun"
    np.testing.assert_allclose(heun.nodes(0, x, 1, 8), model.nodes(0, x, 1, 8), atol=0.02)
    with pytest.raises(DataError, match="sampler is 'euler'"):
        model.reading("euler")


def test_chunks_do_not_matter(model, groups):
    x = np.repeat(groups[0].condition[:100], 12, axis=0)
    whole = model.nodes(0, x, 1, 32)
    np.testing.assert_allclose(
        whole[::12], model.nodes(0, groups[0].condition[:100], 1, 32), atol=1e-5
    )


def test_weights_count_as_copies():
    """Rows of weight zero do not matter, whatever they hold."""
    g = bimodal(200, 0)
    w = np.where(np.arange(200) < 120, 1.0, 0.0)
    spoilt = np.where(w > 0, g.target, 50.0)
    a = train_conditional([replace(g, weights=w)], QUICK, random_state=0)
    b = train_conditional([replace(g, weights=w, target=spoilt)], QUICK, random_state=0)
    x = g.condition[:10]
    np.testing.assert_array_equal(a.nodes(0, x, 0, 8), b.nodes(0, x, 0, 8))


def test_saving_and_loading_is_the_identity(model, groups, tmp_path):
    back = ConditionalDiffusion.load(model.save(tmp_path / "model"))
    x = groups[2].condition[:10]
    np.testing.assert_array_equal(back.nodes(2, x, 1, 8), model.nodes(2, x, 1, 8))
    assert back.report == model.report


def test_state_round_trip(model, groups):
    tensors, meta = model.state_dict()
    back = ConditionalDiffusion.from_state(tensors, json.loads(json.dumps(meta)))
    x = groups[2].condition[:10]
    np.testing.assert_array_equal(back.nodes(2, x, 1, 8), model.nodes(2, x, 1, 8))
    assert back.report == json.loads(json.dumps(model.report))


# -- settings have effect -------------------------------------------------------------------
def test_epochs_keep_the_best_checkpoint(groups):
    settings = replace(QUICK, n_steps=None, n_epochs=6, learning_rate=0.03)
    fitted = train_conditional(groups, settings, random_state=0)
    report = fitted.report
    largest = len(groups[0]) - int(0.15 * len(groups[0]))
    assert report["n_steps"] == 6 * -(-largest // 64)
    assert len(report["best_epoch"]) == 6
    assert all(1 <= e <= 6 for e in report["best_epoch"])
    assert len(report["held_out_loss"]) == 6


EFFECTS = [
    {"n_layers": 3}, {"dropout": 0.5}, {"learning_rate": 0.001}, {"weight_decay": 0.0},
    {"n_draws": 2}, {"loss_target": "noise"}, {"loss_target": "velocity"},
    {"schedule": "linear"}, {"schedule": "cosine"}, {"schedule": "flow"},
    {"schedule": "linear", "beta_end": 0.05}, {"schedule": "linear", "diffusion_steps": 200},
    {"condition_strength": 1.0, "condition_noise": "direction"},
    {"condition_strength": 1.0, "condition_noise": "independent"},
    {"sampler": "heun"}, {"sampler": "ddim"}, {"sampler": "dpmpp"}, {"n_sampling_steps": 9},
]  # fmt: skip


@pytest.mark.parametrize("fields", EFFECTS, ids=str)
def test_every_setting_has_an_effect(groups, model, fields):
    changed = train_conditional(groups[:1], replace(QUICK, **fields), random_state=3)
    x = groups[0].condition[:10]
    assert not np.array_equal(changed.nodes(0, x, 1, 8), model.nodes(0, x, 1, 8))


def test_coupling_leaves_each_law_alone(groups, model):
    changed = train_conditional(groups[:1], replace(QUICK, condition_strength=2.0), random_state=3)
    x = groups[0].condition[:10]
    np.testing.assert_allclose(changed.nodes(0, x, 1, 8), model.nodes(0, x, 1, 8), atol=1e-5)


def test_three_arms():
    rng = np.random.default_rng(0)
    x, arm = rng.standard_normal((600, 2)), rng.integers(0, 3, 600)
    v = 0.9 * (arm - 1.0) + 0.3 * rng.standard_normal(600)
    settings = replace(QUICK, n_steps=200, weight_decay=0.5)
    fitted = train_conditional([TrainingGroup(x, arm, v)], settings, random_state=0, n_arms=3)
    means = [fitted.nodes(0, x[:50], a, 32).mean() for a in range(3)]
    np.testing.assert_allclose(means, [-0.9, 0, 0.9], atol=0.2)


def test_report_and_progress(groups):
    told = []
    fitted = train_conditional(
        groups, QUICK, 0, progress=lambda stage, share: told.append((stage, share))
    )
    assert {stage for stage, _ in told} == {"diffusion"}
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    report = fitted.report
    assert report["device"] in ("cpu", "cuda")
    assert len(report["final_loss"]) == 6
    assert report["n_steps"] == 40
    assert 0 < report["cpu_seconds"] < 60
    assert 0.5 < report["loss_trace"][0] < 2


# -- refusals -------------------------------------------------------------------------------
def test_divergence_is_refused(groups):
    with pytest.raises(ConvergenceError, match="lower learning_rate"):
        train_conditional(groups, replace(QUICK, learning_rate=10.0, n_steps=100), random_state=0)


def test_values_that_are_not_finite_are_never_returned(model, groups):
    broken = {k: w * float("nan") if k == "out.b" else w for k, w in model.weights.items()}
    with pytest.raises(ConvergenceError, match="not finite"):
        replace(model, weights=broken).nodes(0, groups[0].condition[:3], 0, 4)


def test_no_groups():
    with pytest.raises(DataError, match="no groups"):
        train_conditional([], QUICK)


READS = [
    (lambda m, x: m.nodes(3, x, 0, 8), "group is 3; expected 0 to 2"),
    (lambda m, x: m.nodes(0, x, 2, 8), "arm is 2; expected 0 to 1"),
    (lambda m, x: m.nodes(0, x[:, :2], 0, 8), "condition has shape"),
    (lambda m, x: m.nodes(0, x * np.nan, 0, 8), "missing or infinite"),
    (lambda m, x: m.nodes(0, x, 0, 0), "n_nodes is 0"),
    (lambda m, x: m.density(0, x, 0, np.zeros(3), n_nodes=1), "n_nodes is 1"),
    (lambda m, x: m.density(0, x, 0, np.full(3, np.nan)), "missing or infinite"),
    (lambda m, x: m.transport(0, x, 0, np.zeros((2, 3))), "the values have shape"),
    (lambda m, x: m.encode(0, x, 0, np.full(3, np.inf)), "missing or infinite"),
]


@pytest.mark.parametrize(("call", "words"), READS)
def test_readings_are_checked(model, groups, call, words):
    with pytest.raises(DataError, match=words):
        call(model, groups[0].condition[:5])


STATES = [
    (lambda t, m: m.update(format_version=9), "format_version is 9"),
    (lambda t, m: t.pop("weights/out.W"), "weights missing or unknown: out.W"),
    (lambda t, m: t.pop("standardiser/sd"), "no standardiser"),
    (lambda t, m: t.update({"weights/out.W": torch.zeros(6, 2, 16)}), "'out.W' has shape"),
    (lambda t, m: t.update({"weights/out.b": torch.full((6, 1, 1), torch.nan)}), "not finite"),
    (lambda t, m: t.update({"weights/out.b": torch.zeros(5, 1, 1)}), r"members; expected"),
]


@pytest.mark.parametrize(("spoil", "words"), STATES)
def test_spoilt_states_are_refused(model, spoil, words):
    tensors, meta = model.state_dict()
    spoil(tensors, meta)
    with pytest.raises(DataError, match=words):
        ConditionalDiffusion.from_state(tensors, meta)


def with_weight(model, name, value):
    return replace(model, weights={**model.weights, name: value})


MISFITS = [
    (lambda m: replace(m, weights=dict(list(m.weights.items())[1:])), "weights missing or unknown"),
    (lambda m: with_weight(m, "out.W", torch.zeros(6, 2, 16)), "'out.W' has shape"),
    (lambda m: replace(m, standardisers=()), "not the settings' own"),
    (lambda m: replace(m, settings=replace(m.settings, n_layers=3)), "not the settings' own"),
    (lambda m: replace(m, standardisers=(Standardiser(np.zeros(3), np.ones(3)),) * 3), "shape"),
    (lambda m: replace(m, standardisers=(Standardiser(np.zeros(4), np.zeros(4)),) * 3), "positive"),
]


@pytest.mark.parametrize(("spoil", "words"), MISFITS)
def test_parts_that_do_not_fit_are_refused(model, spoil, words):
    with pytest.raises(DataError, match=words):
        spoil(model).check_parts()


def test_sizes_without_weights_are_refused_before_memory_is_asked_for(model):
    settings, huge = replace(model.settings, hidden_dim=10**9), replace(model.backbone, width=10**9)
    with pytest.raises(DataError, match="sizes that its weights have"):
        replace(model, settings=settings, backbone=huge).check_parts()
