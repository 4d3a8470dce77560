"""Effects on units that no data identify: do the bounds hold the truth of every coupling.

The designs `gauss` and `bimodal` of `causal_ddpm.dgp` have known laws of Y(0) and Y(1) given x.
Joined by a Gaussian copula with any correlation rho they give the same observed data, so one fit is
judged against the truth of every rho: the share of units that do not gain, the quantiles of the
effect, the sharp bounds, and the bounds that ignore the covariates.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd
from common import parser, run, write
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from causal_ddpm import fit_nuisances, joint_effects
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.random import Seed, integer_seed, stream
from causal_ddpm.dgp.confounded import BIMODAL, GAUSS, ConfoundedDesign
from causal_ddpm.evaluation.studies import Spec, Study, grid
from causal_ddpm.nuisance.oracle import OracleOutcomeModel, OraclePropensityModel

Array = NDArray[np.float64]
DESIGNS = {"gauss": GAUSS, "bimodal": BIMODAL}
CORRELATIONS = (-0.5, 0.0, 0.5, 0.9)
LEVELS = (0.1, 0.5, 0.9)
METHODS = ("oracle", "diffusion law")
FIRST_SEED = 7000
_REACH = 12.0


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Curve and bounds of one draw."""
    design = DESIGNS[spec["design"]]
    data = design.draw(spec["n"], FIRST_SEED + spec["draw"]).data
    models = oracle(design) if spec["method"] == "oracle" else {}
    nuisances = fit_nuisances(data, random_state=integer_seed(seed), **models)
    start = time.process_time()
    found = joint_effects(data, nuisances, correlations=CORRELATIONS, levels=LEVELS)
    out = {"seconds": time.process_time() - start}
    out |= {f"share@{r:g}": s for r, s in zip(CORRELATIONS, found.share, strict=True)}
    for bounds in found.bounds().to_dict("records"):
        name = bounds.pop("quantity")
        out |= {f"{name}:{key}": value for key, value in bounds.items()}
    return out


def oracle(design: ConfoundedDesign) -> dict[str, object]:
    """The true laws and propensities."""
    levels = mid_levels(64)
    return {
        "outcome_model": OracleOutcomeModel(
            [lambda x, a=a: design.mean(x, a) for a in (0, 1)],
            [lambda x, a=a: ConditionalLaw(design.quantile(x, a, levels)) for a in (0, 1)],
        ),
        "propensity_model": OraclePropensityModel(lambda x: design.propensity(x)[:, 1]),
    }


# -- the truth, without the library's estimators --------------------------------------------
@cache
def population(name: str) -> tuple[Array, Array, Array]:
    """Covariates, quantiles of Y(0) at 64 levels, and points over the outcome's range."""
    design = DESIGNS[name]
    x = stream(0, "bench-coupling").standard_normal((4000, design.n_covariates))
    q0 = design.quantile(x, 0, mid_levels(64))
    return x, q0, np.linspace(-_REACH, _REACH, 801)


def true_share(name: str, rho: float, delta: float = 0.0) -> float:
    """P(Y(1) - Y(0) <= delta) = E Phi((Phi^-1(F1(Q0(u) + delta)) - rho z) / sqrt(1 - rho^2))."""
    x, q0, _ = population(name)
    u1 = np.clip(DESIGNS[name].cdf(x, 1, q0 + delta), 1e-12, 1 - 1e-12)
    z0 = ndtri(mid_levels(q0.shape[1]))
    return float(ndtr((ndtri(u1) - rho * z0) / np.sqrt(1 - rho**2)).mean())


def sharp_bounds(name: str, delta: float = 0.0) -> tuple[float, float]:
    """Makarov bounds given x, averaged."""
    x, _, points = population(name)
    design = DESIGNS[name]
    gap = design.cdf(x, 1, points) - design.cdf(x, 0, points - delta)
    return (
        float(np.maximum(gap.max(axis=1), 0).mean()),
        float(1 + np.minimum(gap.min(axis=1), 0).mean()),
    )


def marginal_bounds(name: str, delta: float = 0.0) -> tuple[float, float]:
    """Makarov bounds of the marginal laws: what is known without covariates."""
    x, _, points = population(name)
    design = DESIGNS[name]
    gap = (design.cdf(x, 1, points) - design.cdf(x, 0, points - delta)).mean(axis=0)
    return float(max(gap.max(), 0)), float(1 + min(gap.min(), 0))


