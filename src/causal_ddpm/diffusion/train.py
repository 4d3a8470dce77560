r"""Training: G members as one network, each as if it were alone.

A step draws for every member g its own rows b, noise levels and noise, and minimises the sum over
members of

    loss_g = mean_{b, m} w_b (F(u, log tau; x_b, a_b) - (tau v_b - eps) / sqrt(1 + tau^2))^2

(where a head of the arm is trained, plus arm_weight w_b times its cross-entropy on a_b) with AdamW
(Loshchilov, Hutter 2019; betas .9, .99), 20 warm-up steps and a cosine to zero; weight decay acts
on matrices only. All weights live in one sheet theta of shape (G, P), matrices first: a row is a
member, so norms are clipped row by row and no member feels another.

A row whose gradient is not finite is left out of that step. A member whose loss ends above twice
that of the zero network (which is 1 for a standardised v) has diverged, and training is refused.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, pi

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from causal_ddpm.core.errors import ConvergenceError, ConvergenceWarning
from causal_ddpm.diffusion.batches import BLOCK, Draws, Rows, gather
from causal_ddpm.diffusion.checkpoint import CheckpointFile
from causal_ddpm.diffusion.denoiser import network_input, network_target
from causal_ddpm.diffusion.forward import ForwardProcess
from causal_ddpm.diffusion.network import Backbone, Weights
from causal_ddpm.diffusion.parametrisation import Target, weight
from causal_ddpm.diffusion.schedule import Schedule
from causal_ddpm.diffusion.settings import Recipe

WARM_UP, MAX_NORM = 20, 5.0


@dataclass(frozen=True)
class Task:
    """What is minimised: F of ``backbone`` under the noise of ``schedule`` and ``forward``."""

    backbone: Backbone
    schedule: Schedule
    forward: ForwardProcess
    arm_weight: float = 0.0
    target: Target = "v"

    def loss(self, weights: Weights, rows: Rows, draws: Draws) -> Tensor:
        """Loss of each member, shape (G,)."""
        arm, v, eps = rows.arm, rows.v[:, None], draws.eps
        tau = self.schedule.log_tau_quantile(draws.p).exp() * self.forward.spread(arm)[:, None]
        u = network_input(v, eps, tau, self.forward.shift(arm)[:, None])
        context = self.backbone.encode(weights, rows.x.transpose(1, 2), arm, draws.mask)
        error = self.backbone.head(weights, context, u, tau.log()) - network_target(v, eps, tau)
        w = rows.w[:, None]
        if self.target != "v":
            w = w * weight(self.target, *self.schedule.scales(tau))
        loss = (w * error**2).mean((1, 2))
        if self.arm_weight:
            logits = self.backbone.arm_logits(weights, context)
            entropy = cross_entropy(logits, arm, reduction="none")
            loss = loss + self.arm_weight * (rows.w * entropy).mean(1)
        return loss


@dataclass(frozen=True)
class Sheet:
    """How named weights lie in the columns of theta (G, P), matrices before vectors."""

    shapes: dict[str, torch.Size]

    @classmethod
    def of(cls, weights: Weights) -> "Sheet":
        """Layout of weights that carry the member axis."""
        matrices = {k: w.shape[1:] for k, w in weights.items() if k.endswith(".W")}
        vectors = {k: w.shape[1:] for k, w in weights.items() if not k.endswith(".W")}
        return cls(matrices | vectors)

    @property
    def n_decayed(self) -> int:
        """Columns that hold matrices."""
        return sum(s.numel() for k, s in self.shapes.items() if k.endswith(".W"))

    def join(self, weights: Weights) -> Tensor:
        """theta of named weights."""
        return torch.cat([weights[k].flatten(1) for k in self.shapes], 1)

    def split(self, theta: Tensor) -> dict[str, Tensor]:
        """Named weights of theta; views, so gradients reach theta."""
        parts = theta.split([s.numel() for s in self.shapes.values()], dim=1)
        return {k: p.unflatten(1, s) for (k, s), p in zip(self.shapes.items(), parts, strict=True)}


@dataclass
class FitRecord:
    """What happened: ``losses`` (steps, G), steps left out per member, held-out scores.

    ``resumed_at`` is the step at which a checkpoint took over, 0 without one.
    """

    losses: Tensor
    skipped: Tensor
    held_out: list[Tensor] = field(default_factory=list)
    resumed_at: int = 0

    @classmethod
    def joined(cls, records: Sequence["FitRecord"]) -> "FitRecord":
        """One record of several blocks of members."""
        return cls(
            torch.cat([r.losses for r in records], 1),
            torch.cat([r.skipped for r in records]),
            [torch.cat(s) for s in zip(*(r.held_out for r in records), strict=True)],
            max(r.resumed_at for r in records),
        )


@dataclass
class BestWeights:
    """The best weights of each member on held-out rows.

    Parameters
    ----------
    score : callable
        Weights -> held-out loss of each member, shape (G,).
    every : int
        Steps between scores.
    """

    score: Callable[[Weights], Tensor]
    every: int

    def __post_init__(self) -> None:
        self.kept: tuple[Tensor, Tensor] | None = None

    def update(self, weights: Weights, theta: Tensor) -> Tensor:
        """Score the weights and remember each member's best; returns the scores."""
        score = torch.nan_to_num(self.score(weights), nan=torch.inf)
        if self.kept is None:
            self.kept = score.clone(), theta.detach().clone()
        else:
            better = score < self.kept[0]
            self.kept[0][better], self.kept[1][better] = score[better], theta.detach()[better]
        return score

    @property
    def theta(self) -> Tensor:
        """theta of the best scores."""
        if self.kept is None:
            raise ConvergenceError("No held-out score was taken: train for at least one epoch.")
        return self.kept[1]


