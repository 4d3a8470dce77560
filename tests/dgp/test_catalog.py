"""The catalogue: every design can be asked the same questions, whatever its family."""

import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.catalog import FAMILIES, Entry, catalog, describe, design_by_name, entries

every = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
_ENOUGH = 60


@every
def test_a_design_answers_what_the_catalogue_asks(entry):
    assert entry.family in FAMILIES
    assert entry.name == entry.name.lower().strip()
    assert 20 < len(entry.summary) <= 90
    assert entry.summary[-1] not in ".:"
    known = entry.truth()
    assert isinstance(known, Truth)
    assert known.design == entry.name
    assert known.population
    assert entry.equations == known.equations
    assert all(len(line) > 3 for line in entry.equations)


@every
def test_a_draw_has_a_frame_and_a_truth_and_a_seed_is_a_draw(entry):
    first, again, other = entry.draw(_ENOUGH, 7), entry.draw(_ENOUGH, 7), entry.draw(_ENOUGH, 8)
    assert isinstance(first.frame, pd.DataFrame)
    assert first.frame.equals(again.frame)
    assert not first.frame.equals(other.frame)
    assert first.truth == again.truth
    assert first.truth.seed == 7
    assert first.truth.sample
    assert dict(first.truth.population) == dict(entry.truth().population)
    assert first.truth.equations == entry.equations


def test_names_are_unique_and_families_are_not_empty():
    names = [entry.name for entry in entries()]
    assert len(set(names)) == len(names) == len(catalog())
    assert {entry.family for entry in entries()} <= set(FAMILIES)
    assert [e.name for e in entries("dose")] == ["dose"]


def test_an_entry_draws_the_size_that_shows_it():
    entry = describe("linear")
    assert isinstance(entry, Entry)
    assert len(entry.draw().frame) == entry.n
    assert entry.draw().frame.equals(entry.design.draw(entry.n, 0).frame)
    assert catalog()["linear"] is design_by_name("linear") is entry.design


def test_unknown_names_are_refused_with_the_nearest_one():
    with pytest.raises(DataError, match=r"no design 'three-arm'.*Did you mean 'three-arms'"):
        describe("three-arm")
    with pytest.raises(DataError, match=r"no family 'panels'.*Did you mean 'panel'"):
        entries("panels")
