"""What a twin refuses, known before anything is learnt."""

from __future__ import annotations

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.estimate import refuse_synthetic
from causal_ddpm.core.treatment import require_binary

MAX_OVERLAP = 10.0
"""Largest factor of the log odds."""


def check_fit_for_twin(data: CausalData) -> None:
    """Refuse data that a twin of independent units with two arms cannot stand for.

    Raises
    ------
    DataError
        For several arms, doses, factors, clusters, instruments and outcomes without an order.
    SyntheticDataError
        If rows are marked as synthetic.
    """
    require_binary(data.treatment_schema, "a twin")
    data.outcome_schema.check_order(data.outcome_name)
    refuse_synthetic(data.n_synthetic)
    if data.clusters is not None:
        raise DataError(
            f"the rows come in clusters of {data.clusters_name}",
            "independent rows",
            "A twin draws units one by one. Without clusters=... it leaves their dependence out, "
            "and intervals will look better than they are on your data.",
        )
    if data.instrument is not None:
        raise DataError(
            f"the data have the instrument '{data.instrument_name}'",
            "data without one",
            "In a twin nothing confounds beyond the confounders; name no instrument.",
        )


def checked_overlap(overlap: float) -> float:
    """The factor of the log odds, if it is one.

    Raises
    ------
    DataError
        If it is no number from 0 to 10.
    """
    try:
        number = float(overlap)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= MAX_OVERLAP:
        raise DataError(
            f"the overlap is {overlap!r}",
            f"a number from 0 (an experiment) over 1 (as in the data) to {MAX_OVERLAP:g}",
        )
    return number
