"""Structural time series with controls as regressors (statsmodels).

For the mean path of a cohort, with z_t the first k principal components of complete controls,

    y_t = mu_t + b'z_t + e_t,    mu_t = mu_{t-1} + u_t

fitted on periods before treatment by maximum likelihood, k = 0 .. K by BIC. Paths after treatment
are simulated from the fitted law, given the level at the last period before it; the standard error
and the interval of an average effect are those of the simulated averages (Brodersen et al. 2015,
without their prior). Estimation error of b and of the variances is not in them, nor that controls
may come to move otherwise: intervals are too narrow. On placebos, whose effect is zero, those with
level .90 held it in .32 of 38 states (Proposition 99) and .18 of 50 (Texan prisons), and the method
has no vote on whether methods agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.panel.counterfactual import (
    Block,
    Cells,
    averages,
    blocks,
    entries,
    path_of,
    with_gap,
)
from causal_ddpm.baselines.panel.method import (
    PanelBaseline,
    PanelScope,
    account,
    complete_controls,
)
from causal_ddpm.core.estimand import Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.core.reported import reported_estimate

Array = NDArray[np.float64]

PERIODS_A_COMPONENT = 5
MOST_COMPONENTS = 3


@dataclass(frozen=True)
class StructuralTimeSeries(PanelBaseline):
    """A local level with regressors, forecast past the treatment.

    Parameters
    ----------
    n_paths : int
        Simulated paths.
    """

    n_paths: int = 1000
    name: ClassVar[str] = "structural"
    title: ClassVar[str] = "Structural time series"
    assumes: ClassVar[str] = (
        "level and relation to controls before treatment go on; controls are not affected"
    )
    library: ClassVar[str] = "statsmodels"
    too_narrow: ClassVar[str] = (
        "the standard error of a structural time series takes its coefficients and variances as "
        "known: on placebos of Proposition 99 its 90 % interval held 32 %"
    )
    scope: ClassVar[PanelScope] = PanelScope(never_treated=2, before=8, gaps=False)

    def _answer(
        self, panel: PanelData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """Averages of observed less forecast, with simulated standard errors and intervals."""
        package = load(self.library, self.extra)
        structural = load("statsmodels.tsa.api", self.extra)
        keep = np.flatnonzero(~panel.is_control | complete_controls(panel))
        cells = Cells(panel.y, panel.x, panel.first).rows(keep)
        labels, keys = entries(panel, estimand)
        y0 = np.full(cells.y.shape, np.nan)
        again = np.full((self.n_paths, *cells.y.shape), np.nan)
        used = {}
        with listening(self.library) as heard:
            for members, block in blocks(cells):
                seed = integer_seed(random_state, self.name, block.first)
                fit = _fitted(structural, block)
                path, paths = _forecast(fit, block, self.n_paths, seed)
                used[str(block.first)] = fit.k_components
                y0[members] = with_gap(cells, members, path)
                again[:, members] = [with_gap(cells, members, one) for one in paths]
        draws = np.array([averages(cells, one, keys) for one in again])
        ends = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        details = {**path_of(panel, cells, y0), "components": used, "standard_error": "model"}
        return reported_estimate(
            account(self, panel, estimand, package, details, heard),
            averages(cells, y0, keys),
            np.atleast_2d(np.cov(draws, rowvar=False)),
            labels,
            interval=(ends[0], ends[1]),
            level=level,
        )


@dataclass(frozen=True, eq=False)
class LocalLevel:
    """A fitted local level with regressors.

    Parameters
    ----------
    regression : ndarray, shape (T,)
        b'z_t in all periods.
    signal : ndarray, shape (g,)
        One-step predictions of the periods before treatment, NaN before the level is known.
    level, level_variance : float
        Mean and variance of mu at the last period before treatment.
    step_variance, noise_variance : float
        Variances of u and e.
    k_components : int
        k.
    bic : float
    """

    regression: Array
    signal: Array
    level: float
    level_variance: float
    step_variance: float
    noise_variance: float
    k_components: int
    bic: float


def _fitted(structural: ModuleType, block: Block) -> LocalLevel:
    """The fit with the number of components that has the least BIC."""
    z = components(block.controls)
    most = min(MOST_COMPONENTS, block.first // PERIODS_A_COMPONENT, z.shape[1])
    fits = [_fit(structural, block, z[:, :k]) for k in range(most + 1)]
    return min(fits, key=lambda fit: fit.bic)


def components(controls: Array) -> Array:
    """Principal components of controls over all periods, unit variance each, shape (T, ...)."""
    centred = controls - controls.mean(axis=1, keepdims=True)
    left, size, _ = np.linalg.svd(centred.T, full_matrices=False)
    return np.asarray(left[:, size > 1e-10 * size[0]] * np.sqrt(len(left)))


def _fit(structural: ModuleType, block: Block, z: Array) -> LocalLevel:
    g, k = block.first, z.shape[1]
    model = structural.UnobservedComponents(
        block.treated.mean(axis=0)[:g], level="llevel", exog=z[:g] if k else None
    )
    result = model.fit(disp=False)
    params = dict(zip(model.param_names, result.params, strict=True))
    b = np.array([value for name, value in params.items() if name.startswith("beta.")])
    regression = z @ b if k else np.zeros(len(z))
    return LocalLevel(
        regression=regression,
        signal=np.where(np.arange(g) < result.loglikelihood_burn, np.nan, result.fittedvalues),
        level=float(result.filtered_state[0, -1]),
        level_variance=float(result.filtered_state_cov[0, 0, -1]),
        step_variance=params["sigma2.level"],
        noise_variance=params["sigma2.irregular"],
        k_components=k,
        bic=float(result.bic),
    )


def _forecast(fit: LocalLevel, block: Block, n_paths: int, seed: int) -> tuple[Array, Array]:
    """The path without treatment (T,), and simulated ones (n_paths, T) that differ after g."""
    rng, g = np.random.default_rng(seed), block.first
    after = len(fit.regression) - g
    path = np.concatenate([fit.signal, fit.level + fit.regression[g:]])
    start = np.sqrt(fit.level_variance) * rng.standard_normal((n_paths, 1))
    steps = np.sqrt(fit.step_variance) * rng.standard_normal((n_paths, after)).cumsum(axis=1)
    noise = np.sqrt(fit.noise_variance) * rng.standard_normal((n_paths, after))
    paths = np.tile(path, (n_paths, 1))
    paths[:, g:] += start + steps + noise
    return path, paths
