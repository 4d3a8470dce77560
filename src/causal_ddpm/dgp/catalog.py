"""All designs, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.protocols import Design
from causal_ddpm.dgp.ai_adoption import AIAdoption
from causal_ddpm.dgp.binary_outcome import BINARY_OUTCOME
from causal_ddpm.dgp.clustered import CLUSTERED
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS, LINEAR, NO_EFFECT
from causal_ddpm.dgp.dose_design import DOSE
from causal_ddpm.dgp.heavy_tails import HEAVY_TAILS
from causal_ddpm.dgp.high_dimensional import HIGH_DIMENSIONAL
from causal_ddpm.dgp.incomes import INCOMES
from causal_ddpm.dgp.instrument_design import INSTRUMENT, ONE_SIDED
from causal_ddpm.dgp.three_arms import THREE_ARMS
from causal_ddpm.dgp.weak_overlap import WEAK_OVERLAP

_DESIGNS: tuple[Design, ...] = (
    AIAdoption(),
    GAUSS,
    BIMODAL,
    NO_EFFECT,
    LINEAR,
    HEAVY_TAILS,
    WEAK_OVERLAP,
    BINARY_OUTCOME,
    CLUSTERED,
    HIGH_DIMENSIONAL,
    INCOMES,
    INSTRUMENT,
    ONE_SIDED,
    DOSE,
    THREE_ARMS,
)


def catalog() -> Mapping[str, Design]:
    """Every design by its name; ``catalog()["gauss"].draw(500, seed=0)`` draws from one."""
    return MappingProxyType({design.name: design for design in _DESIGNS})


def design_by_name(name: str) -> Design:
    """The design called ``name``.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    designs = catalog()
    if name not in designs:
        close = difflib.get_close_matches(name, designs, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise DataError(f"there is no design '{name}'", " or ".join(designs), hint)
    return designs[name]
