"""Sections of a design whose treatment is a dose.

The dose-response curve E[Y(a)] of the generated world: boosted trees of the outcome on covariates
and dose, standardised over the rows, at doses whose true values the design states.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal_ddpm.core.random import integer_seed, seed_sequence
from causal_ddpm.evaluation.recovery.coefficients import Equation, coefficient_section
from causal_ddpm.evaluation.recovery.confounded import MANY
from causal_ddpm.evaluation.recovery.distance import distance_section
from causal_ddpm.evaluation.recovery.generator import Roles
from causal_ddpm.evaluation.recovery.reading import MEAN_TREES, signed_allowance
from causal_ddpm.evaluation.recovery.report import Finding, Section
from causal_ddpm.evaluation.recovery.trial import Trial
from causal_ddpm.nuisance.boosting import fit_trees

Array = NDArray[np.float64]

_ROWS = 2000


def dose_sections(trial: Trial) -> tuple[Section, ...]:
    """Coefficients, the dose-response curve, and distances."""
    roles, fresh = trial.roles, trial.replicates()
    names = [*roles.treatments, *roles.covariates]
    equation = Equation(
        "", lambda f: f[roles.outcome].to_numpy(float),
        lambda f: f.loc[:, names].astype(float).reset_index(drop=True),
    )  # fmt: skip
    population = trial.design.draw(MANY, seed_sequence(trial.root, "population")).frame
    return (
        coefficient_section((equation,), trial.real, trial.generated, population),
        _curve_section(trial, fresh),
        distance_section(trial.generated, trial.many, fresh, roles.outcome, trial.root),
    )


def _curve_section(trial: Trial, fresh: tuple[pd.DataFrame, ...]) -> Section:
    known = _doses(trial.design.truth().population)
    doses, truth = np.array(list(known)), np.array(list(known.values()))
    seed = integer_seed(trial.root, "dose")
    made, own = (_response(f, trial.roles, doses, seed) for f in (trial.generated, trial.real))
    others = np.array([_response(f, trial.roles, doses, seed) for f in fresh])
    half = 1.959964 * others.std(axis=0, ddof=1)
    findings = tuple(
        Finding(
            f"the mean outcome at dose {a:g}", float(made[k]), abs(float(made[k] - truth[k])),
            float(truth[k]), signed_allowance(list(others[:, k] - truth[k])), float(own[k]),
            float(made[k] - half[k]), float(made[k] + half[k]),
        )
        for k, a in enumerate(doses)
    )  # fmt: skip
    curve = pd.DataFrame(
        {"covariate": trial.roles.treatments[0], "at": doses, "arm": "everyone", "truth": truth,
         "recovered": made}
    )  # fmt: skip
    return Section(
        "effects", "Dose response",
        "E[Y(a)] in the generated world: boosted trees on covariates and dose, standardised over "
        "the rows.",
        findings, curves={"dose response": curve},
    )  # fmt: skip


def _doses(population: dict[str, float]) -> dict[float, float]:
    """Doses whose mean outcomes are stated, from labels such as "E[Y(3)]"."""
    found = {}
    for label, value in population.items():
        inside = re.fullmatch(r"E\[Y\(([-+.\d e]+)\)\]", label)
        if inside:
            found[float(inside[1])] = value
    return found


def _response(frame: pd.DataFrame, roles: Roles, doses: Array, seed: int) -> Array:
    x = frame.loc[:, [*roles.covariates, roles.treatments[0]]].to_numpy(dtype=float)
    trees = fit_trees(x, frame[roles.outcome].to_numpy(dtype=float), None, MEAN_TREES, seed)
    some, means = x[:_ROWS].copy(), []
    for a in doses:
        some[:, -1] = a
        means.append(float(trees.predict(some).mean()))
    return np.array(means)
