"""Attention: who sees whom, and the cache."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.attention import RoleAttention, _map, _norm
from causal_ddpm.diffusion.conditional import (
    ConditionalDiffusion,
    DiffusionSettings,
    TrainingGroup,
    train_conditional,
)
from causal_ddpm.diffusion.network import first_layer
from causal_ddpm.diffusion.roles import LIMIT, ColumnRoles, ConditionColumns

PLAIN = RoleAttention(4, 2, width=16, n_layers=2, dim=8, n_heads=2, roles=ColumnRoles.plain(4))
CHAIN = ((0,), (0, 1), (1, 2), (3,))  # column 1 looks at 0, column 2 at 1, column 3 at none
NETS = {
    "plain": PLAIN,
    "graph": replace(PLAIN, roles=ColumnRoles((0, 1, 2, 3), looks_at=CHAIN)),
    "shared": replace(PLAIN, roles=ColumnRoles((0, 1, 0, 1))),
    "summary": replace(PLAIN, roles=ColumnRoles((2, 0, 1, 1), 1, ((0, 1), (0, 1), (0, 1, 2)))),
    "arm head": replace(PLAIN, roles=ColumnRoles((2, 0, 1, 1), 1), has_arm_head=True),
}
G, B, M = 3, 5, 6


def generator(seed):
    return torch.Generator().manual_seed(seed)


def weights_of(net):
    """Fresh weights of three members, the last layers away from zero."""
    members = [net.initial(generator(g)) for g in range(G)]
    out = {k: torch.stack([m[k] for m in members]) for k in members[0]}
    last = [k for k in out if k in ("out.W", "arm_out.W")]
    return out | {k: torch.randn(out[k].shape, generator=generator(9)) for k in last}


@pytest.fixture(params=NETS)
def net(request):
    return NETS[request.param]


@pytest.fixture(scope="module")
def weights():
    return weights_of(PLAIN)


@pytest.fixture(scope="module")
def inputs():
    x = torch.randn(G, 4, B, generator=generator(20))
    arm = torch.randint(0, 2, (G, B), generator=generator(21))
    u, log_tau = (torch.randn(G, M, B, generator=generator(s)) for s in (22, 23))
    return x, arm, u, log_tau


def naive_tokens(net, w, x):
    """One row's X tokens before the first layer, column by column."""
    tokens = []
    for k, b in enumerate(w["column.b"][0]):
        own = [j for j, token in enumerate(net.roles.token_of) if token == k]
        tokens.append(b + sum(x[j] * w["column.W"][0, j] for j in own) / len(own) ** 0.5)
    return tokens


def naive(net, weights, x, arm, u, log_tau):
    """One noisy value at a time through plain attention over all m + 2 tokens, nothing cached."""
    m, out = net.roles.n_tokens, torch.empty_like(u)
    mask = torch.full((m + 2, m + 2), -torch.inf)
    for k, seen in enumerate(net.roles.looks_at or [range(m)] * m):
        mask[k, list(seen)] = 0.0
    mask[m, : m + 1] = 0.0
    mask[m + 1] = 0.0
    for g in range(G):
        w = {k: v[g : g + 1] for k, v in weights.items()}
        for b in range(B):
            for i in range(M):
                y = first_layer(w, u[g, i, b].view(1, 1), log_tau[g, i, b].view(1, 1))
                tokens = [*naive_tokens(net, w, x[g, :, b]), w["arm.W"][0, arm[g, b]], y[0, :, 0]]
                e = torch.stack(tokens)[None]
                for layer in range(net.n_layers):
                    q, k, v = _map(w, f"qkv{layer}", _norm(e))[0].split(net.dim, dim=-1)
                    heads = []
                    for h in range(net.n_heads):
                        part = slice(4 * h, 4 * h + 4)
                        logits = q[:, part] @ k[:, part].T / 2.0 + mask
                        heads.append(torch.softmax(logits, -1) @ v[:, part])
                    e = e + _map(w, f"o{layer}", torch.cat(heads, -1)[None])
                    hidden = torch.nn.functional.silu(_map(w, f"up{layer}", _norm(e)))
                    e = e + _map(w, f"down{layer}", hidden)
                last = torch.nn.functional.silu(_map(w, "last", _norm(e[:, -1:])))
                out[g, i, b] = _map(w, "out", last)[0, 0, 0]
    return out


def test_cached_equals_uncached(net, inputs):
    x, arm, u, log_tau = inputs
    weights = weights_of(net)
    cached = net.head(weights, net.encode(weights, x, arm), u, log_tau)
    uncached = naive(net, weights, x, arm, u, log_tau)
    torch.testing.assert_close(cached, uncached, atol=1e-5, rtol=1e-5)


def test_columns_do_not_see_the_arm(net, inputs):
    """Flipping T leaves the X encodings bit-equal, and moves the T encoding."""
    x, arm, *_ = inputs
    weights = weights_of(net)
    before, after = net.tokens(weights, x, arm), net.tokens(weights, x, 1 - arm)
    assert torch.equal(before[:, :, :-1], after[:, :, :-1])
    assert bool((before[:, :, -1] != after[:, :, -1]).any(-1).all())


