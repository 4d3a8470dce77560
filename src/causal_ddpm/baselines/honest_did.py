r"""Event studies with one reference period, and intervals robust to trends that bend.

Sensitivity analysis of parallel trends (Rambachan and Roth 2023) wants coefficients before and
after treatment that are measured from one and the same period. :func:`universal_event_study` is the
event study of Callaway and Sant'Anna (2021) with that property: with g_i the cohort of a unit,

    ATT(g, t) = E[y_it - y_i,g-1 | g_i = g] - E[y_it - y_i,g-1 | never treated]

averaged over cohorts at each event time k = t - g, k = -1 being zero by construction.

With beta = (beta_pre, beta_post) such coefficients, Sigma their covariance, and a difference in
trends delta that contaminates beta, the two kinds of intervals for l' tau_post are

    smoothness      |delta_{k+1} - 2 delta_k + delta_{k-1}| <= M for all k, with intervals of fixed
                    length, shortest in the worst case
    plug-in         |delta_{k+1} - delta_k| <= Mbar max_{s<0} |delta_{s+1} - delta_s| after
                    treatment, the maximum taken from the estimates as though it were known

The plug-in interval leaves out that the maximum is estimated;
:mod:`causal_ddpm.evaluation.panel.relative_magnitudes` does not. The smoothness interval takes up
to minutes where there are many coefficients before treatment;
:mod:`causal_ddpm.evaluation.panel.smoothness` has the same by a shorter way.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.panel.method import model_frame
from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.estimand import ATTByEventTime
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.reported import Account, reported_estimate

Array = NDArray[np.float64]

LIBRARY, EXTRA = "diff_diff", "classics"
REFERENCE = -1
"""Event time from which everything is measured."""


def universal_event_study(panel: PanelData, level: float = 0.95) -> Estimate:
    """Event study measured from the last period before treatment, without covariates.

    Units never treated are the comparison; where there are none, units not yet treated.

    Parameters
    ----------
    panel : PanelData
    level : float

    Returns
    -------
    Estimate
        Labels are event times without -1; the covariance is joint.

    Raises
    ------
    NotIdentifiedError
        If no unit is observed two periods before its treatment.
    MissingDependencyError, ConvergenceError
    """
    library = load(LIBRARY, EXTRA)
    control = "never_treated" if panel.is_control.any() else "not_yet_treated"
    method = library.CallawaySantAnna(
        control_group=control, base_period="universal", alpha=1 - level,
        cluster="cluster" if panel.clusters is not None else None,
    )  # fmt: skip
    with listening(LIBRARY) as heard:
        fit = method.fit(
            model_frame(panel)[0], outcome="y", unit="unit", time="period", first_treat="first",
            aggregate="event_study",
        )  # fmt: skip
    times = [int(k) for k in fit.event_study_vcov_index]
    effects = np.array([fit.event_study_effects[k]["effect"] for k in times], dtype=float)
    known = np.isfinite(effects) & (np.diag(fit.event_study_vcov) > 0)
    if not (known & (np.array(times) < REFERENCE)).any():
        raise NotIdentifiedError(
            "No unit is observed two periods before its treatment; expected at least two periods "
            "before treatment. With one, nothing can be said about trends."
        )
    account = Account(
        ATTByEventTime.name, "treated cells", "Callaway-Sant'Anna, one reference period",
        int(panel.shape[0]), panel.fingerprint, warnings=tuple(heard),
    )  # fmt: skip
    cov = np.asarray(fit.event_study_vcov, dtype=float)[np.ix_(known, known)]
    labels = [str(k) for k, use in zip(times, known, strict=True) if use]
    return reported_estimate(account, effects[known], cov, labels, level=level)


def honest_interval(
    values: Array,
    cov: Array,
    n_pre: int,
    weights: Array,
    bound: float,
    kind: Literal["smoothness", "plug-in"] = "smoothness",
    level: float = 0.95,
) -> tuple[float, float]:
    """Robust interval of a weighted mean of effects after treatment.

    Parameters
    ----------
    values : ndarray, shape (n_pre + n_post,)
        Coefficients at consecutive event times, the reference period left out.
    cov : ndarray, shape (n_pre + n_post, n_pre + n_post)
    n_pre : int
        Coefficients before the reference period.
    weights : ndarray, shape (n_post,)
        l.
    bound : float
        M, or Mbar.
    kind : {"smoothness", "plug-in"}
    level : float

    Raises
    ------
    MissingDependencyError, ConvergenceError
    """
    library = load(LIBRARY, EXTRA)
    method = {"smoothness": "smoothness", "plug-in": "relative_magnitude"}[kind]
    with listening(LIBRARY):
        honest = library.HonestDiD(method=method, M=bound, alpha=1 - level, l_vec=weights)
        fit = honest.fit(_as_results(library, values, cov, n_pre))
    return float(fit.ci_lb), float(fit.ci_ub)


def _as_results(library: Any, values: Array, cov: Array, n_pre: int) -> Any:
    """The library's own record of an event study."""
    times = [*range(REFERENCE - n_pre, REFERENCE), *range(REFERENCE + 1, len(values) - n_pre)]
    errors = np.sqrt(np.diag(cov))
    effects = {
        k: library.PeriodEffect(
            period=k, effect=v, se=s, t_stat=v / s, p_value=1.0, conf_int=(-np.inf, np.inf)
        )
        for k, v, s in zip(times, values, errors, strict=True)
    }
    return library.MultiPeriodDiDResults(
        period_effects=effects, avg_att=0.0, avg_se=1.0, avg_t_stat=0.0, avg_p_value=1.0,
        avg_conf_int=(-np.inf, np.inf), n_obs=len(values), n_treated=1, n_control=1,
        pre_periods=times[:n_pre], post_periods=times[n_pre:], vcov=cov,
        interaction_indices={k: j for j, k in enumerate(times)}, reference_period=REFERENCE,
    )  # fmt: skip
