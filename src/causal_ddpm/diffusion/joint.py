r"""Whole rows of a mixed table: generate them, complete them, ask for probabilities.

Rows (numbers, counts, categories, missing cells) become coordinates
(:mod:`causal_ddpm.diffusion.table`), and one network learns to denoise any part of a row given the
rest (:mod:`causal_ddpm.diffusion.masked`): half of the training rows are blurred as a whole, the
others under random masks, in which observed columns stay clean. So one model answers

    sample          rows of the joint law
    sample_given    the law of any columns given any others
    probability     P(column = level | given columns), the denoiser's own answer at full noise:
                    for a column that assigns units to groups this is the assignment mechanism
                    that the model has learnt
    impute          missing cells given the cells that are there
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causal_ddpm.core.errors import DataError, SyntheticDataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.diffusion.columns import Array, Level
from causal_ddpm.diffusion.gaussian import Moments
from causal_ddpm.diffusion.masked import CellRows
from causal_ddpm.diffusion.masked_fit import MaskedDiffusion, train_masked
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.diffusion.runtime import quick_arithmetic, resolve_device
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.table import Role, TableMap, open_frame
from causal_ddpm.diffusion.vector import chunks

MIN_ROWS = 40

_N_PATTERNS = 200
_WHOLE_SHARE = 0.5
_VALUES: tuple[Role, ...] = ("number", "atom", "level")
_ALL: tuple[Role, ...] = (*_VALUES, "missing")


@dataclass(frozen=True)
class JointDiffusion:
    """Settings of a generator of table rows.

    Parameters
    ----------
    settings : DiffusionSettings, optional
        Open fields are filled in by :func:`causal_ddpm.diffusion.masked_fit.masked_recipe`.
    categorical : tuple of str
        Numeric columns to be read as categories without order (codes of regions, of industries).
    """

    settings: DiffusionSettings = field(default_factory=DiffusionSettings)
    categorical: tuple[str, ...] = ()

    def fit(
        self,
        frame: Any,
        columns: Sequence[str] | str | None = None,
        random_state: Seed = None,
        progress: Progress | None = None,
    ) -> "FittedJoint":
        """Learn the joint law of the columns of a frame.

        Parameters
        ----------
        frame : pandas, polars or pyarrow frame
            One row a unit.
        columns : str or sequence of str, optional
            All by default.
        random_state : int, SeedSequence or None
        progress : callable, optional
            Called with a stage name and the share done.

        Raises
        ------
        DataError
            For rows or columns that cannot be used.
        SyntheticDataError
            If rows are marked as synthetic.
        ConvergenceError
            If training diverged.
        """
        tell = progress or silent
        table = _observed_rows(frame, [columns] if isinstance(columns, str) else columns)
        rows = TableMap.of(table, self.categorical)
        if rows.size == 0:
            raise DataError("every column is constant", "a column that varies")
        with quick_arithmetic():
            engine = self._train(rows, table, random_state, tell)
        return FittedJoint(rows, engine, str(table.implementation.name))

    def _train(
        self, rows: TableMap, table: nw.DataFrame[Any], random_state: Seed, tell: Progress
    ) -> MaskedDiffusion:
        device = resolve_device(self.settings.device)
        seen, low, high, present = rows.encode(table).tensors(device)
        layout = rows.layout()
        variance = torch.where(layout.numeric, 1.0, seen.cpu().var(0)).to(device)
        bank = [torch.from_numpy(p).to(device) for p in _patterns(rows, random_state)]
        return train_masked(
            CellRows.of(seen, low, high, present),
            layout,
            Moments.of(seen, variance),
            bank,
            self.settings,
            seed_sequence(random_state),
            first=_WHOLE_SHARE if len(bank) > 1 else 1.0,
            progress=lambda share: tell("diffusion", share),
        )


@dataclass(frozen=True, eq=False)
class FittedJoint:
    """A generator of table rows; made by :meth:`JointDiffusion.fit`.

    Parameters
    ----------
    table : TableMap
    engine : MaskedDiffusion
    frame_kind : str
        Kind of frame that :meth:`sample` returns: the kind that came in.
    """

    table: TableMap
    engine: MaskedDiffusion
    frame_kind: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.table.names

    @property
    def report(self) -> dict[str, Any]:
        """Losses, steps, seconds; JSON-ready."""
        return self.engine.report

    def levels(self, column: str) -> tuple[Level, ...]:
        """Levels of a category, in the order of :meth:`probability`."""
        return self.table.columns[self._place(column)].levels

    # -- generating ------------------------------------------------------------------------
    def sample(self, n: int, random_state: Seed = None, missing: bool = True) -> Any:
        """Rows of the joint law.

        Parameters
        ----------
        n : int
        random_state : int, SeedSequence or None
        missing : bool
            Whether cells may be missing, as often as in the training rows.

        Returns
        -------
        frame
            Of the kind that was fitted, with the column ``__synthetic__``, all True.
        """
        _check_count("n", n)
        given = np.zeros((n, self.table.size))
        observed = np.zeros(self.table.size, dtype=bool)
        if not missing:
            self._mark_present(given, observed[None])
        v = self._draw(given, np.broadcast_to(observed, given.shape), random_state)
        return self.table.frame(self.table.decode(v), self._implementation)

    def sample_given(self, frame: Any, n_samples: int = 1, random_state: Seed = None) -> Any:
        """Rows of the law of the other columns, given those of a frame.

        Parameters
        ----------
        frame : frame
            Some of the columns; others that the model does not know are left out. A missing cell
            is drawn like an absent column.
        n_samples : int
            Draws for each row; they stand together.
        random_state : int, SeedSequence or None

        Returns
        -------
        frame
            ``n_samples`` rows for each row, all cells filled, with the marker column.
        """
        _check_count("n_samples", n_samples)
        known = self._known(frame)
        given, observed = self._given(known, missing_is_seen=False)
        values = self.table.decode(
            self._draw(
                given.repeat(n_samples, axis=0), observed.repeat(n_samples, axis=0), random_state
            )
        )
        for j, column in enumerate(self.table.columns):
            if column.name in known.columns:
                kept = self.table.read(known, j).repeat(n_samples)
                values[column.name] = np.where(np.isnan(kept), values[column.name], kept)
        return self.table.frame(values, known.implementation)

    def impute(self, frame: Any, random_state: Seed = None) -> Any:
        """The frame with its missing cells drawn given the cells that are there.

        One draw: repeat it with other seeds to see what the missing cells leave open.
        """
        known = self._known(frame)
        absent = [c for c in self.columns if c not in known.columns]
        if absent:
            raise DataError(f"the frame lacks the column '{absent[0]}'", "all columns of the model",
                            "sample_given draws absent columns.")  # fmt: skip
        holes = [c for j, c in enumerate(self.columns) if np.isnan(self.table.read(known, j)).any()]
        filled = nw.from_native(self.sample_given(known, 1, random_state), eager_only=True)
        full = nw.from_native(frame, eager_only=True)
        return full.with_columns(*(filled[c] for c in holes)).to_native()

    # -- asking ----------------------------------------------------------------------------
    @quick_arithmetic()
    @torch.no_grad()
    def probability(self, frame: Any, column: str) -> Array:
        """P(column = level | the other columns of the frame), shape (n, levels).

        Parameters
        ----------
        frame : frame
            Some of the other columns. A missing cell counts as seen to be missing where training
            rows had missing cells in that column.
        column : str
            A category (texts, truth values, or two numbers).
        """
        j = self._place(column)
        if self.table.columns[j].kind != "category":
            raise DataError(f"the column holds a {self.table.columns[j].kind}", "a category",
                            column=column)  # fmt: skip
        known = self._known(frame)
        if column in known.columns:
            known = known.drop(column)
        given, observed = self._given(known, missing_is_seen=True)
        (start,) = (p.start for p in self.table.parts if p.column == j and p.role == "level")
        block = [i for i, _ in self.engine.layout.blocks].index(start)
        if any(p.column == j and p.role == "missing" for p in self.table.parts):
            self._mark_present(given, observed, [j])
        out = np.empty((len(given), len(self.levels(column))))
        for rows, reading, z in self._by_pattern(given, observed):
            parts = [
                reading.probabilities(piece, block) for piece in z.split(self.engine.chunk_rows)
            ]
            out[rows] = torch.cat(parts).cpu().numpy()
        return out / out.sum(1, keepdims=True)

    # -- writing ---------------------------------------------------------------------------
    def save(self, path: str | Path) -> Path:
        """Write the model to a file."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "FittedJoint":
        """Read a model back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        return load_model(path, cls)

    # -- inside ----------------------------------------------------------------------------
    @property
    def _implementation(self) -> nw.Implementation:
        return nw.Implementation[self.frame_kind]

    def _place(self, column: str) -> int:
        if column not in self.columns:
            raise DataError(f"there is no column '{column}'", "a column of the model")
        return self.columns.index(column)

    def _known(self, frame: Any) -> nw.DataFrame[Any]:
        table = open_frame(frame)
        names = [c for c in table.columns if c in self.columns]
        if not names or len(table) == 0:
            raise DataError(
                "the frame has no row" if names else "the frame has no column of the model",
                "rows with some of the columns that were fitted",
            )
        return table.select(names)

    def _given(
        self, known: nw.DataFrame[Any], missing_is_seen: bool
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Coordinates of the given cells, and which are observed, each (n, K)."""
        cells = self.table.encode(known)
        observed = np.zeros(cells.seen.shape, dtype=bool)
        places = [self.table.names.index(c) for c in known.columns]
        for j in places:
            here = np.isfinite(self.table.read(known, j))
            mask = self.table.observed([j], _ALL)
            has_flag = any(p.column == j and p.role == "missing" for p in self.table.parts)
            seen = here | (missing_is_seen and has_flag)
            observed[:, mask] = seen[:, None]
        if not missing_is_seen:
            self._mark_present(cells.seen, observed)
        return cells.seen, observed

    def _mark_present(
        self, given: Array, observed: NDArray[np.bool_], columns: list[int] | None = None
    ) -> None:
        """See cells as present, in place: of some columns, or all."""
        for p in self.table.parts:
            if p.role == "missing" and (columns is None or p.column in columns):
                span = slice(p.start, p.start + p.size)
                given[:, span] = [float(self.engine.layout.length[p.start]), 0.0]
                observed[:, span] = True

    def _by_pattern(
        self, given: Array, observed: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Any, Tensor]]:
        """Rows with the same observed coordinates, the reading for them, their coordinates."""
        device = self.engine.weights["out.b"].device
        patterns, which = np.unique(observed, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.ravel() == k)
            z = torch.from_numpy(given[rows].astype(np.float32)).to(device)
            yield rows, self.engine.given(torch.from_numpy(pattern).to(device)), z

    @quick_arithmetic()
    @torch.no_grad()
    def _draw(self, given: Array, observed: NDArray[np.bool_], random_state: Seed) -> Array:
        """Coordinates (n, K), the observed ones as given."""
        rng = stream(random_state, "sample")
        latents = rng.standard_normal(given.shape, dtype=np.float32)
        seed = int(rng.integers(2**31))
        out = np.empty(given.shape)
        for rows, reading, z in self._by_pattern(given, observed):
            w = torch.from_numpy(latents[rows]).to(z.device)
            parts = [
                reading.decode(piece, chunk, noise)
                for piece, chunk, noise in chunks(z, w, self.engine.chunk_rows, seed)
            ]
            out[rows] = torch.cat(parts).cpu().numpy()
        return out


