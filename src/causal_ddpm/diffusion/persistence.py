"""Fitted models as files: a zip of JSON and safetensors, never pickle.

A model is a tree of frozen records, numbers, texts and arrays. The tree goes to ``model.json``,
every array to ``arrays.safetensors``; LightGBM boosters become their own text format, scikit-learn
estimators become skops blobs of trusted types only.

Reading trusts nothing. Only frozen records of this package are rebuilt, each value is compared with
the annotation of its field, and arrays hold finite numbers; a record with a method ``check_parts``
is asked whether its parts fit together. Arrays lie in the zip as they are, and the JSON may be at
most 100 times its packed size, so a small file cannot ask for much memory. What a file can still do
is be wrong: a model is as trustworthy as who wrote it.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import ModelFileError
from causal_ddpm.core.files import draft_of
from causal_ddpm.diffusion.annotations import fits, hints_of
from causal_ddpm.diffusion.booster_text import checked_booster_text

FORMAT_VERSION = 2
_PACKAGE = "causal_ddpm."
_JSON, _ARRAYS = "model.json", "arrays.safetensors"
_MAX_RATIO, _FREE = 100, 2**20
"""Packed data may unfold to so many times their size, or to a megabyte."""

Arrays = dict[str, NDArray[Any]]


def save_model(model: Any, path: str | Path) -> Path:
    """Write a fitted model; the file appears only when it is complete.

    Parameters
    ----------
    model : frozen record of this package
    path : str or Path

    Raises
    ------
    DataError
        If the folder is missing or cannot be written to.
    ModelFileError
        If the model holds a part that has no safe file format.
    """
    from safetensors.numpy import save

    arrays: Arrays = {}
    tree = {"format_version": FORMAT_VERSION, "model": _encode(model, arrays)}
    with draft_of(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        archive.writestr(_JSON, json.dumps(tree), zipfile.ZIP_DEFLATED)
        archive.writestr(_ARRAYS, save(arrays), zipfile.ZIP_STORED)
    return Path(path)


def load_model(path: str | Path, expected: type | None = None) -> Any:
    """Read a model that :func:`save_model` wrote.

    Parameters
    ----------
    path : str or Path
    expected : type, optional
        Class that the file must hold.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, of another version, or holds something else.
    """
    source = Path(path)
    if not source.is_file():
        raise ModelFileError(f"There is no model file '{source}'; check the path.")
    try:
        tree, arrays = _read(source)
        model = _decode(_checked_version(tree, source), arrays)
    except ModelFileError:
        raise
    except Exception as error:  # whatever a hostile file provokes is one answer: it is refused
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelFileError(
            f"'{source}' is not a readable model file ({why}); expected a file written by .save()."
        ) from error
    if expected is not None and not isinstance(model, expected):
        raise ModelFileError(
            f"'{source}' holds a {type(model).__name__}, expected a {expected.__name__}."
        )
    return model


def _checked_version(tree: Any, source: Path) -> Any:
    version = tree.get("format_version") if isinstance(tree, dict) else None
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"'{source}' has format version {version!r}, expected {FORMAT_VERSION}; "
            "save the model again with this version of the package."
        )
    return tree["model"]


def _read(source: Path) -> tuple[Any, Arrays]:
    from safetensors.numpy import load

    with zipfile.ZipFile(source) as archive:
        packed = {entry.filename: entry for entry in archive.infolist()}
        if len(archive.infolist()) != 2 or set(packed) != {_JSON, _ARRAYS}:
            raise ModelFileError(f"'{source}' is no model file: it holds other parts than one.")
        if packed[_ARRAYS].compress_type != zipfile.ZIP_STORED:
            raise ModelFileError(f"'{source}' holds packed arrays, which no model file does.")
        _check_sizes(archive)
        return json.loads(archive.read(_JSON)), load(archive.read(_ARRAYS))


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that unfolds to far more than its packed size."""
    for entry in archive.infolist():
        if entry.file_size > _MAX_RATIO * entry.compress_size + _FREE:
            raise ModelFileError(
                f"'{entry.filename}' would unfold from {entry.compress_size:,} to "
                f"{entry.file_size:,} bytes; no model does."
            )


def _encode(value: Any, arrays: Arrays) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.generic):
        return _encode(value.item(), arrays)
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_encode(v, arrays) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]}
    return _encode_object(value, arrays)


