"""Learning a twin: covariates, propensity and laws, read once at many units.

    x             a joint diffusion of the confounders, or the rows of the data themselves
    log odds      of the propensity learnt from all rows
    Y(0), Y(1)    the laws of the outcome learnt from all rows

Sampling weights say which population the rows stand for: rows are drawn by weight before the joint
diffusion learns them, and the other two models weight their losses. Draws of the twin are simple
samples from that population and carry no weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.diffusion.joint import JointDiffusion
from causal_ddpm.evaluation.twin.units import Units, covariates_frame
from causal_ddpm.nuisance.logistic import logit
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.propensity import PropensityMix

Covering = Literal["joint", "rows"]


@dataclass(frozen=True)
class TwinSettings:
    """How a twin is learnt.

    Parameters
    ----------
    covariates : {"joint", "rows"}
        "joint" generates new units with a diffusion of all confounders; "rows" takes the rows of
        the data as they are, which repeats real units.
    n_units : int
        Units that stand for the population; with "rows" and no weights, the rows themselves.
    n_nodes : int
        Quantile nodes of each law.
    generator : JointDiffusion
    outcome_model : settings with ``fit(data, random_state)``
        What it returns needs ``predictive(X, arm, n_nodes)``.
    propensity_model : settings with ``fit(data, random_state)``
        What it returns needs ``predict(X)``, shape (n, 2).

    Raises
    ------
    DataError
        If a setting is unknown or out of range.
    """

    covariates: Covering = "joint"
    n_units: int = 4000
    n_nodes: int = 32
    generator: JointDiffusion = field(default_factory=JointDiffusion)
    outcome_model: Any = field(default_factory=PotentialOutcomeModel)
    propensity_model: Any = field(default_factory=PropensityMix)

    def __post_init__(self) -> None:
        if self.covariates not in ("joint", "rows"):
            raise DataError(f"covariates is {self.covariates!r}", "'joint' or 'rows'")
        for name, least in (("n_units", 100), ("n_nodes", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise DataError(f"{name} is {value!r}", f"a whole number of at least {least}")


def fit_units(
    data: CausalData, settings: TwinSettings, random_state: Seed, progress: Progress = silent
) -> Units:
    """Learn the three parts and read them at the units of the population.

    Parameters
    ----------
    data : CausalData
    settings : TwinSettings
    random_state : int, SeedSequence or None
    progress : callable
    """
    root = seed_sequence(random_state)
    covariates = _units_of(data, settings, root, progress)
    progress("twin: propensity", 0.4)
    propensity = settings.propensity_model.fit(data, seed_sequence(root, "propensity"))
    p = np.clip(propensity.predict(covariates)[:, 1], 1e-6, 1 - 1e-6)
    progress("twin: law of the outcome", 0.45)
    law = settings.outcome_model.fit(data, seed_sequence(root, "outcome"))
    progress("twin: laws of the units", 0.75)
    laws = tuple(law.predictive(covariates, arm, settings.n_nodes) for arm in data.arms)
    progress("twin", 1.0)
    missing = np.isnan(covariates.values)
    filled = np.where(missing, 0.0, covariates.values)
    return Units(covariates.columns, filled, missing, logit(p), (laws[0], laws[1]))


def _units_of(
    data: CausalData, settings: TwinSettings, root: np.random.SeedSequence, progress: Progress
) -> Covariates:
    """Covariates of the units, each for an equal share of the population."""
    rng = stream(root, "units")
    share = data.weights / data.weights.sum() if data.has_weights else None
    if settings.covariates == "rows":
        if share is None:
            return data.covariates
        return data.covariates.rows(rng.choice(data.n, settings.n_units, p=share))
    rows = np.arange(data.n) if share is None else rng.choice(data.n, data.n, p=share)
    frame = covariates_frame(data.covariates.rows(rows))
    progress("twin: joint law of the confounders", 0.02)
    fitted = settings.generator.fit(
        frame, random_state=seed_sequence(root, "joint"),
        progress=lambda stage, done: progress(f"twin: confounders, {stage}", 0.02 + 0.38 * done),
    )  # fmt: skip
    generated = fitted.sample(settings.n_units, random_state=seed_sequence(root, "sample"))
    return read_covariates(generated, data.covariates.columns)
