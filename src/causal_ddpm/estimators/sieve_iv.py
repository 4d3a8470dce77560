r"""Sieve instrumental variables with optimal instruments: the algebra of a structural curve.

    Y = g(D) + h(X) + U,    E[U | Z, X] = 0,    g(d) = sum_k beta_k b_k(d)     (natural splines)

**Moments.** With l, e, r of :mod:`causal_ddpm.nuisance.structural`, row by row and out of fold,

    W = e - r    instruments      B = b(D) - r    regressors      y = Y - l    outcome

each centred. The optimal instruments of b(D) are E[b(D) | Z, X] (Amemiya 1974; Newey 1990), so K
terms have K instruments and

    beta = A^-1 E_n[W y],    A = E_n[W B'],    phi = A^-1 W (y - B'beta)

(E_n: weighted means). A law of the dose that is learnt imperfectly makes W less than optimal, and
leaves beta consistent: W is a function of (Z, X), and has mean zero given X. The moment is
insensitive to first-order errors in l, e and r: it is the score of a partially linear model with
instruments (Chernozhukov et al. 2018, section 4.2), for K functions of the dose at once.

**Functionals.** theta = L'beta + E[m(D)'beta] has influence L'phi + (m + ...)'phi + m(D)'beta -
mean, and the robust or clustered standard error of its sum: a sieve t statistic (Chen and
Christensen 2018, section 4), which counts the bias of the sieve as small.

**Number of terms.** The outcome is not asked: a bias that the instruments hardly see does not show
in any loss, and choosing by one made intervals too narrow (in simulations with saturating curves
the 95 % interval of a difference covered .57 to .78). Taken are as many terms as the instruments
tell apart, K the largest with

    F_K = least eigenvalue of Omega^-1 B'P_W B >= 4,    Omega = B'(I - P_W) B / (n - K),

the strength of the weakest direction of b(D), out of fold (Cragg and Donald 1993; Chen, Christensen
and Kankanala 2024 bound the dimension of a sieve by the same singular values). Four, a weakest
direction of twice its standard error, and not the customary ten: with as many instruments as terms
the estimate is nearly median-unbiased and its t test nearly right at such strengths (Angrist and
Kolesar 2024), while a term left out is a bias of which no standard error knows: with a threshold of
ten intervals covered .84. One term is always taken, with a warning where F
is below ten (Staiger and Stock 1997).

**Sets.** Anderson-Rubin tests ask whether U is related to the instruments *as they were given*,
z - E[z | x], not to W: an instrument that was learnt from the doses of these rows is related to U
across folds once it is mostly noise, and the test would not hold its level where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.natural_splines import NaturalSplines
from causal_ddpm.estimators.inference import Sampling
from causal_ddpm.estimators.scores import Array
from causal_ddpm.nuisance.structural import StructuralNuisances

WEAK_F = 10.0
"""First-stage F below which a warning is due."""

TELLING_F = 4.0
"""Strength of the weakest direction below which no term is added."""

_TINY = 1e-10


@dataclass(frozen=True, eq=False)
class Moments:
    """What the second stage is made of; every column has weighted mean zero.

    Parameters
    ----------
    basis : NaturalSplines
    instruments, regressors : ndarray, shape (n, K)
        W and B.
    outcome : ndarray, shape (n,)
        y.
    weights : ndarray, shape (n,)
    """

    basis: NaturalSplines
    instruments: Array
    regressors: Array
    outcome: Array
    weights: Array

    @property
    def n_terms(self) -> int:
        """K."""
        return self.instruments.shape[1]


def moments_of(
    dose: Array,
    outcome: Array,
    weights: Array,
    nuisances: StructuralNuisances,
    bases: Sequence[NaturalSplines],
) -> list[Moments]:
    """Moments of several bases; the first stage is asked once.

    Parameters
    ----------
    dose, outcome, weights : ndarray, shape (n,)
    nuisances : StructuralNuisances
    bases : sequence of NaturalSplines
    """

    def all_functions(d: Array) -> Array:
        return np.hstack([basis(d) for basis in bases])

    e, r = nuisances.expectations(all_functions)
    W, B = _centred(e - r, weights), _centred(all_functions(dose) - r, weights)
    y = _centred((outcome - nuisances.outcome)[:, None], weights)[:, 0]
    ends = np.cumsum([basis.n_terms for basis in bases])
    return [
        Moments(basis, W[:, end - basis.n_terms : end], B[:, end - basis.n_terms : end], y, weights)
        for basis, end in zip(bases, ends, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class SieveFit:
    """Coefficients of one number of terms.

    Parameters
    ----------
    moments : Moments
    beta : ndarray, shape (K,)
    phi : ndarray, shape (n, K)
        Influence values, unweighted.
    strength : float
        F_K.
    """

    moments: Moments
    beta: Array
    phi: Array
    strength: float

    @property
    def n_terms(self) -> int:
        """K."""
        return self.moments.n_terms


def fit_sieve(moments: Moments) -> SieveFit:
    """Solve the moment conditions, and say how strong they are.

    Raises
    ------
    NotIdentifiedError
        If the instruments do not move the dose at all.
    """
    W, B, y, w = moments.instruments, moments.regressors, moments.outcome, moments.weights
    share = w / w.sum()
    A = (W * share[:, None]).T @ B
    scale = np.sqrt(share @ W**2 * (share @ B**2))
    if not (scale > 0).all() or np.abs(np.diag(A)[0]) <= _TINY * scale[0]:
        raise NotIdentifiedError(
            "The curve is not identified: given the covariates the instruments do not move the "
            "dose; expected instruments that do."
        )
    inverse = np.linalg.pinv(A)
    beta = inverse @ (share @ (W * y[:, None]))
    phi = W * (y - B @ beta)[:, None] @ inverse.T
    return SieveFit(moments, beta, phi, weakest_direction(W, B, w))


def weakest_direction(W: Array, B: Array, w: Array) -> float:
    """F_K: how strongly W moves the combination of B that it moves least."""
    root = np.sqrt(w / w.mean())[:, None]
    W, B = W * root, B * root
    scale = np.sqrt((B**2).sum(axis=0))
    q, _ = np.linalg.qr(W)
    fitted = q @ (q.T @ (B / scale))
    rest = B / scale - fitted
    noise = rest.T @ rest / max(len(B) - W.shape[1], 1)
    half = np.linalg.cholesky(noise + _TINY * np.trace(noise) * np.eye(len(noise)))
    inner = np.linalg.solve(half, np.linalg.solve(half, fitted.T @ fitted).T)
    return float(np.linalg.eigvalsh(inner)[0])


def robust_f(moments: Moments, sampling: Sampling) -> float:
    """F of the first instrument for the first term, with a robust or clustered covariance.

    Zero where its sign is wrong: an instrument learnt from noise is out of fold anticorrelated
    with the dose.
    """
    W, B = moments.instruments[:, 0], moments.regressors[:, 0]
    power = np.average(W**2, weights=moments.weights)
    slope = np.average(W * B, weights=moments.weights) / power
    phi = (W * (B - slope * W) / power)[:, None]
    variance = sampling.covariance(sampling.influence(phi))[0, 0]
    return float(max(slope, 0.0) ** 2 / variance)


def most_terms(fits: Sequence[SieveFit]) -> SieveFit:
    """The longest basis whose weakest direction tells; the shortest where none does."""
    telling = [fit for fit in fits if fit.strength >= TELLING_F]
    shortest = min(fits, key=lambda fit: fit.n_terms)
    return max([shortest, *telling], key=lambda fit: fit.n_terms)


def _centred(x: Array, w: Array) -> Array:
    return np.asarray(x - np.average(x, axis=0, weights=w))
