"""Everything an analysis of a panel says: effect, placebos, diagnostics, other methods.

JSON files, terminal tables and reports are made from :class:`PanelAnalysis` and from nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from causal_ddpm.core.estimate import SCHEMA_VERSION
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.panel_words import treatment_in_words
from causal_ddpm.core.truth import Truth
from causal_ddpm.estimators.panel.effect import PanelEffect
from causal_ddpm.evaluation.analysis import plain
from causal_ddpm.evaluation.provenance import Provenance, Source


class Part(Protocol):
    """A record inside the analysis."""

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        ...


@dataclass(frozen=True, eq=False)
class PanelAnalysis:
    """An analysis of a panel.

    Parameters
    ----------
    panel : PanelData
    source : Source
    effect : PanelEffect
        Ours, with its placebos.
    diagnostics : Part
        Trends before treatment, sensitivity, donors, placebos in time.
    methods : Part or None
        What other methods say; None where they were left out.
    provenance : Provenance
    """

    panel: PanelData
    source: Source
    effect: PanelEffect
    diagnostics: Part
    methods: Part | None
    provenance: Provenance

    @property
    def level(self) -> float:
        """Level of every interval and band."""
        return self.effect.level

    @property
    def truth(self) -> Truth | None:
        """What is true, when the rows are simulated."""
        return self.source.truth

    @property
    def outcome_label(self) -> str:
        """The outcome with its unit."""
        return self.source.labelled(self.panel.outcome_name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done instead of the default, and why; each sentence once."""
        return tuple(dict.fromkeys([*self.panel.notes, *self.effect.notes]))

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON types; what is not finite becomes null."""
        panel = self.panel
        content = {
            "schema_version": SCHEMA_VERSION,
            "panel": {
                "units": panel.shape[0],
                "periods": [str(label) for label in panel.periods],
                "observed_cells": int(panel.observed.sum()),
                "treatment": treatment_in_words(panel),
                "left_out": panel.left_out,
                "fingerprint": panel.fingerprint,
            },
            "effect": self.effect.to_dict(),
            "diagnostics": self.diagnostics.to_dict(),
            "methods": None if self.methods is None else self.methods.to_dict(),
            "assumptions": self.effect.assumptions,
            "notes": self.notes,
            "simulated": None if self.truth is None else self.truth.to_dict(),
            "provenance": self.provenance.to_dict(),
        }
        return dict(plain(content))

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
