"""Factorial effects from orthogonal scores with known assignment probabilities.

Row i is in cell Z_i, assigned with known probability q(z) (:mod:`causal_ddpm.core.assignment`).
With f_S(z) = prod_{j in S} (z_j - p_j), G = E f(Z) f(Z)' and any function mu of cell and
covariates, the scores of the coefficients delta of E[Y | z] in the average coding are

    psi_i = P mu(., x_i) + G^-1 f(Z_i) (Y_i - mu(Z_i, x_i)),     P mu = G^-1 sum_z q(z) f(z) mu(z)

(augmented inverse probability weighting; Robins, Rotnitzky and Zhao 1994; for factorial effects
Dasgupta, Pillai and Rubin 2015, for conjoint ones Hainmueller, Hopkins and Yamamoto 2014). For
independent factors the second term of S is

    prod_{j in S} (z_ij - p_j) / (p_j (1 - p_j)) (Y_i - mu(Z_i, x_i)).

E psi = P E[Y | .] = delta **whatever mu is**, since q is known: a bad mu costs width, not bias.
mu is a sparse regression on f and the covariates (:mod:`causal_ddpm.nuisance.spike_slab`), fitted
without the row's fold. Its coefficients on f are P mu; covariates move the constant only.

For independent factors delta_S is the average marginal effect or interaction, free of any model.
For a table of cells it is the coefficient of the projection on the terms up to the chosen order,
which is the same where all cells can occur and the order is k, or where higher interactions are
nil; a fraction rests on that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.checks import shown
from causal_ddpm.core.coding import Term, all_cells, columns, term_label, terms_to
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.estimators.factorial import FactorialFit, coefficient_estimate
from causal_ddpm.estimators.inference import FEW_ROWS, Sampling
from causal_ddpm.nuisance.encoding import Encoder
from causal_ddpm.nuisance.factorial_folds import factorial_folds
from causal_ddpm.nuisance.folds import FEW_CLUSTERS
from causal_ddpm.nuisance.spike_slab import fit_spike_slab

Array = NDArray[np.float64]

_SURPRISE = 5.0
"""Standard errors between joint shares and the stated assignment that call for a word."""


@dataclass(frozen=True, eq=False)
class OutcomeMeans:
    """What the scores need of mu, row by row.

    Parameters
    ----------
    own : ndarray, shape (n,)
        mu(Z_i, x_i).
    projected : ndarray, shape (n, n_terms)
        P mu(., x_i).
    """

    own: Array
    projected: Array

    @classmethod
    def of_cells(cls, means: Array, data: FactorialData, terms: tuple[Term, ...]) -> OutcomeMeans:
        """From means of every cell, shape (n, 2^k) in the order of ``coding.all_cells``."""
        cells = all_cells(data.k)
        f = columns(cells, terms, data.p) * data.assignment.probability(cells)[:, None]
        inverse = np.linalg.inv(data.assignment.gram(terms))
        return cls(means[np.arange(data.n), data.cell_of_row], means @ f @ inverse)


def factorial_scores(
    data: FactorialData,
    order: int = 2,
    *,
    cell_means: Array | None = None,
    n_folds: int = 5,
    random_state: Seed = 0,
) -> FactorialFit:
    """Main effects and interactions from orthogonal scores.

    Parameters
    ----------
    data : FactorialData
        Its ``assignment`` is taken for known.
    order : int
        Largest order of an interaction.
    cell_means : ndarray, shape (n, 2^k), optional
        mu of every cell for each row, from a learner that did not see the row, instead of the
        sparse regression.
    n_folds : int
    random_state : int, SeedSequence or None
        Of the folds.

    Returns
    -------
    FactorialFit
        ``.effects("ame")``, ``.effects("01")`` and ``.cell_means()`` are estimates.

    Raises
    ------
    NotIdentifiedError
        If the cells that can occur confound terms.
    DataError
        For rows in cells of probability zero, too few rows, or an order that there is not.
    """
    refuse_synthetic(data.n_synthetic)
    terms = terms_to(data.k, order)
    data.assignment.check_rows(data.z)
    inverse = np.linalg.inv(data.assignment.gram(terms))
    f = columns(data.z, terms, data.p)
    if cell_means is None:
        seed = seed_sequence(random_state, "factorial scores")
        mu = sparse_means(data, terms, factorial_folds(data, n_folds, seed))
    else:
        mu = OutcomeMeans.of_cells(np.asarray(cell_means, dtype=float), data, terms)
    psi = mu.projected + (f @ inverse) * (data.outcome - mu.own)[:, None]
    sampling = Sampling(data.weights, data.clusters, frequency=False)
    values = np.average(psi, axis=0, weights=data.weights)
    estimate = coefficient_estimate(
        data,
        terms,
        values,
        sampling.influence(psi - values),
        method=f"orthogonal scores, interactions to order {order}, known assignment",
        df=sampling.n_independent - (len(terms) if data.clusters is None else 1),
        warnings=[*_notes(sampling), *_surprises(data, terms, f, sampling)],
    )
    explained = 1 - np.mean((data.outcome - mu.own) ** 2) / np.var(data.outcome)
    told = {"assignment": data.assignment.name, "held_out_r2": float(explained)}
    details = {**estimate.details, **told}
    return FactorialFit(data, terms, replace(estimate, details=details))


def sparse_means(
    data: FactorialData, terms: tuple[Term, ...], fold_ids: NDArray[np.int64]
) -> OutcomeMeans:
    """mu by spike-and-slab regression on f and the covariates, each fold read from the others."""
    f = columns(data.z, terms[1:], data.p)
    own, projected = np.empty(data.n), np.empty((data.n, len(terms)))
    sizes = np.array([len(term) for term in terms[1:]], dtype=np.int64)
    for k in np.unique(fold_ids):
        train, read = fold_ids != k, fold_ids == k
        x_train, x_read = _encoded(data, train, read)
        groups = np.concatenate([sizes, np.zeros(x_train.shape[1], dtype=np.int64)])
        model = fit_spike_slab(
            np.column_stack([f[train], x_train]), data.outcome[train], groups, data.weights[train]
        )
        on_terms, on_covariates = np.split(model.coef, [len(sizes)])
        constant = model.intercept + x_read @ on_covariates
        own[read] = constant + f[read] @ on_terms
        projected[read] = np.column_stack([constant, np.tile(on_terms, (int(read.sum()), 1))])
    return OutcomeMeans(own, projected)


def _encoded(
    data: FactorialData, train: NDArray[np.bool_], read: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Covariates as numbers, encoded by the training rows; no columns where there are none."""
    if not data.covariates.names:
        return np.empty((int(train.sum()), 0)), np.empty((int(read.sum()), 0))
    encoder = Encoder().fit(data.covariates.rows(train), data.weights[train])
    return encoder.transform(data.covariates.rows(train)), encoder.transform(
        data.covariates.rows(read)
    )


def _surprises(
    data: FactorialData, terms: tuple[Term, ...], f: Array, sampling: Sampling
) -> list[str]:
    """Pairs of factors whose joint shares belie the assignment that was stated."""
    share = np.average(f, axis=0, weights=data.weights)
    se = np.sqrt(np.diag(sampling.covariance(sampling.influence(f - share))))
    away = np.abs(share - data.assignment.gram(terms)[0])
    pairs = [s for s, term in enumerate(terms) if len(term) == 2 and away[s] > _SURPRISE * se[s]]
    labels = [term_label(terms[s], data.factors) for s in pairs]
    return [
        f"{shown(labels, 4)}: these factors occur together more or less often than the stated "
        "assignment allows. Give the probabilities of the cells if they were not assigned "
        "independently."
    ][: len(labels)]


def _notes(sampling: Sampling) -> list[str]:
    notes = []
    if sampling.n_rows < FEW_ROWS:
        notes.append(
            f"Small sample: {sampling.n_rows:,} rows; normal approximations may be too optimistic."
        )
    if sampling.clusters is not None and sampling.n_independent < FEW_CLUSTERS:
        notes.append(
            f"with {sampling.n_independent:.0f} clusters intervals cover less than they say"
        )
    return notes
