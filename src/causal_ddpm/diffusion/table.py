r"""Frames as rows of coordinates: which coordinate belongs to what, and the way there and back.

Every column becomes one or more parts: a number its z, and a category of its atoms where it has
some; a category its levels; a column with missing cells a category present / missing besides. A
missing cell, and the z of an atom, are absent: an observer sees their mean, they carry no loss.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor

from causal_ddpm.core import checks
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.synthetic import SYNTHETIC_MARKER
from causal_ddpm.diffusion.columns import Array, TableColumn, read_column
from causal_ddpm.diffusion.masked import Layout, unit_length

Role = Literal["missing", "atom", "level", "number"]


@dataclass(frozen=True)
class Part:
    """Coordinates ``start`` to ``start + size`` of a row: one role of one column."""

    column: int
    role: Role
    start: int
    size: int
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows as coordinates, each (n, K): what is seen, the stretch of Phi(z), presence."""

    seen: Array
    low: Array
    high: Array
    present: NDArray[np.bool_]

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As float32 tensors, presence as bool."""
        numbers = (torch.from_numpy(a.astype(np.float32)).to(device)
                   for a in (self.seen, self.low, self.high))  # fmt: skip
        seen, low, high = numbers
        return seen, low, high, torch.from_numpy(self.present).to(device)


@dataclass(frozen=True, eq=False)
class TableMap:
    """The columns of a table and their coordinates."""

    columns: tuple[TableColumn, ...]

    @classmethod
    def of(cls, frame: nw.DataFrame[Any], categorical: Iterable[str]) -> "TableMap":
        """Read every column of a frame.

        Raises
        ------
        DataError
            For columns that cannot be modelled.
        """
        chosen = set(categorical)
        checks.check_columns(frame.columns, [c for c in chosen if c not in frame.columns])
        return cls(tuple(read_column(frame[c], c in chosen) for c in frame.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(c.name for c in self.columns)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All parts, in the order of their coordinates."""
        parts: list[Part] = []
        at = 0
        for j, column in enumerate(self.columns):
            for role, shares in _roles(column):
                size = max(1, len(shares))
                parts.append(Part(j, role, at, size, shares))
                at += size
        return tuple(parts)

    @cached_property
    def size(self) -> int:
        """K."""
        return sum(part.size for part in self.parts)

    def layout(self) -> Layout:
        """Blocks, lengths and shares for the engine."""
        length, log_share = torch.ones(self.size), torch.zeros(self.size)
        blocks = [(p.start, p.size) for p in self.parts if p.role != "number"]
        for p in self.parts:
            if p.role != "number":
                shares = torch.tensor(p.shares)
                length[p.start : p.start + p.size] = unit_length(shares)
                log_share[p.start : p.start + p.size] = shares.clamp(min=1e-6).log()
        return Layout(self.size, tuple(blocks), length, log_share)

    def observed(self, columns: Iterable[int], roles: Iterable[Role]) -> NDArray[np.bool_]:
        """Mask (K,) of the coordinates of some columns in some roles."""
        mask, inside, wanted = np.zeros(self.size, dtype=bool), set(columns), set(roles)
        for p in self.parts:
            if p.column in inside and p.role in wanted:
                mask[p.start : p.start + p.size] = True
        return mask

    # -- there -----------------------------------------------------------------------------
    def encode(self, frame: nw.DataFrame[Any]) -> Cells:
        """Coordinates of a frame; columns that it lacks are absent.

        Raises
        ------
        DataError
            For unknown levels, infinite numbers, and text where numbers are expected.
        """
        n, K = len(frame), self.size
        cells = Cells(np.zeros((n, K)), np.zeros((n, K)), np.zeros((n, K)),
                      np.zeros((n, K), dtype=bool))  # fmt: skip
        for j, column in enumerate(self.columns):
            if column.name in frame.columns:
                values = self.read(frame, j)
                for part in (p for p in self.parts if p.column == j):
                    self._fill(cells, part, values)
        return cells

    def read(self, frame: nw.DataFrame[Any], j: int) -> Array:
        """Column j of a frame: numbers, or codes of levels; NaN where missing."""
        column = self.columns[j]
        series = frame[column.name]
        if column.kind != "number":
            codes = column.codes(series.to_list())
            return np.where(codes < 0, np.nan, codes)
        y = checks.as_float(series, "numbers, as in the training data")
        if np.isinf(y).any():
            raise DataError("the column has infinite values", "finite numbers", column=column.name)
        return y

    def _fill(self, cells: Cells, part: Part, values: Array) -> None:
        column, span = self.columns[part.column], slice(part.start, part.start + part.size)
        here = np.isfinite(values)
        if part.role == "number":
            table = column.table
            assert table is not None
            here &= ~np.isin(values, column.atoms)
            y = np.where(here, values, table.values[0])
            low, high = table.stretch(y)
            cells.seen[:, part.start] = np.where(here, table.seen(y), 0.0)
            cells.low[:, part.start] = np.where(here, low, 0.0)
            cells.high[:, part.start] = np.where(here, high, 1.0)
            cells.present[:, part.start] = here
            return
        codes = np.where(here, values, 0.0)
        if part.role == "missing":
            codes, here = (~here).astype(float), np.ones_like(here)
        elif part.role == "atom":
            codes = (values[:, None] == np.asarray(column.atoms)) @ np.arange(1.0, part.size)
        unit = np.eye(part.size)[codes.astype(np.int64)]
        shares = np.asarray(part.shares)
        cells.seen[:, span] = np.where(here[:, None], unit, shares) * unit_length(
            torch.from_numpy(shares)
        )
        cells.present[:, span] = here[:, None]

    # -- back ------------------------------------------------------------------------------
    def decode(self, v: Array) -> dict[str, Array]:
        """Columns from coordinates (n, K): numbers or codes of levels, NaN where missing."""
        out: dict[str, Array] = {}
        for j, column in enumerate(self.columns):
            values = np.zeros(len(v))
            for p in (p for p in self.parts if p.column == j):
                part = v[:, p.start : p.start + p.size]
                if p.role == "number":
                    assert column.table is not None
                    values = column.table.quantile(ndtr(part[:, 0]))
                elif p.role == "level":
                    values = part.argmax(1).astype(float)
            for p in (p for p in self.parts if p.column == j):
                choice = v[:, p.start : p.start + p.size].argmax(1)
                if p.role == "atom":
                    values = np.where(choice > 0, np.asarray([0.0, *column.atoms])[choice], values)
                elif p.role == "missing":
                    values = np.where(choice > 0, np.nan, values)
            out[column.name] = values
        return out

    def frame(self, values: dict[str, Array], like: nw.Implementation) -> Any:
        """Decoded columns as a native frame, each with the type it had, and the marker."""
        data: dict[str, Any] = {}
        for column in self.columns:
            data[column.name] = _written(column, values[column.name])
        n = len(next(iter(values.values())))
        data[SYNTHETIC_MARKER] = np.ones(n, dtype=bool)
        table = nw.from_dict(data, backend=like)  # type: ignore[arg-type]
        whole = [c for c in self.columns if np.isfinite(values[c.name]).all()]
        types = {c.name: getattr(nw, c.dtype) for c in whole if c.dtype in _CASTS}
        return table.with_columns(nw.col(k).cast(t) for k, t in types.items()).to_native()


