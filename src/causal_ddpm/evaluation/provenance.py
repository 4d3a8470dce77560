"""Where an analysis came from: data, software, seed, settings, time, truth of a simulation."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from scipy.special import ndtri

from causal_ddpm import __version__
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.truth import Truth

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "lightgbm", "torch")


@dataclass(frozen=True)
class Reference:
    """A number from elsewhere that belongs beside the estimate, e.g. an experimental benchmark.

    Parameters
    ----------
    label : str
    value, std_error : float
    """

    label: str
    value: float
    std_error: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval."""
        reach = float(ndtri((1 + level) / 2)) * self.std_error
        return self.value - reach, self.value + reach


def read_truth(path: Path) -> Truth:
    """Read ``FILE.truth.json`` as a simulator writes it.

    Raises
    ------
    DataError
        If the file is no valid truth file.
    """
    try:
        return Truth.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"the truth file '{path}' cannot be read ({type(error).__name__})",
            "the JSON that 'causal-ddpm simulate' writes",
            "Delete it, or simulate the data again.",
        ) from error


@dataclass(frozen=True)
class Source:
    """What the rows are, beyond their values.

    Parameters
    ----------
    name : str
        File or data set.
    unit : str or None
        What the outcome is measured in, for labels, e.g. "1982 dollars".
    truth : Truth or None
        Present when the rows are simulated.
    references : tuple of Reference
        Numbers from elsewhere to show beside the estimates.
    """

    name: str = "data frame"
    unit: str | None = None
    truth: Truth | None = None
    references: tuple[Reference, ...] = ()

    def labelled(self, outcome: str) -> str:
        """The outcome with its unit."""
        return outcome + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True)
class Provenance:
    """How to make the analysis again.

    Parameters
    ----------
    source, data_hash : str
        Name of the data and SHA-256 of what was used of them.
    version, python : str
        Versions of this package and of Python.
    versions : mapping
        Versions of the libraries that compute.
    random_state : int or None
    settings : mapping
        Folds, repeats, level, models.
    created : str
        Date and time, UTC.
    wall_seconds, cpu_seconds : float
        Time of the analysis; processor time is that of the main process.
    """

    source: str
    data_hash: str
    version: str
    python: str
    versions: Mapping[str, str]
    random_state: int | None
    settings: Mapping[str, Any]
    created: str
    wall_seconds: float
    cpu_seconds: float

    @classmethod
    def now(
        cls,
        source: str,
        data_hash: str,
        random_state: int | None,
        settings: Mapping[str, Any],
        seconds: tuple[float, float],
    ) -> Provenance:
        """Stamp an analysis that took ``seconds`` (clock, processor)."""
        return cls(
            source=source,
            data_hash=data_hash,
            version=__version__,
            python=platform.python_version(),
            versions={name: metadata.version(name) for name in _LIBRARIES},
            random_state=random_state,
            settings=settings,
            created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            wall_seconds=seconds[0],
            cpu_seconds=seconds[1],
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)
