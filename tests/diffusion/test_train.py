"""Training: the parts of a step, members that do not feel each other, the guard."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from causal_ddpm.core.errors import ConvergenceError, ConvergenceWarning, DataError
from causal_ddpm.core.random import seed_sequence
from causal_ddpm.diffusion import train as train_module
from causal_ddpm.diffusion.batches import (
    MemberStream,
    Standardiser,
    TrainingGroup,
    check_group,
    gather,
    member_stream,
    rows_of,
)
from causal_ddpm.diffusion.conditional import DiffusionSettings, train_conditional
from causal_ddpm.diffusion.denoiser import PreconditionedDenoiser, network_input, network_target
from causal_ddpm.diffusion.fit import Cell, blocks_of, put_aside
from causal_ddpm.diffusion.network import MLP
from causal_ddpm.diffusion.runtime import ACTIVATION_FLOATS
from causal_ddpm.diffusion.train import (
    BestWeights,
    FitRecord,
    Sheet,
    _guard,
    clip_rows,
    learning_rate_at,
)

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def group(n=60, d=3, seed=0, **more):
    rng = np.random.default_rng(seed)
    x, arm = rng.standard_normal((n, d)), rng.integers(0, 2, n)
    return TrainingGroup(x, arm, rng.standard_normal(n), **more)


# -- the target -----------------------------------------------------------------------------
def test_target_is_minus_the_velocity():
    """F* = sigma v - alpha eps, and equation (1) with F* returns v exactly."""
    v, eps, tau = torch.randn(5, generator=generator()), torch.randn(5, generator=generator(1)), 0.7
    level = torch.tensor(tau)
    target = network_target(v, eps, level)
    alpha = 1 / np.sqrt(1 + tau**2)
    torch.testing.assert_close(target, tau * alpha * v - alpha * eps)
    perfect = PreconditionedDenoiser(lambda u, log_tau: target)
    torch.testing.assert_close(perfect(v + tau * eps, tau), v)


def test_zero_network_is_the_gaussian_denoiser():
    backbone = MLP(3, 2, 8)
    weights = {k: w[None] for k, w in backbone.initial(generator()).items()}
    context = backbone.encode(weights, torch.randn(1, 3, 4), torch.tensor([[0, 1, 0, 1]]))
    zero = PreconditionedDenoiser(lambda u, log_tau: backbone.head(weights, context, u, log_tau))
    v = torch.linspace(-30, 30, 20).view(1, 5, 4)
    for tau in (0.01, 1.0, 20.0):
        torch.testing.assert_close(zero(v, tau), v / (1 + tau**2))


def test_shift_reaches_the_input_only():
    v, eps, tau = torch.zeros(3), torch.ones(3), torch.tensor(2.0)
    u = network_input(v, eps, tau, torch.tensor(0.5))
    torch.testing.assert_close(u, torch.full((3,), 3 / np.sqrt(5)).float())
    seen = []
    shifted = PreconditionedDenoiser(lambda u, log_tau: seen.append(u) or torch.zeros_like(u), 0.5)
    shifted(v + tau * eps, 2.0)
    torch.testing.assert_close(seen[0], u)


# -- backbone -------------------------------------------------------------------------------
def test_shared_noise_level_equals_the_same_level_everywhere():
    backbone, G = MLP(3, 2, 8), 2
    members = [backbone.initial(generator(g)) for g in range(G)]
    weights = {k: torch.stack([m[k] for m in members]) for k in members[0]}
    weights["out.W"] = torch.randn(weights["out.W"].shape, generator=generator(5))
    context = backbone.encode(weights, torch.randn(G, 3, 4), torch.randint(0, 2, (G, 4)))
    u = torch.randn(G, 5, 4, generator=generator(6))
    one = backbone.head(weights, context, u, -0.3)
    each = backbone.head(weights, context, u, torch.full_like(u, -0.3))
    torch.testing.assert_close(one, each, atol=1e-6, rtol=1e-5)


def test_each_arm_has_a_map_of_its_own():
    """Another arm's map changes nothing; the own map does."""
    backbone = MLP(3, 3, 4)
    weights = {k: w[None] for k, w in backbone.initial(generator()).items()}
    x, arm = torch.randn(1, 3, 6, generator=generator(1)), torch.full((1, 6), 1)
    before = backbone.encode(weights, x, arm)
    for other, same in ((0, True), (1, False), (2, True)):
        touched = dict(weights, **{"arm.W": weights["arm.W"].clone()})
        touched["arm.W"][..., 4 * other : 4 * (other + 1)] += 1.0
        assert torch.equal(backbone.encode(touched, x, arm), before) == same


