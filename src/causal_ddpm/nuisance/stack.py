"""The location stack: m_a(x) = E[Y | X = x, A = a] as a convex mixture of diverse learners.

The members decide, their combination is second order. Each fit encodes the covariates and scales
the outcome by its own training rows, then fits every member once; a first stage that two members
share is fitted once. With held-out residuals r_ij of member j the weights solve

    min_w  sum_i v_i (sum_j w_j r_ij)^2 + lam |w - w0|^2   over the simplex,
    w0_j ~ exp(-n (L_j / L_min - 1) / 20),   L_j = sum_i v_i r_ij^2,   lam = 100 L_min / n:

least squares on the factual outcomes, pulled with the strength of a hundred rows towards
exponential weights. One vector serves both arms, so that errors common to both arms of a member
cancel in the effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Array, FittedLearner, Learner
from causal_ddpm.core.random import integer_seed
from causal_ddpm.nuisance.encoding import Encoder, FittedEncoder
from causal_ddpm.nuisance.learners import (
    BoostedBCF,
    BoostedTrees,
    GreedySplines,
    LinkRidge,
    ResidualLearner,
    ShortBCF,
)
from causal_ddpm.nuisance.learners.boosted_trees import ARM_TREES

_PULL_ROWS = 100.0
_TEMPERATURE = 10.0
_MARGIN = 0.5


def default_members(accuracy: Literal["standard", "high"] = "standard") -> tuple[Learner, ...]:
    """The eight members of the standard stack; "high" adds a short Bayesian causal forest."""
    splines = GreedySplines("gsB")
    arm_splines = GreedySplines(
        "gsT", per_arm=True, bags=1, row_share=1.0, search_rows=3000, charge=5
    )
    arm_rest = BoostedTrees("lgbTs", per_arm=True, trees=replace(ARM_TREES, n_trees=150))
    members: tuple[Learner, ...] = (
        LinkRidge("linkX"),
        LinkRidge("linT", link=False, cross_index=False),
        BoostedTrees("lgbS2"),
        BoostedTrees("lgbT2", per_arm=True, trees=ARM_TREES),
        BoostedBCF("bcb"),
        splines,
        ResidualLearner("gsB_bcb", splines, BoostedBCF("bcb3", rounds=3)),
        ResidualLearner("gsT_lgbT", arm_splines, arm_rest),
    )
    return (*members, ShortBCF()) if accuracy == "high" else members


@dataclass(frozen=True, eq=False)
class FittedStack:
    """Members fitted on one set of training rows.

    Attributes
    ----------
    names : tuple of str, length J
        Member names.
    encoder : FittedEncoder
        Encoding of the training rows.
    center, scale : float
        Mean and standard deviation of the training outcomes.
    stages : tuple of FittedLearner
        Every fitted learner once.
    recipe : tuple of tuple of int, length J
        Stages whose predictions add up to each member.
    bounds : tuple of float
        Range of the training outcomes, widened by half of it on each side. No member predicts
        outside: a line or an exponential fitted on a small arm must not run away.
    n_arms : int
        A, one or two.
    """

    names: tuple[str, ...]
    encoder: FittedEncoder
    center: float
    scale: float
    stages: tuple[FittedLearner, ...]
    recipe: tuple[tuple[int, ...], ...]
    bounds: tuple[float, float]
    n_arms: int

    def predict(self, covariates: Covariates) -> Array:
        """Means of each member under every arm, in units of the outcome, shape (n, A, J)."""
        x = self.encoder.transform(covariates)
        parts = [stage.predict(x)[:, : self.n_arms] for stage in self.stages]
        members = [sum((parts[k] for k in own[1:]), parts[own[0]]) for own in self.recipe]
        return np.clip(self.center + self.scale * np.stack(members, axis=2), *self.bounds)


@dataclass(frozen=True)
class LocationStack:
    """Which learners stand in the stack.

    Parameters
    ----------
    members : sequence of Learner, optional
        The eight of :func:`default_members` when left out.
    accuracy : {"standard", "high"}
        "high" adds a short Bayesian causal forest (needs stochtree; several times slower).
        Only for the default members.
    encoder : Encoder
        How covariates become numbers.
    """

    members: Sequence[Learner] | None = None
    accuracy: Literal["standard", "high"] = "standard"
    encoder: Encoder = field(default_factory=Encoder)

    def __post_init__(self) -> None:
        if self.accuracy not in ("standard", "high"):
            raise DataError(f"accuracy is {self.accuracy!r}", "'standard' or 'high'")
        if self.members is not None and self.accuracy == "high":
            raise DataError("accuracy='high' was given with members", "one of the two")
        if not self._members:
            raise DataError("the stack has no members", "at least one learner")
        if len(set(self.names)) < len(self.names):
            raise DataError(f"two members share a name: {', '.join(self.names)}", "distinct names")

    @property
    def _members(self) -> tuple[Learner, ...]:
        return default_members(self.accuracy) if self.members is None else tuple(self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the J members."""
        return tuple(member.name for member in self._members)

    def fit(
        self,
        covariates: Covariates,
        arm: NDArray[np.int64],
        y: Array,
        weights: Array | None,
        seed: int,
    ) -> FittedStack:
        """Fit every member on these rows and no others.

        Parameters
        ----------
        covariates : Covariates, n rows
        arm : ndarray of 0/1, shape (n,)
            All zero where there is no treatment.
        y : ndarray, shape (n,)
            Outcome in original units.
        weights : ndarray, shape (n,), optional
            Row weights; only their ratios matter.
        seed : int
            Seed of this fit; each learner draws from its own stream below it.
        """
        w = None if weights is None else weights / weights.mean()
        encoder = self.encoder.fit(covariates, w)
        center = float(np.average(y, weights=w))
        scale = float(np.sqrt(np.average((y - center) ** 2, weights=w))) or 1.0
        rows = _Rows(encoder.transform(covariates), arm, (y - center) / scale, w, seed)
        stages: dict[Learner, int] = {}
        fitted: list[FittedLearner] = []
        recipe = tuple(_fit_member(member, rows, stages, fitted) for member in self._members)
        margin = _MARGIN * float(np.ptp(y))
        bounds = (float(y.min()) - margin, float(y.max()) + margin)
        n_arms = int(arm.max()) + 1
        return FittedStack(
            self.names, encoder, center, scale, tuple(fitted), recipe, bounds, n_arms
        )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Encoded training rows."""

    x: Array
    arm: NDArray[np.int64]
    y: Array
    weights: Array | None
    seed: int


def _fit_member(
    member: Learner, rows: _Rows, stages: dict[Learner, int], fitted: list[FittedLearner]
) -> tuple[int, ...]:
    """Stages that add up to a member, fitting those that are not fitted yet."""
    if not isinstance(member, ResidualLearner):
        if member not in stages:
            seed = integer_seed(rows.seed, member.name)
            fitted.append(member.fit(rows.x, rows.arm, rows.y, rows.weights, seed))
            stages[member] = len(fitted) - 1
        return (stages[member],)
    own = _fit_member(member.first, rows, stages, fitted)
    first = np.sum([fitted[k].predict(rows.x) for k in own], axis=0)
    left = rows.y - first[np.arange(len(rows.y)), rows.arm]
    seed = integer_seed(rows.seed, member.name, member.second.name)
    fitted.append(member.second.fit(rows.x, rows.arm, left, rows.weights, seed))
    return (*own, len(fitted) - 1)


def stack_weights(residuals: Array, row_weights: Array | None = None) -> Array:
    """Simplex weights of the members from their held-out residuals.

    Parameters
    ----------
    residuals : ndarray, shape (n, J)
        Outcome minus member prediction, from fits that did not see the row.
    row_weights : ndarray, shape (n,), optional
        Weights of the rows.

    Returns
    -------
    ndarray, shape (J,)
        Non-negative, summing to one.
    """
    n, n_members = residuals.shape
    v = np.full(n, 1 / n) if row_weights is None else row_weights / row_weights.sum()
    effective = 1 / float(np.sum(v**2))
    gram = (residuals * v[:, None]).T @ residuals
    losses = np.diag(gram)
    least = float(losses.min())
    if least <= 1e-14 * float(losses.max()):
        return np.eye(n_members)[int(np.argmin(losses))]
    prior = np.exp(-effective * (losses / least - 1) / (2 * _TEMPERATURE))
    prior /= prior.sum()
    pull = _PULL_ROWS / effective * least
    return _simplex_quadratic(gram + pull * np.eye(n_members), pull * prior)


def _simplex_quadratic(gram: Array, linear: Array) -> Array:
    """argmin w'Gw - 2 b'w over the simplex: NNLS with the sum as a heavily weighted row."""
    size = len(linear)
    trace = float(np.trace(gram))
    lower = np.linalg.cholesky(gram + 1e-9 * trace * np.eye(size))
    heavy = 1e3 * np.sqrt(trace)
    design = np.vstack([lower.T, np.full((1, size), heavy)])
    w, _ = nnls(design, np.r_[np.linalg.solve(lower, linear), heavy])
    return w / w.sum()
