"""Files of a fitted law, changed at random: a refusal in a sentence, or a law without NaN."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import ConvergenceError, ModelFileError
from causal_ddpm.diffusion import train
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.nuisance.law import PotentialOutcomeLaw
from causal_ddpm.nuisance.learners.boosted_trees import BoostedTrees
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.stack import LocationStack

FUZZ = settings(
    max_examples=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
ROWS = pd.DataFrame({"a": [0.0, 1.0], "c": ["u", "v"]})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    a, c, d = rng.normal(size=120), rng.choice(["u", "v"], 120), rng.integers(0, 2, 120)
    df = pd.DataFrame({"a": a, "c": c, "d": d, "y": a + d + rng.normal(size=120)})
    stack = LocationStack((LinkRidge(link=False, cross_index=False), BoostedTrees()))
    small = DiffusionSettings(n_members=1, n_steps=4, hidden_dim=4)
    model = PotentialOutcomeModel(stack=stack, diffusion=small, n_folds=3)
    law = model.fit(CausalData(df, "d", "y", ["a", "c"]), random_state=0)
    return law.save(tmp_path_factory.mktemp("law") / "law")


def check_answer(path):
    """Whatever the file holds: ModelFileError, or finite numbers or ConvergenceError."""
    try:
        mean = PotentialOutcomeLaw.load(path).mean(ROWS, 1)
    except (ModelFileError, ConvergenceError) as error:
        mean, sentence = np.zeros(1), str(error)
    else:
        sentence = ""
    assert np.isfinite(mean).all()
    assert "\n" not in sentence


@FUZZ
@given(st.data())
def test_flipped_bytes(file, tmp_path, data):
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    bad = tmp_path / "bad"
    bad.write_bytes(bytes(content))
    check_answer(bad)


def leaves_of(node, path=()):
    """Paths to everything in a JSON tree."""
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in children:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves_of(value, (*path, key))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(10**12), st.floats(allow_nan=False),
    st.sampled_from(["", "x", "nan", "a0", "causal_ddpm.core.covariates:Column", [], {}, [[]]]),
    st.sampled_from([{"float": "nan"}, {"float": "inf"}, {"array": "a0"}, {"tensor": "a1"}]),
)  # fmt: skip


@FUZZ
@given(st.data())
def test_changed_json(file, tmp_path, data):
    with zipfile.ZipFile(file) as archive:
        tree, arrays = json.loads(archive.read("model.json")), archive.read("arrays.safetensors")
    paths = list(leaves_of(tree))
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = paths[data.draw(st.integers(0, len(paths) - 1))]
        node = tree
        try:
            for key in way:
                node = node[key]
            node[last] = data.draw(VALUES)
        except (KeyError, IndexError, TypeError):  # an earlier change has cut this branch
            continue
    write(tmp_path / "bad", tree, arrays)
    check_answer(tmp_path / "bad")


@FUZZ
@given(st.data())
def test_changed_arrays(file, tmp_path, data):
    """Bytes of the arrays under a right checksum: numbers of any size, headers of any kind."""
    with zipfile.ZipFile(file) as archive:
        tree, arrays = json.loads(archive.read("model.json")), archive.read("arrays.safetensors")
    content = bytearray(arrays)
    start = data.draw(st.integers(0, len(content) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=16))
    content[start : start + len(patch)] = patch[: len(content) - start]
    write(tmp_path / "bad", tree, bytes(content))
    check_answer(tmp_path / "bad")


def write(path, tree, arrays):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(tree))
        archive.writestr("arrays.safetensors", arrays)


def test_a_fit_of_the_model_goes_on_from_its_folder(tmp_path, monkeypatch):
    """The networks of a law that was fitted before are not trained again."""
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"a": rng.normal(size=90), "d": rng.integers(0, 2, 90)})
    data = CausalData(df.assign(y=df["a"] + rng.normal(size=90)), "d", "y", ["a"])
    small = DiffusionSettings(n_members=1, n_steps=4, hidden_dim=4, checkpoint_dir=str(tmp_path))
    stack = LocationStack((LinkRidge(link=False, cross_index=False),))
    model = PotentialOutcomeModel(stack=stack, diffusion=small, n_folds=3)
    first = model.fit(data, random_state=0)
    monkeypatch.setattr(train, "_take_step", lambda *a: pytest.fail("a step was taken"))
    again = model.fit(data, random_state=0)
    np.testing.assert_array_equal(again.mean(df, 1), first.mean(df, 1))
    assert "resumed        at step 4" in str(again.fit_report)
