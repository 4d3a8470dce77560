"""What a fit has to say of itself, for people: one record over the facts that models keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_OF_EACH = ("final_loss", "held_out_loss", "best_epoch")
_OF_ALL = (
    "n_steps", "skipped_steps", "resumed_at_step", "crossing_share", "seconds", "cpu_seconds",
    "device",
)  # fmt: skip


@dataclass(frozen=True)
class FitReport:
    """How a fit went; ``print`` it, or take its ``frame()``.

    Parameters
    ----------
    facts : mapping
        The JSON-ready report of the model, which holds ``networks``: one entry for each batch of
        networks that were trained together.
    """

    facts: Mapping[str, Any]

    @property
    def networks(self) -> list[Mapping[str, Any]]:
        """Reports of the batches; empty where nothing was trained."""
        return list(self.facts.get("networks", []))

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of training all networks."""
        return float(sum(batch["cpu_seconds"] for batch in self.networks))

    def frame(self) -> pd.DataFrame:
        """One row a network: losses, held-out score, and what its batch has in common.

        A network that has learnt nothing has a loss of about 1. Seconds are those of the batch.
        """
        import pandas as pd

        rows = []
        for number, batch in enumerate(self.networks):
            for k in range(len(batch["final_loss"])):
                own = {name: batch[name][k] if name in batch else np.nan for name in _OF_EACH}
                common = {name: batch.get(name, np.nan) for name in _OF_ALL}
                first = {"batch": number, "network": k, "first_loss": batch["loss_trace"][0]}
                rows.append(first | own | common)
        columns = ["batch", "network", "first_loss", *_OF_EACH, *_OF_ALL]
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        lines = [
            *self._choices(),
            *(self._training() if self.networks else ["nothing was trained"]),
        ]
        return "\n  ".join([str(self.facts.get("model", "diffusion")), *lines])

    def _choices(self) -> list[str]:
        lines = []
        for name, label in (("stack_weights", "stack weights"), ("atom_weights", "atom weights")):
            if self.facts.get(name):
                lines.append(_line(label, _listed(self.facts[name])))
        if "kappa" in self.facts:
            lines.append(_line("kappa", f"{self.facts['kappa']:.2f}"))
        return lines

    def _training(self) -> list[str]:
        table, batches = self.frame(), self.networks
        steps = _range(table["n_steps"])
        devices = ", ".join(sorted(set(table["device"])))
        lines = [
            _line("networks", f"{len(table)} in {len(batches)} batches, {steps} steps, {devices}"),
            _line("loss", f"{table['first_loss'].mean():.3f} at first, "
                  f"{table['final_loss'].mean():.3f} at last (1 without learning)"),
            _line("skipped steps", str(sum(b["skipped_steps"] for b in batches))),
            _line("crossing share", f"{table['crossing_share'].max():.3g}"),
            _line("CPU seconds", f"{self.cpu_seconds:.1f}"),
        ]  # fmt: skip
        if table["held_out_loss"].notna().any():
            best = f"{table['held_out_loss'].mean():.3f}, best epoch {_range(table['best_epoch'])}"
            lines.insert(2, _line("held-out loss", best))
        if table["resumed_at_step"].max() > 0:
            lines.append(_line("resumed", f"at step {_range(table['resumed_at_step'])}"))
        departures = {k: pair for b in batches for k, pair in b["departures"].items()}
        if departures:
            words = (f"{k} {given:g} (recipe {own:g})" for k, (given, own) in departures.items())
            lines.append(_line("departures", ", ".join(words)))
        return lines


def _line(label: str, text: str) -> str:
    return f"{label:<15}{text}"


def _listed(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
