"""Whether bounds under hidden confounding, and the checks of a refutation, hold their level.

Three studies. *hidden*: the design whose binary hidden confounder attains the upper bound at
Lambda = 2, ATE, 500 rows, with nuisances known or fitted (least squares in each arm with a normal
law, logistic regression). *pipeline*: the default pipeline's fits of the coverage study (those that
are there), sharp bounds of the ATE at Lambda = 2. *refute*: p-values of the checks on the linear
design, 400 rows, four runs each of least squares and logistic regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from scipy.special import expit
from scipy.stats import norm

from causal_ddpm import ATE, Nuisances, refute
from causal_ddpm.core.distribution import ConditionalLaw, mid_levels
from causal_ddpm.core.protocols import OutcomePredictions
from causal_ddpm.core.random import Seed, stream
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.confounded import LINEAR
from causal_ddpm.dgp.hidden_confounder import HiddenConfounder
from causal_ddpm.evaluation.coverage.fits import fits_study, read_fit
from causal_ddpm.evaluation.sensitivity.msm import effect_bound
from causal_ddpm.evaluation.studies import Spec, Study, grid
from causal_ddpm.nuisance.crossfit import fit_nuisances

LAMBDA, Z, FIRST_SEED = 2.0, norm.ppf(0.975), 90_000
DRAWS = {"hidden": 300, "refute": 150}


@dataclass(frozen=True)
class NormalLeastSquares:
    """Least squares in each arm; the law is normal with the residual spread of the arm."""

    name: str = "least squares"

    def cross_fit(
        self,
        data: Any,
        fold_ids: np.ndarray,
        random_state: Seed,
        n_jobs: int = 1,
        progress: Any = None,
    ) -> OutcomePredictions:
        """See the OutcomeModel protocol."""
        x = np.column_stack([np.ones(data.n), data.covariates.values])
        mean, spread = np.empty((data.n, 2)), np.empty((data.n, 2))
        for fold in np.unique(fold_ids):
            test = fold_ids == fold
            for arm in (0, 1):
                train = ~test & (data.treatment == arm)
                coef, *_ = np.linalg.lstsq(x[train], data.outcome[train], rcond=None)
                mean[test, arm] = x[test] @ coef
                spread[test, arm] = np.std(data.outcome[train] - x[train] @ coef)
        z = norm.ppf(mid_levels(64))
        laws = tuple(ConditionalLaw(mean[:, [a]] + spread[:, [a]] * z) for a in (0, 1))
        return OutcomePredictions(mean, laws)


@dataclass(frozen=True)
class NewtonLogistic:
    """Logistic regression by Newton's method with a touch of ridge."""

    def cross_fit(
        self, data: Any, fold_ids: np.ndarray, random_state: Seed, n_jobs: int = 1
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """See the PropensityModel protocol."""
        x = np.column_stack([np.ones(data.n), data.covariates.values])
        e1 = np.empty(data.n)
        for fold in np.unique(fold_ids):
            test, coef = fold_ids == fold, np.zeros(x.shape[1])
            own, d = x[~test], data.treatment[~test]
            for _ in range(10):
                e = expit(own @ coef)
                hessian = (own * (e * (1 - e))[:, None]).T @ own + np.eye(len(coef))
                coef = coef + np.linalg.solve(hessian, own.T @ (d - e) - coef)
            e1[test] = expit(x[test] @ coef)
        return np.column_stack([1 - e1, e1]), {}


MODELS = {"outcome_model": NormalLeastSquares(), "propensity_model": NewtonLogistic()}


def hidden(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Bounds of one draw at Lambda, and the interval that assumes no hidden confounder."""
    design = HiddenConfounder(LAMBDA)
    draw = design.draw(500, FIRST_SEED + int(spec["draw"]))
    x = draw.data.covariates.values
    if spec["nuisances"] == "oracle":
        laws = tuple(ConditionalLaw(design.observed_quantile(x, a, mid_levels(64))) for a in (0, 1))
        mean = np.column_stack([design.observed_mean(x, a) for a in (0, 1)])
        folds = np.arange(draw.data.n) % 5
        given = Nuisances(folds, mean, draw.propensity, laws, draw.data.fingerprint)
    else:
        given = fit_nuisances(draw.data, **MODELS, random_state=seed)
    upper = effect_bound(draw.data, given, "all", LAMBDA, 1, Z)
    naive = effect_bound(draw.data, given, "all", 1.0, 1, Z)
    truth = draw.truth.value("ATE")
    return {
        "bound": upper.value, "truth": truth, "std_error": (upper.confidence - upper.value) / Z,
        "covered": float(upper.confidence >= truth),
        "naive_covered": float(naive.confidence >= truth),
    }  # fmt: skip


@cache
def sharp_bounds(name: str) -> tuple[float, float]:
    """Sharp bounds of the ATE at Lambda, by integration over 3,000 x."""
    design = design_by_name(name)
    x = stream(1, "sharp bounds", name).standard_normal((3_000, 5))
    e, tail = design.propensity(x)[:, 1], mid_levels(40) / (1 + LAMBDA)
    ends = {}
    for a in (0, 1):
        nodes = design.quantile(x, a, np.concatenate([tail, 1 - tail, mid_levels(40)]))
        low, high, mean = (nodes[:, k * 40 : (k + 1) * 40].mean(axis=1) for k in range(3))
        ends[a] = (mean, *(mean / LAMBDA + (1 - 1 / LAMBDA) * t for t in (low, high)))
    m0, low0, high0 = ends[0]
    m1, low1, high1 = ends[1]
    upper = e * m1 + (1 - e) * high1 - (1 - e) * m0 - e * low0
    lower = e * m1 + (1 - e) * low1 - (1 - e) * m0 - e * high0
    return float(lower.mean()), float(upper.mean())


def pipeline(spec: Spec, seed: Seed, home: str) -> Mapping[str, float]:
    """Bounds from one fit of the default pipeline, against the sharp ones."""
    own = {name: spec[name] for name in ("design", "n", "draw")}
    drawn, given = read_fit(home, str(spec["file"]), own)
    out: dict[str, float] = {}
    for sign, true in zip((-1, 1), sharp_bounds(str(spec["design"])), strict=True):
        bound = effect_bound(drawn.data, given, "all", LAMBDA, sign, Z)
        side = "lower" if sign < 0 else "upper"
        out[f"{side}_error"] = bound.value - true
        out[f"{side}_covered"] = float(sign * (bound.confidence - true) >= 0)
        out[f"{side}_std_error"] = sign * (bound.confidence - bound.value) / Z
        out[f"{side}_true"] = true
    return out


def refutation(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """P-values and verdicts of one data set."""
    draw = LINEAR.draw(400, FIRST_SEED + int(spec["draw"]))
    found = refute(ATE(), draw.data, n_runs=4, random_state=seed, **MODELS)
    out = {f"p {c.name}": c.p_value for c in found.checks}
    return out | {f"failed {c.name}": float(not c.passed) for c in found.checks}


def _rate(values: pd.Series) -> str:
    share = values.mean()
    return f"{share:.3f} ± {np.sqrt(max(share * (1 - share), 1e-9) / len(values)):.3f}"


def _hidden_table(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "nuisances": name, "draws": len(part), "truth": part["truth"].iloc[0],
            "mean bound": part["bound"].mean(), "sd of the bound": part["bound"].std(),
            "mean std error": part["std_error"].mean(),
            "confidence bound holds the truth": _rate(part["covered"]),
            "interval without hidden confounding holds it": _rate(part["naive_covered"]),
        }
        for name, part in rows.groupby("nuisances", sort=False)
    ])  # fmt: skip


def _pipeline_table(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "design": name, "n": 500, "draws": len(part), "bound": side,
            "sharp bound": part[f"{side}_true"].iloc[0], "bias": part[f"{side}_error"].mean(),
            "sd": part[f"{side}_error"].std(), "mean std error": part[f"{side}_std_error"].mean(),
            "confidence bound beyond it": _rate(part[f"{side}_covered"]),
        }
        for name, part in rows.groupby("design", sort=False)
        for side in ("lower", "upper")
    ])  # fmt: skip


def _refute_table(rows: pd.DataFrame) -> pd.DataFrame:
    names = [c.removeprefix("p ") for c in rows if c.startswith("p ")]
    return pd.DataFrame([
        {
            "check": name, "data sets": len(rows), "p < .05": _rate(rows[f"p {name}"] < 0.05),
            "p < .1": _rate(rows[f"p {name}"] < 0.1), "failed": _rate(rows[f"failed {name}"]),
        }
        for name in names
    ])  # fmt: skip


def main() -> None:
    args = parser(__doc__.splitlines()[0]).parse_args()
    draws = {name: 2 if args.quick else count for name, count in DRAWS.items()}
    studies = Path(args.studies)
    options = {"any_version": args.any_version}
    known = Study(
        "sensitivity-hidden", hidden,
        grid(nuisances=["oracle", "fitted"], draw=range(draws["hidden"])), studies, **options,
    )  # fmt: skip
    first = run(known, args.n_jobs, lambda spec: 0.05)
    wanted = grid(design=["gauss", "bimodal"], n=[500], draw=range(4 if args.quick else 500))
    fits = fits_study(wanted, studies, any_version=True)
    there = fits.collect()
    there = there[there["status"] == "ok"] if len(there) else there
    specs = there[["design", "n", "draw", "file"]].to_dict(orient="records") if len(there) else []
    task = partial(pipeline, home=str(studies / fits.name))
    second = run(
        Study("sensitivity-pipeline", task, specs, studies, **options), args.n_jobs, lambda s: 0.1
    )
    third = run(
        Study("refutation", refutation, grid(draw=range(draws["refute"])), studies, **options),
        args.n_jobs, lambda spec: 0.3,
    )  # fmt: skip
    rows = pd.concat(
        [
            first.assign(study="hidden"),
            second.assign(study="pipeline"),
            third.assign(study="refute"),
        ]
    )
    tables = [
        ("Upper bound of the ATE where a hidden confounder attains it (nominal .975)",
         _hidden_table(first)),
        ("Sharp bounds of the ATE under the default pipeline (nominal .975)",
         _pipeline_table(second)),
        ("Refutation where nothing is wrong (nominal .05)", _refute_table(third)),
    ]  # fmt: skip
    write(
        "sensitivity", "Hidden confounding and refutation", rows, tables, args.quick, args.studies
    )


if __name__ == "__main__":
    main()
