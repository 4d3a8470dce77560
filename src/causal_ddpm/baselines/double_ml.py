"""Double machine learning (DoubleML; Chernozhukov et al. 2018).

    PLR    y = theta d + g(x) + u                  one theta; d may be a dose
    IRM    y = g(d, x) + u, e(x) = P(d = 1 | x)    the doubly robust score of the ATE or ATT
    IIVM   the same with a binary instrument       the doubly robust ratio of the LATE

Nuisances are cross-fitted over five folds drawn here, so that results follow ``random_state``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from causal_ddpm.baselines.base import listening, load
from causal_ddpm.baselines.cross_section import (
    MEANS,
    CrossSectionBaseline,
    Scope,
    account,
    features,
    label_of,
)
from causal_ddpm.baselines.learners import CLIP, classifier, folds, regressor
from causal_ddpm.core.data import CausalData
from causal_ddpm.core.estimand import ATE, ATT, LATE, Estimand
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.core.reported import reported_estimate

_UNCONFOUNDED = "no confounders beyond those named"


@dataclass(frozen=True)
class _DoubleMachineLearning(CrossSectionBaseline):
    """What the three models share.

    Parameters
    ----------
    outcome_learner, treatment_learner : scikit-learn regressor and classifier, optional
        Boosted trees by default. For a dose both are regressors.
    """

    outcome_learner: Any = None
    treatment_learner: Any = None
    library: ClassVar[str] = "doubleml"
    extra: ClassVar[str] = "baselines"

    def _answer(
        self, data: CausalData, estimand: Estimand, random_state: Seed, level: float
    ) -> Estimate:
        doubleml = load(self.library, self.extra)
        x, _ = features(data)
        z = None if data.instrument is None or not self.scope.instrument else data.instrument
        rows = doubleml.DoubleMLData.from_arrays(
            x, np.array(data.outcome), data.treatment.astype(float), z
        )
        strata = self._strata(data)
        with listening(self.library) as heard:
            model = self._model(doubleml, rows, data, estimand, random_state)
            model.set_sample_splitting([folds(strata, random_state)])
            model.fit()
            value, se = float(model.coef[0]), float(model.se[0])
        return reported_estimate(
            account(self, data, estimand, warnings=heard), value, se, [label_of(estimand)],
            level=level,
        )  # fmt: skip

    def _strata(self, data: CausalData) -> Any:
        """Codes whose shares are equal in all folds."""
        binary = data.treatment_schema.kind == "binary"
        return data.treatment if binary else np.zeros(data.n, dtype=int)

    @abstractmethod
    def _model(
        self, doubleml: Any, rows: Any, data: CausalData, estimand: Estimand, random_state: Seed
    ) -> Any:
        """The library's model, not yet fitted."""

    def _outcome(self, random_state: Seed) -> Any:
        # Asked with `is None`: an unfitted forest has a length, which it cannot tell.
        given = self.outcome_learner
        return regressor(random_state) if given is None else given

    def _treatment(self, random_state: Seed, name: str = "treatment") -> Any:
        given = self.treatment_learner
        return classifier(random_state, name) if given is None else given


class PartiallyLinear(_DoubleMachineLearning):
    """The partially linear regression."""

    name: ClassVar[str] = "plr"
    title: ClassVar[str] = "DML, partially linear"
    assumes: ClassVar[str] = f"{_UNCONFOUNDED}; one effect for all"
    scope: ClassVar[Scope] = Scope(MEANS, slope=True)

    def _model(
        self, doubleml: Any, rows: Any, data: CausalData, estimand: Estimand, random_state: Seed
    ) -> Any:
        dose = data.treatment_schema.kind == "dose" and self.treatment_learner is None
        return doubleml.DoubleMLPLR(
            rows,
            ml_l=self._outcome(random_state),
            ml_m=regressor(random_state, "treatment") if dose else self._treatment(random_state),
            draw_sample_splitting=False,
        )


class InteractiveRegression(_DoubleMachineLearning):
    """The interactive regression: AIPW."""

    name: ClassVar[str] = "irm"
    title: ClassVar[str] = "DML, interactive (AIPW)"
    assumes: ClassVar[str] = f"{_UNCONFOUNDED}; overlap"
    scope: ClassVar[Scope] = Scope((ATE, ATT))

    def _model(
        self, doubleml: Any, rows: Any, data: CausalData, estimand: Estimand, random_state: Seed
    ) -> Any:
        return doubleml.DoubleMLIRM(
            rows, ml_g=self._outcome(random_state), ml_m=self._treatment(random_state),
            score="ATE" if isinstance(estimand, ATE) else "ATTE",
            ps_processor_config=_clipped(doubleml), draw_sample_splitting=False,
        )  # fmt: skip


class InteractiveInstrument(_DoubleMachineLearning):
    """The interactive model with a binary instrument."""

    name: ClassVar[str] = "iivm"
    title: ClassVar[str] = "DML, interactive instrument"
    assumes: ClassVar[str] = (
        "an instrument as good as random given the confounders, that touches the outcome only "
        "through the treatment and moves nobody away from it; overlap of its two values"
    )
    scope: ClassVar[Scope] = Scope((LATE,), instrument=True)

    def _strata(self, data: CausalData) -> Any:
        return 2 * data.treatment + np.asarray(data.instrument)

    def _model(
        self, doubleml: Any, rows: Any, data: CausalData, estimand: Estimand, random_state: Seed
    ) -> Any:
        return doubleml.DoubleMLIIVM(
            rows, ml_g=self._outcome(random_state),
            ml_m=self._treatment(random_state, "instrument"), ml_r=self._treatment(random_state),
            subgroups=_who_is_there(data),
            ps_processor_config=_clipped(doubleml), draw_sample_splitting=False,
        )  # fmt: skip


def _clipped(doubleml: Any) -> Any:
    return doubleml.utils.PSProcessorConfig(clipping_threshold=CLIP)


def _who_is_there(data: CausalData) -> dict[str, bool]:
    """Whether some take the treatment without the instrument, or leave it with it."""
    d, z = data.treatment, np.asarray(data.instrument)
    return {"always_takers": bool(d[z == 0].any()), "never_takers": bool((d[z == 1] == 0).any())}
