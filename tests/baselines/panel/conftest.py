import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.panel_data import PanelData


@pytest.fixture(scope="session")
def mpdta():
    """County teen employment and minimum wages, 2003-2007, as published with R's did."""
    moderndid = pytest.importorskip("moderndid")
    frame = moderndid.load_mpdta().to_pandas()
    return frame.rename(columns={"countyreal": "county", "first.treat": "cohort"})


@pytest.fixture(scope="session")
def mpdta_panel(mpdta):
    return PanelData(mpdta, "county", "year", "lemp", cohort=_cohort(mpdta))


def _cohort(frame):
    return next(name for name in frame if name in ("cohort", "first_treat"))


@pytest.fixture(scope="session")
def prop99():
    """Cigarette sales in 39 states, 1970-2000; California is treated from 1989 on."""
    synthdid = pytest.importorskip("synthdid")
    frame = synthdid.load_california_prop99()
    frame.columns = ["state", "year", "cigsale", "treated"]
    return PanelData(frame, "state", "year", "cigsale", treated="treated")


@pytest.fixture(scope="session")
def small():
    """12 units x 8 periods, two of them treated from period 5 on with effect 3, small noise."""
    return small_panel()


def small_panel(starts=(5, 5), noise=0.1, n_units=12, n_periods=8, seed=3, effect=3.0):
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), n_periods)
    period = np.tile(np.arange(n_periods), n_units)
    start = np.full(n_units, n_periods)
    start[: len(starts)] = starts
    x = rng.normal(size=len(unit))
    y = rng.normal(size=n_units)[unit] + 0.3 * period + noise * rng.normal(size=len(unit)) + x
    treated = (period >= start[unit]).astype(int)
    frame = pd.DataFrame({"u": unit, "t": period, "y": y + effect * treated, "d": treated, "x": x})
    frame["w"] = 1.0 + frame["u"] % 3
    frame["g"] = frame["u"] // 2
    return frame
