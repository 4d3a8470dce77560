"""Model files: annotations, boosted trees as text, and archives that are refused."""

import io
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import lightgbm
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from causal_ddpm.core.errors import ModelFileError
from causal_ddpm.diffusion import persistence
from causal_ddpm.diffusion.annotations import fits
from causal_ddpm.diffusion.batches import Standardiser, TrainingGroup
from causal_ddpm.diffusion.booster_text import checked_booster_text
from causal_ddpm.diffusion.checkpoint import CheckpointFile
from causal_ddpm.diffusion.conditional import (
    ConditionalDiffusion,
    DiffusionSettings,
    train_conditional,
)
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.nuisance.learners.sklearn_learner import FittedSklearn
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

RECORD = Standardiser(np.array([1.0, 2.0]), np.array([3.0, 4.0]))


# -- annotations ----------------------------------------------------------------------------
ARRAY, TENSOR = np.zeros(2), torch.zeros(2)
FITS = [
    (1, int, True),
    (True, int, False),
    (1.0, int, False),
    (1, float, True),
    (True, float, False),
    (float("inf"), float, True),
    (float("nan"), float, False),
    ("a", str, True),
    (1, str, False),
    (None, int | None, True),
    ("a", int | None, False),
    (3, Any, True),
    (None, None, True),
    ("a", Literal["a", "b"], True),
    ("c", Literal["a", "b"], False),
    (1, Literal[True], False),
    ((1, 2), tuple[int, ...], True),
    ((1, "a"), tuple[int, ...], False),
    ([1], tuple[int, ...], False),
    ((1, "a"), tuple[int, str], True),
    ((1,), tuple[int, str], False),
    ((), tuple[int, ...], True),
    ({"a": 1}, Mapping[str, int], True),
    ({1: 1}, Mapping[str, int], False),
    ([], Mapping[str, int], False),
    ([1, 2], list[int], True),
    (["a"], list[int], False),
    ("ab", list[str], False),
    (ARRAY, NDArray[np.float64], True),
    (ARRAY, NDArray[np.int64], False),
    (ARRAY, NDArray[Any], True),
    (np.zeros(2, np.float32), NDArray[np.float64], True),
    (np.zeros(2, int), NDArray[np.int64], True),
    (np.zeros(2, bool), NDArray[np.bool_], True),
    (ARRAY, torch.Tensor, False),
    (TENSOR, torch.Tensor, True),
    (TENSOR, NDArray[np.float64], False),
    (RECORD, Standardiser, True),
    (RECORD, DiffusionSettings, False),
]


@pytest.mark.parametrize(("value", "hint", "answer"), FITS, ids=str)
def test_values_are_compared_with_annotations(value, hint, answer):
    assert fits(value, hint) is answer


