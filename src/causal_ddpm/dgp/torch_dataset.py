"""The historic difference-in-differences experiment, as a torch data set.

With i a unit, t = 0, ..., T - 1 a period, G_i the group to be treated, P_t = 1{t >= start},

    y_it = a_i + trend t + 1.1 x_it + effect G_i P_t
    a_i ~ N(0, 1),   G_i = 0 or 1 with probability 1/2,   x_it ~ N(0, 1)

without noise. Draws come from the legacy ``numpy.random.RandomState``, whose stream numpy has
frozen: every a_i, then every G_i (``randint(0, 2)``), then x_it unit by unit and period by period.
A call for many values gives the same bits as one call for each.

Names here are those of the experiment as it was published: ``treatment_period`` is the first
treated period as an argument and P_t as a column. :mod:`causal_ddpm.dgp.did` has the same process
with noise, under the names of this package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import Dataset

from causal_ddpm.core.errors import DataError

MODES = ("train", "test", "debug")
ITEM = ("user_id", "period", "x", "y", "treatment_period", "treatment_flag")
SLOPE = 1.1
"""Coefficient of x."""

_LARGEST_SEED = 2**32 - 1


class DID_Dataset(Dataset[dict[str, int | float]]):
    """A balanced panel of which half the units, at random, are treated from one period on.

    Parameters
    ----------
    num_ind : int
        Number of units.
    num_period : int
        Number of periods, at least 2.
    treatment_period : int
        First treated period, from 1 to ``num_period - 1``.
    treatment_effect : float
        Effect on every treated cell.
    time_trend : float
        Slope of the trend that all units share, per period.
    random_state : int
        Seed, from 0 to 2^32 - 1.
    mode : {"train", "test", "debug"}
        Rows before treatment, rows from its start on, or all rows. The panel is the same.

    Attributes
    ----------
    rg : numpy.random.RandomState
        Source of the draws; :meth:`generate_effect` starts it anew.
    ind_list, period_list : list of int
        Units and periods of the whole panel.
    df : DataFrame
        The rows of ``mode``, as :meth:`prepare_dataset` returns them.

    Raises
    ------
    DataError
        For a panel that cannot be drawn.

    Examples
    --------
    >>> panel = DID_Dataset(100, 100, treatment_period=50, treatment_effect=0.5)
    >>> len(panel), panel[0]["user_id"], panel[0]["period"]
    (5000, 0, 0)
    """

    def __init__(
        self,
        num_ind: int,
        num_period: int,
        treatment_period: int,
        treatment_effect: float,
        time_trend: float = 0.01,
        random_state: int = 12,
        mode: str = "train",
    ):
        _check_panel(num_ind, num_period, treatment_period)
        _check_number("treatment_effect", treatment_effect)
        _check_number("time_trend", time_trend)
        _check_whole("random_state", random_state, 0, _LARGEST_SEED)
        if mode not in MODES:
            raise DataError(f"mode is {mode!r}", "'train', 'test' or 'debug'")
        self.num_ind, self.num_period = num_ind, num_period
        self.treatment_period = treatment_period
        self.treatment_effect, self.time_trend = treatment_effect, time_trend
        self.random_state, self.mode = random_state, mode
        self.rg = np.random.RandomState(random_state)
        self.ind_list, self.period_list = list(range(num_ind)), list(range(num_period))
        self.df = self.prepare_dataset()
        self._columns = {name: self.df[name].to_numpy() for name in ITEM}

    def generate_effect(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Effects of units and periods, and who is to be treated; the same at every call.

        Returns
        -------
        individual : DataFrame
            Columns user_id and ind_fix_effect, one row a unit.
        time : DataFrame
            Columns period and time_fix_effect, one row a period.
        flags : DataFrame
            Columns user_id and treatment_flag (0 or 1), one row a unit.
        """
        self.rg.seed(self.random_state)
        a = self.rg.normal(size=self.num_ind)
        flag = self.rg.randint(0, 2, size=self.num_ind)
        trend = self.time_trend * np.arange(self.num_period)
        return (
            pd.DataFrame({"user_id": self.ind_list, "ind_fix_effect": a}),
            pd.DataFrame({"period": self.period_list, "time_fix_effect": trend}),
            pd.DataFrame({"user_id": self.ind_list, "treatment_flag": flag}),
        )

    def prepare_dataset(self) -> pd.DataFrame:
        """The rows of ``mode``, by user and then period; the same at every call.

        Returns
        -------
        DataFrame
            Columns user_id, period, ind_fix_effect, time_fix_effect, treatment_flag, x,
            treatment_period (1 from the start of treatment on, for every user), y and cross_term
            (treatment_flag times treatment_period).
        """
        individual, time, flags = self.generate_effect()
        x = self.rg.normal(size=self.num_ind * self.num_period)
        unit = np.repeat(np.arange(self.num_ind), self.num_period)
        period = np.tile(np.arange(self.num_period), self.num_ind)
        a = individual["ind_fix_effect"].to_numpy()[unit]
        trend = time["time_fix_effect"].to_numpy()[period]
        flag = flags["treatment_flag"].to_numpy()[unit]
        post = (period >= self.treatment_period).astype(np.int64)
        frame = pd.DataFrame(
            {
                "user_id": unit,
                "period": period,
                "ind_fix_effect": a,
                "time_fix_effect": trend,
                "treatment_flag": flag,
                "x": x,
                "treatment_period": post,
                "y": a + trend + SLOPE * x + flag * post * self.treatment_effect,
                "cross_term": flag * post,
            }
        )
        wanted = {"train": post == 0, "test": post == 1, "debug": np.ones(len(post), dtype=bool)}
        return frame[wanted[self.mode]].reset_index(drop=True)

    def __len__(self) -> int:
        """Number of rows of ``mode``."""
        return len(self.df)

    def __getitem__(self, index: int) -> dict[str, int | float]:
        """One row: user_id, period, x, y, treatment_period, treatment_flag."""
        return {name: column[index].item() for name, column in self._columns.items()}


def _check_panel(num_ind: int, num_period: int, treatment_period: int) -> None:
    """Refuse a panel without units, or without periods before and after treatment."""
    _check_whole("num_ind", num_ind, 1)
    _check_whole("num_period", num_period, 2)
    _check_whole("treatment_period", treatment_period, 1, num_period - 1)


def _check_whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse anything but a whole number of a range."""
    expected = f"a whole number of at least {low}"
    if high is not None:
        expected = f"a whole number from {low} to {high}"
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        raise DataError(f"{name} is {value!r}", expected)


def _check_number(name: str, value: Any) -> None:
    """Refuse anything but a finite number."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not np.isfinite(value):
        raise DataError(f"{name} is {value!r}", "a finite number")
