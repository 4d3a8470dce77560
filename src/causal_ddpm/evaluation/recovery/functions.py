"""Conditional mean and quantile functions of the outcome, and the probability of treatment.

At M covariate rows of the population, in every arm, with sd the outcome's standard deviation,

    mean         sqrt(mean of (m_a(x) - E[Y(a) | x])^2) / sd
    quantiles    the same for the conditional quantiles at .1, .5 and .9
    assignment   sqrt(mean of (e_a(x) - P(D = a | x))^2); slope of the logistic regression of
                 generated treatments on the true logit (of logit e_a(x) on it, where the design
                 states the truth at its own rows only); share of each arm

Curves average both functions over points with similar values of one covariate: the four along
which the truth moves most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.evaluation.recovery.known import LEVELS, Comparison, TrueRows
from causal_ddpm.evaluation.recovery.reading import Reading, allowance, rms, signed_allowance
from causal_ddpm.evaluation.recovery.report import Finding, Section

Array = NDArray[np.float64]

_CURVES, _BINS = 4, 8
_GUARD = 1e-3


@dataclass(frozen=True, eq=False)
class Bench:
    """What every check of a comparison needs.

    Parameters
    ----------
    comparison : Comparison
    points : TrueRows
        Covariate rows at which functions are compared, with the truth.
    sd : float
        Standard deviation of the outcome.
    generated : Reading
    replicates : tuple of Reading
        Fresh draws of n rows.
    many : TrueRows
        Many rows of the true process.
    """

    comparison: Comparison
    points: TrueRows
    sd: float
    generated: Reading
    replicates: tuple[Reading, ...]
    many: TrueRows

    def distance(self, quantity: str, of: Any) -> Finding:
        """A finding without a sign: ``of`` maps a reading to its error."""
        value = float(of(self.generated))
        return Finding(
            quantity, value, value, allowance=allowance([of(r) for r in self.replicates])
        )

    def number(self, quantity: str, truth: float, of: Any, real: Reading | None = None) -> Finding:
        """A finding with a sign: ``of`` maps a reading to a number that should be the truth."""
        value = float(of(self.generated))
        found = np.array([float(of(r)) for r in self.replicates])
        half = 1.959964 * float(found.std(ddof=1))
        return Finding(
            quantity, value, abs(value - truth), truth, signed_allowance(list(found - truth)),
            None if real is None else float(of(real)), value - half, value + half,
        )  # fmt: skip

    def arm_words(self, arm: int) -> str:
        """An arm in words."""
        return f"{self.comparison.roles.treatments[0]} = {self.comparison.labels[arm]}"


def mean_section(bench: Bench) -> Section:
    """E[Y | x, d] as a function."""
    truth, arms = bench.points.mean, range(len(bench.comparison.labels))
    findings = tuple(
        bench.distance(
            f"the root mean square error of the conditional mean under {bench.arm_words(a)}, in "
            "standard deviations of the outcome,",
            lambda r, a=a: rms(r.mean_at[:, a] - truth[:, a]) / bench.sd,
        )
        for a in arms
    )
    curves = {"mean": curves_of(bench, truth, bench.generated.mean_at)}
    return Section(
        "mean", "Conditional mean",
        "E[Y | x, d] at covariates of the population, arm by arm.", findings, curves=curves,
    )  # fmt: skip


def quantile_section(bench: Bench) -> Section:
    """Conditional quantiles as functions."""
    title, measure = "Conditional quantiles", "Quantiles of Y given x and d, at .1, .5 and .9."
    law, rows = bench.comparison.law, bench.points.frame
    if law is None or bench.generated.quantiles_at is None:
        return Section("quantiles", title, measure,
                       not_assessed="The design does not state conditional quantiles.")  # fmt: skip
    if discrete(bench):
        return Section("quantiles", title, measure, not_assessed=SEPARATE_VALUES)
    truth = np.stack([law(rows, a)[1] for a in range(len(bench.comparison.labels))], axis=1)
    findings = tuple(
        bench.distance(
            f"the root mean square error of the conditional {u:g} quantile, in standard "
            "deviations of the outcome,",
            lambda r, k=k: rms(r.quantiles_at[:, :, k] - truth[:, :, k]) / bench.sd,
        )
        for k, u in enumerate(LEVELS)
    )
    found = bench.generated.quantiles_at
    curves = {
        f"quantile {u:g}": curves_of(bench, truth[:, :, k], found[:, :, k])
        for k, u in enumerate(LEVELS)
    }
    return Section("quantiles", title, measure, findings, curves=curves)


def assignment_section(bench: Bench) -> Section:
    """P(D = a | x) and the share of each arm."""
    truth, arms = bench.points.propensity, range(1, len(bench.comparison.labels))
    shares = bench.many.propensity.mean(axis=0)
    findings = []
    for a in arms:
        what = bench.arm_words(a)
        findings += [
            bench.number(
                f"the share of rows with {what}", float(shares[a]),
                lambda r, a=a: float((r.codes == a).mean()),
            ),
            bench.distance(
                f"the root mean square error of P({what} | x)",
                lambda r, a=a: rms(r.propensity_at[:, a] - truth[:, a]),
            ),
        ]  # fmt: skip
        if _logit(truth[:, a]).std() > _GUARD:
            findings.append(_slope_finding(bench, a))
    slopes = [f for f in findings if f.truth == 1.0 and f.quantity.startswith("the slope")]
    words = [_selection_in_words(f) for f in slopes if f.ratio is not None and f.ratio > 1]
    curves = {"propensity": curves_of(bench, truth, bench.generated.propensity_at)}
    return Section(
        "assignment", "Treatment assignment",
        "The probability of treatment given covariates, learnt from generated rows.",
        tuple(findings), curves=curves, words=tuple(words),
    )  # fmt: skip


def _slope_finding(bench: Bench, arm: int) -> Finding:
    """How strongly units select themselves, by the best means that the design allows."""
    what = bench.arm_words(arm)
    if bench.generated.slopes is not None:
        return bench.number(
            f"the slope of the logit of P({what}) on the true one", 1.0,
            lambda r: r.slopes[arm],
        )  # fmt: skip
    true = _logit(bench.points.propensity[:, arm])
    return bench.number(
        f"the slope of the recovered logit of P({what} | x) on the true one", 1.0,
        lambda r: _slope(true, _logit(r.propensity_at[:, arm])),
    )  # fmt: skip


def _selection_in_words(finding: Finding) -> str:
    how = "weaker" if finding.recovered < 1 else "stronger"
    return f"Units select themselves into treatment on what is seen {how} than in the true process."


def discrete(bench: Bench) -> bool:
    """Whether the outcome takes a few separate values."""
    return len(np.unique(bench.many.frame[bench.comparison.roles.outcome])) <= _FEW


_FEW = 20
SEPARATE_VALUES = "The outcome takes separate values: its law is in its mean."


def curves_of(bench: Bench, truth: Array, found: Array) -> pd.DataFrame:
    """Both functions averaged over points with similar values of a covariate.

    Returns
    -------
    DataFrame
        Columns covariate, at, arm, truth, recovered.
    """
    x = bench.comparison.encoding.matrix(bench.points.frame)
    names, rows = bench.comparison.encoding.names, []
    for j in _moving(x, truth):
        groups = _groups(x[:, j])
        for g in np.unique(groups):
            here = groups == g
            for a, label in enumerate(bench.comparison.labels):
                rows.append(
                    {"covariate": names[j], "at": float(x[here, j].mean()), "arm": str(label),
                     "truth": float(truth[here, a].mean()),
                     "recovered": float(found[here, a].mean())}
                )  # fmt: skip
    return pd.DataFrame(rows, columns=["covariate", "at", "arm", "truth", "recovered"])


def _moving(x: Array, truth: Array) -> list[int]:
    """The covariates along which the truth moves most."""
    spread = []
    for column in x.T:
        groups = _groups(column)
        means = [truth[groups == g].mean(axis=0) for g in np.unique(groups)]
        spread.append(float(np.std(means, axis=0).sum()))
    return sorted(np.argsort(spread)[::-1][:_CURVES].tolist())


def _groups(column: Array) -> NDArray[np.int64]:
    filled = np.nan_to_num(column, nan=float(np.nanmedian(column)))
    values = np.unique(filled)
    if len(values) <= _BINS:
        return np.searchsorted(values, filled)
    edges = np.quantile(filled, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, filled)


def _logit(p: Array) -> Array:
    q = np.clip(p, _GUARD, 1 - _GUARD)
    return np.asarray(np.log(q / (1 - q)))


def _slope(x: Array, y: Array) -> float:
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))