# -- boosted trees --------------------------------------------------------------------------
def booster(objective="regression", n_leaves=4):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    params = {"objective": objective, "num_leaves": n_leaves, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(params, lightgbm.Dataset(x, (x[:, 0] > 0) * 1.0), 5), x


@pytest.mark.parametrize("objective", ["regression", "binary"])
def test_checked_trees_predict_the_same(objective):
    model, x = booster(objective)
    again = lightgbm.Booster(model_str=checked_booster_text(model.model_to_string()))
    np.testing.assert_array_equal(
        again.predict(x, raw_score=True), model.predict(x, raw_score=True)
    )


def test_a_tree_without_splits_is_sound():
    data = lightgbm.Dataset(np.zeros((50, 2)), np.ones(50), params={"verbosity": -1})
    text = lightgbm.train({"verbosity": -1, "num_threads": 1}, data, 1).model_to_string()
    assert lightgbm.Booster(model_str=checked_booster_text(text)).predict(np.zeros((1, 2))) == 1.0


def swap(name, value):
    """Replace the list ``name`` of the first tree, and set its size right."""

    def change(text):
        head, first, rest = text.partition(f"\n{name}=")
        old = rest.split("\n", 1)[0]
        grown = len(value) - len(old)
        sizes = text.partition("tree_sizes=")[2].split("\n", 1)[0]
        first_size = sizes.split()[0]
        fixed = sizes.replace(first_size, str(int(first_size) + grown), 1)
        return (head + first + value + rest[len(old) :]).replace(sizes, fixed, 1)

    return change


HOSTILE_TREES = {
    "another header": lambda t: t.replace("version=v4", "machines=10.0.0.1"),
    "no end": lambda t: t.partition("end of trees")[0],
    "several scores": lambda t: t.replace("num_class=1", "num_class=3", 1),
    "too few features": lambda t: t.replace("max_feature_idx=2", "max_feature_idx=0"),
    "no feature count": lambda t: t.replace("max_feature_idx=2", "max_feature_idx=x"),
    "wrong sizes": lambda t: t.replace("tree_sizes=", "tree_sizes=1 "),
    "a foreign list": lambda t: swap("num_cat", "0\ncat_threshold=1")(t),
    "another kind": lambda t: swap("is_linear", "1")(t),
    "feature out of range": lambda t: swap("split_feature", "0 0 7")(t),
    "feature below zero": lambda t: swap("split_feature", "0 0 -1")(t),
    "child out of range": lambda t: swap("left_child", "1 2 99")(t),
    "leaf out of range": lambda t: swap("left_child", "1 2 -99")(t),
    "a circle": lambda t: swap("left_child", "0 0 0")(t),
    "categories": lambda t: swap("decision_type", "1 1 1")(t),
    "a list too short": lambda t: swap("leaf_value", "1 2 3")(t),
    "a leaf that is no number": lambda t: swap("leaf_value", "1 2 3 nan")(t),
    "a leaf that is infinite": lambda t: swap("leaf_value", "1 2 3 1e999")(t),
    "a threshold that is no number": lambda t: swap("threshold", "nan 0 0")(t),
    "a word": lambda t: swap("split_gain", "a b c")(t),
    "many leaves": lambda t: swap("num_leaves", "2000000000")(t),
    "twice": lambda t: swap("num_cat", "0\nnum_cat=0")(t),
    "nothing": lambda t: "",
}


@pytest.mark.parametrize("how", HOSTILE_TREES)
def test_hostile_trees_are_refused(how):
    text = HOSTILE_TREES[how](booster()[0].model_to_string())
    with pytest.raises(ModelFileError, match="boosted trees that cannot be right"):
        checked_booster_text(text)


# -- archives -------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    group = TrainingGroup(
        rng.standard_normal((40, 2)), rng.integers(0, 2, 40), rng.standard_normal(40)
    )
    return train_conditional([group], DiffusionSettings(n_steps=2, n_members=1, hidden_dim=4), 0)


@pytest.fixture
def saved(model, tmp_path):
    return model.save(tmp_path / "model")


def parts_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("model.json")), archive.read("arrays.safetensors")


def written(path, tree, arrays, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(tree), zipfile.ZIP_DEFLATED)
        archive.writestr("arrays.safetensors", arrays, packing)
    return path


