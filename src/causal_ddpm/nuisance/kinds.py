"""Each kind of outcome and the law that is learnt for it.

    continuous     location, scale, diffusion; an atom apart       nuisance.two_part
    heavy_tailed   the same on the scale of normal scores          nuisance.normal_scores
    count          diffusion of the noised number, rounded         nuisance.lattice
    ordinal        the same of the position, and regressions       nuisance.ratings
    binary         a probability                                   nuisance.levels
    categorical    a probability for each level                    nuisance.levels

Whatever the kind, what is cross-fitted has ``law(arm)`` and a report, and what is fitted for new
rows has ``law(covariates, arm, n_nodes)``.
"""

from __future__ import annotations

from dataclasses import replace

from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.progress import Progress
from causal_ddpm.core.random import Seed
from causal_ddpm.nuisance.lattice import (
    CrossFittedLattice,
    FittedLattice,
    cross_fit_lattice,
    refit_lattice,
)
from causal_ddpm.nuisance.levels import (
    CrossFittedLevels,
    FittedLevels,
    cross_fit_levels,
    refit_levels,
)
from causal_ddpm.nuisance.location import Sample
from causal_ddpm.nuisance.ratings import (
    CrossFittedRatings,
    FittedRatings,
    cross_fit_ratings,
    refit_ratings,
)
from causal_ddpm.nuisance.two_part import (
    CrossFittedParts,
    FittedParts,
    TwoPartSettings,
    cross_fit_parts,
    refit_parts,
)

CrossFittedOutcome = CrossFittedParts | CrossFittedLattice | CrossFittedRatings | CrossFittedLevels
FittedOutcome = FittedParts | FittedLattice | FittedRatings | FittedLevels


def cross_fit_outcome(
    settings: TwoPartSettings,
    sample: Sample,
    outcome: Outcome,
    random_state: Seed,
    n_jobs: int,
    progress: Progress,
) -> CrossFittedOutcome:
    """Learn the law of an outcome of any kind without each fold, and read that fold.

    Parameters
    ----------
    settings : TwoPartSettings
    sample : Sample
    outcome : Outcome
        Its kind and levels.
    random_state, n_jobs, progress
        As everywhere.
    """
    rest = (random_state, n_jobs, progress)
    if outcome.kind in ("binary", "categorical"):
        return cross_fit_levels(settings.stack, sample, outcome, *rest)
    if outcome.kind == "ordinal":
        return cross_fit_ratings(settings.continuous, settings.stack, sample, outcome, *rest)
    if outcome.kind == "count":
        return cross_fit_lattice(settings.continuous, settings.stack, sample, 0, *rest)
    return cross_fit_parts(_for_kind(settings, outcome), sample, *rest)


def refit_outcome(
    settings: TwoPartSettings, parts: CrossFittedOutcome, outcome: Outcome, random_state: Seed
) -> FittedOutcome:
    """The law for new rows, from what was cross-fitted."""
    if isinstance(parts, CrossFittedLevels):
        return refit_levels(settings.stack, parts, random_state)
    if isinstance(parts, CrossFittedRatings):
        return refit_ratings(settings.continuous, settings.stack, parts, random_state)
    if isinstance(parts, CrossFittedLattice):
        return refit_lattice(settings.continuous, settings.stack, parts, random_state)
    return FittedParts(*refit_parts(_for_kind(settings, outcome), parts, random_state))


def _for_kind(settings: TwoPartSettings, outcome: Outcome) -> TwoPartSettings:
    heavy = outcome.kind == "heavy_tailed"
    return replace(settings, continuous=replace(settings.continuous, heavy_tailed=heavy))
