"""Devices: none of the CPU's tensors meets one of another device, and equal results on a GPU.

The first needs no GPU: torch's "meta" device holds shapes without contents, and refuses to mix.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from causal_ddpm.diffusion.batches import Draws, Rows, TrainingGroup
from causal_ddpm.diffusion.conditional import DiffusionSettings, train_conditional
from causal_ddpm.diffusion.denoiser import PreconditionedDenoiser
from causal_ddpm.diffusion.fit import backbone_of
from causal_ddpm.diffusion.forward import forward_of
from causal_ddpm.diffusion.reading import Reader
from causal_ddpm.diffusion.roles import ConditionColumns, roles_of
from causal_ddpm.diffusion.runtime import ACTIVATION_FLOATS, activation_floats
from causal_ddpm.diffusion.sampler import SAMPLERS
from causal_ddpm.diffusion.schedule import schedule_of
from causal_ddpm.diffusion.train import Sheet, Task

G, B, M, D = 2, 5, 3, 4
KINDS = {
    "mlp": DiffusionSettings(hidden_dim=8),
    "attention": DiffusionSettings(hidden_dim=8, backbone="attention", dim=8),
    "graph and head": DiffusionSettings(
        hidden_dim=8, backbone="attention", dim=8, arm_weight=1.0, column_parents={1: [0]}
    ),
    "linear": DiffusionSettings(hidden_dim=8, schedule="linear"),
    "cosine": DiffusionSettings(hidden_dim=8, schedule="cosine"),
    "flow": DiffusionSettings(hidden_dim=8, schedule="flow"),
    "direction": DiffusionSettings(
        hidden_dim=8, condition_strength=1.0, condition_noise="direction"
    ),
    "independent": DiffusionSettings(
        hidden_dim=8, condition_strength=1.0, condition_noise="independent"
    ),
}


def built(settings):
    """A backbone and weights of G members, on the CPU."""
    roles = roles_of(ConditionColumns.plain(D), settings.graph)
    backbone = backbone_of(settings, 8, roles, 2)
    members = [backbone.initial(torch.Generator().manual_seed(g)) for g in range(G)]
    return backbone, {k: torch.stack([m[k] for m in members]) for k in members[0]}


def elsewhere(*shape, dtype=torch.float32):
    return torch.empty(shape, device="meta", dtype=dtype)


def test_mixing_devices_is_an_error():
    with pytest.raises(RuntimeError, match="device"):
        elsewhere(3) + torch.ones(3)


@pytest.mark.parametrize("kind", KINDS)
def test_training_stays_on_its_device(kind):
    backbone, weights = built(KINDS[kind])
    task = Task(backbone, schedule_of(KINDS[kind]), forward_of(KINDS[kind]), KINDS[kind].arm_weight)
    sheet = Sheet.of(weights)
    columns = sum(w[0].numel() for w in weights.values())
    theta = elsewhere(G, columns).requires_grad_()
    mask = elsewhere(G, *backbone.mask_shape(B))
    draws = Draws(elsewhere(G, B, dtype=torch.int64), elsewhere(G, M, B), elsewhere(G, M, B), mask)
    loss = task.loss(sheet.split(theta), Rows(elsewhere(G, B, D + 3)), draws)
    (gradient,) = torch.autograd.grad(loss.sum(), theta)
    assert loss.device.type == gradient.device.type == "meta"


@pytest.mark.parametrize("kind", ["mlp", "attention", "graph and head"])
@pytest.mark.parametrize("sampler", ["adams", "dpmpp", "heun", "ddim"])
def test_reading_stays_on_its_device(kind, sampler):
    backbone, weights = built(KINDS[kind])
    own = {k: elsewhere(*w.shape) for k, w in weights.items()}
    context = backbone.encode(own, elsewhere(G, D, B), elsewhere(G, B, dtype=torch.int64))
    denoiser = PreconditionedDenoiser(lambda u, s: backbone.head(own, context, u, s), 0.0)
    flow = SAMPLERS[sampler]
    reader = Reader(denoiser, flow, flow.levels(5), G)
    read = [reader.decode(elsewhere(B, 3)), reader.encode(elsewhere(B, 3))]
    assert all(q.device.type == "meta" for q in read)


# -- chunks ---------------------------------------------------------------------------------
def test_chunks_on_a_processor_fit_its_cache():
    assert activation_floats(torch.device("cpu")) == 2**18


def test_chunks_on_a_gpu_follow_its_free_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    found = []
    for free in (2**28, 2**33, 2**36):
        found.append(4 * activation_floats(torch.device("cuda")) / free)
    assert found == [1 / 64, 1 / 64, 1 / 64]
    free = 0
    assert activation_floats(torch.device("cuda")) == ACTIVATION_FLOATS["cpu"]


# -- with a GPU -----------------------------------------------------------------------------
@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS)
def test_cpu_and_gpu_agree(kind):
    """The same random numbers on both: weights after training, and readings, within float32."""
    rng = np.random.default_rng(0)
    x, arm = rng.standard_normal((400, D)), rng.integers(0, 2, 400)
    groups = [TrainingGroup(x, arm, rng.standard_normal(400), name=name) for name in "ab"]
    short = replace(KINDS[kind], n_steps=30, n_members=2, device="cpu")
    cpu, gpu = (
        train_conditional(groups, replace(short, device=device), random_state=0)
        for device in ("cpu", "cuda")
    )
    assert gpu.report["device"].startswith("cuda")
    for name, w in cpu.weights.items():
        torch.testing.assert_close(gpu.weights[name].cpu(), w, atol=2e-3, rtol=2e-2)
    moved = replace(cpu, weights={k: w.cuda() for k, w in cpu.weights.items()})
    for a in (0, 1):
        read = moved.nodes(1, x[:50], a, 32)
        np.testing.assert_allclose(read, cpu.nodes(1, x[:50], a, 32), atol=1e-4)
        np.testing.assert_allclose(moved.encode(0, x[:9], a, read[:9]),
                                   cpu.encode(0, x[:9], a, read[:9]), atol=1e-3)  # fmt: skip


@pytest.mark.gpu
def test_a_training_is_resumed_on_its_gpu(tmp_path):
    rng = np.random.default_rng(0)
    group = TrainingGroup(
        rng.standard_normal((90, D)), rng.integers(0, 2, 90), rng.standard_normal(90)
    )
    settings = DiffusionSettings(n_steps=64, hidden_dim=8, device="cuda")
    kept = replace(settings, checkpoint_dir=str(tmp_path / "kept"))
    whole = train_conditional([group], settings, random_state=0)
    for _ in range(2):
        again = train_conditional([group], kept, random_state=0)
        for name, w in whole.weights.items():
            torch.testing.assert_close(again.weights[name], w, atol=1e-5, rtol=1e-4)
