"""Small simulated panels."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.panel_data import PanelData


def long_panel(y, first, unit_names=None, periods=None, keep=None) -> PanelData:
    """A panel from outcomes (N, T) and first treated periods (T: never)."""
    n, t = y.shape
    units = np.arange(n) if unit_names is None else np.asarray(unit_names)
    times = np.arange(t) if periods is None else np.asarray(periods)
    treated = (np.arange(t) >= np.asarray(first)[:, None]).astype(int)
    frame = pd.DataFrame({
        "unit": np.repeat(units, t), "period": np.tile(times, n), "y": y.ravel(),
        "d": treated.ravel(),
    })  # fmt: skip
    frame = frame if keep is None else frame[keep.ravel()]
    return PanelData(frame, "unit", "period", "y", treated="d")


def untreated(seed, n=24, t=14, noise=1.0, rho=0.5):
    """Two-way effects and noise that hangs together over time."""
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((n, t))
    for s in range(1, t):
        e[:, s] = rho * e[:, s - 1] + np.sqrt(1 - rho**2) * e[:, s]
    return rng.standard_normal((n, 1)) + rng.standard_normal(t).cumsum() + noise * e


@pytest.fixture
def make_panel():
    return long_panel


@pytest.fixture
def make_outcomes():
    return untreated
