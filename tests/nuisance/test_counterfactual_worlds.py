"""Encoding an outcome in its own world and decoding it in the other: closed forms.

The law is Gaussian, Y(a) | x ~ N(x + a, s_a^2), so that z_a = (Y(a) - x - a) / s_a is known.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.distribution import mid_levels
from causal_ddpm.diffusion.conditional import DiffusionSettings
from causal_ddpm.nuisance.learners.link_ridge import LinkRidge
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel
from causal_ddpm.nuisance.stack import LocationStack
from causal_ddpm.nuisance.two_part import FittedParts

SD = np.array([1.0, 0.5])
STRENGTHS = (0.0, 0.5, 1.0, 2.0, 10.0)
N = 20_000


@dataclass(frozen=True)
class GaussianNodes:
    """Quantile nodes of N(x + a, s_a^2)."""

    def nodes(self, covariates, arm, n_nodes):
        return covariates.values + arm + SD[arm] * ndtri(mid_levels(n_nodes))


@pytest.fixture(scope="module")
def law():
    """A fitted law whose quantiles are replaced by the true ones."""
    settings = DiffusionSettings(n_members=1, n_steps=5, hidden_dim=8)
    members = (LinkRidge(link=False, cross_index=False),)
    model = PotentialOutcomeModel(stack=LocationStack(members), diffusion=settings, n_folds=3)
    data = CausalData(drawn(100), treatment="d", outcome="y", confounders=["x"])
    return replace(model.fit(data, random_state=0), part=FittedParts(GaussianNodes(), None))


@pytest.fixture(scope="module")
def rows():
    return drawn(N)


def drawn(n):
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=n), rng.integers(0, 2, n)
    return pd.DataFrame({"x": x, "d": d, "y": x + d + SD[d] * rng.normal(size=n)})


def both_worlds(law, rows, **coupling):
    """Outcomes and latents of every row in both worlds, shape (n, 2) each."""
    y = np.column_stack([law.counterfactual(rows, a, random_state=1, **coupling) for a in (0, 1)])
    return y, (y - rows[["x"]].to_numpy() - [0, 1]) / SD


def test_decoding_under_the_observed_arm_returns_the_observed_outcome(law, rows):
    for coupling in ({"treatment_strength": 3.0}, {"correlation": -0.4}):
        y, _ = both_worlds(law, rows, **coupling)
        own = np.take_along_axis(y, rows[["d"]].to_numpy(), axis=1)[:, 0]
        np.testing.assert_array_equal(own, rows["y"])


def test_there_and_back_is_the_identity_when_ranks_are_kept(law, rows):
    y, _ = both_worlds(law, rows)
    other = rows.assign(d=1 - rows["d"], y=np.where(rows["d"] == 1, y[:, 0], y[:, 1]))
    back, _ = both_worlds(law, other)
    own = np.take_along_axis(back, rows[["d"]].to_numpy(), axis=1)[:, 0]
    # Nodes at 64 levels end at 2.4 standard deviations; beyond, ranks are those of the last piece.
    inside = np.abs((rows["y"] - rows["x"] - rows["d"]) / SD[rows["d"]]) < 2.2
    np.testing.assert_allclose(own[inside], rows["y"][inside], atol=1e-6)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_latents_of_the_two_worlds_have_the_correlation_of_lambda(law, rows, strength):
    _, z = both_worlds(law, rows, treatment_strength=strength)
    rho = 1 / np.sqrt(1 + strength**2)
    for arm in (0, 1):
        found = np.corrcoef(z[rows["d"] == arm].T)[0, 1]
        assert found == pytest.approx(rho, abs=4 * (1 - rho**2) / np.sqrt(N / 2) + 0.005)


def test_the_mean_effect_is_constant_in_lambda_and_its_spread_grows(law, rows):
    effects = [
        np.diff(both_worlds(law, rows, treatment_strength=strength)[0], axis=1)[:, 0]
        for strength in STRENGTHS
    ]
    for strength, effect in zip(STRENGTHS, effects, strict=True):
        within = np.sqrt(SD @ SD - 2 * SD.prod() / np.sqrt(1 + strength**2))
        assert effect.mean() == pytest.approx(1.0, abs=4 * within / np.sqrt(N))
        assert effect.std() == pytest.approx(within, rel=0.03)
    assert (np.diff([effect.std() for effect in effects]) > 0).all()


def test_the_correlation_itself_may_be_negative(law, rows):
    _, z = both_worlds(law, rows, correlation=-0.7)
    assert np.corrcoef(z.T)[0, 1] == pytest.approx(-0.7, abs=0.02)
