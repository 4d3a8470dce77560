"""What adapters for panels share: their scope in words, the frame they pass on, their account.

Libraries get a long frame whose columns have names of our own (:data:`COLUMNS`): units are numbered
0 .. N - 1 and periods 1 .. T, a unit's ``first`` is its first treated period, 0 for never. Event
times are therefore counted in periods of the panel, and no label can upset a library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.baselines.base import Adapter
from causal_ddpm.core.estimand import ATT, ATTByCohort, ATTByEventTime, Estimand
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.reported import Account

Array = NDArray[np.float64]

AVERAGES: tuple[type[Estimand], ...] = (ATT, ATTByCohort, ATTByEventTime)
FEW_TREATED = 10
"""Treated clusters below which clustered standard errors are too small."""

COLUMNS = ("unit", "period", "y", "treated", "first", "weight", "cluster")
"""Columns of :func:`model_frame` besides the covariates x0, x1, ..."""


@dataclass(frozen=True)
class PanelScope:
    """What a method can take, and what of a panel it uses.

    Parameters
    ----------
    estimands : tuple of type
        The estimands that it answers.
    never_treated : int
        Never treated units that it needs.
    before : int
        Periods before treatment that every treated unit needs.
    gaps : bool
        Whether outcomes of treated units may be missing.
    one_start : bool
        Whether all treated units must start in one period.
    covariates, weights, clusters : bool
        Whether it uses them.
    """

    estimands: tuple[type[Estimand], ...] = AVERAGES
    never_treated: int = 0
    before: int = 1
    gaps: bool = True
    one_start: bool = False
    covariates: bool = False
    weights: bool = False
    clusters: bool = False


class PanelBaseline(Adapter[PanelData]):
    """An adapter for panels, which applies within its scope.

    ``too_narrow`` says why its own intervals are known to be too narrow on any panel.
    """

    scope: ClassVar[PanelScope]
    too_narrow: ClassVar[str] = ""

    def applies(self, data: PanelData, estimand: Estimand) -> str | None:
        """Why the method cannot answer, as a clause; None when it can."""
        return why_not(data, estimand, self.scope)


def why_not(panel: Any, estimand: Estimand, scope: PanelScope) -> str | None:
    """The first thing that keeps a method from answering, as a clause; None when there is none."""
    if not isinstance(panel, PanelData):
        return f"it takes a panel (PanelData), not a {type(panel).__name__}"
    if type(estimand) not in scope.estimands:
        words = " or ".join(kind.name for kind in scope.estimands)
        return f"it answers {words}, not the {estimand.name}"
    return next(_hindrances(panel, scope), None)


def _hindrances(panel: PanelData, scope: PanelScope) -> Iterator[str]:
    """Everything about the panel that is in the way."""
    n_never = int(complete_controls(panel).sum() if not scope.gaps else panel.is_control.sum())
    whole = " and observed in every period" if not scope.gaps else ""
    if n_never < scope.never_treated:
        yield (
            f"it needs {scope.never_treated} or more units that are never treated{whole}, and "
            f"there are {n_never}"
        )
    if scope.one_start and len(panel.cohorts) > 1:
        yield f"treatment starts in {len(panel.cohorts)} different periods"
    pre = int(panel.cohorts.min())
    if pre < scope.before:
        yield (
            f"it needs {scope.before} or more periods before treatment, and units first treated in "
            f"{panel.periods[pre]} have {pre}"
        )
    if not scope.gaps and not panel.observed[~panel.is_control].all():
        yield "outcomes of treated units are missing"


def complete_controls(panel: PanelData) -> NDArray[np.bool_]:
    """Never treated units observed in every period, shape (N,)."""
    return np.asarray(panel.is_control & panel.observed.all(axis=1))


def cautions(panel: PanelData, method: PanelBaseline) -> tuple[str, ...]:
    """What of the panel the method leaves aside, or cannot bear, as warnings."""
    scope, said = method.scope, []
    if panel.covariate_names and not scope.covariates:
        said.append(f"{method.title} does not use the covariates")
    if panel.weights is not None and not scope.weights:
        said.append(f"{method.title} weighs all units alike")
    too_small = wrong_standard_error(panel, method)
    if too_small:
        said.append(too_small)
    if panel.clusters is not None and not scope.clusters:
        said.append(f"{method.title} takes units, not clusters, as independent")
    left_out = int(panel.is_control.sum() - complete_controls(panel).sum())
    if not scope.gaps and left_out:
        said.append(f"{method.title} leaves out {left_out} never treated units with gaps")
    return tuple(said)


def wrong_standard_error(panel: PanelData, method: PanelBaseline) -> str:
    """Why the method's own standard error is no good on this panel; empty where it may be."""
    if method.too_narrow:
        return method.too_narrow
    codes = np.arange(len(panel)) if panel.clusters is None else panel.clusters
    n_treated = len(np.unique(codes[~panel.is_control]))
    if not method.scope.clusters or n_treated >= FEW_TREATED:
        return ""
    what = "unit" if panel.clusters is None else "cluster"
    return (
        f"clustered standard errors are too small with {n_treated} treated "
        f"{what}{'s' * (n_treated > 1)}"
    )


def model_frame(panel: PanelData) -> tuple[pd.DataFrame, list[str]]:
    """Observed cells under :data:`COLUMNS`, and the names of the covariates.

    Clusters are units where the panel names none.
    """
    i, t = np.nonzero(panel.observed)
    n_periods = panel.shape[1]
    first = np.where(panel.first < n_periods, panel.first + 1, 0)
    frame = pd.DataFrame(
        {
            "unit": i,
            "period": t + 1,
            "y": panel.y[i, t],
            "treated": panel.treated[i, t].astype(np.int64),
            "first": first[i],
            "weight": 1.0 if panel.weights is None else panel.weights[i],
            "cluster": i if panel.clusters is None else panel.clusters[i],
        }
    )
    names = [f"x{j}" for j in range(len(panel.covariate_names))]
    for j, name in enumerate(names):
        frame[name] = panel.x[i, t, j]
    return frame, names


def cohort_label(panel: PanelData, first: int) -> str:
    """Label of units first treated in the period of that index."""
    return str(panel.periods[first])


def account(
    method: PanelBaseline,
    panel: PanelData,
    estimand: Estimand,
    library: ModuleType,
    details: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> Account:
    """What an estimate of an adapter says about itself."""
    version = getattr(library, "__version__", "")
    no_vote = wrong_standard_error(panel, method)
    return Account(
        estimand=estimand.name,
        population="treated cells",
        method=method.title,
        n=len(panel),
        fingerprint=panel.fingerprint,
        assumptions=(method.assumes,),
        warnings=(*warnings, *cautions(panel, method)),
        details={
            "library": f"{method.library} {version}".strip(),
            **details,
            **({"no_vote": no_vote} if no_vote else {}),
        },
    )
