"""Randomised experiments with several factors, all cells of which are known.

For a cell z in {0, 1}^k and a covariate x ~ N(0, 1),

    Y(z) = sum_S (beta_S + lambda_S x) prod_{j in S} z_j + sigma e,   e ~ N(0, 1)

with one e a unit. Units draw their factors independently of x and e:

    factorial             z_j ~ Bernoulli(p_j), independent: every cell occurs
    fractional-factorial  the runs of a regular fraction, as equally often as n allows, in random
                          order

E[Y(z)] has the 0/1 coefficients beta; average marginal effects follow for the probabilities p
(1/2 for the fraction, which its balanced runs have).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causal_ddpm.core.coding import (
    Term,
    all_cells,
    cell_label,
    columns,
    conversion,
    term_label,
    terms_to,
)
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp.draw import checked_size, seed_number
from causal_ddpm.dgp.fractions import fractional_factorial

Array = NDArray[np.float64]

SIMPLE = " [0/1]"
"""Ends the name of a 0/1 coefficient in a truth; average effects carry the bare label."""


@dataclass(frozen=True, eq=False)
class FactorialDraw:
    """A simulated factorial experiment.

    Parameters
    ----------
    frame : DataFrame
        What an analyst gets to see: the factors, x and y.
    data : FactorialData
        The same, with roles.
    truth : Truth
        Average effects ``a``, ``a:b``, 0/1 coefficients ``a [0/1]``, cell means ``mean(a=1,...)``.
    coefficients : ndarray, shape (n, n_terms)
        0/1 coefficients of each unit, over the terms of the design.
    noise : ndarray, shape (n,)
        sigma e.
    terms : tuple of Term
    """

    frame: pd.DataFrame
    data: FactorialData
    truth: Truth
    coefficients: Array
    noise: Array
    terms: tuple[Term, ...]

    def potential_outcomes(self, cells: ArrayLike) -> Array:
        """Y(z) of every unit in each of the cells (m, k), shape (n, m)."""
        return self.coefficients @ columns(cells, self.terms).T + self.noise[:, None]


@dataclass(frozen=True, eq=False)
class FactorialDesign:
    """A design of this module.

    Parameters
    ----------
    name : str
    factors : tuple of str
    beta : mapping from Term to float
        0/1 coefficients that are not zero.
    interaction : mapping from Term to float
        lambda, how they move with x.
    p : tuple of float
        Assignment probabilities.
    resolution : int, optional
        Of the fraction that is run; without it all cells are.
    order : int
        Order up to which effects are listed in the truth.
    sigma : float
    """

    name: str
    factors: tuple[str, ...]
    beta: Mapping[Term, float]
    interaction: Mapping[Term, float]
    p: tuple[float, ...]
    resolution: int | None = None
    order: int = 2
    sigma: float = 1.0

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms whose effects are listed, the constant first."""
        return terms_to(len(self.factors), self.order)

    def draw(self, n: int, seed: Seed = 0) -> FactorialDraw:
        """Draw n units; the same seed gives the same units."""
        rng = stream(seed, "design", self.name)
        x = rng.standard_normal(checked_size(n))
        z = self._assigned(n, rng)
        noise = self.sigma * rng.standard_normal(n)
        coefficients = self.coefficients(x)
        y = np.sum(coefficients * columns(z, self.terms), axis=1) + noise
        frame = pd.DataFrame(z, columns=list(self.factors)).assign(x=x, y=y)
        known = self.truth()
        cells = all_cells(len(self.factors))
        means = columns(cells, self.terms) @ coefficients.mean(axis=0) + noise.mean()
        truth = Truth(
            self.name, known.population, self._named(coefficients.mean(axis=0), means),
            equations=known.equations, seed=seed_number(seed),
        )  # fmt: skip
        probability = dict(zip(self.factors, self.p, strict=True))
        data = FactorialData(frame, self.factors, "y", probability, covariates=["x"])
        return FactorialDraw(frame, data, truth, coefficients, noise, self.terms)

    def coefficients(self, x: ArrayLike) -> Array:
        """0/1 coefficients of units with covariates x (n,), shape (n, n_terms)."""
        beta, moved = (
            np.array([source.get(term, 0.0) for term in self.terms])
            for source in (self.beta, self.interaction)
        )
        return np.asarray(beta + np.asarray(x, dtype=float)[:, None] * moved)

    def cell_means(self, cells: ArrayLike) -> Array:
        """E[Y(z)] of cells (m, k), shape (m,)."""
        return np.asarray(columns(cells, self.terms) @ self.coefficients([0.0])[0])

    def truth(self) -> Truth:
        """Population effects in both codings, and cell means."""
        return _truth(self)

    def runs(self) -> NDArray[np.int64]:
        """Cells that are run, shape (n_runs, k)."""
        if self.resolution is None:
            return all_cells(len(self.factors))
        return fractional_factorial(self.factors, self.resolution).runs.to_numpy(np.int64)

    def _assigned(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        if self.resolution is None:
            return (rng.random((n, len(self.factors))) < self.p).astype(np.int64)
        runs = self.runs()
        return runs[rng.permutation(np.arange(n) % len(runs))]

    def _named(self, beta: Array, means: Array) -> dict[str, float]:
        labels = [term_label(term, self.factors) for term in self.terms]
        average = conversion(self.terms, self.p, "01", "ame") @ beta
        cells = [cell_label(cell, self.factors) for cell in all_cells(len(self.factors))]
        named = [
            *zip(labels[1:], average[1:], strict=True),
            *((f"{label}{SIMPLE}", b) for label, b in zip(labels[1:], beta[1:], strict=True)),
            *zip(cells, means, strict=True),
        ]
        return {name: float(value) for name, value in named}


@cache
def _truth(design: FactorialDesign) -> Truth:
    beta = design.coefficients([0.0])[0]
    means = design.cell_means(all_cells(len(design.factors)))
    return Truth(design.name, design._named(beta, means), equations=_equations(design))


def _equations(design: FactorialDesign) -> tuple[str, ...]:
    factors = design.factors
    cell = ", ".join(factors)
    if design.resolution is None:
        chances = [f"P({name} = 1) = {p:g}" for name, p in zip(factors, design.p, strict=True)]
        assigned = f"{', '.join(chances)}, independent of each other and of x and e"
    else:
        structure = fractional_factorial(factors, design.resolution).aliases
        assigned = (
            f"({cell}): {structure.n_cells} of {2 ** len(factors)} cells, equally often, in random "
            f"order; {structure.defining_relation()}"
        )
    return (
        f"Y({cell}) = {_sum(design.beta, factors)} + x ({_sum(design.interaction, factors)}) "
        f"+ {design.sigma:g} e",
        "x, e ~ N(0, 1), independent, one of each a unit",
        assigned,
    )


def _sum(coefficients: Mapping[Term, float], factors: tuple[str, ...]) -> str:
    """``2 + 1 a - 0.8 b``."""
    parts = [
        " ".join(["-" if value < 0 else "+", f"{abs(value):g}", *(factors[j] for j in term)])
        for term, value in coefficients.items()
    ]
    return " ".join(parts).removeprefix("+ ")


FACTORIAL = FactorialDesign(
    "factorial",
    ("a", "b", "c"),
    beta={(): 2.0, (0,): 1.0, (1,): -0.8, (0, 1): 0.9, (1, 2): 0.6, (0, 1, 2): -0.5},
    interaction={(): 0.7, (0,): 0.5},
    p=(0.5, 0.5, 0.3),
    order=3,
)
FRACTIONAL_FACTORIAL = FactorialDesign(
    "fractional-factorial",
    ("a", "b", "c", "d"),
    beta={(): 1.0, (0,): 1.5, (1,): -1.0, (2,): 0.5, (0, 1): 0.8},
    interaction={(): 0.7, (0,): 0.5},
    p=(0.5, 0.5, 0.5, 0.5),
    resolution=4,
)
