"""A neural spline flow (zuko) of whole rows of a mixed table.

Every column becomes a standard normal: numbers by their empirical law (scikit-learn's quantile
transform), classes by a uniform draw within the step of their distribution function,

    z = Phi^-1(u),     u ~ U(F(level - 1), F(level)),

so that marginal laws are right by construction. Columns come in blocks, causes before effects: the
covariates, the instrument, the treatment, the outcome. Each block has a flow of its own given the
blocks before it (Durkan et al. 2019), trained by Adam on the likelihood and stopped early on 15 %
held-out rows: one flow of all columns at once stops as soon as the covariates are overfitted, long
before it has learnt the outcome. What is given enters as the middle of its step, without the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import zuko
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from sklearn.preprocessing import QuantileTransformer

Array = NDArray[np.float64]
_STEPS, _BATCH, _PATIENCE, _EVERY = 3000, 256, 8, 25


@dataclass(frozen=True, eq=False)
class Levels:
    """A column of classes: its codes' distribution function, starting at zero."""

    cdf: Array

    @classmethod
    def of(cls, codes: Array) -> Levels:
        """From codes 0, 1, ..., all of which occur."""
        return cls(np.r_[0.0, np.cumsum(np.bincount(codes.astype(int))) / len(codes)])

    def scores(self, codes: Array, rng: np.random.Generator) -> Array:
        """Normal scores of codes."""
        low, high = self.cdf[codes.astype(int)], self.cdf[codes.astype(int) + 1]
        return ndtri(np.clip(low + (high - low) * rng.random(len(codes)), 1e-6, 1 - 1e-6))

    def middle(self, scores: Array) -> Array:
        """Scores without the noise within a step."""
        return ndtri((self.cdf[1:] + self.cdf[:-1]) / 2)[self.values(scores).astype(int)]

    def values(self, scores: Array) -> Array:
        """Codes of scores."""
        return np.searchsorted(self.cdf[1:-1], ndtr(scores), side="right").astype(float)


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of numbers."""

    transform: QuantileTransformer

    @classmethod
    def of(cls, x: Array) -> Numbers:
        """The empirical law."""
        return cls(QuantileTransformer(n_quantiles=len(x), output_distribution="normal").fit(
            x[:, None]
        ))  # fmt: skip

    def scores(self, x: Array, rng: np.random.Generator) -> Array:
        """Normal scores, where ties stay ties."""
        return np.clip(self.transform.transform(x[:, None])[:, 0], -4.0, 4.0)

    def middle(self, scores: Array) -> Array:
        """The scores themselves."""
        return scores

    def values(self, scores: Array) -> Array:
        """Numbers of scores."""
        return np.asarray(self.transform.inverse_transform(scores[:, None]))[:, 0]


@dataclass(frozen=True, eq=False)
class FittedFlow:
    """The flows of normal scores, block by block, and what turns scores into columns.

    Parameters
    ----------
    blocks : tuple of tuple of str
    columns : dict of str to Levels or Numbers
    flows : tuple
        One a block, given all columns before it.
    """

    blocks: tuple[tuple[str, ...], ...]
    columns: dict[str, Levels | Numbers]
    flows: tuple[Any, ...]

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """Draw n rows."""
        scores = np.empty((n, 0))
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            for flow in self.flows:
                given = _given(list(self.columns.values()), scores)
                new = flow(given).sample() if scores.shape[1] else flow().sample((n,))
                scores = np.column_stack([scores, new.double().numpy()])
        drawn = [column.values(scores[:, j]) for j, column in enumerate(self.columns.values())]
        return pd.DataFrame(dict(zip(self.columns, drawn, strict=True)))


def fit_flow(
    train: pd.DataFrame, blocks: tuple[tuple[str, ...], ...], classes: tuple[str, ...], seed: int
) -> FittedFlow:
    """Fit to a frame of numbers, in which ``classes`` are coded 0, 1, ..."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Levels | Numbers] = {
        k: (Levels if k in classes else Numbers).of(train[k].to_numpy(dtype=float))
        for block in blocks
        for k in block
    }
    z = np.column_stack([c.scores(train[k].to_numpy(dtype=float), rng) for k, c in columns.items()])
    given, rows = _given(list(columns.values()), z), torch.tensor(z, dtype=torch.float32)
    start, flows = 0, []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for block in blocks:
            end = start + len(block)
            flow = zuko.flows.NSF(end - start, start, transforms=1, hidden_features=(64, 64))
            _train(flow, rows[:, start:end], given[:, :start])
            flows.append(flow)
            start = end
    return FittedFlow(blocks, columns, tuple(flows))


def _given(columns: Sequence[Levels | Numbers], scores: Array) -> Any:
    """The first columns as a condition, shape of ``scores``."""
    parts = [columns[j].middle(scores[:, j]) for j in range(scores.shape[1])]
    both = np.column_stack(parts) if parts else scores
    return torch.tensor(both, dtype=torch.float32)


def _train(flow: Any, rows: Any, given: Any) -> None:
    """Adam on the likelihood; the weights with the best held-out likelihood stay."""
    order = torch.randperm(len(rows))
    held, train = order[: len(rows) * 15 // 100], order[len(rows) * 15 // 100 :]

    def loss(some: Any) -> Any:
        law = flow(given[some]) if given.shape[1] else flow()
        return -law.log_prob(rows[some]).mean()

    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3, weight_decay=1e-4)
    best, stale, state = np.inf, 0, flow.state_dict()
    for step in range(_STEPS):
        optimiser.zero_grad()
        loss(train[torch.randint(len(train), (_BATCH,))]).backward()
        optimiser.step()
        if step % _EVERY < _EVERY - 1:
            continue
        with torch.no_grad():
            score = float(loss(held))
        stale = 0 if score < best else stale + 1
        if score < best:
            best, state = score, {k: v.clone() for k, v in flow.state_dict().items()}
        if stale == _PATIENCE:
            break
    flow.load_state_dict(state)
