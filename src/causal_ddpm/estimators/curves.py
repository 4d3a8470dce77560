"""Estimates read as curves, with bands that cover a whole curve at once."""

from __future__ import annotations

import numpy as np

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import EffectCurve, Estimate


def effect_curve(
    estimate: Estimate, level: float | None = None, uniform: bool = True
) -> EffectCurve:
    """An effect along quantile levels, outcome values or doses, with its band.

    Parameters
    ----------
    estimate : Estimate
        Result for :class:`~causal_ddpm.core.estimand.QTE`, ``CDFDifference``,
        ``LorenzEffect`` or ``DoseResponse``.
    level : float, optional
        Confidence level; the estimate's own by default.
    uniform : bool
        True for a band that covers the whole curve at once, False point by point.

    Raises
    ------
    DataError
        If the entries of the estimate do not lie along a grid.
    """
    details = estimate.details
    grid = np.asarray(details.get("levels", details.get("grid", ())), dtype=float)
    if len(grid) != len(estimate):
        raise DataError(
            f"the {estimate.estimand} is no curve along a grid",
            "an estimate of a QTE, a CDFDifference, a LorenzEffect or a DoseResponse",
        )
    low, high = (np.atleast_1d(x) for x in estimate.interval(level, simultaneous=uniform))
    return EffectCurve(grid, estimate, low, high, uniform)


def distribution_curves(estimate: Estimate, level: float | None = None) -> tuple[EffectCurve, ...]:
    """The curves of Y(0) and Y(1) with bands that hold for both whole curves at once.

    Parameters
    ----------
    estimate : Estimate
        Result for :class:`~causal_ddpm.core.estimand.PotentialDistributions`.
    level : float, optional
        Confidence level; the estimate's own by default.

    Returns
    -------
    tuple of EffectCurve
        One an arm, untreated first; bands lie in [0, 1] and ascend.
    """
    grid = np.asarray(estimate.details["grid"])
    low, high = estimate.interval(level, simultaneous=True)
    curves = []
    for arm in (0, 1):
        part = slice(arm * len(grid), (arm + 1) * len(grid))
        selector = np.eye(len(estimate))[part]
        labels = estimate.labels[part]
        lower, upper = (np.sort(np.clip(x[part], 0.0, 1.0)) for x in (low, high))
        entries = estimate.contrast(selector, labels)
        curves.append(EffectCurve(grid, entries, lower, upper, uniform=True))
    return tuple(curves)
