"""Whether a value is what a record's annotation says: the check behind files that are read.

A file may claim any value for any field. Before a record is built its values are compared with the
type hints of its class, so a text never stands where an array is expected, and a record never where
a number is.
"""

import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

_KINDS = {np.floating: "f", np.integer: "iu", np.bool_: "b"}


@cache
def hints_of(cls: type) -> dict[str, Any]:
    """Resolved annotations of a record; a name that only type checkers know means anything."""
    unknown: dict[str, Any] = {}
    while True:
        try:
            return get_type_hints(cls, localns=unknown)
        except NameError as error:
            unknown[str(error.name)] = Any


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the annotated type, its parts included.

    Whole numbers pass as floats; NaN does not. What has no run-time meaning (protocols) passes.
    """
    origin = get_origin(hint)
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in get_args(hint))
    if origin is Literal:
        return any(value is part or (type(value) is type(part) and value == part)
                   for part in get_args(hint))  # fmt: skip
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and _fits_dtype(value, get_args(hint))
    if isinstance(origin, type):
        return _fits_container(value, origin, get_args(hint))
    return _fits_plain(value, hint)


def _fits_plain(value: Any, hint: Any) -> bool:
    if hint is float:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole or (isinstance(value, float) and not math.isnan(value))
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if not isinstance(hint, type) or getattr(hint, "_is_protocol", False):
        return True
    return isinstance(value, hint)


def _fits_container(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:
    if not isinstance(value, origin) or isinstance(value, str):
        return False
    if isinstance(value, tuple) and issubclass(origin, tuple):
        return _fits_tuple(value, parts)
    if isinstance(value, Mapping):
        return all(fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items())
    if isinstance(value, Sequence | set | frozenset):
        return all(fits(v, parts[0]) for v in value)
    return True


def _fits_tuple(values: tuple[Any, ...], parts: tuple[Any, ...]) -> bool:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return all(fits(v, parts[0]) for v in values)
    return len(values) == len(parts) and all(map(fits, values, parts))


def _fits_dtype(array: np.ndarray, parts: tuple[Any, ...]) -> bool:
    """NDArray[np.float64] takes floats of any width, and so on; NDArray[Any] takes all."""
    scalar = get_args(parts[-1])[0] if len(parts) > 1 and get_args(parts[-1]) else Any
    if not isinstance(scalar, type):
        return True
    return any(array.dtype.kind in kinds for kind, kinds in _KINDS.items()
               if issubclass(scalar, kind)) or not issubclass(scalar, tuple(_KINDS))  # fmt: skip
