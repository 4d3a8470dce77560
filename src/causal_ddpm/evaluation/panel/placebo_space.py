r"""Placebos in space: how unusual the treated unit is among controls that only pretend.

Every control is treated in turn as if it had been treated when the treated unit was (Abadie,
Diamond and Hainmueller 2010). With e_t the gap between outcome and counterfactual,

    ratio = rms(e_t, after) / rms(e_t, before)

so that controls that cannot be followed before are not held against the treated unit after. If
treatment was as good as randomly assigned among units, the rank of the treated unit's ratio is
uniform, and

    p = (1 + placebos with a ratio at least as large) / (1 + placebos)

is exact; none below 1 / (1 + placebos) is possible. With several treated units, groups of controls
stand in for them, and squares are averaged over the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed
from causal_ddpm.estimators.panel.effect import PlaceboRecord
from causal_ddpm.estimators.panel.placebo_coverage import rank_p_value, ratios
from causal_ddpm.estimators.panel.placebos import Paths, panel_paths, root_mean_square
from causal_ddpm.nuisance.panel.base import PanelBase

Array = NDArray[np.float64]

GOOD_FIT = 2.0
"""A placebo whose error before is at most so many times the treated unit's is comparable."""


@dataclass(frozen=True, eq=False)
class SpacePlacebo:
    """The treated among controls that pretend.

    Parameters
    ----------
    table : DataFrame
        unit, treated (bool), first, pre_rmse, post_rmse, ratio, effect: one row a path.
    p_value : float
        Of the ratio.
    p_effect : float
        Of the average effect in absolute value.
    floor : float
        The smallest p-value possible.
    n_placebos : int
        Placebo paths.
    p_good_fit : float or None
        p-value of the average effect in absolute value, among placebos whose error before is at
        most twice the treated unit's; None with several treated units.
    n_good_fit : int
        How many those are.
    """

    table: pd.DataFrame
    p_value: float
    p_effect: float
    floor: float
    n_placebos: int
    p_good_fit: float | None
    n_good_fit: int

    @classmethod
    def of(cls, placebo: PlaceboRecord) -> SpacePlacebo:
        """From the placebos that an effect carries."""
        names = ["unit", "treated", "first", "pre_rmse", "post_rmse", "ratio", "effect"]
        ranks = placebo.p_value, placebo.p_value_effect, placebo.p_value_floor
        return _record(placebo.units[names].reset_index(drop=True), *ranks)

    def frame(self) -> pd.DataFrame:
        """One row a treated or pseudo-treated path, the largest ratio first."""
        return self.table.sort_values("ratio", ascending=False, ignore_index=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields, with the words."""
        return {
            "p_value": self.p_value, "p_effect": self.p_effect, "floor": self.floor,
            "n_placebos": self.n_placebos, "p_good_fit": self.p_good_fit,
            "n_good_fit": self.n_good_fit, "words": self.words,
            "paths": self.frame().to_dict("records"),
        }  # fmt: skip

    @property
    def words(self) -> str:
        """Rank, p-value and its floor."""
        own = self.table[self.table["treated"]]
        if len(own) == 1:
            text = self._rank_of(own.iloc[0])
        else:
            text = (
                f"Groups of controls that pretend to be treated when the {len(own)} treated units "
                f"were have an average effect as large as theirs with p = {self.p_effect:.2g}, and "
                f"errors after treatment as large beside those before with p = {self.p_value:.2g}."
            )
        if min(self.p_value, self.p_effect) <= self.floor * (1 + 1e-9):
            text += f" No smaller p-value than {self.floor:.2g} is possible here."
        if self.floor > 0.05:
            text += " With so few controls no effect, however large, is significant at 5 %."
        if self.p_good_fit is not None and self.n_good_fit < self.n_placebos:
            text += (
                f" Among the {self.n_good_fit} controls that are followed about as well before "
                f"(error at most {GOOD_FIT:g} times as large), the size of the average effect has "
                f"p = {self.p_good_fit:.2g} (not below {1 / (1 + self.n_good_fit):.2g})."
            )
        return text

    def _rank_of(self, own: pd.Series) -> str:
        larger = int((self.table["ratio"] >= own["ratio"]).sum()) - 1
        return (
            f"After treatment the errors of {own['unit']} are {own['ratio']:.3g} times those "
            f"before; of {self.n_placebos} controls that pretend to be treated then, "
            f"{larger or 'none'} {'has' if larger == 1 else 'have'} a ratio as large: "
            f"p = {self.p_value:.2g}."
        )


def placebo_in_space(
    panel: PanelData,
    base: PanelBase,
    random_state: Seed = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> SpacePlacebo:
    """Treat every control in turn, and rank the treated unit among them.

    Parameters
    ----------
    panel : PanelData
    base : PanelBase
        Of the untreated outcome.
    random_state : int, SeedSequence or None
        Deals controls into groups, where several units are treated.
    n_jobs : int
    progress : callable

    Raises
    ------
    DataError
        With fewer than three controls, or fewer than treated units.
    NotIdentifiedError
        If the base can tell no treated cell.
    """
    own, placebos = panel_paths(panel, base, False, random_state, n_jobs, progress)
    table = pd.concat(
        [path_table(panel, own, True), path_table(panel, placebos, False)], ignore_index=True
    )
    groups = np.unique(placebos.group)
    parts = [placebos.some(np.flatnonzero(placebos.group == g)) for g in groups]
    p_value = rank_p_value(pooled_ratio(own), np.array([pooled_ratio(part) for part in parts]))
    p_effect = rank_p_value(average_size(own), np.array([average_size(part) for part in parts]))
    return _record(table, p_value, p_effect, 1 / (1 + len(groups)))


def pooled_ratio(paths: Paths) -> float:
    """Root mean squared error after treatment over that before, squares averaged over paths."""
    after, before = (np.mean(r**2) for r in (paths.post_rmse(), paths.pre_rmse()))
    if before > 0:
        return float(np.sqrt(after / before))
    return np.inf if after > 0 else 1.0


def average_size(paths: Paths) -> float:
    """The average effect in absolute value."""
    return float(abs(mean_errors(paths).mean()))


def mean_errors(paths: Paths) -> Array:
    """Mean error after (pretended) treatment of each path, shape (P,)."""
    n = np.maximum(np.isfinite(paths.error).sum(axis=1), 1)
    return np.asarray(np.nansum(paths.error, axis=1) / n)


def path_table(panel: PanelData, paths: Paths, treated: bool) -> pd.DataFrame:
    """One row a path."""
    return pd.DataFrame({
        "unit": panel.units[paths.unit], "treated": treated, "first": panel.periods[paths.first],
        "pre_rmse": paths.pre_rmse(), "post_rmse": root_mean_square(paths.error),
        "ratio": ratios(paths), "effect": mean_errors(paths),
    })  # fmt: skip


def _record(table: pd.DataFrame, p_value: float, p_effect: float, floor: float) -> SpacePlacebo:
    own, others = table[table["treated"]], table[~table["treated"]]
    if len(own) > 1:
        return SpacePlacebo(table, p_value, p_effect, floor, len(others), None, 0)
    near = others[others["pre_rmse"] <= GOOD_FIT * own["pre_rmse"].iloc[0]]
    p_good = rank_p_value(abs(own["effect"].iloc[0]), near["effect"].abs().to_numpy())
    return SpacePlacebo(table, p_value, p_effect, floor, len(others), p_good, len(near))
