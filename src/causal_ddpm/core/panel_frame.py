"""What a panel leaves behind: its cells as a long frame, and the hash of what it holds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from causal_ddpm.core.panel_data import PanelData


def long_frame(panel: PanelData) -> pd.DataFrame:
    """Observed cells under the user's names, sorted by unit and period.

    Treatment (0/1) and cohort (a period; missing for never) are both there, called ``treated`` and
    ``cohort`` where the user has no names for them.
    """
    import pandas as pd

    i, t = np.nonzero(panel.observed)
    start = pd.Series(panel.periods).reindex(panel.first[i])
    columns: dict[str, Any] = {
        panel.unit_name: panel.units[i],
        panel.period_name: panel.periods[t],
        panel.outcome_name: panel.y[i, t],
        panel.treated_name or _free_name(panel, "treated"): panel.treated[i, t].astype(np.int64),
        panel.cohort_name or _free_name(panel, "cohort"): start.to_numpy(),
    }
    for j, name in enumerate(panel.covariate_names):
        columns[name] = panel.x[i, t, j]
    if panel.weights is not None and panel.weights_name is not None:
        columns[panel.weights_name] = panel.weights[i]
    if panel.clusters is not None and panel.cluster_labels is not None:
        columns[str(panel.clusters_name)] = panel.cluster_labels[panel.clusters][i]
    return pd.DataFrame(columns)


def fingerprint(panel: PanelData) -> str:
    """SHA-256 of names, labels, cells, treatment, weights and clusters."""
    digest = hashlib.sha256()
    for texts in (_roles(panel), map(str, panel.units), map(str, panel.periods)):
        digest.update(("\x1f".join(texts) + "\x1e").encode())
    empty = np.empty(0)
    weights = empty if panel.weights is None else panel.weights
    clusters = empty if panel.clusters is None else panel.clusters
    for array in (panel.y, panel.x, panel.first, weights, clusters):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _roles(panel: PanelData) -> tuple[str, ...]:
    """Column names that are in use, but those of the treatment."""
    return (
        panel.unit_name, panel.period_name, panel.outcome_name, *panel.covariate_names,
        panel.weights_name or "", panel.clusters_name or "",
    )  # fmt: skip


def _free_name(panel: PanelData, name: str) -> str:
    """The name, with underscores where a column has it already."""
    while name in _roles(panel):
        name += "_"
    return name