@dataclass
class Run:
    """A training under way: weights, moments, what happened, the best so far."""

    theta: Tensor
    optimiser: torch.optim.Optimizer
    record: FitRecord
    best: BestWeights | None
    step: int = 0

    @classmethod
    def of(cls, theta: Tensor, recipe: Recipe, best: BestWeights | None) -> "Run":
        """A training that has not begun."""
        optimiser = torch.optim.AdamW(
            [theta], lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        record = FitRecord(torch.empty(recipe.n_steps, len(theta)), torch.zeros(len(theta)))
        return cls(theta, optimiser, record, best)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, but for the random numbers."""
        moments = self.optimiser.state[self.theta]
        state = {k: moments[k] for k in ("exp_avg", "exp_avg_sq")} | {
            "theta": self.theta, "losses": self.record.losses[: self.step],
            "skipped": self.record.skipped,
        }  # fmt: skip
        if self.best is not None and self.best.kept is not None:
            state |= {"best_score": self.best.kept[0], "best_theta": self.best.kept[1]}
            state["held_out"] = torch.stack(self.record.held_out)
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a :meth:`state`."""
        device = self.theta.device
        self.step = self.record.resumed_at = len(state["losses"])
        self.theta.detach().copy_(state["theta"])
        self.optimiser.state[self.theta] = {
            "step": torch.tensor(float(self.step), device=device),
            **{k: state[k].to(device) for k in ("exp_avg", "exp_avg_sq")},
        }
        self.record.losses[: self.step] = state["losses"]
        self.record.skipped = state["skipped"]
        if self.best is not None and "held_out" in state:
            self.best.kept = state["best_score"].to(device), state["best_theta"].to(device)
            self.record.held_out = list(state["held_out"].to(device))


def learning_rate_at(step: int, n_steps: int, peak: float) -> float:
    """Linear warm-up over 20 steps times a cosine to zero."""
    return peak * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + cos(pi * step / n_steps))


def clip_rows(gradient: Tensor, max_norm: float = MAX_NORM) -> Tensor:
    """Scale each row to norm at most ``max_norm``, in place; rows that are not finite become 0.

    Returns
    -------
    Tensor of bool, shape (G,)
        The rows that were left out.
    """
    norm = torch.linalg.vector_norm(gradient, dim=1)
    bad = ~torch.isfinite(norm)
    if bad.any():
        gradient[bad] = 0.0
    gradient.mul_((max_norm / norm.clamp(min=max_norm)).nan_to_num_(0.0)[:, None])
    return bad


