"""Fitted models as files: a zip of JSON and safetensors, never pickle.

A model is a tree of frozen records, numbers, texts and arrays. The tree goes to ``model.json``,
every array to ``arrays.safetensors``; LightGBM boosters become their own text format, scikit-learn
estimators become skops blobs of trusted types only. Records are rebuilt by name, and only from
this package: a file cannot name code of its own.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import ModelFileError
from causal_ddpm.core.files import check_writable

FORMAT_VERSION = 1
_PACKAGE = "causal_ddpm."
_JSON, _ARRAYS = "model.json", "arrays.safetensors"

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

    target = check_writable(path)
    arrays: Arrays = {}
    tree = {"format_version": FORMAT_VERSION, "model": _encode(model, arrays)}
    draft = target.with_name(f".{target.name}.part")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_JSON, json.dumps(tree))
            archive.writestr(_ARRAYS, save(arrays))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


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
    except Exception as error:
        raise ModelFileError(
            f"'{source}' is not a readable model file ({type(error).__name__}: {error}); "
            "expected a file written by .save()."
        ) from error
    if expected is not None and not isinstance(model, expected):
        raise ModelFileError(
            f"'{source}' holds a {type(model).__name__}, expected a {expected.__name__}."
        )
    return model


def _checked_version(tree: dict[str, Any], source: Path) -> Any:
    version = tree.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"'{source}' has format version {version!r}, expected {FORMAT_VERSION}; "
            "save the model again with this version of the package."
        )
    return tree["model"]


def _read(source: Path) -> tuple[dict[str, Any], Arrays]:
    from safetensors.numpy import load

    with zipfile.ZipFile(source) as archive:
        return json.loads(archive.read(_JSON)), load(archive.read(_ARRAYS))


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
    key = f"a{len(arrays)}"
    arrays[key] = np.ascontiguousarray(array).reshape(array.shape)
    return {"tensor" if tensor else "array": key}


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
    if kind == "array":
        return arrays[node["array"]]
    if kind == "tensor":
        import torch

        return torch.from_numpy(arrays[node["tensor"]].copy())
    if kind == "booster":
        from lightgbm import Booster

        return Booster(model_str=node["booster"])
    if kind == "sklearn":
        import skops.io

        return skops.io.loads(arrays[node["sklearn"]].tobytes(), trusted=None)
    if kind == "state":
        return _class(node["state"]).from_state(_decode(node["value"], arrays))
    if kind == "record":
        return _rebuild(_class(node["record"]), node["fields"], arrays)
    raise ModelFileError(f"The file holds an unknown kind of part, '{kind}'.")


def _rebuild(cls: Any, fields: dict[str, Any], arrays: Arrays) -> Any:
    if not hasattr(cls, "__dataclass_fields__"):
        raise ModelFileError(f"The file names {cls.__qualname__}, which is no record.")
    values = {name: _decode(v, arrays) for name, v in fields.items()}
    return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.init})


def _class(name: str) -> Any:
    """A class of this package by name; nothing else can be named."""
    module, _, qualname = name.partition(":")
    if not module.startswith(_PACKAGE) or not qualname.isidentifier():
        raise ModelFileError(f"The file names '{name}', which is no record of this package.")
    return getattr(importlib.import_module(module), qualname)
