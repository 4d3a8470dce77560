"""Coefficients of covariates once fixed effects have been swept out of them."""

from __future__ import annotations

import numpy as np

from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.nuisance.panel.cells import Array

_LEFT = 1e-7
"""Share of a covariate's size that must be left after sweeping."""


def coefficients(
    swept: Array, outcome: Array, raw: Array, names: str = "the fixed effects"
) -> Array:
    """Least squares of the swept outcome on the swept covariates.

    Parameters
    ----------
    swept : ndarray, shape (n, p)
    outcome : ndarray, shape (n,)
        Swept too.
    raw : ndarray, shape (n, p)
        Covariates before sweeping, whose sizes say when nothing is left.
    names : str
        What was swept out, for the refusal.

    Returns
    -------
    ndarray, shape (p,)

    Raises
    ------
    NotIdentifiedError
        If a covariate is a combination of what was swept out and of the others.
    """
    size = np.sqrt((raw**2).sum(axis=0))
    scaled = swept / np.where(size > 0, size, 1.0)
    coef, _, rank, _ = np.linalg.lstsq(scaled, outcome, rcond=None)
    left = np.linalg.svd(scaled, compute_uv=False)[-1:] if scaled.shape[1] else np.ones(1)
    if rank < scaled.shape[1] or left[0] < _LEFT:
        raise NotIdentifiedError(
            f"The {scaled.shape[1]} covariates are a combination of {names} and of each other on "
            "the untreated cells; expected covariates that vary within units and periods. "
            "Leave out those that do not."
        )
    return coef / np.where(size > 0, size, 1.0)
