"""The checks: data without an effect, and data in which nothing of importance changed.

theta and se are estimate and standard error; runs r = 1..R use independent random changes of the
same data, so that, given the data, their results are independent draws.

**Placebo treatment.** The treatment is permuted, within fifths of the propensity, so that it keeps
its dependence on the confounders and loses any effect (whole clusters where the treatment does not
vary within them). t_r = theta_r / se_r is about N(0, 1), and

    z = sqrt(R) mean t_r,    p = 2 Phi(-|z|).

**Placebo outcome.** An outcome that the treatment cannot have changed, such as the outcome before
it: one run, p from its own t statistic; a confounder that equals it is dropped. Where none is
given, outcomes are drawn from the law of Y(0) given x, the same for both arms: R runs, p as above.

**Random common cause.** A column of normal noise joins the confounders. The changes
c_r = theta_r - theta have mean zero, and

    t = mean c_r / (sd c_r / sqrt(R)),    p from Student's law with R - 1 degrees of freedom.

A change of less than a tenth of a standard error passes whatever its p-value.

**Random subsets.** A share s of the rows (or clusters) is kept, each in its fold. The change of a
subset has the variance (1 / s - 1) se^2, and with z_r = (theta_r - theta) / (se sqrt(1 / s - 1))

    Q = sum z_r^2,    p = P(chi^2_R > Q):

the estimate fails if it changes more than its standard error says it may.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.outcome import Outcome, read_outcome
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.core.rows import replaced
from causal_ddpm.evaluation.refutation.analysis import RepeatedAnalysis
from causal_ddpm.evaluation.refutation.record import Check
from causal_ddpm.nuisance.crossfit import Nuisances

Array = NDArray[np.float64]
Version = TypeVar("Version")
N_STRATA = 5
SHARE = 0.8
"""Share of the rows that a subset keeps."""


def placebo_treatment(
    analysis: RepeatedAnalysis,
    data: CausalData,
    nuisances: Nuisances,
    base: Estimate,
    n_runs: int,
    within_strata: bool = True,
) -> Check:
    """Permute the treatment; see the module page."""
    unit = _units_of_treatment(data)
    n_units = int(unit.max()) + 1
    first = np.zeros(n_units, dtype=np.int64)
    first[unit[::-1]] = np.arange(data.n)[::-1]
    d = data.treatment[first]
    strata = np.zeros(n_units, dtype=np.int64)
    if within_strata:
        sums = np.bincount(unit, nuisances.propensity[:, 1])
        e = sums / np.bincount(unit)
        strata = np.searchsorted(np.quantile(e, np.arange(1, N_STRATA) / N_STRATA), e)

    def version(rng: np.random.Generator) -> CausalData:
        permuted = d.copy()
        for k in np.unique(strata):
            own = np.flatnonzero(strata == k)
            permuted[own] = d[rng.permutation(own)]
        return replaced(data, treatment=permuted[unit])

    values, errors = analysis.repeat(_versions(version, n_runs, analysis.seed, "treatment"))
    where = "within fifths of the propensity" if within_strata else "at random"
    question = f"with the treatment permuted {where} the effect should be 0"
    return _null_check("placebo treatment", question, values, errors, base)


def placebo_outcome(
    analysis: RepeatedAnalysis, data: CausalData, base: Estimate, outcome: ArrayLike | str
) -> Check:
    """Put an outcome that the treatment cannot have changed in the place of the outcome.

    Raises
    ------
    DataError
        If it is no numeric column of n values, or no confounder would be left.
    """
    values, name = _given_outcome(data, outcome)
    same = [bool(np.array_equal(values, x)) for x in data.covariates.values.T]
    kept = [j for j, dropped in enumerate(same) if not dropped]
    if not kept:
        raise DataError("the placebo outcome is the only confounder", "other confounders beside it")
    columns = tuple(data.covariates.columns[j] for j in kept)
    covariates = Covariates(columns, data.covariates.values[:, kept])
    read = read_outcome(nw.from_native(pd.Series(values, name=name), series_only=True))
    found = analysis.estimate(replaced(data, outcome=read, covariates=covariates))
    return Check(
        "placebo outcome",
        f"on {name}, which the treatment cannot have changed, the effect should be 0",
        float(found.value),
        float(found.std_error),
        float(found.test()["p_value"].iloc[0]),
        found.values,
        np.array([found.std_error]),
        float(base.std_error),
        base.level,
        details={"dropped_confounders": [c.name for c, s in zip(data.covariates.columns, same,
                                                               strict=True) if s]},
    )  # fmt: skip


def simulated_outcome(
    analysis: RepeatedAnalysis,
    data: CausalData,
    nuisances: Nuisances,
    base: Estimate,
    n_runs: int,
) -> Check:
    """Draw outcomes from the law of Y(0) given x for both arms; see the module page."""
    draw = _law_without_effect(data, nuisances)
    versions = _versions(
        lambda rng: replaced(data, outcome=draw(rng)), n_runs, analysis.seed, "outcome"
    )
    values, errors = analysis.repeat(versions)
    question = "on outcomes drawn from the untreated law for both arms the effect should be 0"
    return _null_check("placebo outcome", question, values, errors, base)


def random_common_cause(
    analysis: RepeatedAnalysis, data: CausalData, base: Estimate, n_runs: int
) -> Check:
    """Add a confounder of pure noise; see the module page."""
    name = "random common cause"
    columns = (*data.covariates.columns, Column(name, "numeric"))

    def version(rng: np.random.Generator) -> CausalData:
        noise = rng.standard_normal(data.n)
        values = np.column_stack([data.covariates.values, noise])
        return replaced(data, covariates=Covariates(columns, values))

    values, errors = analysis.repeat(_versions(version, n_runs, analysis.seed, "cause"))
    change = values - float(base.value)
    error = float(change.std(ddof=1) / math.sqrt(n_runs))
    t = float(change.mean()) / error if error > 0 else 0.0
    return Check(
        name,
        "with a confounder of pure noise added the estimate should not change",
        float(change.mean()),
        error,
        float(2 * stats.t.sf(abs(t), n_runs - 1)),
        change,
        errors,
        float(base.std_error),
        base.level,
        may_be_negligible=True,
    )


def random_subsets(
    analysis: RepeatedAnalysis,
    data: CausalData,
    nuisances: Nuisances,
    base: Estimate,
    n_runs: int,
    share: float = SHARE,
) -> Check:
    """Keep a random share of the rows; see the module page."""
    unit = np.arange(data.n) if data.clusters is None else data.clusters
    units = np.unique(unit)
    size = round(share * len(units))

    def part(rng: np.random.Generator) -> NDArray[np.int64]:
        kept = rng.choice(units, size, replace=False)
        return np.flatnonzero(np.isin(unit, kept))

    parts = _versions(part, n_runs, analysis.seed, "subset")
    values, errors = analysis.repeat_subsets(data, nuisances, parts)
    change = values - float(base.value)
    spread = float(base.std_error) * math.sqrt(len(units) / size - 1)
    q = float(np.sum((change / spread) ** 2))
    return Check(
        "random subsets",
        f"on {share:.0%} of the {'rows' if data.clusters is None else 'clusters'} the estimate "
        f"should change by no more than chance, {spread:.3g} or so",
        math.sqrt(float(np.mean(change**2))),
        spread,
        float(stats.chi2.sf(q, n_runs)),
        change,
        errors,
        float(base.std_error),
        base.level,
        details={"share": share, "statistic": q},
    )


def _versions(
    version: Callable[[np.random.Generator], Version], n_runs: int, seed: Seed, name: str
) -> list[Version]:
    return [version(stream(seed, "refutation", name, r)) for r in range(n_runs)]


def _null_check(name: str, question: str, values: Array, errors: Array, base: Estimate) -> Check:
    """Whether effects that should be zero are; see the module page."""
    z = math.sqrt(len(values)) * float(np.mean(values / errors))
    return Check(
        name,
        question,
        float(values.mean()),
        float(errors.mean() / math.sqrt(len(values))),
        float(2 * stats.norm.sf(abs(z))),
        values,
        errors,
        float(base.std_error),
        base.level,
        details={"statistic": z},
    )


def _units_of_treatment(data: CausalData) -> NDArray[np.int64]:
    """Codes 0, 1, .. of what was treated as one: clusters of one arm each, otherwise rows."""
    if data.clusters is not None:
        codes = np.unique(data.clusters, return_inverse=True)[1].astype(np.int64)
        share = np.bincount(codes, data.treatment) / np.bincount(codes)
        if np.isin(share, (0.0, 1.0)).all():
            return codes
    return np.arange(data.n)


def _given_outcome(data: CausalData, outcome: ArrayLike | str) -> tuple[Array, str]:
    if isinstance(outcome, str):
        if outcome not in data.confounder_names:
            raise DataError(
                f"there is no confounder '{outcome}'",
                ", ".join(data.confounder_names),
                "Pass the values of a column that is no confounder: placebo_outcome=df['before'].",
            )
        j = data.confounder_names.index(outcome)
        if data.covariates.columns[j].kind == "categorical":
            raise DataError("the placebo outcome is a category", "numbers", column=outcome)
        return data.covariates.values[:, j], outcome
    try:
        values = np.asarray(outcome, dtype=float)
    except (TypeError, ValueError):
        raise DataError("the placebo outcome does not hold numbers", "numbers") from None
    if values.shape != (data.n,):
        raise DataError(f"the placebo outcome has shape {values.shape}", f"({data.n},)")
    return values, str(getattr(outcome, "name", None) or "the placebo outcome")


def _law_without_effect(
    data: CausalData, nuisances: Nuisances
) -> Callable[[np.random.Generator], tuple[Array, Outcome]]:
    """Draws of Y(0) given x for every row: from the law, or from mean and untreated residuals."""
    law, mean = nuisances.laws, nuisances.mean[:, 0]
    if law is not None:
        return lambda rng: (law[0].sample(1, rng)[:, 0], data.outcome_schema)
    if data.outcome_schema.kind == "binary":
        low, high = (float(v) for v in np.unique(data.outcome))
        p = np.clip((mean - low) / (high - low), 0.0, 1.0)
        return lambda rng: (np.where(rng.random(data.n) < p, high, low), data.outcome_schema)
    untreated = data.treatment == 0
    residual = data.outcome[untreated] - mean[untreated]
    w = data.weights[untreated]
    residual = residual - np.average(residual, weights=w)
    series = nw.from_native(pd.Series(data.outcome, name=data.outcome_name), series_only=True)
    schema = read_outcome(series, "continuous")[1]
    p = w / w.sum()
    return lambda rng: (mean + rng.choice(residual, data.n, p=p), schema)
