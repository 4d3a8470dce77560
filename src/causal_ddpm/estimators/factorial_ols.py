"""Factorial effects by least squares, with design-robust standard errors.

With x_i the products prod_{j in S} (z_ij - p_j) over the terms S of the model and weights w_i,

    delta_hat = (X'WX)^-1 X'Wy,   e = y - X delta_hat,   h_i = w_i x_i'(X'WX)^-1 x_i
    cov       = (X'WX)^-1 [sum_i w_i^2 x_i x_i' e_i^2 / (1 - h_i)] (X'WX)^-1      (HC2)

HC2 is Neyman's variance of the saturated model: exact but for the variation of effects over units,
which makes it conservative (Samii and Aronow 2012; Lu 2016). With clusters the sum runs over
clusters, with the factor G/(G-1) (n-1)/(n-q) (CR1). Intervals take t quantiles with n - q or G - 1
degrees of freedom.

A model of all 2^k terms gives the cell averages themselves; leaving out high orders is an
assumption, under which cells that were never run can be predicted.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.aliases import alias_structure, inseparable
from causal_ddpm.core.coding import Term, cell_label, columns, n_terms, term_label, terms_to
from causal_ddpm.core.errors import DataError, NotIdentifiedError, SmallSampleWarning
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.estimators.factorial import FactorialFit, coefficient_estimate
from causal_ddpm.nuisance.folds import FEW_CLUSTERS, MIN_CLUSTERS

Array = NDArray[np.float64]

MAX_TERMS = 1000
"""More coefficients than this are no model that anyone reads."""

_FITTED_EXACTLY = 1e-9
_EXPLAINED_ORDER = 3
"""Confounded terms are listed up to this order."""


def factorial_ols(data: FactorialData, order: int = 2) -> FactorialFit:
    """Main effects and interactions of a factorial experiment by least squares.

    Parameters
    ----------
    data : FactorialData
        Its covariates are not used.
    order : int
        Largest order of an interaction; k gives the saturated model. A larger order than there are
        factors means k.

    Returns
    -------
    FactorialFit
        ``.effects("ame")``, ``.effects("01")`` and ``.cell_means()`` are estimates.

    Raises
    ------
    NotIdentifiedError
        If the runs confound terms of the model with each other.
    DataError
        If nothing is left to estimate the noise from, or there are fewer than five clusters.

    Examples
    --------
    >>> t, y = FactorialModel(500, k=2).sample(1)  # doctest: +SKIP
    >>> frame = pd.DataFrame(t, columns=["a", "b"]).assign(y=y)  # doctest: +SKIP
    >>> factorial_ols(FactorialData(frame, ["a", "b"], "y")).effects()  # doctest: +SKIP
    """
    refuse_synthetic(data.n_synthetic)
    terms = _checked_terms(data, order)
    x = columns(data.z, terms, data.p)
    root = np.sqrt(data.weights)
    q, r = np.linalg.qr(root[:, None] * x)
    values = np.linalg.solve(r, q.T @ (root * data.outcome))
    residual = root * (data.outcome - x @ values)
    scaled = _scaled_residual(data, q, residual)
    influence = data.n * np.linalg.solve(r, (q * scaled[:, None]).T).T
    kind = "cluster-robust" if data.clusters is not None else "HC2"
    estimate = coefficient_estimate(
        data,
        terms,
        values,
        influence,
        method=f"least squares, interactions to order {max(map(len, terms))}, {kind} errors",
        df=_degrees_of_freedom(data, len(terms)),
        warnings=_notes(data),
    )
    if order < data.k:
        estimate = replace(estimate, assumptions=(*estimate.assumptions, _negligible(order)))
    return FactorialFit(data, terms, estimate)


def _checked_terms(data: FactorialData, order: int) -> tuple[Term, ...]:
    """Terms up to an order that the runs can tell apart, with rows to spare."""
    order = min(order, data.k) if order >= 1 else order
    if order >= 1 and n_terms(data.k, order) > MAX_TERMS:
        raise DataError(
            f"order {order} of {data.k} factors has {n_terms(data.k, order):,} coefficients",
            f"at most {MAX_TERMS:,}",
            "Choose a lower order.",
        )
    terms = terms_to(data.k, order)
    runs = data.z[data.weights > 0]
    if unknown := inseparable(runs, terms):
        raise _not_identified(data, runs, unknown, order)
    if len(runs) <= len(terms):
        raise DataError(
            f"there are {len(runs)} rows for {len(terms)} coefficients",
            f"more than {len(terms)} rows, to see the noise",
            "Lower the order, or judge the effects of unreplicated runs by lenth_test.",
        )
    return terms


def _not_identified(
    data: FactorialData, runs: NDArray[np.int64], unknown: tuple[Term, ...], order: int
) -> NotIdentifiedError:
    structure = alias_structure(runs, data.factors, min(order, _EXPLAINED_ORDER))
    names = [term_label(term, data.factors) for term in unknown]
    listed = "; ".join(structure.chain_labels()[:4]) or ", ".join(names[:8])
    lower = structure.estimable_order
    way_out = (
        f"Order {lower} can be estimated, if higher interactions are negligible."
        if lower
        else "Not even all main effects can be estimated: drop a factor."
    )
    return NotIdentifiedError(
        f"interactions up to order {order} cannot be told apart by the {structure.n_cells} cells "
        f"that were run ({listed}). {way_out}"
    )


def _scaled_residual(data: FactorialData, q: Array, residual: Array) -> Array:
    """Residuals whose influence functions have the covariance of the module page."""
    n = data.n
    if data.clusters is not None:
        return np.asarray(residual * np.sqrt((n - 1) / (n - q.shape[1])))
    left = 1 - np.einsum("ij,ij->i", q, q)
    exact = left < _FITTED_EXACTLY
    if exact.any():
        cell = cell_label(data.z[np.argmax(exact)], data.factors)
        raise DataError(
            f"the only row that tells of {cell} is fitted exactly: its noise cannot be seen",
            "at least two rows in each cell that the model leaves free",
            "Lower the order of interactions.",
        )
    # influence_covariance multiplies by n / (n - 1), which HC2 does not know
    return np.asarray(residual * np.sqrt((n - 1) / n / left))


def _negligible(order: int) -> str:
    """Average effects of independently assigned factors do without it, all else needs it."""
    return (
        f"Interactions of more than {order} factor{'s' * (order > 1)} are negligible: for 0/1 "
        "coefficients, cell means and whatever comes from a fraction."
    )


def _degrees_of_freedom(data: FactorialData, n_coefficients: int) -> float:
    if data.clusters is None:
        return float(np.sum(data.weights > 0) - n_coefficients)
    n_clusters = len(np.unique(data.clusters))
    if n_clusters < MIN_CLUSTERS:
        raise DataError(
            f"there are only {n_clusters} clusters",
            f"at least {MIN_CLUSTERS}",
            "Standard errors need many independent clusters: use a finer grouping.",
            column=data.clusters_name,
        )
    return float(n_clusters - 1)


def _notes(data: FactorialData) -> tuple[str, ...]:
    if data.clusters is None:
        return ()
    n_clusters = len(np.unique(data.clusters))
    if n_clusters >= FEW_CLUSTERS:
        return ()
    note = f"with {n_clusters} clusters intervals cover less than they say"
    warnings.warn(note, SmallSampleWarning, stacklevel=3)
    return (note,)