def _observed_rows(frame: Any, columns: Sequence[str] | None) -> nw.DataFrame[Any]:
    """The frame to learn from; refuses synthetic rows and too few of them."""
    full = open_frame(frame, None)
    marked = nw.from_native(frame, eager_only=True)
    if SYNTHETIC_MARKER in marked.columns and any(marked[SYNTHETIC_MARKER].to_list()):
        raise SyntheticDataError(
            "Some rows are marked as synthetic; expected observed rows only. "
            "Drop the rows where __synthetic__ is true."
        )
    table = full if columns is None else open_frame(full, columns)
    if not table.columns:
        raise DataError("there are no columns", "at least one")
    if len(table) < MIN_ROWS:
        raise DataError(f"the table has {len(table)} rows", f"at least {MIN_ROWS}")
    return table


def _patterns(rows: TableMap, random_state: Seed) -> list[NDArray[np.bool_]]:
    """Masks of training: nothing observed, all but one column (a third of them), random columns.

    Whether cells are missing is observed with the column, and for half of the masks everywhere.
    """
    rng, C = stream(random_state, "patterns"), len(rows.columns)
    everywhere, flags = range(C), rows.observed(range(C), ["missing"])
    nothing = np.zeros(rows.size, dtype=bool)
    masks = [nothing, *([flags] if flags.any() else [])]
    masks += [
        rows.observed(set(everywhere) - {j}, _ALL) | flags
        for j in everywhere
        for _ in range(max(1, _N_PATTERNS // (3 * C)))
    ]
    for _ in range(_N_PATTERNS - len(masks) if C > 1 else 0):
        chosen = rng.permutation(C)[: rng.integers(1, C)]
        masks.append(rows.observed(chosen.tolist(), _ALL) | (flags & (rng.random() < 0.5)))
    return [nothing, *(m for m in masks[1:] if m.any() and not m.all())]


def _check_count(name: str, value: object) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (whole and int(value) >= 1):  # type: ignore[call-overload]
        raise DataError(f"{name} is {value!r}", "a whole number from 1 upwards")
