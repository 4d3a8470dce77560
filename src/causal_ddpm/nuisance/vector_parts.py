r"""Parts of the law of an outcome vector: free coordinates, and location and scale of each.

Equalities that hold in every training row, declared or found, are made part of the coordinates:

    y = p(x) + M w          p, M from ``diffusion.null_space``, w free

and each coordinate w_j gets its own location m_j,a(x) and scale s_j,a(x), by the learners of a
scalar outcome (``nuisance.location``, ``nuisance.scale``), with residuals out of fold:

    v_j = (w_j - m_j,a(x)) / s_j,a(x)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, integer_seed, seed_sequence
from causal_ddpm.diffusion.constraints import LinearConstraint, holds, independent, polyhedron
from causal_ddpm.diffusion.null_space import NullSpace, find_equalities, null_space
from causal_ddpm.nuisance.arms import FittedContrasts, fit_arms
from causal_ddpm.nuisance.location import Sample, cross_fit_members, held_out_weights
from causal_ddpm.nuisance.shape import GroupFeatures, conditioning_of, residual_group
from causal_ddpm.nuisance.stack import FittedStack, LocationStack

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FreeCoordinates:
    """The map y = p + M w between outcomes and free coordinates.

    Parameters
    ----------
    declared : NullSpace
        Of the declared equalities that hold, whose right-hand sides may differ by row.
    rows : tuple of int
        Which of the declared equalities those are.
    found : NullSpace
        Of the equalities found among the coordinates that the declared ones leave.
    side : ndarray
        Right-hand sides of the found ones.
    """

    declared: NullSpace
    rows: tuple[int, ...]
    found: NullSpace
    side: Array

    @property
    def dim(self) -> int:
        """Number of free coordinates."""
        return self.found.dim

    @property
    def matrix(self) -> Array:
        """M, shape (k, dim)."""
        return np.asarray(self.declared.matrix @ self.found.matrix)

    def offset(self, A: Array, b: Array) -> Array:
        """p for all declared equalities A y = b_i, b (n, m); shape (n, k)."""
        chosen = list(self.rows)
        _, sides = independent(A[chosen], b[:, chosen])
        inner = self.found.offset(self.side[None])[0]
        return np.asarray(self.declared.offset(sides) + self.declared.matrix @ inner)

    def encode(self, y: Array, offset: Array) -> Array:
        """w of outcomes y (n, k)."""
        return self.found.encode(self.declared.encode(y - offset))


def free_coordinates(y: Array, A: Array, b: Array) -> FreeCoordinates:
    """Coordinates in which every equality that holds in the rows y (n, k) is built in.

    Parameters
    ----------
    y : ndarray, shape (n, k)
    A, b : ndarray, shape (m, k) and (n, m)
        Declared equalities; those that do not hold in the data are left out.

    Raises
    ------
    DataError
        If no freedom is left.
    """
    rows = np.flatnonzero(holds(A, b, y)) if len(A) else np.empty(0, dtype=np.int64)
    matrix, sides = independent(A[rows], b[:, rows])
    scale = np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
    declared = null_space(matrix, scale)
    w = declared.encode(y - declared.offset(sides))
    more, side = find_equalities(w) if declared.dim else (np.empty((0, 0)), np.empty(0))
    size = w.std(axis=0)
    found = null_space(more, np.where(size > 0, size, 1.0))
    if not found.dim:
        raise DataError(
            "the equalities leave nothing of the outcomes to learn",
            "fewer equalities than outcomes",
        )
    return FreeCoordinates(declared, tuple(map(int, rows)), found, side)


@dataclass(frozen=True, eq=False)
class Component:
    """Location and scale of one coordinate, for new rows.

    Parameters
    ----------
    location : FittedStack or FittedContrasts
        Refitted on every training row.
    weights : tuple of float
        Of the members of the stack.
    features : GroupFeatures
        Encoder and scale.
    """

    location: FittedStack | FittedContrasts
    weights: tuple[float, ...]
    features: GroupFeatures

    def locate(self, covariates: Covariates) -> Array:
        """m_a(x), shape (n, A)."""
        return np.asarray(self.location.predict(covariates) @ np.asarray(self.weights))

    def scale(self, covariates: Covariates, location: Array, arm: int) -> Array:
        """s_arm(x), shape (n,)."""
        return self.features.scale_of(self.features.condition(covariates, location), arm)


@dataclass(frozen=True, eq=False)
class FittedComponent:
    """A component, its out-of-fold location (n, A), and the standardised residual v (n,)."""

    component: Component
    location: Array
    residual: Array


def fit_component(
    stack: LocationStack, sample: Sample, outcome: Array, random_state: Seed, n_jobs: int
) -> FittedComponent:
    """Learn location and scale of one coordinate.

    Parameters
    ----------
    stack : LocationStack
    sample : Sample
        Covariates, arms and folds; its outcome is not read.
    outcome : ndarray, shape (n,)
        The coordinate.
    random_state, n_jobs
        As everywhere.
    """
    own, none = replace(sample, outcome=outcome), sample.n_folds  # no row lies in fold `none`
    seed = seed_sequence(random_state, "location")
    members = cross_fit_members(stack, own, seed, n_jobs, pairs=False)
    weights = held_out_weights(members, own)
    location = np.asarray(members.held_out @ weights)
    conditioning = conditioning_of(own, (none,), use_location=True)[0]
    group = residual_group(own, none, location, conditioning, random_state)
    refitted = fit_arms(
        stack, own.covariates, own.arm, outcome, own.weights, integer_seed(random_state, "refit")
    )
    component = Component(refitted, tuple(map(float, weights)), group.features)
    return FittedComponent(component, location, np.asarray(group.training.target))


def given_columns(covariates: Covariates) -> dict[str, Array]:
    """Numeric confounders by name: what a constraint may name besides the outcomes."""
    pairs = zip(covariates.columns, covariates.values.T, strict=True)
    return {column.name: values for column, values in pairs if column.kind != "categorical"}


def equalities_of(
    constraints: Sequence[LinearConstraint], names: Sequence[str], covariates: Covariates
) -> tuple[Array, Array]:
    """Declared equalities A y = b_i: A (m, k), b (n, m)."""
    region = polyhedron(constraints, names, len(covariates), given_columns(covariates))
    return region.A, region.b
