"""Effects of the generated world: of units, of the treated, of everyone, and on quantiles.

    counterfactual    sqrt(mean of (tau(x) - E[Y(a) - Y(0) | x])^2), in standard deviations of the
                      outcome, and the correlation of the two where effects vary;
                      Wasserstein distance of the law of Y(a) from the true one
    effects           ATE and ATT by cross-fitted AIPW, QTE by weighting, on generated rows

(:mod:`causal_ddpm.evaluation.recovery.reading` says how). True effects are the design's population
values; those that it does not state come from many rows of the true process with both outcomes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm.evaluation.recovery.functions import Bench, curves_of, discrete
from causal_ddpm.evaluation.recovery.reading import EFFECT_LEVELS, Reading, rms
from causal_ddpm.evaluation.recovery.report import Finding, Section

Array = NDArray[np.float64]

_VARY = 0.02
_NONE = 0.25


def counterfactual_section(bench: Bench) -> Section:
    """Effects at covariates, and the law of each potential outcome."""
    truth, mean = bench.points.mean, bench.generated.mean_at
    findings = []
    for a, name in bench.comparison.contrasts():
        tau = truth[:, a] - truth[:, 0]
        findings.append(
            bench.distance(
                f"the root mean square error of E[Y(1) - Y(0) | x]{name}, in standard deviations "
                "of the outcome,",
                lambda r, a=a, tau=tau: rms(r.mean_at[:, a] - r.mean_at[:, 0] - tau) / bench.sd,
            )
        )
        if tau.std() > _VARY * bench.sd:
            findings.append(
                bench.distance(
                    f"one less the correlation of recovered and true effects{name}",
                    lambda r, a=a, tau=tau: _decorrelation(r.mean_at[:, a] - r.mean_at[:, 0], tau),
                )
            )
    findings += _laws(bench)
    gap, found = truth - truth[:, :1], mean - mean[:, :1]
    return Section(
        "counterfactual", "Counterfactual outcomes",
        "Effects given covariates, at covariates of the population; laws of the potential "
        "outcomes of everyone.",
        tuple(findings), curves={"effect": _effect_curves(bench, gap, found)},
    )  # fmt: skip


def effect_section(bench: Bench, real: Reading) -> Section:
    """ATE, ATT and QTE of the generated world."""
    findings: list[Finding] = []
    for a, name in bench.comparison.contrasts():
        ate, att = true_effects(bench, a)
        findings += [
            bench.number(f"the ATE{name}", ate, lambda r, a=a: r.effect(a), real),
            bench.number(f"the ATT{name}", att, lambda r, a=a: r.effect_on_treated(a), real),
        ]
        if not discrete(bench) and bench.many.potential is not None:
            qte = true_quantile_effects(bench, bench.many.potential, a)
            findings += [
                bench.number(
                    f"the QTE({u:g}){name}", qte[k],
                    lambda r, a=a, k=k: r.quantile_effects(a)[k], real,
                )
                for k, u in enumerate(EFFECT_LEVELS)
            ]  # fmt: skip
    return Section(
        "effects", "Causal effects",
        "Effects in the generated world, from one analysis of its rows (cross-fitted AIPW with "
        "boosted trees; weighted quantiles); intervals as n generated rows would give them.",
        tuple(findings), words=_words(bench, findings),
    )  # fmt: skip


def true_effects(bench: Bench, arm: int) -> tuple[float, float]:
    """ATE and ATT of an arm against the control."""
    known, many = bench.comparison.effects, bench.many
    tau, e = many.mean[:, arm] - many.mean[:, 0], many.propensity[:, arm]
    ate, att = float(tau.mean()), float(e @ tau / e.sum())
    if len(bench.comparison.labels) > 2:
        return ate, att
    return known.get("ATE", ate), known.get("ATT", att)


def true_quantile_effects(bench: Bench, outcomes: Array, arm: int) -> list[float]:
    """Quantile effects of an arm at EFFECT_LEVELS."""
    known = bench.comparison.effects if len(bench.comparison.labels) == 2 else {}
    both = np.quantile(outcomes[:, [arm, 0]], EFFECT_LEVELS, axis=0)
    return [
        float(known.get(f"QTE({u:g})", q[0] - q[1]))
        for u, q in zip(EFFECT_LEVELS, both, strict=True)
    ]


def _words(bench: Bench, findings: list[Finding]) -> tuple[str, ...]:
    ate = findings[0]
    if ate.truth is None or (ate.ratio or 0) <= 1:
        return ()
    visible = abs(ate.truth) > (ate.allowance or 0)
    if visible and abs(ate.recovered) < _NONE * abs(ate.truth):
        return ("The treatment does next to nothing in the generated world.",)
    if visible and ate.recovered * ate.truth < 0:
        return ("The effect has the wrong sign in the generated world.",)
    return ()


def _laws(bench: Bench) -> list[Finding]:
    many = bench.many.potential
    if many is None:
        return []
    return [
        bench.distance(
            f"the Wasserstein distance of the law of Y under {bench.arm_words(a)}, in standard "
            "deviations of the outcome,",
            lambda r, a=a: _wasserstein(r, a, many[:, a]) / bench.sd,
        )
        for a in range(len(bench.comparison.labels))
    ]


def _wasserstein(reading: Reading, arm: int, truth: Array) -> float:
    y, weights = reading.law(arm)
    return float(stats.wasserstein_distance(y, truth, weights))


def _decorrelation(found: Array, truth: Array) -> float:
    if found.std() <= 1e-9:
        return 1.0
    return 1 - float(np.corrcoef(found, truth)[0, 1])


def _effect_curves(bench: Bench, gap: Array, found: Array) -> pd.DataFrame:
    curves = curves_of(bench, gap, found)
    return curves[curves["arm"] != str(bench.comparison.labels[0])].reset_index(drop=True)
