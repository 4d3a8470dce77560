r"""Settings of the conditional diffusion, and the recipe that fills in what is left open.

With n the rows a member trains on, unset fields become

    members        2 below 20 000 rows, then 1
    training steps log-log line through (1000, 250), (1600, 600), (80 000, 3000), flat outside
    weight decay   clip(3000 / n, 0.1, 10) max(1, d / 20) for d columns of the condition, on
                   matrices only (attention: 5/3 times that, since its learning rate is lower)
    dropout        0.2 up to 2000 rows, then 0.1
    hidden units   32 below 20 000 rows, then 64
    batch          min(256, n)
    noise draws    4 a row below 1500 rows, then 2; 8 from 100 000 rows on
    learning rate  1e-2 (attention: 3e-3), 20 warm-up steps, cosine to zero

Four members instead of two lower the Wasserstein distance to the true law by 2 to 3 % (bimodal
design, 400 and 800 rows, 5 draws) at up to twice the cost. Four noise draws instead of two lower
it by 3 and 9 % there, raise it by 8 to 15 % where the noise is Gaussian, and change nothing at
2000 rows. Where training sees each row a few times only and the location has taken what is linear,
a gradient from two draws is too noisy to begin with: with 100 000 rows of 50 columns the loss after
1000 steps is 1.00 with two draws, 0.78 with eight (with 30 000 rows eight are 1 % worse in CRPS).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Literal

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_folder
from causal_ddpm.diffusion.roles import Graph, Name, graph_of

ScheduleName = Literal["edm", "linear", "cosine", "flow"]
SamplerName = Literal["adams", "dpmpp", "heun", "ddim", "ddpm"]
Reading = Literal["coupling", "direction", "independent"]
LossTarget = Literal["v", "noise", "data", "velocity"]

SMALL = 1_500
"""Below so many rows each is seen under more noise."""

LARGE = 20_000
"""From so many rows on, one wide network replaces several narrow ones."""

MAX_LEVELS = 100_000
"""Noise levels of a reading at most."""

HUGE = 100_000
"""From so many rows on each is seen a few times only, and under more noise."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "schedule": ("edm", "linear", "cosine", "flow"),
    "sampler": ("adams", "dpmpp", "heun", "ddim", "ddpm"),
    "backbone": ("mlp", "attention"),
    "condition_noise": ("coupling", "direction", "independent"),
    "loss_target": ("v", "noise", "data", "velocity"),
}
_COUNTS = (
    "n_members", "hidden_dim", "n_layers", "n_steps", "n_epochs", "batch_size", "n_draws",
    "diffusion_steps", "n_sampling_steps", "n_heads", "dim",
)  # fmt: skip
_RANGES: dict[str, tuple[float, float, str]] = {
    "dropout": (0.0, 0.9, "a share from 0 to 0.9"),
    "learning_rate": (1e-8, 10.0, "a positive number, such as 0.01"),
    "weight_decay": (0.0, 1e3, "a number from 0 to 1000"),
    "beta_start": (1e-8, 0.999, "a variance between 0 and 1, such as 0.0001"),
    "beta_end": (1e-8, 0.999, "a variance between 0 and 1, such as 0.02"),
    "condition_strength": (0.0, 1e6, "a number from 0 upwards"),
    "arm_weight": (0.0, 100.0, "a number from 0 to 100, such as 1"),
}


