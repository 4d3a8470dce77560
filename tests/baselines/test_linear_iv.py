"""Linear instruments: Card's figures, tests of instruments, and sets against brute force."""

import numpy as np
import pytest
from scipy import stats

from causal_ddpm.baselines.anderson_rubin import anderson_rubin_set, robust_anderson_rubin_set
from causal_ddpm.baselines.linear_iv import LIML, TwoStageLeastSquares
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE, LATE, DoseResponse

SLOPE = DoseResponse([12], derivative=True)


def test_schooling_of_card(classics):
    found = TwoStageLeastSquares("unadjusted").estimate(classics.card, SLOPE)
    assert (found.value, found.std_error) == pytest.approx((0.1315, 0.0550), abs=5e-5)
    assert found.details["first_stage_f"] == pytest.approx(13.26, abs=0.005)
    assert found.details["anderson_rubin_in_words"] == "0.0248 to 0.2848"
    assert "nothing to test" in found.details["overidentification"]
    assert any("First-stage F = 13.3" in text for text in found.warnings)


def test_pension_participation(classics):
    found = TwoStageLeastSquares().estimate(classics.participants, LATE())
    assert (found.value, found.std_error) == pytest.approx((13.64, 1.98), abs=0.005)
    assert found.warnings == ()


def test_liml_is_two_stage_least_squares_with_one_instrument_and_not_with_two(classics):
    settings = {"vcov": "unadjusted"}
    one = [m(**settings).estimate(classics.card, SLOPE) for m in (TwoStageLeastSquares, LIML)]
    assert one[0].value == pytest.approx(one[1].value, rel=1e-6)
    settings["more_instruments"] = classics.near_two_year_college
    two = [m(**settings).estimate(classics.card, SLOPE) for m in (TwoStageLeastSquares, LIML)]
    assert two[0].value < two[1].value
    for found in two:
        assert found.details["overidentification"]["p_value"] > 0.2
        assert found.details["overidentification"]["df"] == 1
        assert found.details["first_stage_f"] == pytest.approx(7.89, abs=0.01)
        assert any(text.startswith("Weak instrument") for text in found.warnings)


def test_an_instrument_that_touches_the_outcome_is_caught_beside_a_good_one(simulated, roles):
    frame = simulated(2000, seed=1)
    rng = np.random.default_rng(2)
    better = (frame["d"] + rng.normal(size=2000) > 0.5).astype(float)
    frame["y"] += 1.0 * better
    more = TwoStageLeastSquares(more_instruments=better)
    found = more.estimate(roles(frame, instrument="z"), LATE())
    assert found.details["overidentification"]["p_value"] < 1e-4


def test_weights_and_clusters(simulated, roles):
    frame = simulated(500)
    found = {
        name: TwoStageLeastSquares().estimate(roles(frame, instrument="z", **more), LATE())
        for name, more in (("plain", {}), ("w", {"weights": "w"}), ("g", {"clusters": "g"}))
    }
    assert found["plain"].value == pytest.approx(1.0, abs=4 * found["plain"].std_error)
    assert found["w"].value != found["plain"].value == found["g"].value
    assert found["g"].df == 24
    assert found["g"].std_error != found["plain"].std_error


def test_reasons_and_refusals(simulated, roles):
    frame = simulated(100)
    assert TwoStageLeastSquares().applies(roles(frame), LATE()) == "the data have no instrument"
    assert "not the ATE" in LIML().applies(roles(frame, instrument="z"), ATE())
    with pytest.raises(DataError, match="99 rows"):
        TwoStageLeastSquares(more_instruments=np.ones(99)).estimate(
            roles(frame, instrument="z"), LATE()
        )


# -- Anderson-Rubin sets --------------------------------------------------------------------
def _linear(n=150, strength=0.5, k=2, clash=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    z = rng.normal(size=(n, k)) + 0.3 * x[:, 1:]
    u = rng.normal(size=n)
    d = strength * z.sum(axis=1) + 0.8 * u + rng.normal(size=n)
    return d + x[:, 1] + u + clash * (z[:, 0] - z[:, -1]), d, z, x


def _rejected(b, y, d, z, x, level):
    """The F test of the instruments in the regression of y - b d on z and x."""
    u = y - b * d
    full, small = np.column_stack([x, z]), x
    rss = [
        float(np.sum((u - a @ np.linalg.lstsq(a, u, rcond=None)[0]) ** 2)) for a in (full, small)
    ]
    k, free = z.shape[1], len(y) - full.shape[1]
    return (rss[1] - rss[0]) / k / (rss[0] / free) > stats.f.ppf(level, k, free)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, "bounded"),
        ({"strength": 0.03, "seed": 3}, "unbounded"),
        ({"clash": 2.0}, "empty"),
        ({"k": 1}, "bounded"),
    ],
)
def test_set_is_what_the_test_does_not_reject(settings, shape):
    y, d, z, x = _linear(**settings)
    found = anderson_rubin_set(y, d, z, x, 0.9)
    grid = np.linspace(-6, 8, 281)
    assert [b in found for b in grid] == [not _rejected(b, y, d, z, x, 0.9) for b in grid]
    assert {"bounded": found.bounded and found.intervals, "unbounded": not found.bounded,
            "empty": str(found).startswith("empty")}[shape]  # fmt: skip


def test_sets_keep_their_level_where_the_instrument_is_almost_irrelevant():
    held, robust = [], []
    for seed in range(400):
        y, d, z, x = _linear(100, strength=0.05, k=1, seed=seed)
        held.append(1.0 in anderson_rubin_set(y, d, z, x))
        robust.append(1.0 in robust_anderson_rubin_set(y, d, z[:, 0], x))
    margin = 2.6 * np.sqrt(0.95 * 0.05 / 400)
    assert abs(np.mean(held) - 0.95) < margin
    assert abs(np.mean(robust) - 0.95) < margin + 0.01


def test_clustered_set_is_wider_where_rows_repeat():
    y, d, z, x = _linear(100, strength=0.8, k=1)
    four = [np.repeat(v, 4, axis=0) for v in (y, d, z[:, 0], x)]
    plain = robust_anderson_rubin_set(*four).intervals[0]
    clustered = robust_anderson_rubin_set(*four, clusters=np.repeat(np.arange(100), 4)).intervals[0]
    alone = robust_anderson_rubin_set(y, d, z[:, 0], x).intervals[0]
    assert np.diff(clustered) > 1.7 * np.diff(plain)
    assert clustered == pytest.approx(alone, abs=0.01)
