"""Arithmetic on the columns of a frame, written as a text and read without running code.

    0.5 + 0.2 * (age > 40)        where(region == "north", 1, 0.2 * log(income))

Numbers, columns by name (in backticks where a name is no word: `` `years at school` ``),
+ - * / and powers, comparisons, ``and or not`` (or ``& |``), and the functions ``abs exp log log1p
sqrt minimum maximum where``. The text is parsed into a syntax tree, and only nodes of these kinds
are evaluated: there are no attributes, no subscripts, no other calls. Categories are compared with
texts in quotes; a missing cell makes a comparison false and any arithmetic missing.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

MAX_LENGTH = 1000
"""Longest text that is read."""

_ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
    ast.Pow: np.power, ast.USub: np.negative, ast.UAdd: np.positive,
}  # fmt: skip
_LOGIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.And: np.logical_and, ast.Or: np.logical_or, ast.Not: np.logical_not,
    ast.BitAnd: np.logical_and, ast.BitOr: np.logical_or, ast.Invert: np.logical_not,
}  # fmt: skip
_COMPARISONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Gt: np.greater, ast.GtE: np.greater_equal, ast.Lt: np.less, ast.LtE: np.less_equal,
}  # fmt: skip
_EQUALITIES: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: np.equal, ast.NotEq: np.not_equal,
}  # fmt: skip
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1), "exp": (np.exp, 1), "log": (np.log, 1), "log1p": (np.log1p, 1),
    "sqrt": (np.sqrt, 1), "minimum": (np.minimum, 2), "maximum": (np.maximum, 2),
    "where": (lambda when, yes, no: np.where(_truth(when), _number(yes), _number(no)), 3),
}  # fmt: skip


def evaluate(text: str, frame: pd.DataFrame) -> Array:
    """The value of an expression for each row.

    Parameters
    ----------
    text : str
    frame : DataFrame, n rows
        Its columns can be named.

    Returns
    -------
    ndarray, shape (n,)
        NaN or infinite where the arithmetic is.

    Raises
    ------
    DataError
        If the text cannot be read, or names a column or function that is not there.
    """
    tree, names = _parsed(text)
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    with np.errstate(all="ignore"):
        try:
            value = _number(_value(tree, {**names}, columns))
        except RecursionError:
            raise _unreadable(text, "it is nested too deeply") from None
    return np.broadcast_to(value, (len(frame),)).astype(np.float64)


def _parsed(text: str) -> tuple[ast.expr, dict[str, str]]:
    """The syntax tree, and the column that each stand-in for a name in backticks means."""
    if len(text) > MAX_LENGTH:
        raise _unreadable(text, f"it has {len(text):,} characters, at most {MAX_LENGTH:,} are read")
    quoted = list(dict.fromkeys(re.findall(r"`([^`]+)`", text)))
    names = {f"__column_{k}": name for k, name in enumerate(quoted)}
    for stand_in, name in names.items():
        text = text.replace(f"`{name}`", f" {stand_in} ")
    try:
        return ast.parse(text.strip(), mode="eval").body, names
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(text, str(getattr(error, "msg", error))) from None


def _unreadable(text: str, why: str) -> DataError:
    return DataError(
        f"'{text[:60]}' is no expression ({why})",
        'one such as 0.5, or 0.5 + 0.2 * (age > 40), or where(region == "north", 1, 0)',
    )


def _value(node: ast.expr, names: Mapping[str, str], columns: Mapping[str, Any]) -> Any:
    """The value of a node: a number, a text, or an array of the rows."""
    reader = _READERS.get(type(node))
    if reader is None:
        raise DataError(
            f"the expression holds '{ast.unparse(node)[:60]}'",
            "numbers, columns, + - * / **, comparisons, and, or, not, and the functions "
            + ", ".join(_FUNCTIONS),
        )
    return reader(node, lambda part: _value(part, names, columns), names, columns)


def _constant(node: ast.Constant, *_: Any) -> Any:
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, bool | int | float):
        return np.float64(node.value)
    raise _unreadable(str(node.value), "neither a number nor a text")


def _column(node: ast.Name, _: Any, names: Mapping[str, str], columns: Mapping[str, Any]) -> Any:
    name = names.get(node.id, node.id)
    if name not in columns:
        close = difflib.get_close_matches(name, columns, n=1)
        raise DataError(
            f"the expression names '{name}'",
            f"a confounder: {checks.shown(columns, 12)}",
            f"Did you mean '{close[0]}'?" if close else "",
        )
    return columns[name]


def _binary(node: ast.BinOp, value: Callable[..., Any], *_: Any) -> Any:
    left, right = value(node.left), value(node.right)
    if type(node.op) in _LOGIC:
        return _LOGIC[type(node.op)](_truth(left), _truth(right))
    if type(node.op) not in _ARITHMETIC:
        raise _unreadable(ast.unparse(node), "an operation other than + - * / **")
    return _ARITHMETIC[type(node.op)](_number(left), _number(right))


def _unary(node: ast.UnaryOp, value: Callable[..., Any], *_: Any) -> Any:
    inner = value(node.operand)
    if type(node.op) in _LOGIC:
        return _LOGIC[type(node.op)](_truth(inner))
    return _ARITHMETIC[type(node.op)](_number(inner))


def _all_or_any(node: ast.BoolOp, value: Callable[..., Any], *_: Any) -> Any:
    parts = [_truth(value(part)) for part in node.values]
    return np.asarray(_LOGIC[type(node.op)].reduce(np.broadcast_arrays(*parts)))  # type: ignore[attr-defined]


def _comparison(node: ast.Compare, value: Callable[..., Any], *_: Any) -> Any:
    """Chains too: 30 < age < 40."""
    parts = [value(part) for part in (node.left, *node.comparators)]
    found: Any = True
    for left, op, right in zip(parts, node.ops, parts[1:], strict=False):
        found = np.logical_and(found, _compared(left, type(op), right, node))
    return found


def _compared(left: Any, op: type[ast.AST], right: Any, node: ast.Compare) -> Any:
    if op in _COMPARISONS:
        return _COMPARISONS[op](_number(left), _number(right))
    if op not in _EQUALITIES:
        raise _unreadable(ast.unparse(node), "a comparison other than == != < <= > >=")
    if _is_text(left) != _is_text(right):
        raise _unreadable(ast.unparse(node), "a text is compared with a number")
    return _EQUALITIES[op](np.asarray(left, dtype=object), np.asarray(right, dtype=object))


def _call(node: ast.Call, value: Callable[..., Any], *_: Any) -> Any:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in _FUNCTIONS:
        raise _unreadable(ast.unparse(node), f"no function '{name}'; there are {[*_FUNCTIONS]}")
    function, count = _FUNCTIONS[name]
    if node.keywords or len(node.args) != count:
        raise _unreadable(ast.unparse(node), f"{name} takes {count} argument(s)")
    arguments = [value(part) for part in node.args]
    return function(*(arguments if name == "where" else map(_number, arguments)))


_READERS: dict[type[ast.expr], Callable[..., Any]] = {
    ast.Constant: _constant, ast.Name: _column, ast.BinOp: _binary, ast.UnaryOp: _unary,
    ast.BoolOp: _all_or_any, ast.Compare: _comparison, ast.Call: _call,
}  # fmt: skip


def _is_text(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "OUS"


def _number(value: Any) -> Any:
    if _is_text(value):
        raise DataError(
            "the expression reckons with a text",
            "numbers",
            'A category is compared with its levels: (region == "north").',
        )
    return np.asarray(value, dtype=np.float64)


def _truth(value: Any) -> Any:
    """True and false as they are; a number is true where it is not zero, and false if missing."""
    found = _number(value)
    return (found != 0) & np.isfinite(found)
