"""Settings refuse in sentences; the recipe fills in the rest."""

import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.settings import DiffusionSettings, default_steps, departures, recipe

REFUSED = [
    ({"n_members": 0}, "n_members is 0; expected a whole number"),
    ({"hidden_dim": 3.5}, "hidden_dim is 3.5"),
    ({"n_layers": True}, "n_layers is True"),
    ({"dropout": 1.0}, "dropout is 1.0; expected a share"),
    ({"dropout": float("nan")}, "dropout is nan"),
    ({"learning_rate": 0}, "learning_rate is 0; expected a positive number"),
    ({"weight_decay": -1}, "weight_decay is -1"),
    ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
    ({"n_steps": 10, "n_epochs": 2}, "both n_steps and n_epochs"),
    ({"schedule": "sigmoid"}, "schedule is 'sigmoid'; expected one of edm, linear, cosine, flow"),
    ({"sampler": "euler"}, "sampler is 'euler'"),
    ({"backbone": "unet"}, "backbone is 'unet'"),
    ({"condition_noise": "both"}, "condition_noise is 'both'"),
    ({"condition_strength": -0.1}, "condition_strength is -0.1"),
    ({"beta_start": 0.02, "beta_end": 0.01}, "beta_start below beta_end"),
    ({"n_sampling_steps": 1}, "n_sampling_steps is 1"),
    ({"diffusion_steps": 1}, "diffusion_steps is 1"),
    ({"backbone": "attention", "dim": 30, "n_heads": 4}, "a dim that n_heads divides"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[str(f) for f, _ in REFUSED])
def test_refusals(fields, words):
    with pytest.raises(DataError) as caught:
        DiffusionSettings(**fields)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("n", "members", "steps", "decay", "dropout", "width"),
    [
        (100, 2, 250, 10.0, 0.2, 32),
        (800, 2, 250, 3.75, 0.2, 32),
        (1600, 2, 600, 1.875, 0.2, 32),
        (80_000, 1, 3000, 0.1, 0.1, 64),
        (10**6, 1, 3000, 0.1, 0.1, 64),
    ],
)
def test_recipe(n, members, steps, decay, dropout, width):
    r = recipe(n, DiffusionSettings())
    assert (r.n_members, r.n_steps, r.hidden_dim) == (members, steps, width)
    assert r.weight_decay == pytest.approx(decay)
    assert r.dropout == dropout
    assert r.batch_size == min(256, n)
    assert r.n_draws == (4 if n < 1_500 else 2 if n < 100_000 else 8)
    assert r.steps_per_epoch is None


def test_given_values_are_honoured():
    given = {
        "n_members": 2, "hidden_dim": 16, "dropout": 0.0, "learning_rate": 0.02,
        "weight_decay": 0.0, "batch_size": 64, "n_steps": 10,
    }  # fmt: skip
    r = recipe(500, DiffusionSettings(**given))
    assert {k: getattr(r, k) for k in given} == given


def test_epochs_become_steps():
    r = recipe(1000, DiffusionSettings(n_epochs=7, batch_size=32))
    assert (r.n_steps, r.steps_per_epoch) == (7 * 32, 32)


def test_batch_is_bounded_by_the_smallest_group():
    assert recipe(1000, DiffusionSettings(), smallest=90).batch_size == 90


def test_steps_rise_with_n():
    steps = [default_steps(n) for n in (50, 1000, 1300, 1600, 5000, 20_000, 80_000, 10**6)]
    assert steps == sorted(steps)


def test_departures_name_what_differs():
    assert departures(1000, DiffusionSettings()) == {}
    found = departures(1000, DiffusionSettings(n_epochs=100, batch_size=32))
    assert found == {"batch_size": (32, 256), "n_steps": (3200, 250)}


@pytest.mark.parametrize(("d", "factor"), [(1, 1.0), (20, 1.0), (60, 3.0), (200, 10.0)])
@pytest.mark.parametrize("backbone", ["mlp", "attention"])
def test_wide_conditions_are_shrunk_more(d, factor, backbone):
    settings = DiffusionSettings(backbone=backbone)
    narrow = recipe(1000, settings).weight_decay
    assert recipe(1000, settings, n_columns=d).weight_decay == pytest.approx(factor * narrow)
