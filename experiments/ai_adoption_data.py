"""Where the firms of run_ai_adoption.py come from, and which column plays which part.

A file that exists is read. The two default files, a cross-section and a panel in ``data/economic``,
are simulated where they are missing, with the truth beside them; every other missing file is
refused, so that a misspelt name is never answered with simulated rows.
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from causal_ddpm import CausalData, Network, PanelData
from causal_ddpm.cli.arguments import column_names
from causal_ddpm.cli.read import read_table, truth_beside
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth
from causal_ddpm.dgp import ai_adoption, ai_adoption_panel
from causal_ddpm.evaluation.provenance import Source

FIRMS = Path("data/economic/ai_adoption.csv")
PANEL = Path("data/economic/ai_adoption_panel.csv")
INDUSTRY = "industry"
SIMULATED_UNIT = "thousand dollars a worker"
WRITERS = {FIRMS: ai_adoption.write, PANEL: ai_adoption_panel.write}
SIZES = {FIRMS: 1000, PANEL: 120}


@dataclass(frozen=True, eq=False)
class Table:
    """A file that was read.

    Parameters
    ----------
    frame : DataFrame
    source : Source
        Its name, the unit of the outcome, and the truth if the rows are simulated.
    """

    frame: pd.DataFrame
    source: Source

    @property
    def truth(self) -> Truth | None:
        """What is true of simulated rows; None for real ones."""
        return self.source.truth


def table(path: Path, unit: str | None, random_state: int = 0) -> Table:
    """The rows of a file; a default file that is missing is simulated first.

    Raises
    ------
    DataError
        If the file is missing and none of the defaults, or cannot be read.
    """
    if path in WRITERS and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[path](path, SIZES[path], random_state)
    frame, truth = read_table(path), truth_beside(path)
    if unit is None and truth is not None:
        unit = SIMULATED_UNIT
    name = f"{path.name} (SIMULATED, design {truth.design})" if truth else path.name
    return Table(frame, Source(name, unit, truth))


def firms(rows: Table, args: Namespace) -> CausalData:
    """The cross-section with its roles.

    Raises
    ------
    DataError
        If a column is missing or no adjustment is asked for.
    """
    confounders = column_names(args.confounders)
    _check(rows, [args.treatment, args.outcome, *confounders, *given(args.clusters)])
    groups(confounders, args)
    return CausalData(
        rows.frame, args.treatment, args.outcome, confounders,
        clusters=args.clusters, weights=args.weights,
    )  # fmt: skip


def groups(confounders: Sequence[str], args: Namespace) -> list[str]:
    """Columns whose groups get effects of their own; industry, if it is among the confounders.

    Raises
    ------
    DataError
        If one that was asked for is no confounder.
    """
    if args.groups is None:
        return [name for name in [INDUSTRY] if name in confounders]
    asked = column_names(args.groups)
    for name in asked:
        if name not in confounders:
            raise DataError(
                f"--groups names '{name}'", f"some of the confounders: {', '.join(confounders)}"
            )
    return asked


def panel(rows: Table, args: Namespace) -> PanelData:
    """The panel of adoption dates."""
    outcome = args.panel_outcome or args.outcome
    _check(rows, [args.unit, args.period, outcome, args.adopted])
    return PanelData(
        rows.frame, args.unit, args.period, outcome, cohort=args.adopted,
        clusters=args.panel_clusters,
    )  # fmt: skip


def network(file: Path, rows: Table, args: Namespace) -> Network:
    """Links between firms: the first two columns of a file name firms, a third is a weight."""
    links = read_table(file)
    _check(rows, [args.id])
    if links.shape[1] < 2:
        raise DataError(
            f"'{file.name}' has {links.shape[1]} column", "two columns that name linked firms"
        )
    source, target, *weight = map(str, links.columns[:3])
    units = rows.frame[args.id]
    return Network.from_edges(links, source, target, units, weight[0] if weight else None)


def given(name: str | None) -> list[str]:
    """The name in a list, which is empty without one."""
    return [] if name is None else [name]


def _check(rows: Table, wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in rows.frame.columns]
    if missing:
        raise DataError(
            f"{rows.source.name} has no column '{missing[0]}'",
            "the columns that the options name",
            f"It has {', '.join(map(str, rows.frame.columns[:12]))}; say which plays which part "
            "with --treatment, --outcome, --confounders, or --unit, --period, --adopted.",
        )
