"""Causal forest (EconML's CausalForestDML; Athey, Tibshirani and Wager 2019).

The forest learns conditional effects from cross-fitted residuals; the averages are the library's
own doubly robust scores over the rows (``ate_``, ``att_``), with their standard errors. The mean of
the conditional effects, or ``ate_interval``, would be something else: it has no such score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    CrossSectionBaseline,
    Scope,
    account,
    features,
    label_of,
)
from causal_ddpm.baselines.learners import N_FOLDS, classifier, regressor
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.core.reported import reported_estimate


@dataclass(frozen=True)
class CausalForest(CrossSectionBaseline):
    """A forest of effects, averaged by its doubly robust scores.

    Parameters
    ----------
    n_trees : int
        A multiple of four.
    """

    n_trees: int = 200
    name: ClassVar[str] = "causal-forest"
    title: ClassVar[str] = "Causal forest"
    assumes: ClassVar[str] = "no confounders beyond those named; overlap"
    library: ClassVar[str] = "econml"
    extra: ClassVar[str] = "baselines"
    scope: ClassVar[Scope] = Scope((ATE, ATT))

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        dml = load("econml.dml", self.extra)
        x, _ = features(data)
        with listening(self.library) as heard:
            forest = dml.CausalForestDML(
                model_y=regressor(random_state),
                model_t=classifier(random_state),
                discrete_treatment=True,
                cv=N_FOLDS,
                n_estimators=self.n_trees,
                min_samples_leaf=5,
                n_jobs=1,
                random_state=integer_seed(random_state, self.name),
            ).fit(np.array(data.outcome), data.treatment, X=x)
            found = (
                (forest.ate_, forest.ate_stderr_)
                if isinstance(estimand, ATE)
                else (forest.att_(T=1), forest.att_stderr_(T=1))
            )
            value, se = (float(np.ravel(number)[0]) for number in found)
        return reported_estimate(
            account(self, data, estimand, warnings=heard), value, se, [label_of(estimand)],
            level=level,
        )  # fmt: skip