_CASTS = {
    *(f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    "Float32", "Float64", "Categorical",
}  # fmt: skip


def _written(column: TableColumn, values: Array) -> Any:
    here = np.isfinite(values)
    if column.kind == "number":
        return (
            values
            if here.all()
            else [v if ok else None for v, ok in zip(values, here, strict=True)]
        )
    levels = np.array([*column.levels, None], dtype=object)
    cells = levels[np.where(here, values, len(column.levels)).astype(np.int64)]
    if here.all() and not isinstance(column.levels[0], str):
        return cells.astype(type(column.levels[0]))
    return cells.tolist()


def _roles(column: TableColumn) -> list[tuple[Role, tuple[float, ...]]]:
    roles: list[tuple[Role, tuple[float, ...]]] = []
    if column.missing > 0:
        roles.append(("missing", (1 - column.missing, column.missing)))
    if column.kind == "number":
        if column.atoms:
            roles.append(("atom", column.atom_shares))
        roles.append(("number", ()))
    elif column.kind == "category":
        roles.append(("level", column.shares))
    return roles


def open_frame(frame: Any, columns: Sequence[str] | None = None) -> nw.DataFrame[Any]:
    """A frame by narwhals, with some columns, or with all but the marker of synthetic rows.

    Raises
    ------
    DataError
        If it is no frame, or lacks a column.
    """
    if isinstance(frame, nw.DataFrame):
        table = frame
    else:
        names = getattr(frame, "column_names", getattr(frame, "columns", None))
        if names is None or isinstance(frame, np.ndarray):
            raise DataError(
                f"the data are a {type(frame).__name__}", "a pandas, polars or pyarrow frame"
            )
        checks.check_columns([str(c) for c in names], [])
        table = nw.from_native(frame, eager_only=True)
    if columns is not None:
        checks.check_columns(table.columns, columns)
        return table.select(list(columns))
    return table.select([c for c in table.columns if c != SYNTHETIC_MARKER])