# -- the sheet ------------------------------------------------------------------------------
def test_sheet_splits_what_it_joins():
    weights = {
        "a.b": torch.randn(2, 3, 1),
        "a.W": torch.randn(2, 3, 4),
        "c.W": torch.randn(2, 1, 3),
    }
    sheet = Sheet.of(weights)
    theta = sheet.join(weights)
    assert theta.shape == (2, 18)
    assert sheet.n_decayed == 15
    assert torch.equal(theta[:, :12], weights["a.W"].flatten(1))
    back = sheet.split(theta)
    assert all(torch.equal(back[k], w) for k, w in weights.items())


def test_rows_are_clipped_one_by_one():
    g = torch.tensor([[3.0, 4.0], [30.0, 40.0], [float("nan"), 1.0], [float("inf"), 0.0]])
    bad = clip_rows(g)
    assert bad.tolist() == [False, False, True, True]
    torch.testing.assert_close(g, torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]))


def test_learning_rate_warms_up_and_falls_to_zero():
    rates = [learning_rate_at(i, 200, 0.01) for i in range(200)]
    assert rates[0] == pytest.approx(0.01 / 20)
    assert max(rates) < 0.01
    assert np.argmax(rates) == 19
    assert rates[-1] < 1e-5


def test_checkpoint_keeps_each_members_best():
    scores = iter([[1.0, 2.0], [0.5, 3.0], [0.7, float("nan")]])
    keep = BestWeights(lambda weights: torch.tensor(next(scores)), every=1)
    for i in range(3):
        keep.update({}, torch.full((2, 4), float(i)))
    assert keep.theta[:, 0].tolist() == [1.0, 0.0]


def test_guard():
    def record(last, skipped):
        losses = torch.ones(100, 2)
        losses[90:] = torch.tensor(last)
        return FitRecord(losses, torch.tensor(skipped))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _guard(record([0.9, 1.1], [0.0, 0.0]))
    with pytest.raises(ConvergenceError, match="diverged in 1 of 2 networks"):
        _guard(record([0.9, 2.5], [0.0, 0.0]))
    with pytest.raises(ConvergenceError, match="lower learning_rate"):
        _guard(record([0.9, float("nan")], [0.0, 0.0]))
    with pytest.raises(ConvergenceError):
        _guard(record([0.9, 0.9], [0.0, 9.0]))
    with pytest.warns(ConvergenceWarning, match="2 training steps"):
        _guard(record([0.9, 0.9], [0.0, 2.0]))


# -- rows and random numbers ----------------------------------------------------------------
def test_every_row_comes_once_an_epoch():
    chain = MemberStream(generator(), 10)
    taken = torch.cat([chain.indices(4) for _ in range(5)])
    assert sorted(taken[:10].tolist()) == list(range(10))
    assert sorted(taken[10:].tolist()) == list(range(10))


def test_uniforms_are_stratified():
    p = MemberStream(generator(), 10).uniforms(7, 4, 3)
    assert torch.equal((4 * p).floor(), torch.arange(4.0)[:, None].expand(7, 4, 3))


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
def test_mask_keeps_its_share(rate):
    mask = MemberStream(generator(), 10).mask(rate, 2, 300, 331)
    assert mask.shape == (2, 300, 331)
    assert float(mask.float().mean()) == pytest.approx(1 - rate, abs=0.005)


def test_streams_are_addressed_by_name():
    def first(*path):
        return member_stream(3, *path, n_rows=50).normals(5).tolist()

    assert first("a", 0, "train") == first("a", 0, "train")
    others = [first("b", 0, "train"), first("a", 1, "train"), first("a", 0, "init")]
    assert first("a", 0, "train") not in others


