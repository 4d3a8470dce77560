"""Sections of a design whose treatment is confounded and moved by an instrument.

The instrument Z plays the part of the treatment: E[Y | x, Z = z] and P(D = 1 | x, Z = z) are what
rows can tell, and

    ITT = E[q_1(x) - q_0(x)],   share of compliers = E[r_1(x) - r_0(x)],   LATE = ITT / share.

What a unit would have had under a treatment that is set depends on a type that nobody sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.evaluation.recovery.coefficients import Equation, coefficient_section
from causal_ddpm.evaluation.recovery.confounded import MANY
from causal_ddpm.evaluation.recovery.distance import distance_section
from causal_ddpm.evaluation.recovery.functions import assignment_section, mean_section
from causal_ddpm.evaluation.recovery.generator import Roles
from causal_ddpm.evaluation.recovery.known import Comparison, Encoding, TrueRows
from causal_ddpm.evaluation.recovery.reading import Reading, signed_allowance
from causal_ddpm.evaluation.recovery.report import Finding, Section
from causal_ddpm.evaluation.recovery.trial import Read, Trial, read_comparison

Array = NDArray[np.float64]

_HIDDEN = (
    "Types that nobody sees move treatment and outcome together: what a unit would have had is no "
    "property of the law of the rows."
)


def instrument_sections(trial: Trial) -> tuple[Section, ...]:
    """First stage, reduced form, effects on compliers, and distances."""
    design, roles = trial.design, trial.roles
    reduced = read_comparison(trial, _comparison(design, roles, roles.outcome), False)
    take_up = read_comparison(trial, _comparison(design, roles, roles.treatments[0]), False)
    population = design.draw(MANY, seed_sequence(trial.root, "population")).frame
    first = replace(
        mean_section(take_up.bench), name="take-up", title="Take-up",
        measure="P(D = 1 | x, z) at covariates of the population.",
    )  # fmt: skip
    second = replace(mean_section(reduced.bench), measure="E[Y | x, z] at covariates.")
    return (
        coefficient_section(_equations(roles), trial.real, trial.generated, population),
        second,
        first,
        assignment_section(reduced.bench),
        Section("counterfactual", "Counterfactual outcomes", "", not_assessed=_HIDDEN),
        _effects(design, reduced, take_up),
        distance_section(
            trial.generated, trial.many, trial.replicates(), roles.outcome, trial.root
        ),
    )


def _comparison(design: Any, roles: Roles, outcome: str) -> Comparison:
    """The instrument as the treatment, of the outcome or of the take-up."""
    names = list(roles.covariates)
    known: Callable[[Array], Array] = design.outcome if outcome == roles.outcome else design.take_up

    def draw(n: int, seed: Seed) -> TrueRows:
        frame = design.draw(n, seed).frame
        x = frame[names].to_numpy(dtype=float)
        return TrueRows(frame, known(x), design.propensity(x))

    return Comparison(
        Roles(str(roles.instrument), outcome, roles.covariates),
        (0, 1),
        Encoding(roles.covariates),
        draw,
        propensity=lambda rows: design.propensity(rows[names].to_numpy(dtype=float)),
    )


def _equations(roles: Roles) -> tuple[Equation, ...]:
    names, (d,), z, y = (
        list(roles.covariates),
        roles.treatments,
        str(roles.instrument),
        roles.outcome,
    )

    def columns(*chosen: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
        return lambda frame: frame.loc[:, list(chosen)].astype(float).reset_index(drop=True)

    return (
        Equation("the first stage", lambda f: f[d].to_numpy(float), columns(z, *names)),
        Equation(
            "two-stage least squares", lambda f: f[y].to_numpy(float), columns(d, *names),
            columns(z, *names),
        ),
    )  # fmt: skip


def _effects(design: Any, reduced: Read, take_up: Read) -> Section:
    truth = design.truth()
    late = _ratio_finding(truth.value("LATE"), reduced, take_up)
    findings = (
        reduced.bench.number("the ITT", truth.value("ITT"), lambda r: r.effect(1), reduced.real),
        take_up.bench.number(
            "the share of compliers", truth.value("complier share"), lambda r: r.effect(1),
            take_up.real,
        ),
        late,
    )  # fmt: skip
    return Section(
        "effects", "Causal effects",
        "Effects of the instrument and of the treatment on compliers, from one analysis of the "
        "rows (cross-fitted AIPW with boosted trees).",
        findings,
    )  # fmt: skip


def _ratio_finding(truth: float, reduced: Read, take_up: Read) -> Finding:
    pairs = zip(reduced.bench.replicates, take_up.bench.replicates, strict=True)
    found = np.array([_late(*pair) for pair in pairs])
    value = _late(reduced.bench.generated, take_up.bench.generated)
    half = 1.959964 * float(found.std(ddof=1))
    return Finding(
        "the LATE", value, abs(value - truth), truth, signed_allowance(list(found - truth)),
        _late(reduced.real, take_up.real), value - half, value + half,
    )  # fmt: skip


_NO_COMPLIERS = 0.01


def _late(reduced: Reading, take_up: Reading) -> float:
    """ITT over the share of compliers, which is kept away from zero."""
    share = take_up.effect(1)
    bounded = max(abs(share), _NO_COMPLIERS) * (1 if share >= 0 else -1)
    return reduced.effect(1) / bounded
