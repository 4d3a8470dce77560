"""Attention: who sees whom, and the cache."""

import numpy as np
import pytest
import torch

from causal_ddpm.diffusion.attention import RoleAttention, _map, _norm
from causal_ddpm.diffusion.conditional import DiffusionSettings, TrainingGroup, train_conditional
from causal_ddpm.diffusion.network import first_layer
from causal_ddpm.diffusion.roles import ColumnRoles

NET = RoleAttention(4, 2, width=16, n_layers=2, dim=8, n_heads=2, roles=ColumnRoles.plain(4))
G, B, M = 3, 5, 6


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def weights():
    members = [NET.initial(generator(g)) for g in range(G)]
    out = {k: torch.stack([m[k] for m in members]) for k in members[0]}
    return out | {"out.W": torch.randn(G, 1, 16, generator=generator(9))}


@pytest.fixture(scope="module")
def inputs():
    x = torch.randn(G, 4, B, generator=generator(20))
    arm = torch.randint(0, 2, (G, B), generator=generator(21))
    u, log_tau = (torch.randn(G, M, B, generator=generator(s)) for s in (22, 23))
    return x, arm, u, log_tau


def naive(weights, x, arm, u, log_tau):
    """One noisy value at a time through plain attention over all d + 2 tokens, nothing cached."""
    d, out = NET.n_columns, torch.empty_like(u)
    mask = torch.zeros(d + 2, d + 2)
    mask[:d, d:] = -torch.inf
    mask[d, d + 1] = -torch.inf
    for g in range(G):
        w = {k: v[g : g + 1] for k, v in weights.items()}
        for b in range(B):
            for m in range(M):
                y = first_layer(w, u[g, m, b].view(1, 1), log_tau[g, m, b].view(1, 1))
                e = torch.cat([
                    x[g, :, b, None] * w["column.W"][0] + w["column.b"][0],
                    w["arm.W"][0, arm[g, b]][None], y[0].T,
                ])[None]  # fmt: skip
                for i in range(NET.n_layers):
                    q, k, v = _map(w, f"qkv{i}", _norm(e))[0].split(NET.dim, dim=-1)
                    heads = []
                    for h in range(NET.n_heads):
                        part = slice(4 * h, 4 * h + 4)
                        logits = q[:, part] @ k[:, part].T / 2.0 + mask
                        heads.append(torch.softmax(logits, -1) @ v[:, part])
                    e = e + _map(w, f"o{i}", torch.cat(heads, -1)[None])
                    hidden = torch.nn.functional.silu(_map(w, f"up{i}", _norm(e)))
                    e = e + _map(w, f"down{i}", hidden)
                last = torch.nn.functional.silu(_map(w, "last", _norm(e[:, -1:])))
                out[g, m, b] = _map(w, "out", last)[0, 0, 0]
    return out


def test_cached_equals_uncached(weights, inputs):
    x, arm, u, log_tau = inputs
    cached = NET.head(weights, NET.encode(weights, x, arm), u, log_tau)
    torch.testing.assert_close(cached, naive(weights, x, arm, u, log_tau), atol=1e-5, rtol=1e-5)


def test_columns_do_not_see_the_arm(weights, inputs):
    """Flipping T leaves the X encodings bit-equal, and moves the T encoding."""
    x, arm, *_ = inputs
    before, after = NET.tokens(weights, x, arm), NET.tokens(weights, x, 1 - arm)
    assert torch.equal(before[:, :, :-1], after[:, :, :-1])
    assert bool((before[:, :, -1] != after[:, :, -1]).any(-1).all())


def test_every_column_is_seen(weights, inputs):
    """Moving any column moves every X encoding and T: no attention term cancels."""
    x, arm, *_ = inputs
    before = NET.tokens(weights, x, arm)
    for j in range(4):
        moved = x.clone()
        moved[:, j] += 1.0
        changed = (NET.tokens(weights, moved, arm) != before).any(-1)
        assert bool(changed.all())


def test_noisy_values_see_the_arm_and_columns_but_not_each_other(weights, inputs):
    x, arm, u, log_tau = inputs
    before = NET.head(weights, NET.encode(weights, x, arm), u, log_tau)
    flipped = NET.head(weights, NET.encode(weights, x, 1 - arm), u, log_tau)
    assert bool((before != flipped).all())
    moved = u.clone()
    moved[:, 2] += 1.0
    after = NET.head(weights, NET.encode(weights, x, arm), moved, log_tau)
    others = [m for m in range(M) if m != 2]
    assert torch.equal(before[:, others], after[:, others])
    assert bool((before[:, 2] != after[:, 2]).all())


def test_context_never_sees_the_noisy_value(weights, inputs):
    """What is cached is a function of x and the arm alone: same bits before and after reading."""
    x, arm, u, log_tau = inputs
    context = NET.encode(weights, x, arm)
    kept = context.clone()
    NET.head(weights, context, 5 * u, log_tau)
    assert torch.equal(context, kept)
    assert torch.equal(context, NET.encode(weights, x, arm))


def test_shared_noise_level_equals_the_same_level_everywhere(weights, inputs):
    x, arm, u, _ = inputs
    context = NET.encode(weights, x, arm)
    one = NET.head(weights, context, u, 0.4)
    each = NET.head(weights, context, u, torch.full_like(u, 0.4))
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