def train(
    task: Task,
    weights: Weights,
    groups: Sequence[Rows],
    draws: Iterator[Draws],
    recipe: Recipe,
    best: BestWeights | None = None,
    progress: Callable[[float], None] = lambda share: None,
    checkpoint: CheckpointFile | None = None,
) -> tuple[dict[str, Tensor], FitRecord]:
    """Minimise the loss of every member.

    Parameters
    ----------
    task : Task
    weights : mapping
        Initial weights, member axis first, members in group order.
    groups : sequence of Rows
        Each group's training rows.
    draws : iterator of Draws
        Random numbers, one a step, made in blocks.
    recipe : Recipe
    best : BestWeights, optional
        Keeps each member's best weights; otherwise the last are returned.
    progress : callable
        Called with the share of steps done.
    checkpoint : CheckpointFile, optional
        Training goes on from what it holds, and writes to it.

    Raises
    ------
    ConvergenceError
        If a member diverged.
    """  # fmt: skip
    sheet, rows = Sheet.of(weights), list(groups)
    run = Run.of(sheet.join(weights).requires_grad_(), recipe, best)
    if checkpoint is not None and (state := checkpoint.read()) is not None:
        run.restore(state)
    while run.step < recipe.n_steps:
        if checkpoint is not None and run.step % BLOCK == 0 and run.step and checkpoint.is_due:
            checkpoint.write(run.state())
        draw = next(draws)
        _take_step(run, task, sheet, recipe, gather(rows, draw.index), draw)
        if best is not None and run.step % best.every == 0:
            with torch.no_grad():
                run.record.held_out.append(best.update(sheet.split(run.theta), run.theta))
        if run.step % 10 == 0:
            progress(run.step / recipe.n_steps)
    _guard(run.record)
    if checkpoint is not None and run.record.resumed_at < recipe.n_steps:
        checkpoint.write(run.state())
    return sheet.split((best.theta if best else run.theta).detach()), run.record


def _take_step(run: Run, task: Task, sheet: Sheet, recipe: Recipe, rows: Rows, draw: Draws) -> None:
    """One step of AdamW on a minibatch."""
    theta, rate = run.theta, learning_rate_at(run.step, recipe.n_steps, recipe.learning_rate)
    run.optimiser.param_groups[0]["lr"] = rate
    loss = task.loss(sheet.split(theta), rows, draw)
    (theta.grad,) = torch.autograd.grad(loss.sum(), theta)
    run.record.skipped += clip_rows(theta.grad).cpu()
    theta.detach()[:, : sheet.n_decayed].mul_(1 - rate * recipe.weight_decay)
    run.optimiser.step()
    run.record.losses[run.step] = loss.detach()
    run.step += 1


def _guard(record: FitRecord) -> None:
    """Refuse members that diverged; warn of steps that were left out."""
    n_steps = len(record.losses)
    tail = record.losses[-max(1, n_steps // 10) :].mean(0)
    diverged = ~(tail <= 2 * max(1.0, float(record.losses[0].nan_to_num(1.0).mean())))
    diverged |= record.skipped > 0.05 * n_steps
    if bool(diverged.any()):
        raise ConvergenceError(
            f"Training diverged in {int(diverged.sum())} of {len(tail)} networks (loss "
            f"{float(tail.nan_to_num(torch.inf).max()):.3g}, where a network that has learnt "
            f"nothing scores about 1; {int(record.skipped.sum())} steps left out): lower "
            "learning_rate, or check the target for extreme values."
        )
    if bool((record.skipped > 0).any()):
        warnings.warn(
            f"{int(record.skipped.sum())} training steps had a gradient that is not finite and "
            "were left out; check the target for extreme values.",
            ConvergenceWarning, stacklevel=3,
        )  # fmt: skip
