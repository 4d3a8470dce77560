"""Generators whose faults are known are caught in the right section, and the truth passes.

Every generator here draws from the design itself and then breaks one thing, so a check that could
not fail would show.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.random import stream
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.recovery.api import recover
from causal_ddpm.evaluation.recovery.report import Recovery

Spoil = Callable[[Any, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Spoilt:
    """The design itself as a generator, with something done to its draws."""

    design: Any
    spoil: Spoil
    name: str = "spoilt"

    def fit(self, frame: pd.DataFrame, roles: Any, random_state: Any = None) -> Spoilt:
        """Nothing is learnt."""
        return self

    def sample(self, n: int, random_state: Any = None) -> pd.DataFrame:
        """Spoilt rows."""
        return self.spoil(self.design.draw(n, random_state), stream(random_state, "spoil"))


def untouched(draw: Any, rng: np.random.Generator) -> pd.DataFrame:
    return draw.frame


def independent(draw: Any, rng: np.random.Generator) -> pd.DataFrame:
    """Every column in an order of its own: marginal laws are right, nothing else is."""
    frame = draw.frame
    return pd.DataFrame({c: frame[c].to_numpy()[rng.permutation(len(frame))] for c in frame})


def without_effect(draw: Any, rng: np.random.Generator) -> pd.DataFrame:
    """Everybody gets the untreated outcome."""
    return draw.frame.assign(y=draw.potential_outcomes[:, 0])


def randomised(draw: Any, rng: np.random.Generator) -> pd.DataFrame:
    """Treatment by coin, outcomes to match."""
    d = (rng.random(len(draw.frame)) < draw.propensity[:, 1].mean()).astype(np.int64)
    return draw.frame.assign(d=d, y=draw.potential_outcomes[np.arange(len(d)), d])


def normal_noise(draw: Any, rng: np.random.Generator) -> pd.DataFrame:
    """The right mean and spread, normal noise."""
    own = draw.frame["d"].to_numpy()
    noise = draw.potential_outcomes - draw.mean
    sd = noise.std(axis=0)[own]
    mean = draw.mean[np.arange(len(own)), own]
    return draw.frame.assign(y=mean + sd * rng.standard_normal(len(own)))


def tried(name: str, spoil: Spoil, seed: int = 0) -> Recovery:
    design = design_by_name(name)
    return recover(
        design, Spoilt(design, spoil), n=400, random_state=seed, n_generated=2000, n_replicates=4
    )


@pytest.fixture(scope="module")
def no_effect() -> Recovery:
    return tried("linear", without_effect)


def test_the_process_itself_passes() -> None:
    verdicts = [v for seed in (1, 2) for v in tried("linear", untouched, seed).verdicts.values()]
    assert len(verdicts) == 16
    assert "not recovered" not in verdicts
    assert verdicts.count("recovered") >= 15


def test_independent_columns_keep_marginals_and_lose_everything_else() -> None:
    found = tried("linear", independent)
    for name in ("coefficients", "mean", "effects", "distance"):
        assert found.verdicts[name] == "not recovered", name
    assert found.verdicts["assignment"] in ("in part", "not recovered")
    columns = found.section("distance").findings[:2]
    assert all(f.verdict == "recovered" for f in columns)
    words = found.section("assignment").words
    assert any("weaker than in the true process" in text for text in words)


def test_a_missing_effect_is_told_in_words_and_selection_is_acquitted(no_effect: Recovery) -> None:
    assert no_effect.verdicts["effects"] == "not recovered"
    assert no_effect.verdicts["assignment"] == "recovered"
    assert no_effect.verdicts["noise"] == "recovered"
    assert any("does next to nothing" in text for text in no_effect.not_recovered)
    ate = no_effect.frame().set_index("quantity").loc["the ATE"]
    assert ate["truth"] == pytest.approx(1.0, abs=1e-6)
    assert abs(ate["recovered"]) < 0.15
    assert ate["low"] < ate["recovered"] < ate["high"]


def test_a_coin_in_place_of_selection_is_seen_where_it_belongs() -> None:
    found = tried("linear", randomised)
    slope = next(f for f in found.section("assignment").findings if "slope" in f.quantity)
    assert abs(slope.recovered) < 0.4
    assert found.verdicts["assignment"] != "recovered"
    assert found.verdicts["effects"] == "recovered"
    assert found.verdicts["noise"] == "recovered"


def test_normal_noise_in_place_of_two_modes_is_seen_in_the_noise() -> None:
    found = tried("bimodal", normal_noise)
    modes = next(f for f in found.section("noise").findings if "modes" in f.quantity)
    assert (modes.truth, modes.recovered) == (2, 1)
    assert found.verdicts["noise"] == "not recovered"
    assert "The noise has one mode; the true noise has 2 modes." in found.not_recovered
    assert found.verdicts["assignment"] == found.verdicts["effects"] == "recovered"


def test_the_record_is_whole_and_repeats(no_effect: Recovery) -> None:
    again = tried("linear", without_effect)
    assert again.frame().equals(no_effect.frame())
    read = json.loads(json.dumps(no_effect.to_dict(), allow_nan=False))
    assert [s["name"] for s in read["sections"]] == list(no_effect.verdicts)
    assert read["not_recovered"] == list(no_effect.not_recovered)
    assert "learnt from 400 rows" in no_effect.summary()
    assert set(no_effect.scores()["section"]) == set(no_effect.verdicts)
    curve = no_effect.section("mean").curves["mean"]
    assert np.corrcoef(curve["truth"], curve["recovered"])[0, 1] < 0.95


@pytest.mark.parametrize(
    ("model", "n", "sentence"),
    [
        ("nobody", 400, "there is no generator 'nobody'"),
        ("bootstrap", 20, "n is 20"),
        (object(), 400, "the model is a object"),
    ],
)
def test_refusals(model: Any, n: int, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        recover("linear", model, n=n)


def test_a_design_of_another_family_is_refused() -> None:
    class Strange:
        name = "strange"

        def draw(self, n: int, seed: Any) -> Any:
            return pd.DataFrame({"a": np.zeros(n)})

    with pytest.raises(DataError, match="'strange' is of a family that is not examined"):
        recover(Strange(), "bootstrap")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda draw, rng: draw.frame.drop(columns="y"), "without the column 'y'"),
        (lambda draw, rng: draw.frame.head(7), "returned 7 rows"),
        (lambda draw, rng: draw.frame.assign(y=np.nan), "column 'y' are missing"),
    ],
)
def test_rows_that_cannot_be_read_are_refused(spoil: Spoil, sentence: str) -> None:
    with pytest.raises(ConvergenceError, match=sentence):
        tried("linear", spoil)
