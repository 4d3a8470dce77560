"""The market design: its equilibria clear, its truth is a brute-force mean, a seed is a draw."""

import numpy as np
import pytest

from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.supply_demand import CURVED, LOG_LINEAR

both = pytest.mark.parametrize("design", [LOG_LINEAR, CURVED], ids=lambda design: design.name)


@both
@pytest.mark.parametrize("tax", [0.0, 0.2, -0.1])
def test_supply_meets_demand(design, tax):
    drawn = design.draw(500, 1)
    z = drawn.frame[["income", "cost"]].to_numpy()
    price, quantity = design.equilibrium(z, drawn.shocks, tax)
    asked = design.demand(np.log(price), z[:, 0], drawn.shocks[:, 0])
    offered = design.supply(np.log(price) - np.log1p(tax), z[:, 1], drawn.shocks[:, 1])
    np.testing.assert_allclose(asked, offered, atol=1e-10)
    np.testing.assert_allclose(np.log(quantity), offered, atol=1e-10)


def test_the_log_linear_market_has_the_equilibrium_of_the_textbook():
    drawn = LOG_LINEAR.draw(200, 2)
    z, u = drawn.frame[["income", "cost"]].to_numpy(), drawn.shocks
    price, _ = LOG_LINEAR.equilibrium(z, u, 0.2)
    gap = 1 + 0.8 * z[:, 0] + u[:, 0] - (0.4 - 0.7 * z[:, 1] + u[:, 1])
    p_c = (gap + 0.7 * np.log(1.2)) / 1.6
    np.testing.assert_allclose(np.log(price), p_c, atol=1e-9)


@both
def test_the_truth_is_a_mean_over_markets(design):
    drawn = design.draw(40_000, 3)
    z = drawn.frame[["income", "cost"]].to_numpy()
    for label, tax in (("price", 0.0), ("price(tax=0.3)", 0.3)):
        price, _ = design.equilibrium(z, drawn.shocks, tax)
        error = price.std() / np.sqrt(len(price))
        assert abs(price.mean() - drawn.truth.value(label)) < 4 * error
    assert drawn.truth.sample["price"] == pytest.approx(drawn.frame["price"].mean())


def test_the_log_linear_truth_is_the_textbook_one():
    """Given income, log price is a mixture of two normals: E[exp] in closed form."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights, size = weights / weights.sum(), np.exp(0.15 * nodes)
    boom = 0.3 * 1.2 * size - 0.15 * 0.8 * size
    noise = ((0.3 - 0.15 * 0.3) ** 2 + 0.15**2) * size**2
    gap = 0.6 + 0.8 * 0.5 * nodes + 0.7 * np.log(1.2)
    variance = (noise + (0.7 * 0.5) ** 2) / 1.6**2
    expected = weights @ (np.exp(gap / 1.6 + variance / 2) * np.cosh(boom / 1.6))
    assert LOG_LINEAR.truth().value("price(tax=0.2)") == pytest.approx(expected, rel=3e-4)


@both
def test_shocks_are_centred_given_the_shifters_and_joint(design):
    drawn = design.draw(40_000, 4)
    z = drawn.frame[["income", "cost"]].to_numpy()
    for u in drawn.shocks.T:
        slopes = np.linalg.lstsq(np.column_stack([np.ones(len(z)), z]), u, rcond=None)[0]
        assert np.abs(slopes).max() < 4 * 2 * u.std() / np.sqrt(len(u))
    assert np.corrcoef(drawn.shocks.T)[0, 1] > 0.5


def test_a_seed_is_a_draw_and_bad_requests_are_refused():
    first, second = LOG_LINEAR.draw(50, 5), LOG_LINEAR.draw(50, 5)
    assert first.frame.equals(second.frame)
    assert not first.frame.equals(LOG_LINEAR.draw(50, 6).frame)
    with pytest.raises(DataError, match="a rate above -1"):
        LOG_LINEAR.equilibrium(np.zeros((2, 2)), np.zeros((2, 2)), -1)
    with pytest.raises(DataError, match="at least one row"):
        LOG_LINEAR.draw(0)
