"""What a sensitivity analysis returns: one part a method, each with numbers and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from causal_ddpm.core.errors import DataError


class Part(Protocol):
    """What one method found."""

    def sentence(self) -> str:
        """The finding in plain words."""
        ...

    def quantities(self) -> dict[str, float]:
        """The headline numbers by name."""
        ...

    def to_frame(self) -> pd.DataFrame:
        """The method's own table."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        ...


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How strong hidden confounding must be to change a conclusion, by several yardsticks.

    Parameters
    ----------
    estimand : str
    value : float
        The estimate, under no hidden confounding.
    interval : tuple of float
        Its confidence interval.
    level : float
    null : float
        Effect that hidden confounding would have to explain the estimate down to.
    parts : mapping
        By method ("linear_ovb", "dml_ovb", "e_value", "rosenbaum", "msm").
    left_out : mapping
        Methods that do not apply here, with the reason.
    """

    estimand: str
    value: float
    interval: tuple[float, float]
    level: float
    null: float
    parts: Mapping[str, Part]
    left_out: Mapping[str, str]

    def __getitem__(self, method: str) -> Any:
        """The part of one method.

        Raises
        ------
        DataError
            If it is not there, with the reason.
        """
        if method in self.parts:
            return self.parts[method]
        raise DataError(
            f"there is no part '{method}'", " or ".join(self.parts), self.left_out.get(method, "")
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """One plain sentence a method."""
        return tuple(part.sentence() for part in self.parts.values())

    @property
    def details(self) -> dict[str, Any]:
        """Every part's numbers, JSON-ready."""
        return {name: part.to_dict() for name, part in self.parts.items()}

    def to_frame(self) -> pd.DataFrame:
        """One row a headline number: method, quantity, value."""
        rows = [
            (name, quantity, value)
            for name, part in self.parts.items()
            for quantity, value in part.quantities().items()
        ]
        return pd.DataFrame(rows, columns=["method", "quantity", "value"])

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {
            "estimand": self.estimand,
            "value": self.value,
            "interval": list(self.interval),
            "level": self.level,
            "null": self.null,
            "sentences": list(self.sentences),
            "left_out": dict(self.left_out),
            "methods": self.details,
        }

    def __repr__(self) -> str:
        low, high = self.interval
        lines = [
            f"Sensitivity of the {self.estimand}: {self.value:.6g} "
            f"({self.level:.0%} CI {low:.6g} to {high:.6g}) against {self.null:g}"
        ]
        lines += [f"  {sentence}" for sentence in self.sentences]
        lines += [f"  {name} left out: {reason}" for name, reason in self.left_out.items()]
        return "\n".join(lines)
