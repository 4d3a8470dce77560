"""Adapters of other generators: columns, types, seeds, limits; nothing that CI lacks is needed."""

import importlib
import os
import sys
import time

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.recovery.generator import FittedGenerator, Generator, Roles

ROLES = Roles(treatment="d", outcome="y", covariates=("x", "region", "count"))
PEER_PYTHON = os.environ.get("GENERATORS_PYTHON")


@pytest.fixture(scope="module")
def adapters(root):
    folder = str(root / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("recovery_generators")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(600)
    d = (rng.random(600) < 1 / (1 + np.exp(-x))).astype(np.int64)
    return pd.DataFrame({
        "x": x,
        "region": np.where(rng.random(600) < 0.3, "north", "south"),
        "count": rng.poisson(40, 600),
        "unused": 1.0,
        "d": d,
        "y": 2 * x + d + 0.5 * rng.standard_normal(600),
    })  # fmt: skip


def _check(model, frame):
    fitted = model.fit(frame, ROLES, 1)
    assert isinstance(model, Generator)
    assert isinstance(fitted, FittedGenerator)
    rows = fitted.sample(2000, 2)
    assert list(rows.columns) == list(ROLES.columns)
    assert (rows.dtypes == frame[list(ROLES.columns)].dtypes).all()
    assert set(rows["region"]) == {"north", "south"}
    assert set(rows["d"]) == {0, 1}
    pd.testing.assert_frame_equal(rows, fitted.sample(2000, 2))
    assert not rows.equals(fitted.sample(2000, 3))
    return rows


def test_classes_are_texts_and_whole_numbers_with_few_levels(adapters, frame):
    assert adapters.classes(frame[list(ROLES.columns)]) == ("region", "d")


def test_codes_lead_back_to_the_frame(adapters, frame):
    rows = frame[list(ROLES.columns)]
    codes = adapters.Codes.of(rows)
    assert codes.encode(rows).dtypes.map(pd.api.types.is_numeric_dtype).all()
    pd.testing.assert_frame_equal(codes.decode(codes.encode(rows)), rows)


def test_the_copula_keeps_marginal_laws_and_correlations(adapters, frame):
    rows = _check(adapters.GaussianCopula(), frame)
    assert rows["region"].eq("north").mean() == pytest.approx(
        frame["region"].eq("north").mean(), abs=0.04
    )
    assert rows[["x", "y"]].corr().iloc[0, 1] == pytest.approx(
        frame[["x", "y"]].corr().iloc[0, 1], abs=0.04
    )


@pytest.mark.peers
def test_the_flow_learns_the_slope_of_the_outcome(adapters, frame):
    pytest.importorskip("zuko", reason="the flow needs zuko")
    rows = _check(adapters.SplineFlow(), frame)
    assert np.polyfit(rows["x"], rows["y"], 1)[0] == pytest.approx(
        np.polyfit(frame["x"], frame["y"], 1)[0], rel=0.15
    )


def test_a_fit_that_takes_too_long_is_given_up(adapters, frame):
    class Slow:
        name = "slow"

        def fit(self, frame, roles, random_state=None):
            start = time.process_time()
            while time.process_time() - start < 20:
                pass

    start = time.process_time()
    with pytest.raises(adapters.FitTimeoutError, match=r"slow took more than 0\.2 CPU-seconds"):
        adapters.Limited(Slow(), 0.2).fit(frame, ROLES)
    assert time.process_time() - start < 10


def test_a_fit_within_the_limit_is_timed_and_the_alarm_is_off(adapters, frame):
    model = adapters.Limited(adapters.GaussianCopula(), 5.0)
    model.fit(frame, ROLES, 0)
    assert 0 <= model.seconds[0] < 5
    assert adapters.signal.getitimer(adapters.signal.ITIMER_PROF)[0] == 0


def test_a_pool_gives_each_row_once_and_not_more_than_it_has(adapters):
    pool = adapters.Pool(pd.DataFrame({"y": np.arange(50)}), 0.0)
    assert sorted(pool.sample(50, 0)["y"]) == list(range(50))
    with pytest.raises(DataError, match="51 rows were asked for"):
        pool.sample(51, 0)


def test_a_peer_without_its_library_says_what_is_missing(adapters, frame):
    if importlib.util.find_spec("arfpy"):
        pytest.skip("arfpy is installed here")
    with pytest.raises(RuntimeError, match="No module named 'arfpy'"):
        adapters.Peer("ARF", sys.executable, 5.0, pool=10).fit(frame, ROLES, 0)


@pytest.mark.peers
@pytest.mark.skipif(not PEER_PYTHON, reason="GENERATORS_PYTHON names no Python with the peers")
def test_the_forest_in_its_own_environment(adapters, frame):
    _check(adapters.Peer("ARF", PEER_PYTHON, 60.0, pool=4000), frame)
