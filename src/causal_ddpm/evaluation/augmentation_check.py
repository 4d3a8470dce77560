"""What generated rows do to estimates and intervals, on a design whose truth is known.

Each of R draws of n rows is analysed in five ways:

    OLS, real rows                     y on d and x, HC1 standard errors
    OLS, generated rows counted        the same on n (1 + factor) rows
    AIPW, real rows                    cross-fitted scores of the real rows
    AIPW, generated rows counted       the same as if all rows had been observed
    AIPW, generated rows in the folds  they train the outcome model of their own folds, real rows
                                       alone are scored (:mod:`causal_ddpm.nuisance.augmented`)

and the ATE's bias, root mean square error (rmse), mean standard error and coverage are recorded,
with

    effective_n = n (rmse of OLS or AIPW on the real rows / rmse)^2
    claimed_n   = n (their mean standard error / mean standard error)^2

effective_n says how many real rows would be as accurate; claimed_n how many the intervals pretend
to. A way of counting rows is honest where claimed_n is near effective_n and the coverage is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimand import ATE
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.parallel import run_jobs
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.protocols import Design
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.core.rows import subset, with_generated
from causal_ddpm.estimators.registry import estimator_for
from causal_ddpm.evaluation.monte_carlo import summarize_intervals
from causal_ddpm.nuisance.augmented import (
    AugmentedOutcomeModel,
    Generator,
    check_factor,
    generated_rows,
)
from causal_ddpm.nuisance.crossfit import fit_nuisances
from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel

Array = NDArray[np.float64]

OLS_REAL, OLS_COUNTED = "OLS, real rows", "OLS, generated rows counted"
REAL, COUNTED = "AIPW, real rows", "AIPW, generated rows counted"
IN_FOLDS = "AIPW, generated rows in the folds"
_BASE = {OLS_COUNTED: OLS_REAL, COUNTED: REAL, IN_FOLDS: REAL}


@dataclass(frozen=True, eq=False)
class AugmentationCheck:
    """What generated rows did; columns as on the module page.

    Parameters
    ----------
    table : DataFrame
        One row a way of using the generated rows: ``analysis``, ``n_draws``, ``bias``, ``rmse``,
        ``mean_std_error``, ``coverage``, ``coverage_error``, ``effective_n``, ``claimed_n``.
    draws : DataFrame
        One row a draw and analysis: ``draw``, ``analysis``, ``value``, ``std_error``.
    n, factor : int
    design : str
    truth : float
        The ATE.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    n: int
    factor: int
    design: str
    truth: float

    def sentence(self) -> str:
        """The verdict in words."""
        rows = self.table.set_index("analysis")
        counted, honest = rows.loc[COUNTED], rows.loc[IN_FOLDS]
        return (
            f"Counting {self.factor} generated rows for each of {self.n:,} real ones, intervals of "
            f"95 % covered {counted['coverage']:.0%}: they claimed {counted['claimed_n']:,.0f} "
            f"rows and were as accurate as {counted['effective_n']:,.0f}. Used inside the folds "
            f"only, they covered {honest['coverage']:.0%} and were worth "
            f"{honest['effective_n']:,.0f} rows."
        )

    def to_frame(self) -> pd.DataFrame:
        """The table."""
        return self.table

    def __repr__(self) -> str:
        return f"{self.sentence()}\n\n{self.table.round(3).to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.sentence()}</p>" + self.table.round(3).to_html(index=False, border=0)


@dataclass(frozen=True)
class LinearGenerator:
    """Least squares in each arm with normal residuals: a generator that costs nothing."""

    def fit(self, data: CausalData, random_state: Seed = 0) -> LinearLaw:
        """Fit each arm; nothing is random."""
        x = _design_matrix(data.covariates.values)
        coef, sd = np.empty((len(data.arms), x.shape[1])), np.empty(len(data.arms))
        for a in range(len(data.arms)):
            rows = data.treatment == a
            coef[a], *_ = np.linalg.lstsq(x[rows], data.outcome[rows], rcond=None)
            left = data.outcome[rows] - x[rows] @ coef[a]
            sd[a] = np.sqrt(left @ left / max(rows.sum() - x.shape[1], 1))
        return LinearLaw(data.arms, coef, sd)


@dataclass(frozen=True, eq=False)
class LinearLaw:
    """Y(a) | x normal around a linear mean; coef (A, p + 1), sd (A,)."""

    arms: tuple[Any, ...]
    coef: Array
    sd: Array

    def sample(self, X: Any, arm: Any, n_samples: int = 1, random_state: Seed = None) -> Array:
        """Draws, shape (n, n_samples)."""
        a = self.arms.index(arm)
        mean = _design_matrix(X.values) @ self.coef[a]
        noise = stream(random_state, "linear law").standard_normal((len(mean), n_samples))
        return np.asarray(mean[:, None] + self.sd[a] * noise)


