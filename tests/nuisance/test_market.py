"""Curves by instruments, and markets solved at clearing."""

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.core.errors import DataError, NotIdentifiedError
from causal_ddpm.dgp.supply_demand import CURVED, LOG_LINEAR
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.nuisance.market import FittedMarket, MarketModel

QUICK = DiffusionSettings(n_steps=150, hidden_dim=32)
COLUMNS = ("price", "quantity", ["income"], ["cost"])
DRAWN = LOG_LINEAR.draw(2000, 11)
Z = DRAWN.frame[["income", "cost"]].to_numpy()


@pytest.fixture(scope="module")
def market():
    return MarketModel(diffusion=QUICK).fit(DRAWN.frame, *COLUMNS)


def test_two_stages_equal_the_formula_by_hand(market):
    p, q = np.log(DRAWN.frame["price"]), np.log(DRAWN.frame["quantity"])
    cost, income = DRAWN.frame["cost"], DRAWN.frame["income"]
    rest = [v - np.polyval(np.polyfit(income, v, 1), income) for v in (p, q, cost)]
    slope = (rest[2] @ rest[1]) / (rest[2] @ rest[0])  # one instrument: a ratio of covariances
    assert market.demand.coef[0] == pytest.approx(slope, abs=1e-8)


def test_instruments_find_the_curves_and_least_squares_does_not(market):
    for curve, slope in ((market.demand, -0.9), (market.supply, 0.7)):
        assert abs(curve.coef[0] - slope) < 4 * curve.std_error[0]
        assert curve.std_error[0] < 0.1
    naive = MarketModel(identification="none", diffusion=QUICK).fit(DRAWN.frame, *COLUMNS)
    assert abs(naive.demand.coef[0] + 0.9) > 0.2


def test_a_taxed_market_has_the_known_price(market):
    outcome = market.tax(DRAWN.frame, 0.2, 20)
    known, _ = LOG_LINEAR.equilibrium(Z, DRAWN.shocks, 0.2)
    assert outcome.consumer_price.mean() == pytest.approx(known.mean(), rel=0.03)
    np.testing.assert_allclose(outcome.consumer_price, 1.2 * outcome.producer_price)
    assert outcome.summary()["revenue"] > 0


def test_markets_clear_in_every_draw(market):
    rng = np.random.default_rng(0)
    asked, offered = rng.standard_normal((2, 40, 30)) * 3
    wedge = np.log1p(0.3)
    p = market.clear(asked, offered, wedge)
    gap = market.demand.price_part(p + wedge) + asked - market.supply.price_part(p) - offered
    assert np.abs(gap).max() < 1e-9


def test_a_file_keeps_the_market(market, tmp_path):
    loaded = FittedMarket.load(market.save(tmp_path / "market.zip"))
    rows = DRAWN.frame.head(20)
    again, first = (m.tax(rows, 0.1, 5, 1).quantity for m in (loaded, market))
    np.testing.assert_array_equal(again, first)


def test_curved_markets():
    drawn = CURVED.draw(2000, 12)
    fitted = MarketModel(degree=2, diffusion=QUICK).fit(drawn.frame, *COLUMNS)
    known = drawn.truth.value("price(tax=0.2)")
    assert fitted.tax(drawn.frame, 0.2, 20).consumer_price.mean() == pytest.approx(known, rel=0.05)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda f: MarketModel(degree=0), DataError, "1, 2 or 3"),
        (lambda f: MarketModel(identification="iv"), DataError, "'instruments' or 'none'"),
        (lambda f: (f, "price", "quantity", ["income"], []), DataError, "no shifter of its own"),
        (lambda f: (f, "prize", "quantity", ["income"], ["cost"]), DataError, "'prize'"),
        (lambda f: (f.assign(price=-1.0), *COLUMNS), DataError, "positive numbers"),
        (lambda f: (f.assign(cost=np.nan), *COLUMNS), DataError, "missing or infinite"),
        (lambda f: (f.head(20), *COLUMNS), DataError, "at least 50"),
        (
            lambda f: (f.assign(cost=np.random.default_rng(0).standard_normal(len(f))), *COLUMNS),
            NotIdentifiedError,
            "hardly move the price",
        ),
    ],
)
def test_refusals(make, error, message):
    frame = pd.DataFrame(DRAWN.frame.head(400))
    with pytest.raises(error, match=message):
        MarketModel(diffusion=QUICK).fit(*make(frame))
