"""Simulated firms that choose to adopt AI, and what adoption does to their productivity.

Larger, more research-intensive and better-educated firms adopt more often, and would be more
productive anyway: the naive difference is far above the effect. Given industry size, R&D intensity
and education, adoption is as good as random; the industry moves these three and productivity, but
not adoption directly. :data:`EQUATIONS` is the design.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth, truth_path
from causal_ddpm.dgp.draw import (
    Draw,
    checked_size,
    efficiency_sds,
    mean_effects,
    sample_effects,
    seed_number,
)

Array = NDArray[np.float64]

COLUMNS = (
    "firm_id", "industry", "ai_adoption", "productivity", "industry_size", "rd_intensity",
    "education",
)  # fmt: skip
CONFOUNDERS = ("industry", "industry_size", "rd_intensity", "education")

EQUATIONS = (
    "industry: manufacturing .30, services .25, retail .20, finance .13, information .12",
    "z1, z2, z3 ~ N(mean of the industry, .85^2), independent given the industry; means: "
    "manufacturing (.3, .1, -.3), services (-.2, -.3, .1), retail (-.1, -.5, -.4), "
    "finance (.1, .2, .5), information (.0, .8, .6)",
    "industry_size = 50 exp(.6 z1): employees of the industry in the region, thousands",
    "rd_intensity = 3 exp(.5 z2): R&D spending, % of sales",
    "education = 13 + 1.2 z3: mean years of schooling of the staff",
    "e = .03 + .94 S(-.3 + .7 z1 + .6 z2 + .5 z3), ai_adoption ~ Bernoulli(e)",
    "Y(0) = 80 + b + 4 z1 + 2 z2 + 3 z3 + z1 z3 + u: value added per worker, thousand dollars; "
    "b: manufacturing 2, services 0, retail -2, finance 4, information 3; u ~ N(0, 5^2)",
    "Y(1) = Y(0) + 5 + 2 z3 + 2 tanh(z2)",
    "productivity = Y(ai_adoption)",
)

_INDUSTRIES = ("manufacturing", "services", "retail", "finance", "information")
_SHARES = np.array([0.30, 0.25, 0.20, 0.13, 0.12])
_MEANS = np.array(
    [[0.3, 0.1, -0.3], [-0.2, -0.3, 0.1], [-0.1, -0.5, -0.4], [0.1, 0.2, 0.5], [0.0, 0.8, 0.6]]
)
_LEVELS = np.array([2.0, 0.0, -2.0, 4.0, 3.0])
_SPREAD = 0.85
_NOISE = 5.0
_N_INTEGRATION = 2**19


@dataclass(frozen=True)
class AIAdoption:
    """The design of this module, with the interface of the other designs."""

    name: str = "ai-adoption"

    def draw(self, n: int, seed: Seed = 0) -> Draw:
        """Draw n firms; the same seed gives the same firms."""
        rng = stream(seed, "design", self.name)
        industry, z = _firms(checked_size(n), rng)
        e = _propensity(z)
        d = (rng.random(n) < e).astype(np.int64)
        mean = _means(industry, z)
        outcomes = mean + _NOISE * rng.standard_normal(n)[:, None]
        frame = _frame(industry, z, d, outcomes[np.arange(n), d])
        known = self.truth()
        sample = {**sample_effects(outcomes, d), **_by_industry(industry, np.diff(outcomes)[:, 0])}
        return Draw(
            frame=frame,
            data=CausalData(frame, "ai_adoption", "productivity", CONFOUNDERS, unit_id="firm_id"),
            truth=Truth(
                self.name, known.population, sample, known.efficiency_sd, EQUATIONS,
                seed_number(seed),
            ),
            potential_outcomes=outcomes,
            mean=mean,
            propensity=np.column_stack([1 - e, e]),
        )  # fmt: skip

    def truth(self) -> Truth:
        """Population effects, also by industry, and bounds, by deterministic integration."""
        return _population_truth(self.name)


def simulate(n: int, seed: Seed = 0) -> Draw:
    """Draw n firms; see :class:`AIAdoption`."""
    return AIAdoption().draw(n, seed)


def write(path: str | Path, n: int, seed: int = 0) -> Draw:
    """Write n firms to a CSV file, and what is true of them to ``FILE.truth.json``.

    Both files appear complete or not at all.

    Parameters
    ----------
    path : str or Path
        CSV file to write; its folder must exist.
    n : int
        Number of firms.
    seed : int
        Seed of the draw.

    Raises
    ------
    DataError
        If the files cannot be written, or with fewer firms than an analysis needs.
    """
    path = Path(path)
    draw = simulate(n, seed)
    truth = json.dumps(draw.truth.to_dict(), indent=2) + "\n"
    writers: dict[Path, Callable[[Path], object]] = {
        truth_path(path): lambda p: p.write_text(truth, encoding="utf-8"),
        path: lambda p: draw.frame.to_csv(p, index=False),
    }
    _write_together(writers)
    return draw


def _write_together(writers: dict[Path, Callable[[Path], object]]) -> None:
    """Write every file beside its place first, then move all of them in."""
    folder = next(iter(writers)).parent
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".simulate-") as scratch:
            ready = {Path(scratch) / path.name: path for path in writers}
            for temporary, path in ready.items():
                writers[path](temporary)
            for temporary, path in ready.items():
                os.replace(temporary, path)
    except OSError as error:
        raise DataError(
            f"the simulation cannot be written to '{folder}' ({error.strerror})",
            "a folder that exists and can be written to",
        ) from error


def _firms(n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Array]:
    industry = rng.choice(len(_INDUSTRIES), size=n, p=_SHARES).astype(np.int64)
    return industry, _MEANS[industry] + _SPREAD * rng.standard_normal((n, 3))


def _propensity(z: Array) -> Array:
    return 0.03 + 0.94 * expit(-0.3 + z @ np.array([0.7, 0.6, 0.5]))


def _means(industry: NDArray[np.int64], z: Array) -> Array:
    """E[Y(a) | industry, z], shape (n, 2)."""
    untreated = 80 + _LEVELS[industry] + z @ np.array([4.0, 2.0, 3.0]) + z[:, 0] * z[:, 2]
    return np.column_stack([untreated, untreated + _effect(z)])


def _effect(z: Array) -> Array:
    return 5 + 2 * z[:, 2] + 2 * np.tanh(z[:, 1])


def _by_industry(industry: NDArray[np.int64], effect: Array) -> dict[str, float]:
    """Mean effect in each industry that has a row."""
    return {
        f"GATE(industry = {name})": float(effect[industry == k].mean())
        for k, name in enumerate(_INDUSTRIES)
        if (industry == k).any()
    }


def _frame(industry: NDArray[np.int64], z: Array, d: NDArray[np.int64], y: Array) -> pd.DataFrame:
    columns = (
        np.arange(1, len(d) + 1), np.asarray(_INDUSTRIES, dtype=object)[industry], d, y,
        50 * np.exp(0.6 * z[:, 0]), 3 * np.exp(0.5 * z[:, 1]), 13 + 1.2 * z[:, 2],
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


@cache
def _population_truth(name: str) -> Truth:
    industry, z = _firms(_N_INTEGRATION, stream(0, "integration"))
    both = np.vstack([z, 2 * _MEANS[industry] - z])  # antithetic within each industry
    effect, e = _effect(both), _propensity(both)
    groups = _by_industry(np.concatenate([industry, industry]), effect)
    variance = np.full((len(both), 2), _NOISE**2)
    return Truth(
        design=name,
        population={**mean_effects(effect, e), **groups},
        efficiency_sd=efficiency_sds(effect, variance, e),
        equations=EQUATIONS,
    )