@dataclass(frozen=True)
class DiffusionSettings:
    """How the diffusion is trained and read; None means the recipe of this module.

    Parameters
    ----------
    n_members : int, optional
        Networks a group; they differ in initialisation and minibatches only.
    hidden_dim, n_layers : int, optional
        Width and depth of the trunk (for attention: width of its feed-forward part, layers).
    dropout, learning_rate, weight_decay : float, optional
        Regularisation and step size of AdamW.
    n_steps, n_epochs : int, optional
        Length of training, one of the two. With epochs a share of each group's rows is held out
        and every member keeps the weights that scored best on them.
    batch_size, n_draws : int, optional
        Rows a minibatch, noise draws a row.
    schedule : {"edm", "linear", "cosine", "flow"}
    loss_target : {"v", "noise", "data", "velocity"}
        What the squared error is counted in; sets the weights of the noise levels
        (:mod:`causal_ddpm.diffusion.parametrisation`). "linear" with "noise" is the loss of Ho et
        al. (2020), "flow" with "velocity" that of flow matching.
    beta_start, beta_end : float, optional
        Ends of the linear schedule; by default 1e-4 and 0.02 at 1000 steps, and
        ``1000 / diffusion_steps`` times that otherwise.
    diffusion_steps : int
        Steps of the discrete linear schedule, and of ancestral sampling unless
        ``n_sampling_steps`` is given.
    sampler : {"adams", "dpmpp", "heun", "ddim", "ddpm"}
    n_sampling_steps : int, optional
        Noise levels visited; 18 by default, ``diffusion_steps`` for "ddpm".
    backbone : {"mlp", "attention"}
        The MLP erred less on 10 columns (three cells of four), at a third of the cost or less;
        attention erred less on 200 columns, and on 50 with 10 000 rows
        (``benchmarks/results/attention.md``).
    n_heads, dim : int
        Heads and token width of the attention backbone.
    column_parents : mapping of name to names, optional
        For attention: the condition's columns that each column may look at, a graph without
        cycles; a column without an entry looks at itself only. By default all look at all.
        Columns without names are named by their positions.
    arm_weight : float
        For attention: weight of a cross-entropy that teaches a second head P(arm | x), read by
        ``ConditionalDiffusion.arm_probability``; 0 trains no such head. Reported losses hold it.
    condition_strength, condition_noise : float, {"coupling", "direction", "independent"}
        lambda, and its reading in :mod:`causal_ddpm.diffusion.forward`.
    device : {"auto", "cpu", "cuda", "cuda:0", ...}
        Resolved when training starts.
    checkpoint_dir : str, optional
        Folder (made if missing) in which training keeps its state; the same training, started
        again after it was killed, goes on from there to the same bits. Finished ones stay until
        you delete the folder.

    Raises
    ------
    DataError
        For a value outside its range, or when both ``n_steps`` and ``n_epochs`` are given.
    """

    n_members: int | None = None
    hidden_dim: int | None = None
    n_layers: int = 2
    dropout: float | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    n_steps: int | None = None
    n_epochs: int | None = None
    batch_size: int | None = None
    n_draws: int | None = None
    schedule: ScheduleName = "edm"
    loss_target: LossTarget = "v"
    beta_start: float | None = None
    beta_end: float | None = None
    diffusion_steps: int = 1000
    sampler: SamplerName = "adams"
    n_sampling_steps: int | None = None
    backbone: Literal["mlp", "attention"] = "mlp"
    n_heads: int = 2
    dim: int = 32
    column_parents: Mapping[Name, Iterable[Name]] | Graph | None = None
    arm_weight: float = 0.0
    condition_strength: float = 0.0
    condition_noise: Reading = "coupling"
    device: str = "auto"
    checkpoint_dir: str | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name in _COUNTS:
            _check_count(name, getattr(self, name))
        for name, (low, high, words) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high, words)
        if self.column_parents is not None:
            object.__setattr__(self, "column_parents", graph_of(self.column_parents))
        self._check_together()
        _check_folder_name(self.checkpoint_dir)

    @property
    def graph(self) -> Graph | None:
        """``column_parents`` as pairs of names."""
        return None if self.column_parents is None else graph_of(self.column_parents)

    def _check_together(self) -> None:
        if self.n_steps is not None and self.n_epochs is not None:
            raise DataError(
                "both n_steps and n_epochs are given", "one of them",
                "Epochs are turned into n_epochs * ceil(rows / batch_size) steps.",
            )  # fmt: skip
        if self.backbone == "attention" and self.dim % self.n_heads:
            raise DataError(
                f"dim is {self.dim} with n_heads {self.n_heads}", "a dim that n_heads divides"
            )
        for name in ("column_parents", "arm_weight"):
            if self.backbone != "attention" and getattr(self, name):
                raise DataError(
                    f"{name} is given with backbone '{self.backbone}'", "backbone='attention'",
                    "Only attention between columns can leave some of them out.",
                )  # fmt: skip
        for name in ("n_sampling_steps", "diffusion_steps"):
            if not 2 <= (getattr(self, name) or 2) <= MAX_LEVELS:
                raise DataError(f"{name} is {getattr(self, name)}", f"2 to {MAX_LEVELS:,}")
        if self.beta_start and self.beta_end and self.beta_start >= self.beta_end:
            raise DataError(
                f"beta_start is {self.beta_start} and beta_end {self.beta_end}",
                "beta_start below beta_end",
            )


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training run, all settled.

    ``steps_per_epoch`` is None unless the length was given in epochs.
    """

    n_members: int
    hidden_dim: int
    dropout: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    n_draws: int
    n_steps: int
    steps_per_epoch: int | None


def recipe(
    n: int, settings: DiffusionSettings, smallest: int | None = None, n_columns: int = 1
) -> Recipe:
    """Fill in what ``settings`` leaves open.

    Parameters
    ----------
    n : int
        Rows a member trains on (the largest group).
    settings : DiffusionSettings
    smallest : int, optional
        Rows of the smallest group, which bounds the batch; ``n`` by default.
    n_columns : int
        Columns of the condition.
    """
    batch = min(settings.batch_size or 256, n if smallest is None else smallest)
    per_epoch = ceil(n / batch)
    steps = settings.n_steps or default_steps(n)
    rate, more_decay = (3e-3, 5 / 3) if settings.backbone == "attention" else (1e-2, 1.0)
    decay = more_decay * float(np.clip(3000 / n, 0.1, 10.0)) * max(1.0, n_columns / 20)
    return Recipe(
        n_members=settings.n_members or (2 if n < LARGE else 1),
        hidden_dim=settings.hidden_dim or (32 if n < LARGE else 64),
        dropout=_given(settings.dropout, 0.2 if n <= 2000 else 0.1),
        learning_rate=_given(settings.learning_rate, rate),
        weight_decay=_given(settings.weight_decay, decay),
        batch_size=batch,
        n_draws=settings.n_draws or (4 if n < SMALL else 2 if n < HUGE else 8),
        n_steps=settings.n_epochs * per_epoch if settings.n_epochs else steps,
        steps_per_epoch=per_epoch if settings.n_epochs else None,
    )


def default_steps(n: int) -> int:
    """Training steps of the recipe for n rows."""
    log_n, log_steps = np.log([1000, 1600, 80_000]), np.log([250, 600, 3000])
    return round(float(np.exp(np.interp(np.log(n), log_n, log_steps))))


def departures(n: int, settings: DiffusionSettings) -> dict[str, tuple[float, float]]:
    """Training fields whose given value differs from the recipe's: name -> (given, recipe).

    Parameters
    ----------
    n : int
        Rows a member trains on.
    settings : DiffusionSettings
    """
    given, default = recipe(n, settings), recipe(n, DiffusionSettings(backbone=settings.backbone))
    names = (
        "n_members", "hidden_dim", "dropout", "learning_rate", "weight_decay", "batch_size",
        "n_draws", "n_steps",
    )  # fmt: skip
    pairs = {name: (getattr(given, name), getattr(default, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _given(value: float | None, default: float) -> float:
    return default if value is None else value


def _check_folder_name(value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise DataError(f"checkpoint_dir is {value!r}", "the name of a folder")
    if value is not None:
        check_folder(value)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DataError(f"{name} is {value!r}", f"one of {', '.join(choices)}")


def _check_count(name: str, value: object) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if value is not None and not (whole and int(value) >= 1):  # type: ignore[call-overload]
        raise DataError(f"{name} is {value!r}", "a whole number from 1 upwards")


def _check_range(name: str, value: object, low: float, high: float, words: str) -> None:
    if value is None:
        return
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not isfinite(value) or not low <= value <= high:  # type: ignore
        raise DataError(f"{name} is {value!r}", words)
