r"""Units on a map whose neighbours' treatment matters too.

Positions are uniform on a square with one unit per unit of area; units nearer than r = 1.4 are
neighbours (about six each). With m_N(z)_i the mean of z among the neighbours of i, f a smooth field
of the map with variance 1, s_i = m_N(d)_i and g_i = 1{s_i >= 1/2}:

    x0 ~ N(0, 1),   x1 = .6 z + .8 f,  z ~ N(0, 1)
    P(D = 1 | x) = expit(.5 x0 + .7 x1)
    Y(d, g) = sin(x0) + .5 x1 + .4 m_N(x1) + d (1 + .5 x0) + .8 g + .4 d g + e
    e = .8 u + .6 sqrt(|N|) m_N(u),  u ~ N(0, 1)                          (u without neighbours)

Treated units live together, so a comparison that ignores neighbours credits a unit's own treatment
with theirs; and errors of neighbours are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.network import Network
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import checked_size, seed_number

Array = NDArray[np.float64]

RADIUS = 1.4
CUT = 0.5
COVARIATES = ("x0", "x1")
POSITION = ("east", "north")
_WAVES = 8
_SLOPE = 0.5
_DIRECT, _INDIRECT, _BOTH = 1.0, 0.8, 0.4
_EQUATIONS = (
    "positions uniform on a square of area n, neighbours N: units nearer than 1.4; "
    "m_N(z): mean of z among them",
    "x0 ~ N(0, 1), x1 = .6 z + .8 f, z ~ N(0, 1), f a smooth field of the map with variance 1",
    "P(D = 1 | x) = expit(.5 x0 + .7 x1), g = 1{m_N(D) >= 1/2}",
    "Y(d, g) = sin(x0) + .5 x1 + .4 m_N(x1) + d (1 + .5 x0) + .8 g + .4 d g + e",
    "e = .8 u + .6 sqrt(|N|) m_N(u), u ~ N(0, 1)",
)


@dataclass(frozen=True, eq=False)
class SpilloverDraw:
    """A simulated map of n units.

    Parameters
    ----------
    frame : DataFrame
        Columns east, north, x0, x1, d, y.
    data : CausalData
        The same, with roles; nothing in it says who is whose neighbour.
    network : Network
        Who is.
    truth : Truth
        Direct, indirect and total effects of units with neighbours.
    potential_outcomes : ndarray, shape (n, 2, 2)
        Y(d, g) at [:, d, g].
    """

    frame: pd.DataFrame
    data: CausalData
    network: Network
    truth: Truth
    potential_outcomes: Array


@dataclass(frozen=True)
class Spillovers:
    """The design of this module."""

    name: str = "spillovers"

    def draw(self, n: int, seed: Seed = 0) -> SpilloverDraw:
        """Draw a map of n units; the same seed gives the same map."""
        rng = stream(seed, "design", self.name)
        position = np.sqrt(checked_size(n)) * rng.random((n, 2))
        network = Network.within(position, RADIUS)
        x0, z, u = rng.standard_normal((3, n))
        x1 = 0.6 * z + 0.8 * _field(position, rng)
        d = (rng.random(n) < expit(0.5 * x0 + 0.7 * x1)).astype(np.int64)
        base = np.sin(x0) + 0.5 * x1 + 0.4 * _around(network, x1)
        noise = _noise(network, u)
        outcomes = (base + noise)[:, None, None] + _effects(x0)
        g = (_around(network, d) >= CUT).astype(np.int64)
        frame = pd.DataFrame(
            {"east": position[:, 0], "north": position[:, 1], "x0": x0, "x1": x1, "d": d}
        ).assign(y=outcomes[np.arange(n), d, g])
        known, some = self.truth(), network.degree > 0
        sample = _contrasts(outcomes[some].mean(axis=0)) if some.any() else {}
        truth = Truth(self.name, known.population, sample, {}, _EQUATIONS, seed_number(seed))
        data = CausalData(frame, "d", "y", list(COVARIATES))
        return SpilloverDraw(frame, data, network, truth, outcomes)

    def truth(self) -> Truth:
        """Population effects; they do not depend on the map."""
        return Truth(self.name, _contrasts(_effects(np.zeros(1))[0]), equations=_EQUATIONS)


def _effects(x0: Array) -> Array:
    """What treatment d and exposure g add for each unit, shape (n, 2, 2)."""
    d, g = np.arange(2.0)[:, None], np.arange(2.0)
    own = (_DIRECT + _SLOPE * x0)[:, None, None] * d
    return np.asarray(own + _INDIRECT * g + _BOTH * d * g)


def _contrasts(mean: Array) -> dict[str, float]:
    """Effects from mean outcomes at [d, g]."""
    return {
        "direct effect, low exposure": float(mean[1, 0] - mean[0, 0]),
        "direct effect, high exposure": float(mean[1, 1] - mean[0, 1]),
        "indirect effect on the untreated": float(mean[0, 1] - mean[0, 0]),
        "indirect effect on the treated": float(mean[1, 1] - mean[1, 0]),
        "total effect": float(mean[1, 1] - mean[0, 0]),
    }


def _around(network: Network, values: Array | NDArray[np.int64]) -> Array:
    """Mean among neighbours, 0 without any."""
    return np.nan_to_num(network.share(values))


def _noise(network: Network, u: Array) -> Array:
    """Errors that neighbours share, variance 1."""
    degree = network.degree
    return np.where(degree > 0, 0.8 * u + 0.6 * np.sqrt(degree) * _around(network, u), u)


def _field(position: Array, rng: np.random.Generator) -> Array:
    """A sum of waves with random directions and phases, variance 1, wavelength about 12."""
    direction = rng.standard_normal((2, _WAVES)) * 0.5
    phase = 2 * np.pi * rng.random(_WAVES)
    return np.asarray(np.sqrt(2 / _WAVES) * np.cos(position @ direction + phase).sum(axis=1))


SPILLOVERS = Spillovers()
