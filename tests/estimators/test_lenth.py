"""Lenth's margins against published analyses of unreplicated experiments."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.coding import all_cells
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.estimators.lenth import lenth, lenth_test

ABCD = ("a", "b", "c", "d")
# Process development study, 2^4 (Box, Hunter and Hunter 2005, table 5.10a): conversion in standard
# order, the first factor changing fastest.
CONVERSION = [70, 60, 89, 81, 69, 62, 88, 81, 60, 49, 88, 82, 60, 52, 86, 79]
# Filtration rate, 2^4 (Montgomery, Design and Analysis of Experiments, example 6.2).
FILTRATION = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]


def standard_order(y, k=4):
    """Runs whose first factor changes fastest."""
    return pd.DataFrame(all_cells(k)[:, ::-1], columns=list(ABCD[:k])).assign(
        y=np.asarray(y, float)
    )


def test_the_process_development_study():
    """PSE .75, ME 1.927936, SME 3.913988: LenthPlot of the R package BsMD on the same effects."""
    test = lenth_test(FactorialData(standard_order(CONVERSION), ABCD, "y"))
    effects = dict(zip(test.labels, test.effects, strict=True))
    published = {"a": -8, "b": 24, "c": -0.25, "d": -5.5, "a:b": 1, "a:c": 0.75, "b:c": -1.25,
                 "a:d": 0, "b:d": 4.5, "c:d": -0.25, "a:b:c": -0.75, "a:b:d": 0.5,
                 "a:c:d": -0.25, "b:c:d": -0.75, "a:b:c:d": -0.25}  # fmt: skip
    assert effects == pytest.approx(published)
    assert test.pse == pytest.approx(0.75)
    assert test.me == pytest.approx(1.927936, abs=5e-7)
    assert test.sme == pytest.approx(3.913988, abs=5e-7)
    assert test.active(simultaneous=True) == ("a", "b", "d", "b:d")
    assert "Beyond SME: a, b, d, b:d." in test.in_words()


def test_the_filtration_rate_experiment():
    """Effects as printed by Montgomery; PSE = 1.5 x 1.75 = 2.625, ME 6.75, SME 13.70."""
    test = lenth_test(FactorialData(standard_order(FILTRATION), ABCD, "y"))
    effects = dict(zip(test.labels, test.effects, strict=True))
    assert effects["a"] == pytest.approx(21.625)
    assert effects["a:c"] == pytest.approx(-18.125)
    assert effects["a:d"] == pytest.approx(16.625)
    assert test.pse == pytest.approx(2.625)
    assert (round(test.me, 2), round(test.sme, 2)) == (6.75, 13.70)
    assert set(test.active(simultaneous=True)) == {"a", "d", "a:c", "a:d"}
    assert set(test.active()) == {"a", "c", "d", "a:c", "a:d"}


def test_a_half_fraction_of_the_filtration_experiment():
    """I = ABCD (Montgomery, example 8.1): A 19, B 1.5, C 14, D 16.5, AB -1, AC -18.5, AD 19."""
    frame = standard_order(FILTRATION)
    half = frame[frame[list(ABCD)].sum(axis=1) % 2 == 0]
    test = lenth_test(FactorialData(half, ABCD, "y"))
    effects = dict(zip(test.labels, test.effects, strict=True))
    expected = {"a": 19, "b": 1.5, "c": 14, "d": 16.5, "a:b": -1, "a:c": -18.5, "a:d": 19}
    assert effects == pytest.approx(expected)


def test_the_frame_is_a_half_normal_plot():
    test = lenth_test(FactorialData(standard_order(FILTRATION), ABCD, "y"))
    frame = test.frame()
    assert list(frame.columns) == ["term", "effect", "size", "quantile", "statistic", "beyond"]
    assert frame["size"].is_monotonic_increasing
    assert frame["quantile"].is_monotonic_increasing
    assert frame["quantile"].iloc[7] == pytest.approx(0.6744898)  # the median of |N(0, 1)|
    assert frame["term"].iloc[-1] == "a"
    assert frame["beyond"].value_counts().to_dict() == {"": 10, "SME": 4, "ME": 1}


def test_equal_replication_is_averaged():
    frame = standard_order(FILTRATION)
    twice = pd.concat([frame.assign(y=frame["y"] + 1), frame.assign(y=frame["y"] - 1)])
    once = lenth_test(FactorialData(frame, ABCD, "y"))
    np.testing.assert_allclose(lenth_test(FactorialData(twice, ABCD, "y")).effects, once.effects)


def test_the_margins_hold_their_level_on_noise():
    rng = np.random.default_rng(0)
    labels = [str(j) for j in range(15)]
    tests = [lenth(c, labels) for c in rng.standard_normal((1000, 15))]
    one_by_one = np.mean([len(t.active()) / 15 for t in tests])
    together = np.mean([bool(t.active(simultaneous=True)) for t in tests])
    assert 0.02 < one_by_one < 0.05  # known to be cautious one by one
    assert 0.02 < together < 0.065


@pytest.mark.parametrize(
    ("effects", "level", "sentence"),
    [
        ([1.0, 2.0], 0.95, "2 effects with 2 labels were given; expected at least 3"),
        ([1.0, 0.0, 0.0, 0.0], 0.95, "at least half of the effects are exactly zero"),
        ([1.0, 2.0, 3.0], 95, "the level is 95; expected a number between 0 and 1"),
    ],
)
def test_unusable_effects_are_refused(effects, level, sentence):
    with pytest.raises(DataError, match=sentence):
        lenth(effects, [str(c) for c in range(len(effects))], level)


def test_unusable_runs_are_refused():
    frame = standard_order(FILTRATION)
    with pytest.raises(DataError, match="the cells have 1 to 2 rows"):
        lenth_test(FactorialData(pd.concat([frame, frame[:1]]), ABCD, "y"))
    with pytest.raises(DataError, match="the main effect of a is neither orthogonal"):
        lenth_test(FactorialData(frame[:15], ABCD, "y"))