def true_quantile(name: str, rho: float, level: float) -> float:
    return float(brentq(lambda d: true_share(name, rho, d) - level, -_REACH, _REACH, xtol=1e-4))


# -- tables ---------------------------------------------------------------------------------
def bounds_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Bounds of the share: truth, estimates, coverage of the one-sided 95 % limits."""
    out = []
    for (design, method), part in rows.groupby(["design", "method"], sort=False):
        lower, upper = sharp_bounds(design)
        loose = marginal_bounds(design)
        low, high = part["share:lower_limit"], part["share:upper_limit"]
        out.append({
            "design": design, "method": method, "draws": len(part),
            "sharp": f"{lower:.3f} to {upper:.3f}",
            "without covariates": f"{loose[0]:.3f} to {loose[1]:.3f}",
            "estimated": f"{part['share:lower'].mean():.3f} to {part['share:upper'].mean():.3f}",
            "lower limit covers": float((low <= lower).mean()),
            "upper limit covers": float((high >= upper).mean()),
            "truths inside": float(inside(part, design).mean()),
            "width / without": float((part["share:upper"] - part["share:lower"]).mean()
                                     / (loose[1] - loose[0])),
            "seconds": part["seconds"].mean(),
        })  # fmt: skip
    return pd.DataFrame(out)


def inside(part: pd.DataFrame, design: str) -> Array:
    """Draws whose limits hold the share of every correlation."""
    truths = [true_share(design, rho) for rho in CORRELATIONS]
    low, high = part["share:lower_limit"], part["share:upper_limit"]
    return np.asarray((low <= min(truths)) & (high >= max(truths)))


def curve_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The curve at the correlation that made the truth."""
    out = []
    for (design, method), part in rows.groupby(["design", "method"], sort=False):
        for rho in CORRELATIONS:
            found, truth = part[f"share@{rho:g}"], true_share(design, rho)
            out.append({
                "design": design, "method": method, "rho": f"{rho:g}", "truth": truth,
                "mean": found.mean(), "rmse": float(np.sqrt(((found - truth) ** 2).mean())),
            })  # fmt: skip
    return pd.DataFrame(out)


def quantile_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the effect: truth at each correlation against the limits."""
    out = []
    for (design, method), part in rows.groupby(["design", "method"], sort=False):
        for level in LEVELS:
            truths = [true_quantile(design, rho, level) for rho in CORRELATIONS]
            lower, upper, low, high = (
                part[f"q{level:g}:{k}"] for k in ("lower", "upper", "lower_limit", "upper_limit")
            )
            out.append({
                "design": design, "method": method, "level": level,
                "truths": f"{min(truths):.2f} to {max(truths):.2f}",
                "bounds": f"{lower.mean():.2f} to {upper.mean():.2f}",
                "limits": f"{low.median():.2f} to {high.median():.2f}",
                "truths inside": float(((low <= min(truths)) & (high >= max(truths))).mean()),
            })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=20, help="draws read with the true laws")
    options.add_argument("--fits", type=int, default=10, help="draws with a fit of the law")
    options.add_argument("--n", type=int, default=1000, help="rows a draw (default 1000)")
    args = options.parse_args()
    specs = []
    for method, draws in zip(METHODS, (args.draws, args.fits), strict=True):
        numbers = range(1 if args.quick else draws)
        specs += grid(method=[method], design=list(DESIGNS), n=[args.n], draw=numbers)
    study = Study("coupling", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 2.0 if spec["method"] == "oracle" else 9.0)
    tables = [
        (f"{args.n} rows a draw. {BOUNDS}", bounds_table(rows)),
        (CURVE, curve_table(rows)),
        (QUANTILES, quantile_table(rows)),
    ]
    write("coupling", TITLE, rows, tables, args.quick, args.studies)


TITLE = "Effects on units: curves over the coupling and Makarov bounds"
BOUNDS = (
    "Share of units with Y(1) - Y(0) <= 0. `sharp`: true bounds given the covariates; `without "
    "covariates`: true bounds of the marginal laws, what a randomised trial alone would tell; "
    "`covers`: one-sided 95 % limits against the sharp bounds; `truths inside`: draws whose limits "
    "hold the true share at every correlation -.5, 0, .5, .9; `seconds`: CPU of `joint_effects`"
)
CURVE = "The plug-in curve of that share, read at the correlation rho that made the truth"
QUANTILES = (
    "Quantiles of the effect: range of the true ones over the same correlations, mean estimated "
    "bounds, median one-sided 95 % limits, and the share of draws whose limits hold them all"
)

if __name__ == "__main__":
    main()
