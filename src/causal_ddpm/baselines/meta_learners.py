"""Meta-learners (EconML; Kuenzel et al. 2019; Kennedy 2023).

    S   mu(x, d) by one regression;                          effect mu(x, 1) - mu(x, 0)
    T   mu_d(x) by one regression an arm;                    effect mu_1(x) - mu_0(x)
    X   T, then regressions of the imputed effects d - ...,  weighted by the propensity
    DR  doubly robust scores, cross-fitted;                  their mean is the ATE

Averages of S, T and X over rows are plug-ins: trees shrink, and no theory gives them a standard
error. Theirs is the spread over bootstrap samples, drawn by cluster where there are clusters, and
does not see the bias that shrinking leaves. The DR-learner has a score and its standard error.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    MEANS,
    Array,
    CrossSectionBaseline,
    Scope,
    account,
    features,
    group_indicator,
    label_of,
)
from causal_ddpm.baselines.learners import CLIP, N_FOLDS, classifier, regressor
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.core.reported import reported_estimate

_ASSUMES = (
    "no confounders beyond those named; regressions that do not shrink the effect (bootstrap "
    "intervals do not see that bias)"
)


class DRLearner(CrossSectionBaseline):
    """The mean of cross-fitted doubly robust scores: one effect for the final model."""

    name: ClassVar[str] = "dr-learner"
    title: ClassVar[str] = "DR-learner"
    assumes: ClassVar[str] = "no confounders beyond those named; overlap"
    library: ClassVar[str] = "econml"
    extra: ClassVar[str] = "baselines"
    scope: ClassVar[Scope] = Scope((ATE,))

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        dr = load("econml.dr", self.extra)
        x, _ = features(data)
        with listening(self.library) as heard:
            model = dr.LinearDRLearner(
                model_propensity=classifier(random_state),
                model_regression=regressor(random_state),
                min_propensity=CLIP,
                cv=N_FOLDS,
                random_state=integer_seed(random_state, self.name),
            ).fit(np.array(data.outcome), data.treatment, X=None, W=x)
            found = model.intercept__inference(T=1)
            value, se = float(found.point_estimate), float(found.stderr)
        return reported_estimate(
            account(self, data, estimand, warnings=heard), value, se, [label_of(estimand)],
            level=level,
        )  # fmt: skip


@dataclass(frozen=True)
class _PlugIn(CrossSectionBaseline):
    """Averages of estimated effects, with bootstrap standard errors.

    Parameters
    ----------
    n_bootstrap : int
        Bootstrap samples; with 50 the standard error itself is uncertain by a tenth.
    """

    n_bootstrap: int = 50
    assumes: ClassVar[str] = _ASSUMES
    library: ClassVar[str] = "econml"
    extra: ClassVar[str] = "baselines"
    scope: ClassVar[Scope] = Scope(MEANS, clusters=True)

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        library = load("econml.metalearners", self.extra)
        x, _ = features(data)
        rows = (x, data.treatment, np.array(data.outcome), group_indicator(data, estimand))
        with listening(self.library) as heard:
            value = self._average(library, rows, random_state)
            draws = [
                self._average(library, tuple(v[index] for v in rows), random_state)
                for index in resamples(data, self.n_bootstrap, random_state)
            ]
        df = None if data.clusters is None else float(len(np.unique(data.clusters)) - 1)
        return reported_estimate(
            account(self, data, estimand, {"bootstrap_samples": self.n_bootstrap}, heard),
            value, float(np.std(draws, ddof=1)), [label_of(estimand)], level=level, df=df,
        )  # fmt: skip

    def _average(self, library: Any, rows: tuple[Any, ...], random_state: Seed) -> float:
        """Mean effect over the rows in question, of a model fitted to all rows."""
        x, d, y, who = rows
        model = self._learner(library, random_state).fit(y, d, X=x)
        return float(np.mean(model.effect(x[who])))

    @abstractmethod
    def _learner(self, library: Any, random_state: Seed) -> Any:
        """The library's learner, not yet fitted."""


class SLearner(_PlugIn):
    """One regression on confounders and treatment."""

    name: ClassVar[str] = "s-learner"
    title: ClassVar[str] = "S-learner"

    def _learner(self, library: Any, random_state: Seed) -> Any:
        return library.SLearner(overall_model=regressor(random_state))


class TLearner(_PlugIn):
    """One regression an arm."""

    name: ClassVar[str] = "t-learner"
    title: ClassVar[str] = "T-learner"

    def _learner(self, library: Any, random_state: Seed) -> Any:
        return library.TLearner(models=regressor(random_state))


class XLearner(_PlugIn):
    """Imputed effects of either arm, weighted by the propensity."""

    name: ClassVar[str] = "x-learner"
    title: ClassVar[str] = "X-learner"

    def _learner(self, library: Any, random_state: Seed) -> Any:
        return library.XLearner(
            models=regressor(random_state), propensity_model=classifier(random_state)
        )


def resamples(data: CausalData, n_samples: int, random_state: Seed) -> list[NDArray[np.int64]]:
    """Rows of bootstrap samples, drawn within the arms; whole clusters where there are some."""
    rng = stream(random_state, "bootstrap")
    if data.clusters is None:
        arms = [np.flatnonzero(data.treatment == a) for a in (0, 1)]
        return [
            np.concatenate([rng.choice(rows, len(rows)) for rows in arms]) for _ in range(n_samples)
        ]
    members = [np.flatnonzero(data.clusters == g) for g in np.unique(data.clusters)]
    return [_whole_clusters(members, data.treatment, rng) for _ in range(n_samples)]


def _whole_clusters(
    members: list[NDArray[np.int64]], treatment: Array, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of as many clusters drawn with replacement, drawn anew until both arms are there."""
    while True:
        rows = np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))])
        if 0 < treatment[rows].sum() < len(rows):
            return rows
