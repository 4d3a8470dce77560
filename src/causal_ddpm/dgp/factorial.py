"""A sparse linear model of binary factors with interactions.

For k factors t_j ~ Bernoulli(p_t), independent, and x the vector of all products of at most
``degree`` of them, the constant first,

    y = x' beta + sigma e,   e ~ N(0, 1)

beta ~ N(0, I) rounded to single precision, then ``int(len(x) sparsity)`` of its entries, the
constant among the candidates, are set to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.coding import Term, columns, n_terms, probabilities, terms_to
from causal_ddpm.core.errors import DataError

Array = NDArray[np.float64]

MAX_CELLS = 2**28
"""Largest n x (number of features): two gigabytes."""


class Interactions:
    """All products of at most ``degree`` of k columns, the constant first.

    Columns come in the order of degree, then of factors: ``1, x0, x1, x2, x0 x1, x0 x2, ...``.

    Parameters
    ----------
    k, degree : int

    Attributes
    ----------
    terms : tuple of tuple of int
        The columns that each product is made of.
    """

    def __init__(self, k: int, degree: int):
        self.k, self.degree = k, degree
        self.terms: tuple[Term, ...] = terms_to(k, degree)

    def transform(self, t: ArrayLike) -> Array:
        """Products of the columns of t, shape (n, k) -> (n, len(terms)).

        Raises
        ------
        DataError
            If t has another number of columns.
        """
        values = np.asarray(t, dtype=float)
        if values.ndim != 2 or values.shape[1] != self.k:
            raise DataError(
                f"the factors have the shape {values.shape}", f"(n, {self.k}), one column a factor"
            )
        return columns(values, self.terms)

    def fit_transform(self, t: ArrayLike, y: object = None) -> Array:
        """Equals :meth:`transform`: there is nothing to fit."""
        return self.transform(t)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray:
        """``1``, ``x0``, ``x0 x1``, ... or the same of other names, shape (len(terms),)."""
        names = input_features or [f"x{j}" for j in range(self.k)]
        return np.array([" ".join(names[j] for j in term) or "1" for term in self.terms], object)


class FactorialModel:
    """A sparse linear model of binary factors with interactions; see the module page.

    Parameters
    ----------
    n : int
        Rows of a sample.
    p_t : float or sequence of k floats
        P(t_j = 1).
    k : int
        Number of factors.
    degree : int
        Largest order of an interaction, 1 to k.
    sigma : float
        Standard deviation of the noise.
    sparsity : float
        Share of the coefficients that are set to zero, 0 to 1.
    beta_seed : int
        Seed of the coefficients.
    heredity : bool
        If True an interaction is non-zero only where the main effects of *all* its factors are:
        strong heredity (weak heredity would ask it of one of them). Coefficients without it are
        set to zero besides the sparse ones; the others keep their values.

    Attributes
    ----------
    beta : ndarray of float32, shape (n_features,)
        Coefficients of the 0/1 coding in the order of ``xfm``.
    xfm : Interactions
        Turns factors (n, k) into features (n, n_features).
    rng_beta, rng : numpy.random.Generator
        Streams of the coefficients and of the latest sample (None before it).
    mu, eps : ndarray, shape (n,)
        Mean and noise of the latest sample (None before it).

    Raises
    ------
    DataError
        For a parameter outside its range.

    Examples
    --------
    >>> t, y = FactorialModel(1000, k=3, degree=3).sample(seed=23)
    >>> t.shape, y.shape
    ((1000, 3), (1000,))
    """

    def __init__(
        self,
        n: int,
        p_t: float | Sequence[float] = 0.5,
        k: int = 2,
        degree: int = 2,
        sigma: float = 0.1,
        sparsity: float = 0.5,
        beta_seed: int = 42,
        *,
        heredity: bool = False,
    ):
        _check_sizes(n, k, degree)
        _check_numbers(sigma, sparsity)
        probabilities(p_t, _names(k))
        self.n, self.p_t, self.k, self.degree = n, p_t, k, degree
        self.sigma, self.sparsity, self.heredity = sigma, sparsity, heredity
        self.beta_seed = checked_seed("beta_seed", beta_seed)
        self.xfm = Interactions(k, degree)
        self.rng_beta = np.random.default_rng(beta_seed)
        self.beta = draw_coefficients(self.rng_beta, len(self.xfm.terms), sparsity)
        if heredity:
            self.beta = with_heredity(self.beta, self.xfm.terms)
        self.rng: np.random.Generator | None = None
        self.mu: Array | None = None
        self.eps: Array | None = None

    def sample(self, seed: int) -> tuple[NDArray[np.int64], Array]:
        """Draw n rows; the same seed gives the same rows.

        Returns
        -------
        t : ndarray of int, shape (n, k)
        y : ndarray, shape (n,)

        Raises
        ------
        DataError
            If the seed is not a non-negative integer.
        """
        self.rng = np.random.default_rng(checked_seed("seed", seed))
        t = self.rng.binomial(1, self.p_t, size=(self.n, self.k))
        self.mu = self.xfm.transform(t) @ self.beta
        self.eps = self.rng.normal(0.0, self.sigma, self.n)
        return t, self.mu + self.eps

    def __repr__(self) -> str:
        return (
            f"FactorialModel(n={self.n}, p_t={self.p_t}, k={self.k}, degree={self.degree}, "
            f"sigma={self.sigma}, sparsity={self.sparsity}, beta_seed={self.beta_seed}, "
            f"heredity={self.heredity})"
        )


def draw_coefficients(
    rng: np.random.Generator, n_features: int, sparsity: float
) -> NDArray[np.float32]:
    """Normal coefficients, int(n_features * sparsity) of them then zero, shape (n_features,)."""
    beta = rng.normal(size=n_features).astype(np.float32)
    beta[rng.choice(n_features, int(n_features * sparsity), replace=False)] = 0.0
    return beta


def with_heredity(beta: NDArray[np.float32], terms: Sequence[Term]) -> NDArray[np.float32]:
    """Zero where an interaction has a factor without main effect (strong heredity)."""
    active = {term[0] for term, b in zip(terms, beta, strict=True) if len(term) == 1 and b != 0}
    allowed = [len(term) < 2 or active.issuperset(term) for term in terms]
    return np.where(allowed, beta, np.float32(0))


def checked_seed(name: str, seed: object) -> int:
    """Refuse anything but a non-negative integer."""
    if not _whole(seed) or int(seed) < 0:  # type: ignore[call-overload]
        raise DataError(f"{name} is {seed!r}", "a non-negative integer, such as 42")
    return int(seed)  # type: ignore[call-overload]


def _check_sizes(n: int, k: int, degree: int) -> None:
    for name, value in (("n", n), ("k", k), ("degree", degree)):
        if not _whole(value) or value < 1:
            raise DataError(f"{name} is {value!r}", "a whole number of at least 1")
    if degree > k:
        raise DataError(f"degree is {degree} with k = {k} factors", f"a degree from 1 to {k}")
    if n * n_terms(k, degree) > MAX_CELLS:
        raise DataError(
            f"{n:,} rows of {n_terms(k, degree):,} features were asked for",
            f"at most {MAX_CELLS:,} numbers in all",
            "Lower the degree: k = 8 with degree = 2 has 37 features.",
        )


def _check_numbers(sigma: float, sparsity: float) -> None:
    if not isinstance(sigma, Real) or not 0 <= sigma < np.inf:
        raise DataError(f"sigma is {sigma!r}", "a finite standard deviation of at least 0")
    if not isinstance(sparsity, Real) or not 0 <= sparsity <= 1:
        raise DataError(f"sparsity is {sparsity!r}", "a share between 0 and 1")


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _names(k: int) -> list[str]:
    return [f"x{j}" for j in range(k)]
