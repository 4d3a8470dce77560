"""Nuisances without learning: oracles of a design, and light models for simulations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.protocols import OutcomePredictions
from causal_ddpm.nuisance.crossfit import Nuisances


def _oracle(draw, design=None, n_nodes=32):
    """True means and propensities of a draw; true laws when the design is given."""
    laws = None
    if design is not None:
        x = draw.data.covariates.values
        laws = tuple(ConditionalLaw(design.quantile(x, a, mid_levels(n_nodes))) for a in (0, 1))
    return _given(draw.data, draw.mean, draw.propensity, laws)


def _given(data, mean, propensity, laws=None):
    """Nuisances with the arrays given."""
    return Nuisances(
        fold_ids=np.arange(data.n) % 5,
        mean=np.asarray(mean, dtype=float),
        propensity=np.asarray(propensity, dtype=float),
        laws=laws,
        fingerprint=data.fingerprint,
        method="given nuisances",
    )


def _small_sample(n=120, seed=0):
    """Arbitrary outcomes, nuisances and weights: formulas must hold for any numbers."""
    rng = np.random.default_rng(seed)
    e1 = rng.uniform(0.25, 0.75, n)
    d = (rng.random(n) < e1).astype(int)
    frame = pd.DataFrame({
        "y": rng.normal(size=n), "d": d, "x": rng.normal(size=n),
        "w": rng.integers(0, 4, n), "g": rng.integers(0, 12, n),
    })  # fmt: skip
    mean = rng.normal(size=(n, 2))
    laws = tuple(ConditionalLaw(np.sort(rng.normal(size=(n, 8)), axis=1)) for _ in (0, 1))
    return frame, mean, np.column_stack([1 - e1, e1]), laws


@dataclass(frozen=True)
class LinearOutcome:
    """Least squares in each arm; the law is Gaussian with the residual spread."""

    name: str = "least squares"
    with_laws: bool = False

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1, progress=None):
        x = np.column_stack([np.ones(data.n), data.covariates.values])
        arms = range(len(data.arms))
        mean, spread = np.empty((data.n, len(arms))), np.empty((data.n, len(arms)))
        for fold in np.unique(fold_ids):
            test = fold_ids == fold
            for arm in arms:
                train = ~test & (data.treatment == arm)
                coef, *_ = np.linalg.lstsq(x[train], data.outcome[train], rcond=None)
                mean[test, arm] = x[test] @ coef
                spread[test, arm] = np.std(data.outcome[train] - x[train] @ coef)
        z = np.array([-1.86, -1.32, -1.01, -0.78, -0.58, -0.4, -0.24, -0.08])
        z = np.concatenate([z, -z[::-1]])
        laws = tuple(ConditionalLaw(mean[:, [a]] + spread[:, [a]] * z) for a in arms)
        return OutcomePredictions(mean, laws if self.with_laws else None)


@dataclass(frozen=True)
class LogisticPropensity:
    """Logistic regressions on standardised covariates by Newton's method, with a touch of ridge.

    Several arms have one each, brought to sum to one.
    """

    name: str = "logistic regression"

    def cross_fit(self, data, fold_ids, random_state, n_jobs=1):
        x = data.covariates.values
        x = np.column_stack([np.ones(data.n), (x - x.mean(axis=0)) / x.std(axis=0)])
        arms = range(len(data.arms)) if len(data.arms) > 2 else (1,)
        e = np.empty((data.n, len(data.arms)))
        for fold in np.unique(fold_ids):
            test = fold_ids == fold
            for arm in arms:
                e[test, arm] = expit(x[test] @ _newton(x[~test], data.treatment[~test] == arm))
        if len(data.arms) == 2:
            e[:, 0] = 1 - e[:, 1]
        return e / e.sum(axis=1, keepdims=True), {}


def _newton(x, d):
    coef, ridge = np.zeros(x.shape[1]), np.eye(x.shape[1])
    for _ in range(12):
        e = expit(x @ coef)
        gradient = x.T @ (d - e) - coef
        coef = coef + np.linalg.solve((x * (e * (1 - e))[:, None]).T @ x + ridge, gradient)
    return coef


@pytest.fixture
def oracle():
    """Function: draw (and design) to true nuisances."""
    return _oracle


@pytest.fixture
def given():
    """Function: data and arrays to nuisances."""
    return _given


@pytest.fixture
def small_sample():
    """Function: frame, means, propensities and laws of arbitrary numbers."""
    return _small_sample


@pytest.fixture
def light_models():
    """Outcome and propensity models that fit in milliseconds."""
    return {"outcome_model": LinearOutcome(), "propensity_model": LogisticPropensity()}


@pytest.fixture
def light_models_with_laws():
    """The same, with Gaussian laws."""
    return {
        "outcome_model": LinearOutcome(with_laws=True),
        "propensity_model": LogisticPropensity(),
    }


@pytest.fixture
def as_data():
    """Function: a frame with columns y, d, x to CausalData."""

    def build(frame, **roles):
        return CausalData(frame, treatment="d", outcome="y", confounders=["x"], **roles)

    return build
