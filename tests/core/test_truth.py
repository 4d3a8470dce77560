"""The truth of a simulation: read by name, kept beside its file, faithful through JSON."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth, truth_path

TRUTH = Truth("lab", {"ATE": 1.5}, {"ATE": 1.4}, {"ATE": 2.0}, ("y = d",), seed=3)


def test_values_are_read_by_name():
    assert TRUTH.value("ATE") == 1.5
    with pytest.raises(DataError, match=r"the design 'lab' knows no 'QTE\(0.5\)'; expected ATE"):
        TRUTH.value("QTE(0.5)")


def test_truth_survives_json_and_says_that_it_is_simulated():
    source = json.loads(json.dumps(TRUTH.to_dict()))
    assert source["provenance"] == "simulated"
    assert Truth.from_dict(source) == TRUTH


def test_truth_is_frozen():
    with pytest.raises(FrozenInstanceError):
        TRUTH.seed = 4


def test_truth_lies_beside_its_file():
    assert truth_path("data/firms.csv") == Path("data/firms.csv.truth.json")
