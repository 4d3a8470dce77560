"""The library itself, with default settings and all columns but two as confounders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Sample
from numpy.typing import NDArray
from peers import Effect, normal_effect

Array = NDArray[np.float64]
ESTIMANDS = ("ATE", "ATT")


def causal_data(frame: pd.DataFrame, treatment: str = "treatment", outcome: str = "outcome") -> Any:
    """All other columns are confounders."""
    from causal_ddpm import CausalData

    confounders = [c for c in frame.columns if c not in (treatment, outcome)]
    return CausalData(frame, treatment=treatment, outcome=outcome, confounders=confounders)


def cate(sample: Sample, seed: int, without: Sequence[str] = ()) -> Array:
    """Plug-in CATE of the test rows, optionally without some members of the location stack."""
    from causal_ddpm import PotentialOutcomeModel

    settings = {"stack": stack_without(without)} if without else {}
    model = PotentialOutcomeModel(**settings)
    law = model.fit(causal_data(sample.frame()), random_state=seed)
    return np.asarray(law.cate(sample.X_test, arm=1, control=0))


def stack_without(names: Sequence[str]) -> Any:
    """The default location stack less the named members."""
    from causal_ddpm.nuisance.stack import LocationStack, default_members

    members = default_members()
    unknown = set(names) - {member.name for member in members}
    if unknown:
        raise ValueError(f"the stack has no member {sorted(unknown)}")
    return LocationStack(members=tuple(m for m in members if m.name not in names))


def effect(data: Any, estimand: str, seed: int, n_jobs: int = 1) -> Effect:
    """One doubly robust effect, "ATE" or "ATT"."""
    return job(data, seed, n_jobs, (estimand,))[0]


def job(data: Any, seed: int, n_jobs: int = 1, names: Sequence[str] = ESTIMANDS) -> list[Effect]:
    """The whole job: fit once, estimate every named effect."""
    import causal_ddpm

    wanted = [getattr(causal_ddpm, name)() for name in names]
    found = causal_ddpm.estimate_effects(data, wanted, random_state=seed, n_jobs=n_jobs)
    return [Effect(e.value, e.std_error, *e.interval()) for e in found]


def ate_and_plug_in(data: Any, seed: int) -> tuple[Effect, Effect]:
    """The doubly robust ATE, and the mean of the same out-of-fold CATE with its naive error."""
    from causal_ddpm import ATE, fit_nuisances
    from causal_ddpm.estimators.api import estimate_with

    nuisances = fit_nuisances(data, random_state=seed)
    ate = estimate_with(data, ATE(), nuisances, random_state=seed)[0]
    tau = nuisances.mean[:, 1] - nuisances.mean[:, 0]
    naive_error = tau.std(ddof=1) / np.sqrt(len(tau))
    return Effect(ate.value, ate.std_error, *ate.interval()), normal_effect(tau.mean(), naive_error)
