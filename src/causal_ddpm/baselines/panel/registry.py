"""The panel methods that ship, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from causal_ddpm.baselines.base import Baseline
from causal_ddpm.baselines.panel.low_rank import InteractiveFixedEffects, MatrixCompletion
from causal_ddpm.baselines.panel.method import PanelBaseline
from causal_ddpm.baselines.panel.predictors import (
    AugmentedSyntheticControl,
    PredictorSyntheticControl,
)
from causal_ddpm.baselines.panel.staggered import CallawaySantAnna, Imputation, SunAbraham
from causal_ddpm.baselines.panel.synthetic import (
    DifferenceInDifferences,
    SyntheticControl,
    SyntheticDiD,
)
from causal_ddpm.baselines.panel.time_series import StructuralTimeSeries
from causal_ddpm.baselines.panel.twfe import TwoWayFixedEffects
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.panel_data import PanelData

PANEL_BASELINES: tuple[PanelBaseline, ...] = (
    TwoWayFixedEffects(),
    CallawaySantAnna(),
    SunAbraham(),
    Imputation(),
    DifferenceInDifferences(),
    SyntheticDiD(),
    SyntheticControl(),
    PredictorSyntheticControl(),
    AugmentedSyntheticControl(),
    MatrixCompletion(),
    InteractiveFixedEffects(),
    StructuralTimeSeries(),
)
"""With their default settings, in the order of tables."""


def panel_baselines(
    methods: Sequence[str | Baseline[PanelData]] | None = None,
) -> list[Baseline[PanelData]]:
    """Panel methods by name; all that ship by default.

    Parameters
    ----------
    methods : sequence of str or Baseline, optional
        Names, or adapters with settings of their own.

    Raises
    ------
    DataError
        If a name is unknown, or a method comes twice.
    """
    if methods is None:
        return list(PANEL_BASELINES)
    known = {method.name: method for method in PANEL_BASELINES}
    strangers = [m for m in methods if isinstance(m, str) and m not in known]
    if strangers:
        raise DataError(f"the method is {strangers[0]!r}", f"one of {', '.join(known)}")
    found = [known[m] if isinstance(m, str) else m for m in methods]
    _refuse_twice(method.name for method in found)
    return found


def _refuse_twice(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"the method '{name}' is asked for twice", "each method once")
        seen.add(name)
