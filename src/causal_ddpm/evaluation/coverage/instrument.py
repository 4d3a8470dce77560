"""Nuisances of an instrument that cost milliseconds, like those of a treatment.

``oracle``: what the design knows. ``light``: the outcome and the take-up given the instrument, and
the instrument's propensity, by the regressions of :mod:`causal_ddpm.evaluation.coverage.light`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.instrument import under_instrument
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.coverage import light as treatment
from causal_ddpm.evaluation.coverage.light import N_FOLDS, Source
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.instrument import InstrumentNuisances, honoured


@dataclass(frozen=True)
class _Rows:
    """A draw of which only the data are read."""

    data: CausalData


def oracle(design: str, draw: Any, seed: np.random.SeedSequence) -> InstrumentNuisances:
    """The truth at every row."""
    known: Any = design_by_name(design)
    data: CausalData = draw.data
    x = data.covariates.values
    return InstrumentNuisances(
        fold_ids=draw_folds(under_instrument(data), N_FOLDS, seed),
        outcome=known.outcome(x),
        take_up=known.take_up(x),
        propensity=known.propensity(x),
        fingerprint=data.fingerprint,
        method="oracle",
    )


def light(design: str, draw: Any, seed: np.random.SeedSequence) -> InstrumentNuisances:
    """Ridge and logistic regression, out of fold."""
    data: CausalData = draw.data
    outcome = treatment.light(design, _Rows(under_instrument(data)), seed)
    take_up = treatment.light(design, _Rows(under_instrument(data, of="treatment")), seed)
    z = under_instrument(data).treatment
    return InstrumentNuisances(
        fold_ids=outcome.fold_ids,
        outcome=outcome.mean,
        take_up=honoured(take_up.mean, data.treatment, z),
        propensity=outcome.propensity,
        fingerprint=data.fingerprint,
        method="light",
    )


INSTRUMENT_SOURCES: Mapping[str, Source] = {"oracle": oracle, "light": light}
"""Nuisances of a binary instrument, by name."""
