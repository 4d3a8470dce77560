"""An estimate as a method reports it: values and uncertainty, without influence functions.

Other libraries, and intervals that no influence function describes (conformal bands, profiles of
a test), give a number, perhaps a standard error, perhaps an interval of their own shape.
:func:`reported_estimate` makes an :class:`~causal_ddpm.core.estimate.Estimate` of them. Such an
estimate can be read, tested and contrasted (from its covariance), but not combined with others on
the same rows, since its correlation with them is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.errors import ConvergenceError, DataError
from causal_ddpm.core.estimate import Estimate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Account:
    """What an estimate says about itself.

    Parameters
    ----------
    estimand, population, method : str
        What was estimated, for whom, and how.
    n : int
        Rows (units of a panel) that it rests on.
    fingerprint : str
        Hash of the data.
    assumptions, warnings : tuple of str
        What carries the result, and what to worry about.
    details : mapping
        Further numbers, JSON-ready.
    """

    estimand: str
    population: str
    method: str
    n: int
    fingerprint: str = ""
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def reported_estimate(
    account: Account,
    values: ArrayLike,
    std_error: ArrayLike,
    labels: Sequence[str],
    interval: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = 0.95,
    df: float | None = None,
) -> Estimate:
    """An estimate from reported numbers.

    Parameters
    ----------
    account : Account
        What it says about itself.
    values : array_like, shape (p,) or a number
        Point estimates.
    std_error : array_like, shape (p,) or (p, p)
        Standard errors (entries then count as uncorrelated in contrasts), or the covariance.
    labels : sequence of str
        One an entry.
    interval : pair of array_like, optional
        Lower and upper ends at ``level``, kept as they are; without them, value plus and minus the
        quantile of the normal (or t) law times the standard error.
    level : float
        Confidence level.
    df : float, optional
        Degrees of freedom of the t law.

    Raises
    ------
    ConvergenceError
        If a number is missing or infinite, or a standard error is negative.
    DataError
        If shapes disagree, or the level is no number between 0 and 1.
    """
    value = np.atleast_1d(np.asarray(values, dtype=float))
    cov = _covariance(np.asarray(std_error, dtype=float), len(value), account.method)
    bounds = None if interval is None else np.array([np.atleast_1d(end) for end in interval], float)
    if len(labels) != len(value) or (bounds is not None and bounds.shape != (2, len(value))):
        raise DataError(
            f"{len(value)} values, {len(labels)} labels and interval ends of shape "
            f"{None if bounds is None else bounds.shape} were given",
            "as many of each",
        )
    if not 0 < level < 1:
        raise DataError(f"the confidence level is {level}", "a number between 0 and 1")
    numbers = np.concatenate([value, cov.ravel(), [] if bounds is None else bounds.ravel()])
    if not np.isfinite(numbers).all():
        raise ConvergenceError(
            f"{account.method} returned a value, a standard error or an interval that is missing "
            "or infinite; expected numbers. The sample may be too small for it."
        )
    return Estimate(
        values=value,
        cov=cov,
        labels=tuple(str(label) for label in labels),
        influence=np.zeros((0, len(value))),
        row_ids=np.zeros(0, dtype=np.int64),
        fingerprint=account.fingerprint,
        estimand=account.estimand,
        population=account.population,
        method=account.method,
        n=account.n,
        level=level,
        df=df,
        bounds=bounds,
        assumptions=account.assumptions,
        warnings=account.warnings,
        details=account.details,
    )


def _covariance(spread: Array, p: int, method: str) -> Array:
    """Covariance (p, p) from standard errors (p,) or a covariance (p, p)."""
    if spread.ndim == 2 and spread.shape == (p, p):
        return spread
    errors = np.atleast_1d(spread)
    if errors.shape != (p,):
        raise DataError(f"standard errors of shape {spread.shape} were given", f"({p},)")
    if (errors < 0).any():
        raise ConvergenceError(f"{method} returned a negative standard error.")
    return np.diag(errors**2)
