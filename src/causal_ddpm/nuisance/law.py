"""The fitted law of potential outcomes, and what can be asked of it.

    Y | x, a  ~  p_a(x) delta_c + (1 - p_a(x)) L_a(x)

The counterfactual of a unit follows from the copula of its two potential outcomes given x, which no
data identify. Both worlds share the noise eps, the treated world adds its own eta:

    z_0 = eps,   z_1 = (eps + lambda eta) / sqrt(1 + lambda^2),   rho = 1 / sqrt(1 + lambda^2)

so lambda = 0 is rank invariance and lambda = infinity independence (``treatment_strength``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.distribution import ConditionalLaw
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.diffusion.persistence import load_model, save_model
from causal_ddpm.nuisance.continuous import FittedContinuous
from causal_ddpm.nuisance.two_part import EmpiricalPart, FittedAtom

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PotentialOutcomeLaw:
    """The fitted law of Y(a) given X.

    ``X`` is a frame with the confounder columns of the training data (or ``Covariates``, or a
    numeric array in the same column order); ``arm`` is 0 or 1. The law is predictive: it holds the
    noise of the outcome and some of the uncertainty of the fit, so it is a little wider than the
    true law.
    """

    continuous: FittedContinuous | EmpiricalPart
    atom: FittedAtom | None
    columns: tuple[Column, ...]
    names: tuple[str, str]
    n_train: int
    report: Mapping[str, Any] = field(default_factory=dict)

    def predictive(self, X: Any, arm: int, n_nodes: int = 32) -> ConditionalLaw:
        """The law of Y(arm) for each row of X, with ``n_nodes`` quantile nodes.

        Raises
        ------
        DataError
            If ``arm`` is not 0 or 1, or X lacks a column.
        """
        if arm not in (0, 1):
            raise DataError(f"the arm is {arm!r}", "0 (untreated) or 1 (treated)")
        covariates = read_covariates(X, self.columns)
        nodes = self.continuous.nodes(covariates, arm, n_nodes)
        if self.atom is None:
            return ConditionalLaw(nodes)
        support = (-np.inf, np.inf)
        if isinstance(self.continuous, FittedContinuous):
            support = self.continuous.support
        else:
            support = (float(self.continuous.values[0]), float(self.continuous.values[-1]))
        probability = self.atom.probability(covariates, arm)
        return ConditionalLaw(nodes, self.atom.value, probability, support)

    def mean(self, X: Any, arm: int) -> Array:
        """E[Y(arm) | X], shape (n,), in units of the outcome."""
        return self.predictive(X, arm, n_nodes=16).mean()

    def arm_probability(self, X: Any) -> Array:
        """P(arm | X) by the head on the column tokens, averaged over the groups, shape (n, A).

        Neither the outcome nor anything fitted to it enters: a propensity score. It exists after
        ``DiffusionSettings(backbone="attention", arm_weight=1)``.

        Raises
        ------
        DataError
            If no such head was trained.
        """
        if not isinstance(self.continuous, FittedContinuous):
            raise DataError("there is no diffusion in this law", "an outcome with more values")
        return self.continuous.arm_probability(read_covariates(X, self.columns))

    def cate(self, X: Any, arm: int = 1, control: int = 0) -> Array:
        """E[Y(arm) - Y(control) | X], shape (n,). A plug-in: no interval comes with it."""
        covariates = read_covariates(X, self.columns)
        return self.mean(covariates, arm) - self.mean(covariates, control)

    def quantile(self, X: Any, arm: int, levels: Sequence[float] | ArrayLike) -> Array:
        """Quantiles of Y(arm) given X, shape (n, len(levels))."""
        u = np.atleast_1d(np.asarray(levels, dtype=float))
        if not ((u > 0) & (u < 1)).all():
            raise DataError(f"quantile levels are {u.tolist()}", "numbers strictly between 0 and 1")
        n_nodes = 128 if min(u.min(), 1 - u.max()) < 1 / 32 else 32
        return self.predictive(X, arm, n_nodes).quantile(u)

    def cdf(self, X: Any, arm: int, y: ArrayLike) -> Array:
        """P(Y(arm) <= y | X) on a grid y of shape (G,), shape (n, G)."""
        return self.predictive(X, arm, n_nodes=64).cdf(y)

    def density(self, X: Any, arm: int, y: ArrayLike, n_nodes: int = 128) -> Array:
        """Density of Y(arm) given X on a grid y of shape (G,), shape (n, G), in 1 / units of Y.

        An atom has no density: the rest integrates to 1 minus its probability.
        """
        return self.predictive(X, arm, n_nodes).density(y)

    def sample(self, X: Any, arm: int, n_samples: int = 1, random_state: Seed = None) -> Array:
        """Draws of Y(arm) given X, shape (n, n_samples)."""
        rng = stream(random_state, "law", "sample")
        return self.predictive(X, arm, n_nodes=128).sample(n_samples, rng)

    def counterfactual(
        self,
        rows: Any,
        arm: int,
        treatment_strength: float = 0.0,
        correlation: float | None = None,
        random_state: Seed = 0,
    ) -> Array:
        """The outcome each row would have had under ``arm``.

        The observed outcome is turned into its rank under the observed arm, the rank is carried to
        the other world, and decoded there. Rows already under ``arm`` keep what was observed.

        Parameters
        ----------
        rows : CausalData or frame
            Rows with confounders, treatment and outcome.
        arm : int
            0 or 1.
        treatment_strength : float
            lambda >= 0 of the module page: 0 is rank invariance, infinity independence.
        correlation : float, optional
            rho in [-1, 1] itself; overrides ``treatment_strength``.
        random_state : seed
            For the noise eta (and for ranks within an atom).

        Returns
        -------
        ndarray, shape (n,)
            Not identified by any data: the answer rests on the chosen coupling.
        """
        rho = _coupling(treatment_strength, correlation)
        covariates, treatment, outcome = self._observed(rows)
        result, rng = outcome.copy(), stream(random_state, "law", "counterfactual")
        other = np.flatnonzero(treatment != arm)
        if len(other):
            here = covariates.rows(other)
            source = self.predictive(here, 1 - arm, n_nodes=64)
            z = ndtri(np.clip(source.rank(outcome[other], rng), 1e-9, 1 - 1e-9))
            z = rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(len(other))
            target = self.predictive(here, arm, n_nodes=64)
            result[other] = target.inverse(ndtr(z)[:, None])[:, 0]
        return result

    def _observed(self, rows: Any) -> tuple[Covariates, NDArray[np.int64], Array]:
        if isinstance(rows, CausalData):
            return rows.covariates, rows.treatment, np.asarray(rows.outcome)
        frame = nw.from_native(rows, eager_only=True)
        missing = [name for name in self.names if name not in frame.columns]
        if missing:
            raise DataError(
                f"the rows have no column '{missing[0]}'",
                "the treatment and the outcome that were observed",
                "A counterfactual starts from what happened.",
            )
        treatment, outcome = (frame[name].to_numpy() for name in self.names)
        return (
            read_covariates(rows, self.columns),
            np.asarray(treatment).astype(np.int64),
            np.asarray(outcome, dtype=float),
        )

    def save(self, path: str | Path) -> Path:
        """Write the law to a file (JSON and safetensors in a zip, no pickle)."""
        return save_model(self, path)

    @classmethod
    def load(cls, path: str | Path) -> PotentialOutcomeLaw:
        """Read a law back.

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, or holds something else.
        """
        law: PotentialOutcomeLaw = load_model(path, expected=cls)
        return law

    def __repr__(self) -> str:
        atom = "" if self.atom is None else f", atom at {self.atom.value:g}"
        return (
            f"PotentialOutcomeLaw of {self.names[1]} given {len(self.columns)} confounders and "
            f"{self.names[0]} ({self.n_train:,} training rows{atom})"
        )


def _coupling(treatment_strength: float, correlation: float | None) -> float:
    """rho from lambda, or rho itself."""
    if correlation is not None:
        if not -1.0 <= correlation <= 1.0:
            raise DataError(f"the correlation is {correlation}", "a number between -1 and 1")
        return float(correlation)
    if not treatment_strength >= 0.0:
        raise DataError(f"treatment_strength is {treatment_strength}", "a number of at least 0")
    return float(1.0 / np.sqrt(1.0 + treatment_strength**2))
