"""Draws of a design whose nuisances are known, and estimates made from them."""

import numpy as np
import pytest

from causal_ddpm import ATE, ATT, ATU
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.dgp.hidden_confounder import HiddenConfounder
from causal_ddpm.estimators.api import estimate_with
from causal_ddpm.nuisance.crossfit import Nuisances

DESIGN = HiddenConfounder(2.0)


def _oracle(draw, design=DESIGN):
    """What an analyst who knows the laws of Y | x, D = a would use."""
    x = draw.data.covariates.values
    return Nuisances(
        fold_ids=np.arange(draw.data.n) % 5,
        mean=np.column_stack([design.observed_mean(x, a) for a in (0, 1)]),
        propensity=draw.propensity,
        laws=tuple(ConditionalLaw(design.observed_quantile(x, a, mid_levels(32))) for a in (0, 1)),
        fingerprint=draw.data.fingerprint,
        method="oracle",
    )


@pytest.fixture(scope="session")
def oracle():
    """Function: draw of a hidden-confounder design to its observed nuisances."""
    return _oracle


@pytest.fixture(scope="session")
def drawn():
    """Six hundred rows."""
    return DESIGN.draw(600, seed=5)


@pytest.fixture(scope="session")
def nuisances(drawn):
    return _oracle(drawn)


@pytest.fixture(scope="session")
def estimates(drawn, nuisances):
    """ATE, ATT and ATU by name, by the textbook score that the bounds are written for."""
    asked = [ATE(calibrated=False), ATT(calibrated=False), ATU(calibrated=False)]
    found = estimate_with(drawn.data, asked, nuisances)
    return {estimate.estimand: estimate for estimate in found}