def test_a_column_moves_its_descendants_only(inputs):
    """In 0 -> 1 -> 2, 3: bit-equal encodings of all but descendants, also two layers away."""
    net, descendants = NETS["graph"], {0: {0, 1, 2}, 1: {1, 2}, 2: {2}, 3: {3}}
    x, arm, *_ = inputs
    weights = weights_of(net)
    before = net.tokens(weights, x, arm)
    for j in range(4):
        moved = x.clone()
        moved[:, j] += 1.0
        changed = (net.tokens(weights, moved, arm) != before).any(-1)
        for k in range(4):
            assert bool(changed[:, :, k].all() if k in descendants[j] else ~changed[:, :, k].any())
        assert bool(changed[:, :, -1].all())  # the arm sees every column


def test_columns_of_one_token_are_embedded_linearly(inputs):
    net, x = NETS["shared"], inputs[0]
    weights = weights_of(net)
    e = net._columns(weights, x)
    W, b = weights["column.W"], weights["column.b"]
    pair = (x[:, 0, :, None] * W[:, None, 0] + x[:, 2, :, None] * W[:, None, 2]) / 2**0.5
    torch.testing.assert_close(e[:, :, 0], pair + b[:, None, 0])


def test_the_arm_is_predicted_without_the_arm_and_without_summaries(inputs):
    """Column 0 is a summary: neither it nor T moves a bit of the logits; the others do."""
    net = NETS["arm head"]
    net = replace(net, roles=replace(net.roles, looks_at=((0, 1), (0, 1), (0, 1, 2))))
    x, arm, *_ = inputs
    weights = weights_of(net)

    def logits(x, arm):
        return net.arm_logits(weights, net.encode(weights, x, arm))

    before = logits(x, arm)
    assert before.shape == (G, 2, B)
    assert torch.equal(before, logits(x, 1 - arm))
    for j, moves in enumerate((False, True, True, True)):
        moved = x.clone()
        moved[:, j] += 1.0
        assert bool((logits(moved, arm) != before).all()) == moves
    assert torch.equal(before, logits(x, arm))


def test_a_head_changes_no_other_weight(inputs):
    """With the head of the arm or without: the same initial network of the noisy value."""
    net = NETS["plain"]
    plain = net.initial(generator(0))
    more = replace(net, has_arm_head=True).initial(generator(0))
    assert all(torch.equal(plain[k], more[k]) for k in plain)
    assert set(more) - set(plain) == {
        "arm_query.W", "arm_last.W", "arm_last.b", "arm_out.W", "arm_out.b",
    }  # fmt: skip


def test_every_column_is_seen(weights, inputs):
    """Moving any column moves every X encoding and T: no attention term cancels."""
    x, arm, *_ = inputs
    before = PLAIN.tokens(weights, x, arm)
    for j in range(4):
        moved = x.clone()
        moved[:, j] += 1.0
        changed = (PLAIN.tokens(weights, moved, arm) != before).any(-1)
        assert bool(changed.all())


def test_noisy_values_see_the_arm_and_columns_but_not_each_other(weights, inputs):
    x, arm, u, log_tau = inputs
    before = PLAIN.head(weights, PLAIN.encode(weights, x, arm), u, log_tau)
    flipped = PLAIN.head(weights, PLAIN.encode(weights, x, 1 - arm), u, log_tau)
    assert bool((before != flipped).all())
    moved = u.clone()
    moved[:, 2] += 1.0
    after = PLAIN.head(weights, PLAIN.encode(weights, x, arm), moved, log_tau)
    others = [m for m in range(M) if m != 2]
    assert torch.equal(before[:, others], after[:, others])
    assert bool((before[:, 2] != after[:, 2]).all())


def test_context_never_sees_the_noisy_value(weights, inputs):
    """What is cached is a function of x and the arm alone: same bits before and after reading."""
    x, arm, u, log_tau = inputs
    context = PLAIN.encode(weights, x, arm)
    kept = context.clone()
    PLAIN.head(weights, context, 5 * u, log_tau)
    assert torch.equal(context, kept)
    assert torch.equal(context, PLAIN.encode(weights, x, arm))


def test_shared_noise_level_equals_the_same_level_everywhere(weights, inputs):
    x, arm, u, _ = inputs
    context = PLAIN.encode(weights, x, arm)
    one = PLAIN.head(weights, context, u, 0.4)
    each = PLAIN.head(weights, context, u, torch.full_like(u, 0.4))
    torch.testing.assert_close(one, each, atol=1e-5, rtol=1e-4)


def test_it_learns_a_law():
    """A binary column and the arm decide the sign of v."""
    rng = np.random.default_rng(0)
    x, arm = rng.choice([-1.0, 1.0], (800, 3)), rng.integers(0, 2, 800)
    v = 0.9 * x[:, 0] * (2 * arm - 1) + 0.4 * rng.standard_normal(800)
    settings = DiffusionSettings(
        backbone="attention", dim=16, hidden_dim=32, n_members=1, n_steps=150, batch_size=64,
        weight_decay=0.1, dropout=0.0,
    )  # fmt: skip
    fitted = train_conditional([TrainingGroup(x, arm, v)], settings, random_state=0)
    for a in (0, 1):
        means = fitted.nodes(0, x[:40], a, 16).mean(1)
        np.testing.assert_allclose(means, 0.9 * x[:40, 0] * (2 * a - 1), atol=0.25)


