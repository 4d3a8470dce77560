"""The latent of a unit in a world other than its own.

The outcome of a unit in world a is q_a(z_a | x) with z_a ~ N(0, 1). How the latents of one unit go
together is a Gaussian copula that no data identify. Arms share eps, and each but the control adds
its own eta:

    z_0 = eps,   z_a = rho_a eps + sqrt(1 - rho_a^2) eta_a,       corr(z_a, z_b) = rho_a rho_b
    eps | z_a  =  rho_a z_a + sqrt(1 - rho_a^2) xi                 (rho_0 = 1)

With lambda for ``treatment_strength``, z_a = (eps + lambda eta_a) / sqrt(1 + lambda^2), that is
rho = 1 / sqrt(1 + lambda^2): rank invariance at 0, independence at infinity. Doses and cells have
no control; any two of their worlds are tied by the same rho, z' = rho z + sqrt(1 - rho^2) eta.

Noise belongs to the unit and the world: with one seed, the answers for several arms are one joint
draw for each unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.treatment import Treatment

Array = NDArray[np.float64]
Correlation = float | Mapping[Any, float]


def correlations(
    treatment: Treatment, treatment_strength: float, correlation: Correlation | None
) -> Array:
    """rho_a of every arm, shape (A,), the control's being 1; shape (1,) for doses and cells.

    Parameters
    ----------
    treatment : Treatment
    treatment_strength : float
        lambda.
    correlation : float, or mapping of labels to floats, optional
        rho itself, common to all arms or by label; overrides ``treatment_strength``.

    Raises
    ------
    DataError
    """
    if correlation is None:
        if not treatment_strength >= 0.0:
            raise DataError(f"treatment_strength is {treatment_strength}", "a number of at least 0")
        correlation = float(1.0 / np.sqrt(1.0 + treatment_strength**2))
    others = treatment.labels[1:]
    if not isinstance(correlation, Mapping):
        rho = [_checked(correlation)] * max(len(others), 1)
        return np.asarray([1.0, *rho]) if others else np.asarray(rho)
    if set(correlation) != set(others):
        raise DataError(
            f"correlations are given for {sorted(map(str, correlation))}",
            f"one for each of {', '.join(map(str, others)) or 'several arms'}",
        )
    return np.asarray([1.0, *(_checked(correlation[label]) for label in others)])


def carried(z: Array, own: NDArray[np.int64], target: int, rho: Array, random_state: Seed) -> Array:
    """Latents in world ``target`` of units whose own world gave z.

    Parameters
    ----------
    z : ndarray, shape (n,)
    own : ndarray of int, shape (n,)
        Arm code of each row's own world.
    target : int
        Arm code of the other world.
    rho : ndarray, shape (A,)
        From :func:`correlations`; one entry for doses and cells.
    random_state : seed
    """
    if len(rho) > 1:
        xi = stream(random_state, "law", "shared noise").standard_normal(len(z))
        z = rho[own] * z + np.sqrt(1 - rho[own] ** 2) * xi
    tie = rho[target]
    eta = stream(random_state, "law", "own noise", target).standard_normal(len(z))
    return np.asarray(tie * z + np.sqrt(1 - tie**2) * eta)


def _checked(rho: float) -> float:
    if not -1.0 <= rho <= 1.0:
        raise DataError(f"the correlation is {rho}", "a number between -1 and 1")
    return float(rho)