def refusal(path):
    with pytest.raises(ModelFileError) as refused:
        load_model(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_saving_twice_gives_the_same_bytes_of_arrays(model, saved, tmp_path):
    again = load_model(saved).save(tmp_path / "again")
    assert parts_of(again) == parts_of(saved)


def test_a_symbolic_link_is_replaced_and_not_followed(model, tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    model.save(link)
    assert victim.read_text() == "mine"
    assert not link.is_symlink()
    assert load_model(link)


def test_packed_arrays_are_refused_before_they_unfold(saved):
    tree, arrays = parts_of(saved)
    written(saved, tree, arrays + bytes(10**7), zipfile.ZIP_DEFLATED)
    assert "packed arrays" in refusal(saved)


def test_a_bomb_of_json_is_refused_before_it_unfolds(saved):
    tree, arrays = parts_of(saved)
    written(saved, {**tree, "bomb": "0" * 3 * 10**7}, arrays)
    assert "would unfold from" in refusal(saved)


def test_a_bomb_inside_an_estimator_is_refused(saved):
    blob = io.BytesIO()
    with zipfile.ZipFile(blob, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "0" * 3 * 10**7)
    with pytest.raises(ModelFileError, match="would unfold"):
        persistence._decode_sklearn(blob.getvalue())


def test_a_size_that_lies_is_refused(saved):
    """The central directory promises less than the entry holds."""
    tree, arrays = parts_of(saved)
    written(saved, {**tree, "bomb": "0" * 10**6}, arrays)
    data = bytearray(saved.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    saved.write_bytes(bytes(data))
    refusal(saved)


@pytest.mark.parametrize("name", ["../outside", "extra.json", "model.json"])
def test_other_entries_are_refused(saved, name):
    with (
        zipfile.ZipFile(saved, "a") as archive,
        pytest.warns() if name == "model.json" else _quiet(),
    ):
        archive.writestr(name, "{}")
    assert "other parts" in refusal(saved)


def _quiet():
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.parametrize("length", [0, 1, 22, 100, 1000])
def test_truncated_files_are_refused(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    refusal(saved)


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no model file" in refusal(tmp_path / "pipe")


def record(name, **fields):
    return lambda tree: tree.update(model={"record": name, "fields": fields})


HOSTILE = {
    "a future version": (lambda t: t.update(format_version=99), "version 99"),
    "no version": (lambda t: t.pop("format_version"), "version None"),
    "code of others": (record("os:system"), "no record of this package"),
    "a name with dots": (record("causal_ddpm.core.files:os.system"), "no record of this package"),
    "an imported class": (record("causal_ddpm.core.files:Path"), "no record of this package"),
    "a function": (record("causal_ddpm.core.random:stream"), "no record of this package"),
    "a module that is not there": (record("causal_ddpm.no:Such"), "not a readable"),
    "a path as a module": (record("causal_ddpm.../../etc:A"), "not a readable"),
    "an abstract class": (record("causal_ddpm.diffusion.network:Backbone"), "which is no record"),
    "a record that acts": (record("causal_ddpm.diffusion.checkpoint:CheckpointFile"), "no record"),
    "a class without a state": (
        lambda t: t.update(model={"state": "causal_ddpm.diffusion.batches:Rows", "value": 1}),
        "rebuilt from no state",
    ),
    "an unknown kind": (lambda t: t.update(model={"eval": "1"}), "unknown kind of part"),
    "a missing field": (lambda t: t["model"]["fields"].pop("settings"), "field 'settings'"),
    "a foreign field": (lambda t: t["model"]["fields"].update(x=1), "field 'x'"),
    "a text for a record": (lambda t: t["model"]["fields"].update(settings="x"), "'settings'"),
    "a missing array": (lambda t: _first_array(t).update(array="a999"), "not a readable"),
    "bad settings": (
        lambda t: t["model"]["fields"]["settings"]["fields"].update(dropout=7), "dropout is 7"),
    "other settings": (
        lambda t: t["model"]["fields"]["settings"]["fields"].update(n_layers=9), "settings' own"),
    "a giant": (
        lambda t: t["model"]["fields"]["backbone"]["fields"].update(width=10**12), "sizes"),
    "not a mapping": (lambda t: t.update(model=[]), "holds a list"),
}  # fmt: skip


def _first_array(node):
    if isinstance(node, dict):
        if "array" in node:
            return node
        node = list(node.values())
    found = (_first_array(v) for v in node) if isinstance(node, list) else ()
    return next((f for f in found if f is not None), None)


@pytest.mark.parametrize("how", HOSTILE)
def test_hostile_trees_of_records_are_refused(saved, how, tmp_path):
    tree, arrays = parts_of(saved)
    change, words = HOSTILE[how]
    change(tree)
    written(saved, tree, arrays)
    with pytest.raises(ModelFileError, match=words) as refused:
        ConditionalDiffusion.load(saved)
    assert "\n" not in str(refused.value)


def test_deep_nesting_is_refused(saved):
    _, arrays = parts_of(saved)
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("model.json", '{"format_version": 2, "model": ' + "[" * 10**5)
        archive.writestr("arrays.safetensors", arrays)
    refusal(saved)


def test_numbers_that_are_not_finite_are_refused(saved, model, tmp_path):
    tree, arrays = parts_of(saved)
    assert "no number" not in json.dumps(tree)
    header = int.from_bytes(arrays[:8], "little")
    written(saved, tree, arrays[: 8 + header] + b"\xff" * (len(arrays) - 8 - header))
    assert "missing numbers" in refusal(saved)
    spoilt = replace(model, weights={k: w * torch.nan for k, w in model.weights.items()})
    with pytest.raises(ModelFileError, match="missing numbers"):
        spoilt.save(tmp_path / "spoilt")
    assert not (tmp_path / "spoilt").exists()


def test_estimators_of_trusted_types_only(tmp_path):
    plain = LinearRegression().fit(np.eye(2), [1.0, 2.0])
    again = load_model(save_model(FittedSklearn((plain,), False), tmp_path / "plain"))
    np.testing.assert_array_equal(again.models[0].coef_, plain.coef_)
    with pytest.raises(ModelFileError, match="types that no file may name"):
        save_model(FittedSklearn((FunctionTransformer(os.system),), False), tmp_path / "bad")
    import skops.io

    blob = skops.io.dumps(FunctionTransformer(os.system))
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        persistence._decode_sklearn(blob)


@dataclass(frozen=True)
class _Foreign:
    x: int


def test_what_has_no_format_is_not_saved(tmp_path):
    for value in (_Foreign(1), {1, 2}, np.array(["a"]), open):
        with pytest.raises(ModelFileError):
            save_model(value, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_settings_are_records_too(tmp_path):
    settings = PotentialOutcomeModel(diffusion=DiffusionSettings(n_steps=7))
    assert load_model(save_model(settings, tmp_path / "settings")) == settings


def test_acting_records_are_not_frozen():
    """What does something when it is built must not be buildable from a file."""
    assert not CheckpointFile.__dataclass_params__.frozen
