r"""What a model of untreated outcomes says of a panel whose process is known.

From the mean m_it of every cell's law, one draw y~_it of it, and the observed y_it,

    tau^ = mean of y_it - m_it over treated cells,  tau^_k the same at event time k
    least squares of  y~_it + tau^ 1{treated}  on  const, x, flag, post, flag post
    two-way least squares of m_it on x_it, over all cells: unit effects, period effects, slope of x
    U_it = F_it(y_it(0)),   uniform if F is the law of the untreated outcomes of treated cells

The model has generated y~ without treatment; what it holds to be the effect is added to it. The
yardstick is the correctly specified least squares with the same information, read in the same way
on R panels of the same units and x with fresh noise, its law being N(prediction, residual
variance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.dgp.panel_draw import NEVER, NoiseLaw, PanelDraw
from causal_ddpm.nuisance.panel.base import PanelBase
from causal_ddpm.nuisance.panel.cells import Array, Mask, PanelCells
from causal_ddpm.nuisance.panel.law import PanelLaw
from causal_ddpm.nuisance.panel.two_way import TwoWay

TERMS = ("const", "x", "treatment_flag", "treatment_period", "cross_term")
"""Regressors of the historic regression."""

N_CELLS, N_NODES = 1000, 32
"""Treated cells whose laws are read, and the quantiles read of each."""


@dataclass(frozen=True, eq=False)
class KnownPanel:
    """A panel and its process.

    Parameters
    ----------
    x, mean, effect, noise : ndarray, shape (N, T)
        Covariate, E[Y(0)], effect in treated cells, and noise.
    treated : ndarray of bool, shape (N, T)
    flag : ndarray, shape (N,)
        1 for units that are treated at last.
    post : ndarray, shape (T,)
        1 from the first treated period on.
    unit : ndarray, shape (N,)
    period : ndarray, shape (T,)
        Effects of units and periods.
    law : NoiseLaw
    """

    x: Array
    mean: Array
    effect: Array
    noise: Array
    treated: Mask
    flag: Array
    post: Array
    unit: Array
    period: Array
    law: NoiseLaw

    @classmethod
    def of(cls, draw: PanelDraw) -> KnownPanel:
        """Read a draw with one covariate, x."""
        shape = draw.untreated.shape
        return cls(
            draw.frame["x"].to_numpy(dtype=float).reshape(shape), draw.untreated_mean, draw.effect,
            draw.noise, draw.treated, (draw.cohort != NEVER).astype(float),
            draw.treated.any(axis=0).astype(float), draw.unit_effect, draw.period_effect,
            draw.noise_law,
        )  # fmt: skip

    @property
    def untreated(self) -> Array:
        """Y(0), shape (N, T)."""
        return self.mean + self.noise

    @property
    def outcome(self) -> Array:
        """Y, shape (N, T)."""
        return self.untreated + self.effect

    @property
    def att(self) -> float:
        """Mean effect on the treated cells."""
        return float(self.effect[self.treated].mean())

    def cells(self, information: str) -> PanelCells:
        """What a learner sees: "H", all units before treatment; "D", all untreated cells."""
        before = np.broadcast_to(self.post == 0, self.treated.shape)
        return PanelCells.of(self.outcome, self.x, before if information == "H" else ~self.treated)

    def again(self, rng: np.random.Generator) -> KnownPanel:
        """The same units and x with fresh noise."""
        return replace(self, noise=self.law.sample(rng, *self.mean.shape))

    def without_noise(self) -> KnownPanel:
        """The same panel, its noise zero."""
        return replace(self, noise=np.zeros_like(self.noise))

    def some_treated(self, seed: Seed) -> Mask:
        """At most ``N_CELLS`` treated cells."""
        places = np.flatnonzero(self.treated)
        chosen = stream(seed, "some cells").permutation(len(places))[:N_CELLS]
        mask = np.zeros(self.treated.size, dtype=bool)
        mask[places[chosen]] = True
        return mask.reshape(self.treated.shape)


@dataclass(frozen=True, eq=False)
class View:
    """What a model says: means and draws of all cells, sd and U of some treated cells."""

    mean: Array
    drawn: Array
    sd: float
    u: Array | None


def view_of_law(law: PanelLaw, known: KnownPanel, random_state: Seed) -> View:
    """Read a fitted law."""
    every, some = np.ones(known.treated.shape, dtype=bool), known.some_treated(random_state)
    shape = known.treated.shape
    drawn = law.sample(every, 1, random_state).reshape(shape)
    if known.law.sd == 0:
        return View(law.mean(every).reshape(shape), drawn, 0.0, None)
    laws = law.predictive(some, N_NODES)
    u = laws.cdf(known.untreated[some][:, None])[:, 0]
    sd = float(np.sqrt(np.mean(laws.nodes.var(axis=1))))
    return View(law.mean(every).reshape(shape), drawn, sd, u)


def view_of_base(base: PanelBase, known: KnownPanel, information: str, seed: Seed) -> View:
    """Read least squares, with Gaussian noise of its residual variance around it."""
    cells = known.cells(information)
    mean = base.fit(cells).predict(cells)
    residual = (cells.outcome - mean)[cells.observed]
    n_effects = sum(known.treated.shape) if information == "D" else len(known.unit) + 1
    sd = float(np.sqrt(np.sum(residual**2) / (len(residual) - n_effects - 1)))
    noise = sd * stream(seed, "noise of least squares").standard_normal(mean.shape)
    some = known.some_treated(seed)
    u = stats.norm.cdf((known.untreated - mean)[some] / sd) if known.law.sd > 0 else None
    return View(mean, mean + noise, sd, u)


def true_view(known: KnownPanel) -> View:
    """The process itself, without noise."""
    return View(known.mean, known.mean, known.law.sd, None)


@dataclass(frozen=True, eq=False)
class PanelReading:
    """Numbers read off a view.

    Parameters
    ----------
    values : mapping of str to float
    coef_error : mapping of str to float
        Standard errors of the coefficients of the historic regression.
    event_time : ndarray, shape (K,)
        Effect by periods since the start.
    period : ndarray, shape (T,)
        Period effects, of mean zero before treatment.
    """

    values: Mapping[str, float]
    coef_error: Mapping[str, float]
    event_time: Array
    period: Array


def read_panel(view: View, known: KnownPanel) -> PanelReading:
    """Read the numbers of the module page off a view."""
    gap = known.outcome - view.mean
    att = float(gap[known.treated].mean())
    by_period = np.where(known.treated, gap, 0.0).sum(axis=0)[known.post == 1]
    event_time = by_period / known.treated.sum(axis=0)[known.post == 1]
    true_time = known.effect.sum(axis=0)[known.post == 1] / known.flag.sum()
    coef, error = historic_regression(view.drawn + att * known.treated, known)
    surface = TwoWay().fit(PanelCells.of(view.mean, known.x, np.ones_like(known.treated)))
    unit, true_unit = surface.unit - surface.unit.mean(), known.unit - known.unit.mean()
    period = surface.period - surface.period[known.post == 0].mean()
    true_period = known.period - known.period[known.post == 0].mean()
    off = (view.mean - known.mean)[known.treated]
    values = {
        **coef,
        "att": att,
        "att_percent": 100 * (att - known.att) / abs(known.att) if known.att else np.nan,
        "event_time_rmse": _rms(event_time - true_time),
        "unit_decorrelation": 1 - float(np.corrcoef(unit, true_unit)[0, 1]),
        "unit_rmse": _rms(unit - true_unit),
        "slope_before": _slope(period[known.post == 0]),
        "slope_after": _slope(period[known.post == 1]),
        "period_rmse": _rms(period - true_period),
        "slope_x": float(surface.coef[0]),
        "cell_rmse": _rms(off),
        "cell_bias": float(off.mean()),
        "noise_sd": view.sd,
    }
    return PanelReading(values | _of_noise(view.u), error, event_time, period)


def historic_regression(y: Array, known: KnownPanel) -> tuple[dict[str, float], dict[str, float]]:
    """Least squares of y on const, x, flag, post and cross term: coefficients, classical errors."""
    flag, post = np.broadcast_arrays(known.flag[:, None], known.post)
    columns = (np.ones_like(known.x), known.x, flag, post, flag * post)
    design = np.column_stack([c.ravel() for c in columns])
    coef = np.linalg.lstsq(design, y.ravel(), rcond=None)[0]
    n, k = design.shape
    variance = np.sum((y.ravel() - design @ coef) ** 2) / (n - k)
    error = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    return dict(zip(TERMS, coef.tolist(), strict=True)), dict(
        zip(TERMS, error.tolist(), strict=True)
    )


def _of_noise(u: Array | None) -> dict[str, float]:
    if u is None:
        return {}
    outside = float(np.mean((u < 0.01) | (u > 0.99)))
    return {"ks": float(stats.kstest(u, "uniform").statistic), "outside_98": outside}


def _slope(values: Array) -> float:
    """Least-squares slope over consecutive periods."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0]) if len(values) > 1 else np.nan


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