def _encode_object(value: Any, arrays: Arrays) -> Any:
    kind = type(value)
    if isinstance(value, np.ndarray) or kind.__module__.startswith("torch"):
        return _encode_array(value, arrays)
    if kind.__module__.startswith("lightgbm"):
        booster = getattr(value, "booster_", value)
        return {"booster": booster.model_to_string()}
    if hasattr(value, "to_state"):
        return {"state": _name(kind), "value": _encode(value.to_state(), arrays)}
    if dataclasses.is_dataclass(value) and kind.__module__.startswith(_PACKAGE):
        fields = {
            f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value)
        }
        return {"record": _name(kind), "fields": fields}
    if hasattr(value, "get_params"):
        return _encode_sklearn(value, arrays)
    raise ModelFileError(f"A part of type {_name(kind)} cannot be saved: it has no safe format.")


def _encode_array(value: Any, arrays: Arrays) -> dict[str, str]:
    tensor = not isinstance(value, np.ndarray)
    array = value.detach().cpu().numpy() if tensor else value
    if array.dtype.kind in "OUS":
        raise ModelFileError("An array of texts or objects cannot be saved.")
    _check_finite(array)
    key = f"a{len(arrays)}"
    arrays[key] = np.ascontiguousarray(array).reshape(array.shape)
    return {"tensor" if tensor else "array": key}


def _check_finite(array: NDArray[Any]) -> None:
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ModelFileError("An array of a model is missing numbers or holds infinite ones.")


def _encode_sklearn(value: Any, arrays: Arrays) -> dict[str, str]:
    import skops.io

    blob = skops.io.dumps(value)
    unknown = skops.io.get_untrusted_types(data=blob)
    if unknown:
        raise ModelFileError(f"The estimator holds types that no file may name: {unknown[:3]}.")
    return {"sklearn": _encode_array(np.frombuffer(blob, dtype=np.uint8), arrays)["array"]}


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _decode(node: Any, arrays: Arrays) -> Any:
    if not isinstance(node, dict):
        return node
    kind = next(iter(node))
    if kind == "float":
        return float(node["float"])
    if kind in ("list", "tuple"):
        items = [_decode(v, arrays) for v in node[kind]]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {_decode(k, arrays): _decode(v, arrays) for k, v in node["dict"]}
    return _decode_object(kind, node, arrays)


def _decode_object(kind: str, node: dict[str, Any], arrays: Arrays) -> Any:
    if kind in ("array", "tensor"):
        return _decode_array(kind, node, arrays)
    if kind == "booster":
        from lightgbm import Booster

        return Booster(model_str=checked_booster_text(node["booster"]))
    if kind == "sklearn":
        return _decode_sklearn(arrays[node["sklearn"]].tobytes())
    if kind == "state":
        return _stateful(node["state"]).from_state(_decode(node["value"], arrays))
    if kind == "record":
        return _rebuild(node["record"], node["fields"], arrays)
    raise ModelFileError(f"The file holds an unknown kind of part, '{kind}'.")


def _decode_array(kind: str, node: dict[str, Any], arrays: Arrays) -> Any:
    array = arrays[node[kind]]
    _check_finite(array)
    if kind == "array":
        return array
    import torch

    return torch.from_numpy(array.copy())


def _decode_sklearn(blob: bytes) -> Any:
    import skops.io

    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        _check_sizes(archive)
    return skops.io.loads(blob, trusted=None)


def _rebuild(name: str, fields: dict[str, Any], arrays: Arrays) -> Any:
    """A frozen record whose fields are what their annotations say."""
    cls = _class(name)
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise ModelFileError(f"The file names {name}, which is no record.")
    wanted = {f.name for f in dataclasses.fields(cls) if f.init}
    extra = {f.name for f in dataclasses.fields(cls)}
    if not wanted <= set(fields) <= extra:
        odd = sorted(wanted ^ set(fields))[0]
        raise ModelFileError(f"The file's {cls.__qualname__} has no or an unknown field '{odd}'.")
    values = {key: _decode(fields[key], arrays) for key in wanted}
    for key, value in values.items():
        if not fits(value, hints_of(cls)[key]):
            raise ModelFileError(
                f"The file's {cls.__qualname__} has a {type(value).__name__} for '{key}', which "
                "is of another type."
            )
    record = cls(**values)
    if hasattr(record, "check_parts"):
        record.check_parts()
    return record


def _stateful(name: str) -> Any:
    """A class of this package that rebuilds itself from a state."""
    cls = _class(name)
    if not all(callable(getattr(cls, verb, None)) for verb in ("to_state", "from_state")):
        raise ModelFileError(f"The file names {name}, which is rebuilt from no state.")
    return cls


def _class(name: str) -> type:
    """A class of this package by name; nothing else can be named."""
    module, _, qualname = name.partition(":")
    if not module.startswith(_PACKAGE) or not qualname.isidentifier():
        raise ModelFileError(f"The file names '{name}', which is no record of this package.")
    cls = getattr(importlib.import_module(module), qualname, None)
    if not isinstance(cls, type) or cls.__module__ != module:
        raise ModelFileError(f"The file names '{name}', which is no record of this package.")
    return cls
