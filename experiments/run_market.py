"""What a tax does to a market, and shares that add up: economic constraints in two examples.

    python experiments/run_market.py

Markets come in equilibrium, so price and quantity alone show neither curve. Cost and income, which
shift one curve each, identify them; the joint law of the shocks is learnt; a tax is solved at
clearing in every draw and compared with the known equilibrium. Then spending shares of three goods
are learnt under a subsidy: every draw sums to one and none is negative.
"""

import argparse
import sys

import numpy as np
import pandas as pd
from in_words import told

from causal_ddpm import MarketModel, SupplyDemand, VectorOutcomeModel, shares

GOODS = ["food", "rent", "other"]


def tax(n: int, rate: float, seed: int) -> None:
    """The market under a tax, by instruments and by least squares."""
    design = SupplyDemand()
    drawn = design.draw(n, seed)
    known = design.equilibrium(drawn.frame[["income", "cost"]].to_numpy(), drawn.shocks, rate)
    print(f"{n:,} markets, a tax of {rate:.0%}")
    print(f"  mean price  now {drawn.frame['price'].mean():.3f}  known {known[0].mean():.3f}")
    for label, how in (("instruments", "instruments"), ("least squares", "none")):
        market = MarketModel(identification=how).fit(
            drawn.frame, "price", "quantity", ["income"], ["cost"], random_state=seed
        )
        found = market.tax(drawn.frame, rate, random_state=seed).summary()
        slopes = market.demand.coef[0], market.supply.coef[0]
        print(
            f"  by {label:14} price {found['consumer_price']:.3f}"
            f" ({found['consumer_price'] / known[0].mean() - 1:+.1%})"
            f"  demand {slopes[0]:+.2f} (-0.90)  supply {slopes[1]:+.2f} (+0.70)"
        )


def spending(n: int, seed: int) -> None:
    """Spending shares with and without a rent subsidy."""
    rng = np.random.default_rng(seed)
    income, family = rng.standard_normal((2, n))
    subsidy = (rng.random(n) < 1 / (1 + np.exp(income))).astype(int)
    logits = np.column_stack([0.4 * family - 0.3 * income, 0.5 - 0.4 * subsidy, 0.3 * income])
    spent = np.exp(logits + 0.4 * rng.standard_normal((n, 3)))
    frame = pd.DataFrame(spent / spent.sum(axis=1, keepdims=True), columns=GOODS).assign(
        income=income, family=family, subsidy=subsidy
    )
    law = VectorOutcomeModel(constraints=[shares(GOODS)]).fit(
        frame, "subsidy", GOODS, ["income", "family"], random_state=seed
    )
    rows = frame.head(200)
    drawn = law.sample(rows, 1, 100, random_state=seed)
    print(f"{n:,} households, shares of {', '.join(GOODS)}")
    print(f"  sums off by at most {np.abs(drawn.sum(axis=2) - 1).max():.1e}")
    print(f"  smallest share drawn {drawn.min():.4f}")
    print(f"  mean change with the subsidy {law.cate(rows).mean(axis=0).round(3)}")


def main(words: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=2000, help="markets and households")
    options.add_argument("--tax", type=float, default=0.2, help="rate of the tax (default 0.2)")
    options.add_argument("--random-state", type=int, default=0)
    args = options.parse_args(words)
    return told(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Both examples, one after the other."""
    tax(args.n, args.tax, args.random_state)
    spending(args.n // 2, args.random_state)


if __name__ == "__main__":
    sys.exit(main())
