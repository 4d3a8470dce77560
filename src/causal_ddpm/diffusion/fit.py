r"""From groups of rows to trained weights and a report.

Group k trains E members on its own rows. When the length of training is given in epochs, 15 % of
each group's own rows (2000 at most) are put aside, scored after every epoch under fixed noise, and
each member keeps the weights that scored best; no row of another group is looked at.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.diffusion.attention import RoleAttention
from causal_ddpm.diffusion.batches import (
    Draws,
    MemberStream,
    Rows,
    Standardiser,
    draw_steps,
    member_stream,
)
from causal_ddpm.diffusion.checkpoint import CheckpointFile, fingerprint
from causal_ddpm.diffusion.forward import forward_of
from causal_ddpm.diffusion.network import MLP, Backbone, Weights, check_weights
from causal_ddpm.diffusion.roles import ColumnRoles, ConditionColumns, roles_of
from causal_ddpm.diffusion.runtime import ACTIVATION_FLOATS
from causal_ddpm.diffusion.schedule import schedule_of
from causal_ddpm.diffusion.settings import DiffusionSettings, Recipe, departures, recipe
from causal_ddpm.diffusion.train import BestWeights, FitRecord, Task, train

_HELD_OUT_SHARE, _HELD_OUT_MAX, _TRACE = 0.15, 2000, 20


def fit_members(
    rows: Sequence[Rows],
    names: Sequence[str],
    seed: Seed,
    settings: DiffusionSettings,
    n_arms: int,
    progress: Callable[[float], None],
    columns: ConditionColumns | None = None,
) -> tuple[Backbone, Weights, dict[str, Any]]:
    """Train every group's members; returns the backbone, the weights and a report.

    Parameters
    ----------
    rows : sequence of Rows, one a group
    names : sequence of str
        Address the random numbers.
    seed : Seed
    settings : DiffusionSettings
    n_arms : int
    progress : callable
        Called with the share of steps done.
    columns : ConditionColumns, optional
        By default every column is one of its own.
    """  # fmt: skip
    started, cpu = time.perf_counter(), time.process_time()
    parts = [put_aside(r, n, seed, settings.n_epochs) for r, n in zip(rows, names, strict=True)]
    sizes = [len(fitted) for fitted, _ in parts]
    plan = recipe(max(sizes), settings, min(sizes), rows[0].x.shape[1])
    roles = roles_of(columns or ConditionColumns.plain(rows[0].x.shape[1]), settings.graph)
    backbone = backbone_of(settings, plan.hidden_dim, roles, n_arms)
    noise = schedule_of(settings), forward_of(settings)
    task = Task(backbone, *noise, settings.arm_weight, settings.loss_target)
    cells = [Cell(n, *p) for n, p in zip(names, parts, strict=True)]
    per_group = plan.n_members * plan.batch_size * plan.n_draws * backbone.node_floats
    blocks = blocks_of(cells, per_group)
    weights, records = [], []
    for i, block in enumerate(blocks):

        def tell(share: float, done: int = i) -> None:
            progress((done + share) / len(blocks))

        w, record = fit_block(block, task, plan, seed, settings, tell)
        weights.append(w)
        records.append(record)
    joined = {k: torch.cat([w[k] for w in weights]) for k in weights[0]}
    report = fit_report(FitRecord.joined(records), plan, settings, max(sizes))
    report["seconds"] = time.perf_counter() - started
    report["cpu_seconds"] = time.process_time() - cpu
    return backbone, joined, report


@dataclass(frozen=True)
class Cell:
    """One group: its name, the rows it is trained on and the rows held out (or None)."""

    name: str
    fitted: Rows
    held: Rows | None


def blocks_of(cells: Sequence[Cell], floats: int) -> list[list[Cell]]:
    """Groups that are trained as one network, ``floats`` being one group's activation.

    Blocks of equal size, up to twice the activation of a reading.
    """
    limit = 2 * ACTIVATION_FLOATS[cells[0].fitted.table.device.type]
    n_blocks = ceil(len(cells) / max(1, limit // floats))
    size = ceil(len(cells) / n_blocks)
    return [list(cells[i : i + size]) for i in range(0, len(cells), size)]


def fit_block(
    cells: Sequence[Cell],
    task: Task,
    plan: Recipe,
    seed: Seed,
    settings: DiffusionSettings,
    progress: Callable[[float], None],
) -> tuple[dict[str, Tensor], FitRecord]:
    """Train the members of some groups as one batched network."""
    device = cells[0].fitted.table.device
    members = [(c.name, e, len(c.fitted)) for c in cells for e in range(plan.n_members)]
    weights = initial_weights(task.backbone, members, seed, device)
    streams = [member_stream(seed, n, e, "train", size) for n, e, size in members]
    mask_shape = task.backbone.mask_shape(plan.batch_size)
    draws = draw_steps(streams, (plan.batch_size, plan.n_draws), plan.dropout, mask_shape, device)
    best = None
    if plan.steps_per_epoch is not None:
        best = BestWeights(held_out_score(task, cells, plan, seed), plan.steps_per_epoch)
    groups = [c.fitted for c in cells]
    checkpoint = checkpoint_of(settings, cells, (plan, task.backbone, seed), streams)
    return train(task, weights, groups, draws, plan, best, progress, checkpoint)


def checkpoint_of(
    settings: DiffusionSettings,
    cells: Sequence[Cell],
    made_of: tuple[Recipe, Backbone, Seed],
    streams: Sequence[MemberStream],
) -> CheckpointFile | None:
    """The checkpoint of one block in the folder that the settings name, if they do."""
    if settings.checkpoint_dir is None:
        return None
    own = {**asdict(settings), "checkpoint_dir": None, "device": None}
    plan, backbone, root = *made_of[:2], seed_sequence(made_of[2])
    place = cells[0].fitted.table.device, [cell.name for cell in cells]
    facts = (own, plan, backbone, root.entropy, root.spawn_key, place)
    tables = [rows.table for cell in cells for rows in (cell.fitted, cell.held) if rows is not None]
    return CheckpointFile(Path(settings.checkpoint_dir), fingerprint(tables, facts), streams)


def backbone_of(
    settings: DiffusionSettings, hidden_dim: int, roles: ColumnRoles, n_arms: int
) -> Backbone:
    """The architecture that the settings name."""
    n_columns = len(roles.token_of)
    if settings.backbone == "mlp":
        return MLP(n_columns, n_arms, hidden_dim, settings.n_layers)
    return RoleAttention(
        n_columns, n_arms, hidden_dim, settings.n_layers, settings.dim, settings.n_heads,
        roles=roles, has_arm_head=settings.arm_weight > 0,
    )  # fmt: skip


def check_model(
    settings: DiffusionSettings,
    backbone: Backbone,
    weights: Weights,
    standardisers: Sequence[Standardiser],
) -> None:
    """Refuse parts that are not of one trained model.

    Raises
    ------
    DataError
    """
    d = backbone.n_columns
    roles = backbone.roles if isinstance(backbone, RoleAttention) else ColumnRoles.plain(d)
    own = backbone_of(settings, backbone.width, roles, backbone.n_arms)
    if not standardisers or backbone != own:
        raise DataError("a backbone that is not the settings' own", "parts of one model")
    check_weights(backbone, weights, len(standardisers))
    for s in standardisers:
        if s.mean.shape != (d,) or s.sd.shape != (d,) or not (s.sd > 0).all():
            raise DataError(f"a standardiser of shape {s.mean.shape} or without positive sd",
                            f"({d},)")  # fmt: skip


def initial_weights(
    backbone: Backbone, members: Sequence[tuple[str, int, int]], seed: Seed, device: torch.device
) -> dict[str, Tensor]:
    """Fresh weights of every (group name, member, rows), member axis first."""
    each = [
        backbone.initial(member_stream(seed, name, e, "init", n).generator)
        for name, e, n in members
    ]
    return {k: torch.stack([w[k] for w in each]).to(device) for k in each[0]}


def put_aside(rows: Rows, name: str, seed: Seed, n_epochs: int | None) -> tuple[Rows, Rows | None]:
    """Rows to train on and held-out rows (None unless training is counted in epochs)."""
    if n_epochs is None:
        return rows, None
    n_held = max(1, min(int(_HELD_OUT_SHARE * len(rows)), _HELD_OUT_MAX))
    order = torch.from_numpy(stream(seed, "group", name, "held-out").permutation(len(rows)))
    order = order.to(rows.table.device)
    return rows.take(order[n_held:]), rows.take(order[:n_held])


def held_out_score(
    task: Task, cells: Sequence[Cell], plan: Recipe, seed: Seed
) -> Callable[[Weights], Tensor]:
    """Loss of each member on its group's held-out rows, under noise drawn once."""
    E, noisy = plan.n_members, []
    for cell in cells:
        if cell.held is not None:
            noise = member_stream(seed, cell.name, 0, "held-out", len(cell.held))
            noisy.append((cell.held, *_fixed_noise(noise, cell.held)))

    def score(weights: Weights) -> Tensor:
        scores = []
        for k, (rows, p, eps) in enumerate(noisy):
            own = {n: w[k * E : (k + 1) * E] for n, w in weights.items()}
            index = torch.arange(len(rows), device=p.device).expand(E, -1)
            draws = Draws(index, p.expand(E, -1, -1), eps.expand(E, -1, -1), None)
            scores.append(task.loss(own, rows.take(index), draws))
        return torch.cat(scores)

    return score