def augmentation_check(  # noqa: PLR0913 - all have defaults
    design: Design | None = None,
    n: int = 150,
    factor: int = 5,
    n_draws: int = 200,
    *,
    generator: Generator | None = None,
    learner: Any = None,
    n_folds: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    progress: Progress = silent,
) -> AugmentationCheck:
    """Bias, coverage and effective sample size with and without generated rows.

    Parameters
    ----------
    design : Design, optional
        The linear confounded design by default; any of ``catalog()`` without missing covariates.
    n, factor, n_draws : int
        Rows of a draw, generated rows for each of them, and draws.
    generator : Generator, optional
        Least squares with normal noise by default, correct for the default design: the friendliest
        case. ``PotentialOutcomeModel()`` is the diffusion law, some minutes of work.
    learner : scikit-learn regressor or Learner, optional
        Outcome model of the AIPW rows; linear regression by default.
    n_folds : int
    random_state : int
        Draw r of the design has the seed ``random_state + r``.
    n_jobs : int
        Worker processes; the result does not depend on it.
    progress : callable

    Raises
    ------
    DataError
        If ``factor`` or ``n_draws`` is too small.
    """
    from sklearn.linear_model import LinearRegression

    if design is None:
        from causal_ddpm.dgp.confounded import LINEAR

        design = LINEAR
    check_factor(factor)
    if n_draws < 2:
        raise DataError(f"n_draws is {n_draws}", "at least 2")
    ways = Ways(
        generator or LinearGenerator(), LinearRegression() if learner is None else learner,
        factor, n_folds,
    )  # fmt: skip
    jobs = [(ways, design, n, random_state + r) for r in range(n_draws)]
    rows: list[dict[str, Any]] = []
    for r, found in enumerate(run_jobs(analyse_draw, jobs, n_jobs)):
        rows += [{"draw": r, **row} for row in found]
        progress("augmentation check", (r + 1) / n_draws)
    draws = pd.DataFrame(rows)
    truth = float(design.draw(n, seed=random_state).truth.value("ATE"))
    return AugmentationCheck(summary_table(draws, truth, n), draws, n, factor, design.name, truth)


@dataclass(frozen=True)
class Ways:
    """The five ways of analysing a draw; parameters as in :func:`augmentation_check`."""

    generator: Generator
    learner: Any
    factor: int
    n_folds: int

    def estimates(self, data: CausalData, seed: Seed) -> Iterator[tuple[str, float, float]]:
        """(analysis, estimate, standard error)."""
        root = seed_sequence(seed)
        law = self.generator.fit(data, seed_sequence(root, "generator"))
        source, arm, outcome = generated_rows(law, data, self.factor, seed_sequence(root, "rows"))
        everything = with_generated(data, source, arm, outcome)
        yield OLS_REAL, *_ols(data)
        yield OLS_COUNTED, *_ols(everything)
        plain = LearnerOutcomeModel(self.learner)
        in_folds = AugmentedOutcomeModel(self.learner, self.generator, self.factor)
        unmarked = subset(everything, np.arange(everything.n))
        unmarked.n_synthetic = 0  # what no estimator would accept, done here to show its price
        for name, rows, model in (
            (REAL, data, plain), (COUNTED, unmarked, plain), (IN_FOLDS, data, in_folds),
        ):  # fmt: skip
            found = self._aipw(rows, model, root)
            yield name, float(found), float(found.std_error)

    def _aipw(self, data: CausalData, outcome_model: Any, seed: Seed) -> Estimate:
        from sklearn.linear_model import LogisticRegression

        propensity = LearnerPropensityModel(LogisticRegression(C=1.0))
        nuisances = fit_nuisances(data, outcome_model, propensity, self.n_folds, seed)
        return estimator_for(ATE()).estimate(data, nuisances)


def analyse_draw(ways: Ways, design: Design, n: int, seed: int) -> list[dict[str, Any]]:
    """Rows ``analysis``, ``value``, ``std_error`` of one draw."""
    data = design.draw(n, seed=seed).data
    return [
        {"analysis": name, "value": value, "std_error": error}
        for name, value, error in ways.estimates(data, seed)
    ]


def _ols(data: CausalData) -> tuple[float, float]:
    """Coefficient of d in a regression on d and the covariates, with its HC1 error."""
    import statsmodels.api as sm

    design = np.column_stack([np.ones(data.n), data.treatment, data.covariates.values])
    fit = sm.OLS(data.outcome, design).fit(cov_type="HC1")
    return float(fit.params[1]), float(fit.bse[1])


def _design_matrix(x: Array) -> Array:
    return np.column_stack([np.ones(len(x)), x])


def summary_table(draws: pd.DataFrame, truth: float, n: int) -> pd.DataFrame:
    """The table of :class:`AugmentationCheck` from its draws."""
    z = float(stats.norm.ppf(0.975))
    rows = {}
    for name, found in draws.groupby("analysis", sort=False):
        value, error = found["value"].to_numpy(), found["std_error"].to_numpy()
        rows[name] = summarize_intervals(value, error, value - z * error, value + z * error, truth)
    table = []
    for name, s in rows.items():
        base = rows[_BASE.get(str(name), str(name))]
        table.append(
            {
                "analysis": name, "n_draws": s.n_draws, "bias": s.bias, "rmse": s.rmse,
                "mean_std_error": s.mean_std_error, "coverage": s.coverage,
                "coverage_error": s.coverage_error, "effective_n": n * (base.rmse / s.rmse) ** 2,
                "claimed_n": n * (base.mean_std_error / s.mean_std_error) ** 2,
            }
        )  # fmt: skip
    return pd.DataFrame(table)
