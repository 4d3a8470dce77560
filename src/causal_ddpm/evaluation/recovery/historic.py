"""The historic difference-in-differences panel, with noise, as a design that draws.

    y_it = a_i + trend t + break max(t - start + 1, 0) + 1.1 x_it + effect G_i P_t + e_it

Units, groups and x are those of :class:`causal_ddpm.DID_Dataset` with its own ``random_state``;
only the noise e_it ~ N(0, sd^2) is new with every seed. Without noise and break it is that panel,
and its regression of y on const, x, treatment_flag, treatment_period and cross_term is the
published one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.did import SLOPE, DifferenceInDifferences
from causal_ddpm.dgp.draw import seed_number
from causal_ddpm.dgp.panel_draw import NEVER, NoiseLaw, PanelDraw, PanelParts, panel_draw
from causal_ddpm.dgp.torch_dataset import DID_Dataset


@dataclass(frozen=True)
class HistoricDID:
    """The historic panel with noise.

    Parameters
    ----------
    noise_sd : float
        Standard deviation of the noise; 0 for the panel as it was published.
    trend_break : float
        Slope added to everybody's trend from ``start`` on.
    n_units, n_periods, start, effect, trend
        Arguments of the data set.
    panel_seed : int
        Its ``random_state``.
    name : str
    """

    noise_sd: float = 0.1
    trend_break: float = 0.0
    n_units: int = 100
    n_periods: int = 100
    start: int = 50
    effect: float = 0.5
    trend: float = 0.01
    panel_seed: int = 12
    name: str = "did-historic"

    def dataset(self) -> DID_Dataset:
        """All rows of the data set without noise and break."""
        return DID_Dataset(
            self.n_units, self.n_periods, self.start, self.effect, self.trend, self.panel_seed,
            mode="debug",
        )  # fmt: skip

    def draw(self, n: int | None = None, seed: Seed = 0) -> PanelDraw:
        """The panel with fresh noise; n is ignored, its units are fixed."""
        frame, shape = self.dataset().df, (self.n_units, self.n_periods)
        first = frame.groupby("user_id").first()
        x = frame["x"].to_numpy().reshape(shape)
        law = NoiseLaw(self.noise_sd)
        parts = PanelParts(
            cohort=np.where(first["treatment_flag"] == 1, self.start, NEVER),
            effect=np.full(shape, float(self.effect)),
            unit_effect=first["ind_fix_effect"].to_numpy(),
            period_effect=self._process.period_effect(),
            structure=SLOPE * x,
            noise=law.sample(stream(seed, "noise"), *shape),
            covariates={"x": x},
        )
        return panel_draw(parts, law, self.truth(), seed_number(seed))

    def truth(self) -> Truth:
        """Population effects: ATT, by cohort, by event time."""
        known = self._process.truth()
        return Truth(self.name, known.population, equations=known.equations)

    @property
    def _process(self) -> DifferenceInDifferences:
        """The process that the panel is a draw of."""
        return DifferenceInDifferences(
            self.name, self.n_units, self.n_periods, self.start, self.effect, self.trend,
            self.noise_sd, self.trend_break,
        )  # fmt: skip
