r"""Conditional diffusion of a column of a Parquet file, without holding the file in memory.

Training makes two passes over the file. The first surveys the columns
(:mod:`causal_ddpm.diffusion.parquet`). The second writes the standardised condition z (clipped at
8 sd) as float32 to a scratch file that is mapped into memory, and adds up, for each arm a,

    G_a = sum_i (1, z_i, y_i) (1, z_i, y_i)'

which holds everything that least squares needs. The location is linear and the scale constant,

    m_a(z) = (1, z)' b_a,    b_a = least squares of y on (1, z) in G_a + (k / n) sum_a G_a
    s_a^2  = mean square of y - m_a(z)

with k = D + 1 rows lent by all arms together, so that a small arm leans on the others. What the
diffusion learns is v = (y - m_a(z)) / s_a given (z, a), from the mapped file; and

    Q(u | x, a) = m_a(z) + s_a Q_v(u | z, a)

so whatever is not linear is the diffusion's. With many rows a column (at least 20 are asked for)
these residuals of the training rows are as good as held-out ones: the share of variance that the
fit takes away is D / n. Memory: one batch of rows, 16 bytes a row for the outcome and a
permutation, and as much of the mapped file as the system cares to keep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.files import check_folder, draft_of
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.diffusion.batches import Rows, Standardiser
from causal_ddpm.diffusion.conditional import ConditionalDiffusion, DiffusionSettings
from causal_ddpm.diffusion.fit import fit_members
from causal_ddpm.diffusion.parquet import (
    Column,
    Level,
    LevelColumn,
    NumberColumn,
    ParquetTable,
    encode,
    numbers_of,
    survey,
)
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.diffusion.runtime import quick_arithmetic, resolve_device

Array = NDArray[np.float64]

MAX_ARMS, MIN_ROWS_A_COLUMN = 20, 20
_CHUNK = 65_536


@dataclass(frozen=True, eq=False)
class ParquetDiffusion:
    """The law of one column given others; made by :func:`train_parquet`.

    Parameters
    ----------
    columns : tuple of Column
        The condition.
    arm : LevelColumn or None
        The column whose levels are the arms.
    target : NumberColumn
    coefficients : ndarray, shape (A, 1 + D)
        b_a, for the standardised target.
    scale : ndarray, shape (A,)
        s_a, likewise.
    diffusion : ConditionalDiffusion
        Of the residual; its report tells how training went.
    n_train : int
    """

    columns: tuple[Column, ...]
    arm: LevelColumn | None
    target: NumberColumn
    coefficients: Array
    scale: Array
    diffusion: ConditionalDiffusion
    n_train: int

    def quantile(self, rows: Any, levels: ArrayLike, arm: Level | None = None) -> Array:
        """Quantiles of the target, shape (n, len(levels)).

        Parameters
        ----------
        rows : frame or Arrow table
            Holds the columns of the condition (and that of the arm, unless ``arm`` is given).
        levels : array-like
            Strictly between 0 and 1.
        arm : optional
            Read every row under this level of the arm; by default each under its own.
        """
        return self._read(pa.table(rows), _checked_levels(levels), arm)

    def mean(self, rows: Any, arm: Level | None = None, n_nodes: int = 16) -> Array:
        """Mean of the target, shape (n,): the average of ``n_nodes`` mid-quantiles."""
        return self._read(pa.table(rows), (np.arange(n_nodes) + 0.5) / n_nodes, arm).mean(1)

    def read_parquet(
        self,
        source: str | Path,
        output: str | Path,
        levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        arm: Level | None = None,
        n_nodes: int = 16,
        progress: Progress | None = None,
    ) -> int:
        """Write mean and quantiles of every row of a Parquet file to another, batch by batch.

        Parameters
        ----------
        source, output : str or Path
            ``output`` gets the columns ``mean`` and ``q<level>``, rows in the order of ``source``;
            it appears only when it is complete.
        levels, arm, n_nodes
            As in :meth:`quantile` and :meth:`mean`.
        progress : callable, optional
            Called with a stage name and the share done.

        Returns
        -------
        int
            Rows written.
        """
        table, u, tell = ParquetTable(Path(source)), _checked_levels(levels), progress or silent
        names = self._names(arm)
        table.check(names)
        total, done = table.n_rows, 0
        nodes = np.concatenate([(np.arange(n_nodes) + 0.5) / n_nodes, u])
        header = pa.schema([(name, pa.float64()) for name in ("mean", *(f"q{x:g}" for x in u))])
        with draft_of(output) as draft, pq.ParquetWriter(draft, header) as writer:
            for batch in table.batches(names):
                q = self._read(batch, nodes, arm)
                out = [q[:, :n_nodes].mean(1), *q[:, n_nodes:].T]
                writer.write_batch(pa.record_batch(list(map(pa.array, out)), schema=header))
                done += len(q)
                tell("reading", done / total)
        return done

    def save(self, path: str | Path) -> Path:
        """Write the model to a file (JSON and safetensors in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "ParquetDiffusion":
        """Read a model back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        model: ParquetDiffusion = load_model(path, expected=cls)
        return model

    def check_parts(self) -> None:
        """Refuse columns, arms, coefficients and networks that are not of one model."""
        A = 1 if self.arm is None else len(self.arm.levels)
        width = 1 + sum(len(c.moments[0]) for c in self.columns)
        if self.coefficients.shape != (A, width) or self.scale.shape != (A,) or (
            self.diffusion.backbone.n_columns != width - 1 or self.diffusion.backbone.n_arms != A
        ):  # fmt: skip
            raise DataError("coefficients or networks of another condition", "those of the columns")

    def _names(self, arm: Level | None) -> list[str]:
        own = [self.arm.name] if self.arm is not None and arm is None else []
        return [c.name for c in self.columns] + own

    def _read(self, rows: Any, levels: Array, arm: Level | None) -> Array:
        """Quantiles at any levels, in the order given, shape (n, len(levels))."""
        missing = [name for name in self._names(arm) if name not in rows.schema.names]
        if missing:
            raise DataError(f"the rows have no column '{missing[0]}'", "the training columns")
        condition, order = encode(self.columns, rows), np.argsort(levels, kind="stable")
        arms, z = self._arms(rows, arm), ndtri(levels[order])
        out = np.empty((len(condition), len(levels)))
        for a in np.unique(arms):
            at = np.flatnonzero(arms == a)
            v = self.diffusion.transport(0, condition[at], int(a), z)
            m = _with_one(self.diffusion.standardisers[0](condition[at]).numpy())
            y = (m @ self.coefficients[a])[:, None] + self.scale[a] * v
            out[np.ix_(at, order)] = self.target.mean + self.target.sd * y
        return out

    def _arms(self, rows: Any, arm: Level | None) -> NDArray[np.int64]:
        if self.arm is None:
            if arm is not None:
                raise DataError(f"arm is {arm!r} but the model has no arms", "arm=None")
            return np.zeros(rows.num_rows, dtype=np.int64)
        if arm is None:
            return self.arm.codes(rows.column(self.arm.name))
        if arm not in self.arm.levels:
            raise DataError(f"arm is {arm!r}", f"one of {', '.join(map(repr, self.arm.levels))}")
        return np.full(rows.num_rows, self.arm.levels.index(arm))


def train_parquet(
    path: str | Path,
    target: str,
    condition: Sequence[str],
    arm: str | None = None,
    settings: DiffusionSettings | None = None,
    random_state: Seed = None,
    scratch_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> ParquetDiffusion:
    """Learn the law of a column given others from a Parquet file.

    Parameters
    ----------
    path : str or Path
        A Parquet file, or a folder of them.
    target : str
        Numeric column without gaps.
    condition : sequence of str
        Columns of numbers (gaps are filled and marked) or texts (at most 100 levels).
    arm : str, optional
        Column with up to 20 levels, each of which gets a layer of its own in the network.
    settings : DiffusionSettings, optional
    random_state : int, SeedSequence or None
    scratch_dir : str or Path, optional
        Where the standardised rows go, 4 bytes a number; the system's temporary folder by default.
    progress : callable, optional
        Called with a stage name and the share done.

    Raises
    ------
    DataError
        For files and columns that cannot be used.
    ConvergenceError
        If training diverged.
    """
    settings, tell = settings or DiffusionSettings(), progress or silent
    device = resolve_device(settings.device)
    table = ParquetTable(Path(path))
    discrete = [] if arm is None else [arm]
    if scratch_dir is not None:
        check_folder(scratch_dir)
    columns, arms, outcome, n = _surveyed(table, target, list(condition), discrete)
    tell("survey", 1.0)
    with TemporaryDirectory(prefix="diffusion-", dir=scratch_dir) as folder:
        source = _Source(table, columns, arms, outcome, n)
        rows, y, gram = source.written(Path(folder) / "rows.f32", tell)
        coefficients, scale = location_and_scale(gram, len(y))
        _diffuse_residual(rows, y, coefficients, scale)
        seed = seed_sequence(random_state)
        groups = [Rows(torch.from_numpy(rows).to(device))]
        with quick_arithmetic():
            backbone, weights, report = fit_members(
                groups, ["rows"], seed, settings, len(scale), lambda s: tell("diffusion", s)
            )
        report["device"] = str(device)
    settings = replace(settings, checkpoint_dir=None)
    diffusion = ConditionalDiffusion(settings, backbone, weights, (source.standardiser,), report)
    return ParquetDiffusion(columns, arms, outcome, coefficients, scale, diffusion, n)


def _surveyed(
    table: ParquetTable, target: str, condition: list[str], discrete: list[str]
) -> tuple[tuple[Column, ...], LevelColumn | None, NumberColumn, int]:
    """The columns of the condition, the arm, the target, and the number of rows."""
    if not condition:
        raise DataError("no columns of the condition are given", "at least one")
    found, n = survey(table, [*condition, target, *discrete], discrete)
    columns, outcome = found[: len(condition)], found[len(condition)]
    arms = found[-1] if discrete else None
    assert arms is None or isinstance(arms, LevelColumn)
    if not isinstance(outcome, NumberColumn) or outcome.missing_share:
        raise DataError("the target has gaps or is no number", "a number in every row",
                        column=target)  # fmt: skip
    if outcome.sd <= 1e-10 * (1 + abs(outcome.mean)):
        raise DataError("the target is constant", "values that vary", column=target)
    if arms is not None and len(arms.levels) > MAX_ARMS:
        raise DataError(f"{len(arms.levels)} distinct values", f"at most {MAX_ARMS} arms",
                        column=arms.name)  # fmt: skip
    width = sum(len(c.moments[0]) for c in columns)
    if n < MIN_ROWS_A_COLUMN * width:
        raise DataError(
            f"there are {n:,} rows and {width} numbers in the condition",
            f"at least {MIN_ROWS_A_COLUMN} rows a number",
            "For small tables read the frame and use PotentialOutcomeModel or train_conditional.",
        )
    return columns, arms, outcome, n


@dataclass(frozen=True)
class _Source:
    """A surveyed file."""

    table: ParquetTable
    columns: tuple[Column, ...]
    arms: LevelColumn | None
    outcome: NumberColumn
    n: int

    @property
    def standardiser(self) -> Standardiser:
        mean, sd = (np.concatenate(parts) for parts in zip(*(c.moments for c in self.columns),
                                                           strict=True))  # fmt: skip
        return Standardiser(mean, np.where(sd > 1e-10 * (1 + np.abs(mean)), sd, 1.0))

    def written(self, path: Path, tell: Progress) -> tuple[NDArray[np.float32], Array, Array]:
        """Rows [z, v, 1, arm] on disk (v still empty), y, and G of each arm."""
        standardise = self.standardiser
        D, A = len(standardise.mean), 1 if self.arms is None else len(self.arms.levels)
        rows = np.memmap(path, np.float32, "w+", shape=(self.n, D + 3))
        y, gram, at = np.empty(self.n), np.zeros((A, D + 2, D + 2)), 0
        names = [*(c.name for c in self.columns), self.outcome.name]
        for batch in self.table.batches(names + ([] if self.arms is None else [self.arms.name])):
            b = slice(at, at + batch.num_rows)
            rows[b, :D] = standardise(encode(self.columns, batch)).numpy()
            y[b] = (numbers_of(batch.column(self.outcome.name), self.outcome.name)
                    - self.outcome.mean) / self.outcome.sd  # fmt: skip
            own = 0 if self.arms is None else self.arms.codes(batch.column(self.arms.name))
            rows[b, -2], rows[b, -1] = 1.0, own
            for a in range(A):
                in_arm = rows[b, -1] == a
                zy = np.column_stack([_with_one(rows[b, :D][in_arm]), y[b][in_arm]])
                gram[a] += zy.T @ zy
            at = b.stop
            tell("rows", at / self.n)
        return rows, y, gram


def _with_one(z: NDArray[np.floating]) -> Array:
    """(1, z), float64."""
    return np.column_stack([np.ones(len(z)), z.astype(float)])


def location_and_scale(gram: Array, n: int) -> tuple[Array, Array]:
    """b_a, shape (A, 1 + D), and s_a, shape (A,), from G_a, shape (A, D + 2, D + 2)."""
    k = gram.shape[1] - 1
    lent = gram + (k / n) * gram.sum(0)
    coefficients, scale = [], []
    for g in lent:
        b = np.linalg.lstsq(g[:-1, :-1], g[:-1, -1], rcond=1e-10)[0]
        rss = g[-1, -1] - 2 * b @ g[:-1, -1] + b @ g[:-1, :-1] @ b
        coefficients.append(b)
        scale.append(np.sqrt(max(float(rss), 0.0) / g[0, 0]))
    return np.array(coefficients), np.maximum(scale, 1e-6)


def _diffuse_residual(
    rows: NDArray[np.float32], y: Array, coefficients: Array, scale: Array
) -> None:
    """Write v = (y - m_a(z)) / s_a into its column, in place."""
    for at in range(0, len(y), _CHUNK):
        part, own = rows[at : at + _CHUNK], rows[at : at + _CHUNK, -1].astype(int)
        m = np.einsum("nd,nd->n", _with_one(part[:, :-3]), coefficients[own])
        part[:, -3] = (y[at : at + _CHUNK] - m) / scale[own]


def _checked_levels(levels: ArrayLike) -> Array:
    u = np.atleast_1d(np.asarray(levels, dtype=float))
    if u.ndim != 1 or not ((u > 0) & (u < 1)).all():
        raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
    return u
