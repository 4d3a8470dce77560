r"""The conditional diffusion of a standardised scalar v given (x, arm).

:func:`train_conditional` trains K groups x E members as one batched network. What comes back reads
the law of v given (x, arm) through the probability-flow map of each member, averaged over the
members of a group quantile by quantile:

    q(z; x, arm) = 1/E sum_e q_e(z; x, arm),        z ~ N(0, 1)

q is increasing in z, so q(Phi^-1(p)) is the p-quantile of v; nothing is random.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causal_ddpm.core.density import map_density
from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.diffusion.batches import Standardiser, TrainingGroup, check_group, rows_of
from causal_ddpm.diffusion.denoiser import PreconditionedDenoiser
from causal_ddpm.diffusion.fit import check_model, fit_members
from causal_ddpm.diffusion.fit_report import FitReport
from causal_ddpm.diffusion.forward import forward_of
from causal_ddpm.diffusion.network import Backbone, Weights
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.diffusion.reading import Reader, mid_latents, wide_latents
from causal_ddpm.diffusion.roles import ConditionColumns
from causal_ddpm.diffusion.runtime import activation_floats, quick_arithmetic, resolve_device
from causal_ddpm.diffusion.sampler import SAMPLERS, crossing_share
from causal_ddpm.diffusion.schedule import schedule_of
from causal_ddpm.diffusion.settings import DiffusionSettings, SamplerName
from causal_ddpm.diffusion.state import read_state, written_state

__all__ = ["ConditionalDiffusion", "DiffusionSettings", "TrainingGroup", "train_conditional"]

Answer = Callable[[Reader, Tensor], Tensor]
"""What a reader says of a chunk of values."""

N_LEVELS = 18
"""Noise levels of a deterministic reading."""

_PROBE_ROWS, _PROBE_NODES, _HEAD_ROWS, _COLUMNS = 16, 32, 1024, 4096


@dataclass(frozen=True, eq=False)
class ConditionalDiffusion:
    """A trained conditional diffusion; made by :func:`train_conditional`.

    Parameters
    ----------
    settings : DiffusionSettings
    backbone : Backbone
    weights : mapping of str to Tensor, each (K E, ...)
        Member axis first, members of a group together.
    standardisers : tuple of Standardiser, one a group
    report : dict
        Losses, steps, seconds, share of crossing quantiles, device; JSON-ready.
    """

    settings: DiffusionSettings
    backbone: Backbone
    weights: Weights
    standardisers: tuple[Standardiser, ...]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def n_groups(self) -> int:
        """K."""
        return len(self.standardisers)

    @property
    def n_members(self) -> int:
        """E."""
        return len(next(iter(self.weights.values()))) // self.n_groups

    # -- reading ---------------------------------------------------------------------------
    def reading(
        self, sampler: SamplerName | None = None, n_steps: int | None = None
    ) -> "ConditionalDiffusion":
        """The same networks, read by another sampler or with another number of noise levels.

        Parameters
        ----------
        sampler : {"adams", "dpmpp", "heun", "ddim", "ddpm"}, optional
            The one of the settings by default.
        n_steps : int, optional
            Noise levels visited; by default those of the settings, and for another sampler 18
            (``diffusion_steps`` of the settings for "ddpm").

        Raises
        ------
        DataError
            For an unknown sampler, or fewer than two levels.
        """
        own = self.settings.n_sampling_steps if sampler is None else None
        settings = replace(
            self.settings,
            sampler=sampler or self.settings.sampler,
            n_sampling_steps=own if n_steps is None else n_steps,
        )
        return replace(self, settings=settings)

    @quick_arithmetic()
    def transport(
        self, group: int, condition: NDArray[Any], arm: int, z: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Values at latents z: q(z; x, arm).

        Parameters
        ----------
        group : int
        condition : ndarray, shape (n, d)
        arm : int
        z : ndarray, shape (Q,) or (n, Q)
            Standard-normal latents. Where they rise along the last axis, so do the values.

        Returns
        -------
        ndarray, shape (n, Q)
        """
        q = self._read(group, condition, arm, z, lambda reader, part: reader.decode(part).mean(0))
        return np.sort(q, axis=-1) if np.all(np.diff(z, axis=-1) >= 0) else q

    def nodes(
        self, group: int, condition: NDArray[Any], arm: int, n_nodes: int
    ) -> NDArray[np.float64]:
        """Mid-quantiles (i + 1/2) / n_nodes of v, increasing, shape (n, n_nodes)."""
        return self.transport(group, condition, arm, mid_latents(n_nodes))

    def density(
        self, group: int, condition: NDArray[Any], arm: int, v: NDArray[Any], n_nodes: int = 128
    ) -> NDArray[np.float64]:
        """Density of v given (x, arm) by change of variables, p(v) = phi(z) / q'(z), q(z) = v.

        Parameters
        ----------
        group, condition, arm
            As in :meth:`transport`.
        v : ndarray, shape (G,) or (n, G)
        n_nodes : int
            Latents at which q is read; 128 are within 1 % for modes up to five sd apart.

        Returns
        -------
        ndarray, shape (n, G)
            Integrates to one.
        """
        _check(self, group, condition, arm, v)
        z = wide_latents(n_nodes)
        return map_density(z, self.transport(group, condition, arm, z), v)

    @quick_arithmetic()
    def score(
        self, group: int, condition: NDArray[Any], arm: int, v: NDArray[Any], tau: float
    ) -> NDArray[np.float64]:
        """Score of v blurred by noise of level tau, d/dv log (p * N(0, tau^2)), shape (n, Q).

        One evaluation of the networks; v is (Q,) or (n, Q). Raises DataError unless tau > 0.
        """
        if not tau > 0:
            raise DataError(f"tau is {tau}", "a positive noise level")
        return self._read(group, condition, arm, v, lambda reader, part: reader.score(part, tau))

    @quick_arithmetic()
    def encode(
        self, group: int, condition: NDArray[Any], arm: int, v: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Latents of values v, (Q,) or (n, Q): the inverse of :meth:`transport`, shape (n, Q)."""
        return self._read(group, condition, arm, v, lambda reader, part: reader.invert(part))

    @quick_arithmetic()
    def sample(
        self,
        group: int,
        condition: NDArray[Any],
        arm: int,
        n_samples: int,
        random_state: Seed = None,
    ) -> NDArray[np.float64]:
        """Random draws of v given each row, shape (n, n_samples).

        With a deterministic sampler, normal latents through :meth:`transport`. With "ddpm", the
        ancestral chain; each draw follows one member, the members in turn.
        """  # fmt: skip
        rng = stream(random_state, "sample", group, arm)
        z = rng.standard_normal((len(condition), n_samples), dtype=np.float32)
        if SAMPLERS[self.settings.sampler].deterministic:
            return self._read(
                group, condition, arm, z, lambda reader, part: reader.decode(part).mean(0)
            )
        n_levels = self.settings.n_sampling_steps or self.settings.diffusion_steps
        taus = schedule_of(self.settings).clock_levels(n_levels)
        noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
        return self._read(
            group, condition, arm, z, lambda reader, part: reader.ancestral(part, taus, noise)
        )

    @quick_arithmetic()
    def crossing_share(
        self, group: int, condition: NDArray[Any], arm: int, n_nodes: int = 32
    ) -> float:
        """Share of neighbouring quantiles of single members that fall instead of rise."""
        readings = self._readings(group, condition, arm, mid_latents(n_nodes))
        cells = [(crossing_share(reader.decode(z)), len(z)) for reader, z in readings]
        shares, sizes = zip(*cells, strict=True)
        return float(np.average(shares, weights=sizes))

    @quick_arithmetic()
    def arm_probability(self, group: int, condition: NDArray[Any]) -> NDArray[np.float64]:
        """P(arm | x), averaged over members, shape (n, n_arms): a function of x alone.

        Raises
        ------
        DataError
            Unless it was trained with ``backbone="attention"`` and a positive ``arm_weight``.
        """
        _check(self, group, condition, 0, np.zeros(1))
        weights, E = self._members(group), self.n_members
        chunks = self.standardisers[group](condition).split(_HEAD_ROWS)
        x = (rows.T.to(self._device).expand(E, -1, -1) for rows in chunks)
        return np.vstack([self.backbone.arm_probability(weights, part) for part in x])

    # -- writing ---------------------------------------------------------------------------
    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, and everything else ready for JSON; :meth:`from_state` reads both back."""
        return written_state(
            self.settings, self.backbone, self.weights, self.standardisers, self.report
        )

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> "ConditionalDiffusion":
        """Inverse of :meth:`state_dict`.

        Raises
        ------
        DataError
            If the version is unknown, or tensors are missing, misshapen or not finite.
        """
        return cls(*read_state(tensors, meta))

    @property
    def fit_report(self) -> FitReport:
        """How training went: print it, or take its ``frame()``."""
        return FitReport({"networks": [self.report]})

    def save(self, path: str | Path) -> Path:
        """Write the model to a file (JSON and safetensors in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "ConditionalDiffusion":
        """Read a model back; ModelFileError if the file is damaged or holds something else."""
        model: ConditionalDiffusion = load_model(path, expected=cls)
        return model

    def check_parts(self) -> None:
        """Refuse settings, backbone, weights and standardisers that are not of one model."""
        check_model(self.settings, self.backbone, self.weights, self.standardisers)

    # -- inside ----------------------------------------------------------------------------
    def _read(
        self, group: int, condition: NDArray[Any], arm: int, values: NDArray[Any], answer: Answer
    ) -> NDArray[np.float64]:
        """Answers (b, q) of readers to chunks (b, q) of the values, put together, (n, Q)."""
        parts = []
        for i in range(0, max(1, np.shape(values)[-1]), _COLUMNS):
            block = values[..., i : i + _COLUMNS]
            readings = self._readings(group, condition, arm, block)
            parts.append(_collected([answer(reader, part) for reader, part in readings], block))
        return np.hstack(parts)

    def _readings(
        self, group: int, condition: NDArray[Any], arm: int, values: NDArray[Any]
    ) -> Iterator[tuple[Reader, Tensor]]:
        """Readers of a group's members on chunks of rows, with the chunk's values (b, Q)."""
        _check(self, group, condition, arm, values)
        E, weights, device = self.n_members, self._members(group), self._device
        wide = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        wide = wide.expand(len(condition), wide.shape[-1])
        per_row = E * wide.shape[1] * self.backbone.node_floats
        size = max(1, activation_floats(device) // max(1, per_row))
        x = self.standardisers[group](condition)
        for i in range(0, len(x), size):
            rows = x[i : i + size].T.to(device).expand(E, -1, -1)
            yield self._reader(weights, rows, arm), wide[i : i + size].to(device)

    def _members(self, group: int) -> Weights:
        E = self.n_members
        return {k: w[group * E : (group + 1) * E] for k, w in self.weights.items()}

    @property
    def _device(self) -> torch.device:
        return next(iter(self.weights.values())).device

    def _reader(self, weights: Weights, x: Tensor, arm: int) -> Reader:
        arms = torch.full((len(x), x.shape[2]), arm, device=x.device)
        context = self.backbone.encode(weights, x, arms)

        def residual(u: Tensor, log_tau: Tensor | float) -> Tensor:
            return self.backbone.head(weights, context, u, log_tau)

        sampler = SAMPLERS[self.settings.sampler]
        n_levels = self.settings.n_sampling_steps if sampler.deterministic else None
        flow = sampler if sampler.deterministic else SAMPLERS["adams"]
        shift = float(forward_of(self.settings).shift(torch.tensor(arm)))
        denoiser = PreconditionedDenoiser(residual, shift)
        return Reader(denoiser, flow, flow.levels(n_levels or N_LEVELS), self.n_members)


def _check(
    model: ConditionalDiffusion,
    group: int,
    condition: NDArray[Any],
    arm: int,
    v: NDArray[Any],
) -> None:
    """Refuse what a model cannot be asked.

    Raises
    ------
    DataError
    """
    n, d = np.shape(condition)[0], model.backbone.n_columns
    if not 0 <= group < model.n_groups:
        raise DataError(f"group is {group}", f"0 to {model.n_groups - 1}")
    if not 0 <= arm < model.backbone.n_arms:
        raise DataError(f"arm is {arm}", f"0 to {model.backbone.n_arms - 1}")
    if np.shape(condition) != (n, d):
        raise DataError(f"condition has shape {np.shape(condition)}", f"(n, {d})")
    if np.ndim(v) not in (1, 2) or (np.ndim(v) == 2 and len(v) != n):
        raise DataError(f"the values have shape {np.shape(v)}", f"(Q,) or ({n}, Q)")
    if not (np.isfinite(condition).all() and np.isfinite(v).all()):
        raise DataError("condition or values are missing or infinite", "finite numbers")


def _collected(parts: list[Tensor], values: NDArray[Any]) -> NDArray[np.float64]:
    """Chunks as one float64 array; refuses values that are not finite."""
    if not parts:
        return np.empty((0, np.shape(values)[-1]))
    out = torch.cat(parts).cpu().numpy().astype(float)
    if not np.isfinite(out).all():
        raise ConvergenceError(
            "The diffusion returned values that are not finite: train again with a lower "
            "learning_rate, or check the target for extreme values."
        )
    return out


def train_conditional(
    groups: Sequence[TrainingGroup],
    settings: DiffusionSettings | None = None,
    random_state: Seed = None,
    n_arms: int = 2,
    progress: Progress | None = None,
    columns: ConditionColumns | None = None,
) -> ConditionalDiffusion:
    """Train K groups x E members as one batched network.

    Parameters
    ----------
    groups : sequence of TrainingGroup
        Each group's own rows; v standardised (mean about 0, variance about 1).
    settings : DiffusionSettings, optional
    random_state : int, SeedSequence or None
        A member's random numbers depend on this, its group's name and its own number only.
    n_arms : int
    progress : callable, optional
        Called with a stage name and the share done.
    columns : ConditionColumns, optional
        What the columns of the condition are, for attention; by default each is one of its own,
        named by its position.

    Raises
    ------
    DataError
        For rows that cannot be trained on.
    ConvergenceError
        If training diverged.
    """
    settings, tell = settings or DiffusionSettings(), progress or silent
    if not groups:
        raise DataError("there are no groups", "at least one")
    if settings.checkpoint_dir is not None and random_state is None:
        raise DataError("checkpoint_dir is given without a random_state", "both: a training can "
                        "only go on with the random numbers it began with")  # fmt: skip
    for group in groups:
        check_group(group, n_arms, np.shape(groups[0].condition)[-1])
    device, seed = resolve_device(settings.device), seed_sequence(random_state)
    names = [str(k) if g.name is None else g.name for k, g in enumerate(groups)]
    standardisers = tuple(Standardiser.of(np.asarray(g.condition)) for g in groups)
    rows = [rows_of(g, s, device) for g, s in zip(groups, standardisers, strict=True)]
    with quick_arithmetic():
        backbone, weights, report = fit_members(
            rows, names, seed, settings, n_arms, lambda share: tell("diffusion", share), columns
        )
    report["device"] = str(device)
    settings = replace(settings, checkpoint_dir=None)
    model = ConditionalDiffusion(settings, backbone, weights, standardisers, report)
    report["crossing_share"] = _probe_crossing(model, groups)
    return model


def _probe_crossing(model: ConditionalDiffusion, groups: Sequence[TrainingGroup]) -> float:
    """Crossing share on a few rows of every group, every arm."""
    shares = [
        model.crossing_share(k, np.asarray(g.condition)[:_PROBE_ROWS], arm, _PROBE_NODES)
        for k, g in enumerate(groups)
        for arm in range(model.backbone.n_arms)
    ]
    return float(np.mean(shares))