def test_rows_carry_what_they_were_given():
    g = group(weights=np.arange(60.0))
    rows = rows_of(g, Standardiser.of(g.condition), CPU)
    np.testing.assert_allclose(rows.x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(rows.x.std(0, unbiased=False), 1, atol=1e-5)
    np.testing.assert_allclose(rows.v, g.target.astype(np.float32))
    np.testing.assert_allclose(rows.w, np.arange(60) / 29.5, rtol=1e-6)
    assert rows.arm.tolist() == g.arm.tolist()
    index = torch.tensor([[1, 5], [7, 1]])
    both = gather([rows, rows], index)
    assert both.x.shape == (2, 2, 3)
    assert torch.equal(both.v[1], rows.v[index[1]])


def test_standardiser_clips_and_spares_constants():
    x = np.column_stack([np.arange(100.0), np.full(100, 3.0)])
    z = Standardiser.of(x)(np.array([[1e6, 3.0], [49.5, 3.0]]))
    assert z.tolist() == [[8.0, 0.0], [0.0, 0.0]]


REFUSED = [
    ({"condition": np.zeros((60, 2))}, r"condition has shape \(60, 2\)"),
    ({"arm": np.zeros(59, int)}, "arm"),
    ({"target": np.full(60, np.nan)}, "missing or infinite"),
    ({"arm": np.full(60, 2)}, "arm runs from 2 to 2; expected 0 to 1"),
    ({"arm": np.full(60, -1)}, "arm runs from -1"),
    ({"weights": np.zeros(60)}, "weights are missing, negative, infinite or all zero"),
    ({"weights": np.full(60, -1.0)}, "weights are missing"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_groups_are_checked(fields, words):
    g = group()
    parts = {"condition": g.condition, "arm": g.arm, "target": g.target} | fields
    with pytest.raises(DataError, match=words):
        check_group(TrainingGroup(**parts), 2, 3)


def test_tiny_groups_are_refused():
    with pytest.raises(DataError, match="7 training rows; expected at least 8"):
        check_group(group(n=7), 2, 3)


def test_groups_are_spread_evenly_over_blocks():
    rows = rows_of(group(), Standardiser.of(group().condition), CPU)
    cells = [Cell(str(k), rows, None) for k in range(5)]
    limit = 2 * ACTIVATION_FLOATS["cpu"]
    for share, sizes in ((5, [5]), (4, [3, 2]), (2, [2, 2, 1]), (0.5, [1] * 5)):
        blocks = blocks_of(cells, int(limit / share))
        assert [len(b) for b in blocks] == sizes
        assert [c.name for b in blocks for c in b] == list("01234")


# -- the guard and early stopping, in real training -------------------------------------------
QUICK = DiffusionSettings(n_steps=100, n_members=2, hidden_dim=8, batch_size=32)


@pytest.fixture
def _not_finite(monkeypatch, request):
    """The second member's loss is not a number at some steps."""
    calls, loss = [], train_module.Task.loss

    def spoilt(self, *args):
        calls.append(1)
        value = loss(self, *args)
        spoil = len(calls) % request.param == 0
        return value * torch.tensor([1.0, torch.nan if spoil else 1.0])

    monkeypatch.setattr(train_module.Task, "loss", spoilt)


@pytest.mark.parametrize("_not_finite", [40], indirect=True)
@pytest.mark.usefixtures("_not_finite")
def test_steps_without_a_gradient_are_left_out_of_one_member_only(monkeypatch):
    with pytest.warns(ConvergenceWarning, match="2 training steps"):
        spoilt = train_conditional([group(90)], QUICK, random_state=0)
    assert spoilt.report["skipped_steps"] == 2
    assert all(torch.isfinite(w).all() for w in spoilt.weights.values())
    monkeypatch.undo()
    whole = train_conditional([group(90)], QUICK, random_state=0)
    assert all(torch.equal(w[0], spoilt.weights[k][0]) for k, w in whole.weights.items())
    assert any(not torch.equal(w[1], spoilt.weights[k][1]) for k, w in whole.weights.items())


@pytest.mark.parametrize("_not_finite", [10], indirect=True)
@pytest.mark.usefixtures("_not_finite")
def test_many_steps_without_a_gradient_are_refused():
    with pytest.raises(ConvergenceError, match=r"1 of 2 networks .* 10 steps left out"):
        train_conditional([group(90)], QUICK, random_state=0)


def test_an_exploding_step_size_is_refused():
    with pytest.raises(ConvergenceError, match="lower learning_rate"):
        train_conditional([group(90)], replace(QUICK, learning_rate=10.0), random_state=0)


def test_no_row_of_another_group_is_looked_at():
    """Early stopping included: other rows in group b, the same bits in group a."""
    settings = replace(QUICK, n_steps=None, n_epochs=8)
    first, second = group(90, seed=0, name="a"), group(90, seed=1, name="b")
    other = group(90, seed=2, name="b")
    before = train_conditional([first, second], settings, random_state=0)
    after = train_conditional([first, other], settings, random_state=0)
    for k, w in before.weights.items():
        assert torch.equal(w[:2], after.weights[k][:2])
    assert before.report["best_epoch"][:2] == after.report["best_epoch"][:2]
    assert any(not torch.equal(w[2:], after.weights[k][2:]) for k, w in before.weights.items())


def test_held_out_rows_choose_the_epoch_and_train_nothing():
    """Targets of held-out rows change scores, not the path of training."""
    settings = replace(QUICK, n_steps=None, n_epochs=8)
    g = group(90)
    rows = rows_of(g, Standardiser.of(g.condition), CPU)
    fitted, held = put_aside(rows, "0", seed_sequence(0), 8)
    place = [int((rows.v == v).nonzero()[0, 0]) for v in held.v]
    assert len(held) == 13
    assert len(fitted) == 77
    target = g.target.copy()
    target[place] = 3.0
    before, after = (
        train_conditional([replace(g, target=v)], settings, random_state=0)
        for v in (g.target, target)
    )
    assert before.report["loss_trace"] == after.report["loss_trace"]
    assert before.report["held_out_loss"] != after.report["held_out_loss"]