def _fixed_noise(noise: MemberStream, rows: Rows) -> tuple[Tensor, Tensor]:
    n, device = len(rows), rows.table.device
    return noise.uniforms(8, n).to(device), noise.normals(8, n).to(device)


def fit_report(
    record: FitRecord, plan: Recipe, settings: DiffusionSettings, n: int
) -> dict[str, Any]:
    """What the fit has to say, JSON-ready.

    ``loss_trace`` averages the loss over members and 20 stretches of training (a network that has
    learnt nothing scores about 1); ``final_loss`` holds the last stretch for each member.
    """
    stretches = record.losses.tensor_split(min(_TRACE, plan.n_steps))
    report: dict[str, Any] = {
        "n_members": plan.n_members, "n_steps": plan.n_steps, "batch_size": plan.batch_size,
        "hidden_dim": plan.hidden_dim, "dropout": plan.dropout,
        "weight_decay": plan.weight_decay, "learning_rate": plan.learning_rate,
        "loss_trace": [float(s.mean()) for s in stretches],
        "final_loss": stretches[-1].mean(0).tolist(),
        "skipped_steps": int(record.skipped.sum()),
        "departures": departures(n, settings), "resumed_at_step": record.resumed_at,
    }  # fmt: skip
    if record.held_out:
        scores = torch.stack(record.held_out).cpu()
        report["held_out_loss"] = scores.amin(0).tolist()
        report["best_epoch"] = (scores.argmin(0) + 1).tolist()
    return report