@pytest.mark.parametrize("fields", [{"dim": 16}, {"n_heads": 4}, {"n_layers": 1}], ids=str)
def test_every_setting_has_an_effect(fields):
    rng = np.random.default_rng(0)
    group = TrainingGroup(
        rng.standard_normal((80, 3)), rng.integers(0, 2, 80), rng.standard_normal(80)
    )
    base = {"backbone": "attention", "dim": 8, "n_members": 1, "n_steps": 20, "hidden_dim": 8}
    a, b = (
        train_conditional([group], DiffusionSettings(**f), 0).nodes(0, group.condition[:5], 1, 8)
        for f in (base, base | fields)
    )
    assert not np.array_equal(a, b)


TINY = DiffusionSettings(
    backbone="attention", dim=8, hidden_dim=8, n_members=2, n_steps=12, batch_size=32, n_draws=1
)


def small_group(name, n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x, arm = rng.standard_normal((n, d)), rng.integers(0, 2, n)
    return TrainingGroup(x, arm, x[:, 0] + rng.standard_normal(n), name=name)


def test_members_together_equal_members_apart():
    groups = [small_group("a"), small_group("b", seed=1)]
    settings = replace(TINY, column_parents={1: [0]}, arm_weight=1.0)
    together = train_conditional(groups, settings, random_state=3)
    for k, group in enumerate(groups):
        alone = train_conditional([group], settings, random_state=3)
        x = group.condition[:9]
        np.testing.assert_allclose(
            together.nodes(k, x, 1, 8), alone.nodes(0, x, 1, 8), atol=1e-5, rtol=1e-5
        )
        np.testing.assert_allclose(
            together.arm_probability(k, x), alone.arm_probability(0, x), atol=1e-5
        )


@pytest.mark.parametrize("d", [127, 500])
def test_any_number_of_columns(d):
    """More columns than tokens are no reason to refuse, and each of them is seen."""
    group = small_group("a", n=40, d=d)
    fitted = train_conditional([group], replace(TINY, n_members=1, n_steps=4), 0)
    assert fitted.backbone.roles.n_tokens == LIMIT
    x = np.zeros((3, d))
    x[1, 0], x[2, d - 1] = 3.0, 3.0
    nodes = fitted.nodes(0, x, 0, 4)
    assert np.isfinite(nodes).all()
    assert (nodes[0] != nodes[1]).any()
    assert (nodes[0] != nodes[2]).any()


def test_state_survives_json():
    """Graph, categories, summaries and the head of the arm: read back to the same bits."""
    columns = ConditionColumns(("age", "region", "m"), (0, 1, 1, 2), summaries=("m",))
    settings = replace(TINY, column_parents={"region": ["age"]}, arm_weight=1.0)
    group = small_group("a", d=4)
    fitted = train_conditional([group], settings, 0, columns=columns)
    tensors, meta = fitted.state_dict()
    again = ConditionalDiffusion.from_state(tensors, json.loads(json.dumps(meta)))
    assert again.settings == fitted.settings
    assert again.backbone == fitted.backbone
    x = group.condition[:5]
    assert np.array_equal(again.nodes(0, x, 1, 8), fitted.nodes(0, x, 1, 8))
    assert np.array_equal(again.arm_probability(0, x), fitted.arm_probability(0, x))
    meta["roles"]["token_of"] = [0, 1, 1]
    with pytest.raises(DataError, match="roles of 3 columns"):
        ConditionalDiffusion.from_state(tensors, meta)


def test_the_arm_head_finds_a_logistic_propensity():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4500, 3))
    truth = 1 / (1 + np.exp(-(0.8 * x[:, 0] - 0.6 * x[:, 1])))
    arm = (rng.random(4500) < truth).astype(int)
    settings = DiffusionSettings(
        backbone="attention", arm_weight=1.0, hidden_dim=32, n_members=1, n_steps=200,
        batch_size=128, n_draws=1, weight_decay=1.0,
    )  # fmt: skip
    fitted = train_conditional([TrainingGroup(x[:4000], arm[:4000], x[:4000, 2])], settings, 0)
    found = fitted.arm_probability(0, x[4000:])
    np.testing.assert_allclose(found.sum(1), 1.0)
    error = found[:, 1] - truth[4000:]
    assert np.sqrt(np.mean(error**2)) < 0.055  # a constant would be off by .19
    assert abs(error.mean()) < 0.03


def test_without_a_head_the_arm_cannot_be_asked_for():
    group = small_group("a")
    fitted = train_conditional([group], replace(TINY, n_steps=2), 0)
    with pytest.raises(DataError, match=r"no probability of the arm.*arm_weight=1"):
        fitted.arm_probability(0, group.condition)
