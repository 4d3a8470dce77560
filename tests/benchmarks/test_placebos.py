"""Scores of the placebo benchmark against their definitions."""

import importlib
import sys

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def bench(root):
    folder = str(root / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("bench_placebos")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def rows(bench):
    """Two methods on five units and three horizons; the full method has bands of its own."""
    rng = np.random.default_rng(0)
    errors = rng.standard_normal((2, 5, 3))
    return pd.DataFrame([
        {"panel": "one", "method": method, "unit": unit, "gap": bench._text(e),
         "low": "[-1, -1, -1]" if method == bench.FULL else None,
         "high": "[2, 2, 2]" if method == bench.FULL else None}
        for method, block in zip((bench.FULL, bench.SDID), errors, strict=True)
        for unit, e in enumerate(block)
    ]), errors  # fmt: skip


def test_a_placebo_band_is_of_the_other_units(bench):
    e = np.random.default_rng(1).standard_normal((6, 4))
    low, high = bench.placebo_band(e)
    wild = e.copy()
    wild[2] = 1e6
    np.testing.assert_array_equal(bench.placebo_band(wild)[1][2], high[2])
    np.testing.assert_allclose(high[0], np.quantile(np.abs(e[1:]), 0.9, axis=0))
    np.testing.assert_array_equal(low, -high)


def test_interval_score_by_hand(bench):
    e = np.array([[0.0, 3.0], [-2.0, 0.0]])
    score = bench.interval_scores(e, np.full((2, 2), -1.0), np.full((2, 2), 1.0))
    np.testing.assert_allclose(score, [2 + 20 * 2 / 2, 2 + 20 * 1 / 2])


def test_tables_pair_methods_by_unit(bench, rows):
    frame, (full, sdid) = rows
    points = bench.accuracy(frame.sample(frac=1, random_state=0)).set_index("method")
    ratio = np.sqrt(np.mean(full**2) / np.mean(sdid**2))
    assert points.loc[bench.FULL, "RMSPE / SDID"] == pytest.approx(ratio)
    assert points.loc[bench.SDID, "its error"] == 0
    told = bench.bands(frame).set_index("method")
    assert told.loc[bench.FULL, "coverage"] == np.mean((full >= -1) & (full <= 2))
    assert told.loc[bench.FULL, "band"] == "own"
    assert told.loc[bench.SDID, "band"] == "placebo"
    assert told.loc[bench.SDID, "less SDID's"] == 0


def test_own_bands_are_kept_around_the_path(bench, monkeypatch):
    path, hidden = np.array([1.0, 2.0]), np.array([1.5, 5.0])
    monkeypatch.setitem(bench.METHODS, "fixed", lambda *_: (path, path - 1, path + 2, ""))
    panel = type("Panel", (), {"Y": np.vstack([hidden, hidden]), "T0": 0})
    monkeypatch.setattr(bench, "panel_of", lambda _: panel)
    row = bench.placebo_row({"panel": "x", "unit": 0, "method": "fixed"}, None)
    assert row["gap"] == "[0.5, 3.0]"
    assert row["low"] == "[-1.0, -1.0]"
    assert row["high"] == "[2.0, 2.0]"
