"""Two-way fixed effects (pyfixest).

With D_it = 1 in treated cells, unit effects a_i, period effects d_t and event time k = t - g_i,

    y_it = a_i + d_t + theta D_it + c'x_it + e_it                      theta
    y_it = a_i + d_t + sum_{k != -1} theta_k 1{t - g_i = k} + c'x_it + e_it       theta_k

Standard errors are clustered (CRV1, t law with G - 1 degrees of freedom). With staggered treatment
theta weighs the effects of cells by least squares, some of them negatively (Goodman-Bacon 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.panel.method import PanelBaseline, PanelScope, account, model_frame
from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.estimand import ATT, ATTByEventTime, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import Seed
from causal_ddpm.core.reported import reported_estimate

_LEAD = "event::"


@dataclass(frozen=True)
class TwoWayFixedEffects(PanelBaseline):
    """Least squares with unit and period effects."""

    name: ClassVar[str] = "twfe"
    title: ClassVar[str] = "Two-way fixed effects"
    assumes: ClassVar[str] = "parallel trends; one effect for all treated cells"
    library: ClassVar[str] = "pyfixest"
    scope: ClassVar[PanelScope] = PanelScope(
        (ATT, ATTByEventTime), covariates=True, weights=True, clusters=True
    )

    def _answer(
        self, panel: PanelData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        """The coefficient of treatment, or those of event times."""
        pyfixest = load(self.library, self.extra)
        frame, covariates = model_frame(panel)
        by_time = isinstance(estimand, ATTByEventTime)
        # Units that are never treated share the reference category.
        frame["event"] = np.where(frame["first"] > 0, frame["period"] - frame["first"], -1)
        effect = "i(event, ref=-1)" if by_time else "treated"
        with listening(self.library) as heard:
            fit = pyfixest.feols(
                " + ".join([f"y ~ {effect}", *covariates]) + " | unit + period",
                data=frame,
                weights=None if panel.weights is None else "weight",
                vcov={"CRV1": "cluster"},
            )
            names, values, cov = _coefficients(fit, by_time)
        about = account(self, panel, estimand, pyfixest, {"standard_error": "CRV1"}, heard)
        df = frame["cluster"].nunique() - 1
        return reported_estimate(about, values, cov, names, level=level, df=df)


def _coefficients(fit: Any, by_time: bool) -> tuple[list[str], Any, Any]:
    """Labels, values and covariance of the effects among all coefficients."""
    coef = fit.coef()
    if by_time:
        times = {name: int(name.removeprefix(_LEAD)) for name in coef.index if _LEAD in name}
        wanted = sorted(times, key=lambda name: times[name])
        labels = [str(times[name]) for name in wanted]
    else:
        wanted, labels = [name for name in coef.index if name == "treated"], ["ATT"]
    if not wanted:
        raise ConvergenceError(
            "Two-way fixed effects found no treated cell left beside unit and period effects."
        )
    place = [list(coef.index).index(name) for name in wanted]
    return labels, coef.to_numpy()[place], np.asarray(fit._vcov)[np.ix_(place, place)]
