"""A binary instrument: how it is read, and the same rows with it in the treatment's place.

An instrument Z moves some units into the treatment and touches the outcome in no other way. Given
covariates it is compared like a treatment: the *intention to treat* is the effect of Z itself, on
the outcome or on the treatment.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core import checks
from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import Outcome
from causal_ddpm.core.treatment import Treatment, require_binary

if TYPE_CHECKING:
    from causal_ddpm.core.data import CausalData

Of = Literal["outcome", "treatment"]


def read_instrument(
    series: nw.Series[Any], treatment: NDArray[Any], covariates: Covariates
) -> NDArray[np.int64]:
    """Codes 0/1 of an instrument column, read-only.

    Raises
    ------
    DataError
        For missing, constant or non-binary values, or a copy of the treatment or a confounder.
    """
    values = checks.binary_values(series, "instrument", ("encouraged", "not encouraged"))
    checks.refuse_copy(
        values.astype(float),
        treatment,
        DataError(
            "the instrument is a copy of the treatment",
            "a variable that moves some units and not others",
            "Where everyone complies ask for the ATE, without an instrument.",
            column=series.name,
        ),
    )
    checks.refuse_treatment_copies(covariates.names, covariates.values, values, "instrument")
    values.setflags(write=False)
    return values


def require_instrument(data: CausalData, use: str) -> NDArray[np.int64]:
    """The instrument of the data, shape (n,).

    Raises
    ------
    DataError
        If the data have none, or their treatment is not 0/1; ``use`` names what needs it.
    """
    require_binary(data.treatment_schema, use)
    if data.instrument is None:
        raise DataError(
            "the data have no instrument",
            f"a binary instrument for {use}",
            "Name it: CausalData(df, ..., instrument='z').",
        )
    return data.instrument


def under_instrument(data: CausalData, of: Of = "outcome") -> CausalData:
    """The same rows with the instrument in the treatment's place.

    Parameters
    ----------
    data : CausalData
        With an instrument.
    of : {"outcome", "treatment"}
        What the instrument is to have an effect on.

    Raises
    ------
    DataError
        If there is no instrument.
    """
    z = require_instrument(data, "the intention to treat")
    view = copy.copy(data)
    view.treatment, view.treatment_name = z, str(data.instrument_name)
    view.treatment_schema = Treatment("binary", (view.treatment_name,), (0, 1))
    view.arms = view.treatment_schema.labels
    view.instrument = view.instrument_name = None
    if of == "treatment":
        view.outcome, view.outcome_name = data.treatment.astype(float), data.treatment_name
        view.outcome_schema = Outcome("binary", "a treatment of 0 and 1", (0.0, 1.0))
        view.outcome.setflags(write=False)
    view.fingerprint = view._hash()
    return view
