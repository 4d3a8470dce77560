"""What a simulator knows: the true effects, for the population and for the rows it drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from causal_ddpm.core.errors import DataError

SIMULATED = "simulated"
"""The word that marks the provenance of every truth."""


@dataclass(frozen=True)
class Truth:
    """True effects by the name under which estimates report them, e.g. "ATE" or "QTE(0.25)".

    Parameters
    ----------
    design : str
        Name of the design.
    population : mapping
        Values in the population that the design draws from.
    sample : mapping
        Values for the very rows drawn, from both of their potential outcomes; empty for a truth
        that belongs to no sample.
    efficiency_sd : mapping
        Semiparametric efficiency bounds: efficiency_sd / sqrt(n) is the smallest possible standard
        error of a regular estimator of the population value.
    equations : tuple of str
        The design, in words and formulas.
    seed : int or None
        Seed of the draw.
    provenance : str
        Always "simulated".
    """

    design: str
    population: Mapping[str, float]
    sample: Mapping[str, float] = field(default_factory=dict)
    efficiency_sd: Mapping[str, float] = field(default_factory=dict)
    equations: tuple[str, ...] = ()
    seed: int | None = None
    provenance: str = SIMULATED

    def value(self, name: str) -> float:
        """Population value of an estimand.

        Raises
        ------
        DataError
            If the design does not know it.
        """
        if name not in self.population:
            raise DataError(
                f"the design '{self.design}' knows no '{name}'", ", ".join(self.population)
            )
        return float(self.population[name])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields; :meth:`from_dict` reads them back."""
        out = asdict(self)
        out["equations"] = list(self.equations)
        return out

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> Truth:
        """Inverse of :meth:`to_dict`."""
        fields = dict(source)
        fields["equations"] = tuple(fields.get("equations", ()))
        return cls(**fields)


def truth_path(path: str | Path) -> Path:
    """Where the truth of a simulated file is kept: ``FILE.truth.json``."""
    return Path(f"{path}.truth.json")
