"""Rows of a data set: as a frame again, some of them, other values in them, more below them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.core.covariates import Covariates
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def frame_of(data: CausalData) -> pd.DataFrame:
    """The used columns of a data set as a frame: roles that were given, categories as texts.

    Raises
    ------
    DataError
        If the treatment has several columns.
    """
    import pandas as pd

    columns: dict[str, Any] = {
        data.treatment_name: treatment_column(data, data.treatment),
        data.outcome_name: data.outcome_schema.named(data.outcome),
    }
    for column, values in zip(data.covariates.columns, data.covariates.values.T, strict=True):
        if column.kind == "categorical":
            levels = np.array([*column.categories, None], dtype=object)
            columns[column.name] = levels[np.where(np.isnan(values), -1, values).astype(int)]
        else:
            columns[column.name] = values
    if data.weights_name is not None:
        columns[data.weights_name] = data.weights
    if data.clusters_name is not None:
        columns[data.clusters_name] = data.clusters
    if data.instrument_name is not None:
        columns[data.instrument_name] = data.instrument
    return pd.DataFrame(columns)


def treatment_column(data: CausalData, treatment: NDArray[Any]) -> NDArray[Any]:
    """Treatment values as the user's frame has them: labels of arms, 0/1, or doses.

    Raises
    ------
    DataError
        If the treatment has several columns.
    """
    if data.treatment_schema.kind == "factors":
        raise DataError(
            "the treatment has several factors", "one treatment column", column=data.treatment_name
        )
    if data.treatment_schema.kind == "arms":
        return np.asarray(np.asarray(data.arms, dtype=object)[treatment])
    return treatment


def subset(data: CausalData, rows: NDArray[Any]) -> CausalData:
    """Some rows of a data set under the same roles and schemas.

    Parameters
    ----------
    data : CausalData
    rows : ndarray
        Boolean mask (n,) or integer positions.
    """
    part = copy.copy(data)
    part.covariates = data.covariates.rows(rows)
    part.clusters = None if data.clusters is None else data.clusters[rows]
    part.instrument = None if data.instrument is None else data.instrument[rows]
    part.row_ids = data.row_ids[rows]
    return _with(part, data.treatment[rows], data.outcome[rows], data.weights[rows])


def replaced(
    data: CausalData,
    treatment: NDArray[np.int64] | None = None,
    outcome: tuple[Array, Outcome] | None = None,
    covariates: Covariates | None = None,
) -> CausalData:
    """The same rows with another treatment, outcome or confounders.

    Parameters
    ----------
    data : CausalData
    treatment : ndarray of int, shape (n,), optional
        Codes under the same schema.
    outcome : tuple, optional
        Values, shape (n,), and what kind of variable they are.
    covariates : Covariates, n rows, optional
    """
    part = copy.copy(data)
    if covariates is not None:
        part.covariates, part.confounder_names = covariates, covariates.names
    values = data.outcome
    if outcome is not None:
        values, part.outcome_schema = outcome
    return _with(part, data.treatment if treatment is None else treatment, values, data.weights)


def with_generated(
    data: CausalData, source: NDArray[np.int64], treatment: NDArray[Any], outcome: Array
) -> CausalData:
    """The rows of a data set and generated ones below them, counted as synthetic.

    Estimators refuse such data; nuisance models may train on it.

    Parameters
    ----------
    data : CausalData, n rows
    source : ndarray of int, shape (m,)
        The row that each generated row was made from: it lends its covariates, weight and cluster.
    treatment, outcome : ndarray, shape (m,)
        What the generated rows have of their own.
    """
    part = copy.copy(data)
    every = np.concatenate([np.arange(data.n), source])
    part.covariates = data.covariates.rows(every)
    part.clusters = None if data.clusters is None else data.clusters[every]
    part.instrument = None if data.instrument is None else data.instrument[every]
    part.row_ids = data.row_ids[every]
    part.n_synthetic = data.n_synthetic + len(source)
    return _with(
        part,
        np.concatenate([data.treatment, treatment]),
        np.concatenate([data.outcome, outcome]),
        data.weights[every],
    )


def _with(data: CausalData, treatment: NDArray[Any], outcome: Array, weights: Array) -> CausalData:
    """Finish a copy: its own arrays, and the fingerprint of what it holds now."""
    data.treatment, data.outcome, data.weights = treatment, outcome, weights
    data.fingerprint = data._hash()
    for array in (data.treatment, data.outcome, data.covariates.values, data.weights):
        array.setflags(write=False)
    return data
