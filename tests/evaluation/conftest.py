"""Quick models of a twin: least squares by arm with normal noise, a plain logistic regression."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from causal_ddpm.core.data import CausalData, read_covariates
from causal_ddpm.core.discrete import DiscreteLaw, LatticeLaw
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.evaluation.twin.design import TwinDesign
from causal_ddpm.evaluation.twin.fit import TwinSettings
from causal_ddpm.nuisance.logistic import expit, fit_logistic


@dataclass(frozen=True)
class Lines:
    """Least squares of y on the confounders in each arm; ``kind`` shapes the law around it."""

    kind: str = "number"

    def fit(self, data, random_state):
        x = _design(data.covariates.values)
        coefs, sds = [], []
        for arm in (0, 1):
            own = data.treatment == arm
            coef, *_ = np.linalg.lstsq(x[own], data.outcome[own], rcond=None)
            coefs.append(coef)
            sds.append(np.std(data.outcome[own] - x[own] @ coef))
        return FittedLines(self.kind, data.covariates.columns, coefs, sds)


@dataclass(frozen=True)
class FittedLines:
    kind: str
    columns: tuple
    coefs: list
    sds: list

    def predictive(self, X, arm, n_nodes=32):
        center = _design(read_covariates(X, self.columns).values) @ self.coefs[arm]
        nodes = center[:, None] + self.sds[arm] * ndtri(mid_levels(n_nodes))
        if self.kind == "amount":
            positive = np.maximum(nodes, 1.0)
            return ConditionalLaw(positive, 0.0, expit(-center), (1.0, 1e6))
        if self.kind == "count":
            smooth = ConditionalLaw(np.exp(nodes / 4) * 2 - 0.5, support=(-0.5, np.inf))
            return LatticeLaw(smooth, 0.0, np.inf)
        if self.kind == "two values":
            p = expit(center)
            return DiscreteLaw(np.array([0.0, 1.0]), np.column_stack([1 - p, p]))
        if self.kind == "rating":
            return DiscreteLaw(np.arange(3.0), np.full((len(center), 3), 1 / 3))
        return ConditionalLaw(nodes)


@dataclass(frozen=True)
class Logistic:
    def fit(self, data, random_state):
        x = _design(data.covariates.values)[:, 1:]
        fitted = fit_logistic(x, data.treatment, None, 1.0)
        return FittedLogisticOf(data.covariates.columns, fitted)


@dataclass(frozen=True)
class FittedLogisticOf:
    columns: tuple
    fitted: object

    def predict(self, X):
        p = self.fitted.predict(_design(read_covariates(X, self.columns).values)[:, 1:])
        return np.column_stack([1 - p, p])


def quick(kind="number", **more):
    return TwinSettings(
        covariates="rows", outcome_model=Lines(kind), propensity_model=Logistic(), **more
    )


def people(n=1500, seed=0, missing=True, weights=False):
    """A confounded linear sample with numbers, a truth value, a category and missing cells."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 66, n).astype(float)
    skill = rng.standard_normal(n)
    member = rng.random(n) < 0.4
    region = np.array(["north", "south", "west"], dtype=object)[rng.integers(0, 3, n)]
    d = (rng.random(n) < expit(1.2 * skill + 0.03 * (age - 40))).astype(int)
    y = 2 + skill + 0.05 * (age - 40) + 0.5 * member + d + rng.standard_normal(n)
    if missing:
        skill = np.where(rng.random(n) < 0.05, np.nan, skill)
    frame = pd.DataFrame(
        {"age": age, "skill": skill, "member": member, "region": region, "d": d, "y": y}
    )
    if weights:
        frame["w"] = np.where(member, 3.0, 1.0)
    return CausalData(
        frame, "d", "y", ["age", "skill", "member", "region"], weights="w" if weights else None
    )


def _design(values):
    filled = np.where(np.isnan(values), 0.0, values)
    return np.column_stack([np.ones(len(values)), filled / [20.0, 1.0, 1.0, 1.0]])


LIGHT = SimpleNamespace(quick=quick, people=people)


@pytest.fixture(scope="session")
def light():
    """Quick settings of a twin, and a sample that has one."""
    return LIGHT


@pytest.fixture(scope="session")
def people_data():
    return people()


@pytest.fixture(scope="session")
def twin(people_data):
    """A linear twin as it was learnt."""
    return TwinDesign.fit(people_data, settings=quick(), random_state=1)
