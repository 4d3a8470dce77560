"""Groups, the line, rank scores and rules: their intervals over many draws.

Sources of nuisances: `full`, the default pipeline's, as the coverage study keeps them; `light`,
ridge and logistic regression on squares; `oracle`, the truth. Two truths are counted against:

- *population*: effects by a confounder, projections, and what the K models of the draw would do in
  the population (groups by their predictions, slope, rank scores, rules), integrated over 4,096
  points, which the light and the oracle models can be asked;
- *rows*: the same with the true effects of the very rows drawn, for the full pipeline, whose models
  are not kept. Intervals are made for the population, so they are a little too wide for the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from common import parser, write
from scipy.special import expit

from causal_ddpm.core.estimand import BLP, GATE, BudgetRule, PolicyValue
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.estimators.cate import conditional_effects
from causal_ddpm.estimators.effect_scores import centred_in_folds
from causal_ddpm.estimators.ranking import Ranking, rank_weighted
from causal_ddpm.estimators.registry import estimator_for
from causal_ddpm.evaluation.cate_scores import score_effects
from causal_ddpm.evaluation.code_version import package_version
from causal_ddpm.evaluation.coverage.fits import drawn_by, fits_study, read_fit
from causal_ddpm.evaluation.coverage.light import logistic_ridge, ridge
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.folds import draw_folds

Array = np.ndarray
N_FOLDS, N_POINTS, N_GROUPS = 5, 4096, 5
THRESHOLD, BUDGET = 1.4, 0.3
BY_CONFOUNDERS = (GATE("x2", cuts=0.0), GATE("x1", n_groups=4), BLP(on=["x1", "x2"]))


@dataclass(frozen=True, eq=False)
class Fit:
    """A draw, its nuisances, and what its models predict in the population, (N_FOLDS, M)."""

    drawn: Any
    nuisances: Nuisances
    elsewhere: Array | None


def squares(x: Array, like: Array) -> Array:
    """(1, x, x^2) of rows, standardised by other rows."""
    z, base = np.hstack([x, x**2]), np.hstack([like, like**2])
    return np.column_stack([np.ones(len(x)), (z - base.mean(axis=0)) / base.std(axis=0)])


def light_fit(design: str, n: int, draw: int, points: Array) -> Fit:
    drawn = drawn_by({"design": design, "n": n, "draw": draw})
    data = drawn.data
    x, y, d = data.covariates.values, data.outcome, data.treatment
    folds = draw_folds(data, N_FOLDS, np.random.SeedSequence(draw))
    mean, e, elsewhere = np.empty((n, 2)), np.empty(n), np.empty((N_FOLDS, len(points)))
    for k in range(N_FOLDS):
        own, rest = folds == k, folds != k
        z, z_own, z_far = (squares(rows, x[rest]) for rows in (x[rest], x[own], points))
        e[own] = expit(z_own @ logistic_ridge(z, d[rest].astype(float)))
        betas = [ridge(z[d[rest] == a], y[rest][d[rest] == a])[0] for a in (0, 1)]
        mean[own] = np.column_stack([z_own @ b for b in betas])
        elsewhere[k] = z_far @ (betas[1] - betas[0])
    record = Nuisances(folds, mean, np.column_stack([1 - e, e]), None, data.fingerprint, "light")
    return Fit(drawn, record, elsewhere)


def oracle_fit(design: str, n: int, draw: int, points: Array) -> Fit:
    drawn = drawn_by({"design": design, "n": n, "draw": draw})
    folds = draw_folds(drawn.data, N_FOLDS, np.random.SeedSequence(draw))
    fingerprint = drawn.data.fingerprint
    record = Nuisances(folds, drawn.mean, drawn.propensity, None, fingerprint, "oracle")
    return Fit(drawn, record, np.tile(true_effect(design, points), (N_FOLDS, 1)))


def full_fits(designs: list[str], n: int, draws: int, studies: Any) -> Iterator[tuple[str, Fit]]:
    specs = [{"design": name, "n": n, "draw": r} for name in designs for r in range(draws)]
    study = fits_study(specs, studies, any_version=True)
    for row in study.collect().to_dict("records"):
        if row["status"] == "ok":
            spec = {"design": row["design"], "n": int(row["n"]), "draw": int(row["draw"])}
            drawn, nuisances = read_fit(studies / study.name, row["file"], spec)
            yield row["design"], Fit(drawn, nuisances, None)


def true_effect(design: str, x: Array) -> Array:
    known = design_by_name(design)
    return known.mean(x, 1) - known.mean(x, 0)


def in_population(predicted: Array, tau: Array) -> dict[str, float]:
    """What models with these predictions (K, M) do where the effects are tau (M,)."""
    parts = [_of_one_model(s, tau) for s in predicted]
    means = {name: float(np.mean([p[name] for p in parts])) for name in parts[0]}
    means["BLP(slope)"] = means.pop("covariance") / max(means.pop("variance"), 1e-300)
    return means


def _of_one_model(s: Array, tau: Array) -> dict[str, float]:
    one = np.ones_like(s)
    ranking = Ranking.of(s, one, np.zeros(len(s), dtype=np.int64))
    codes, top = ranking.groups(N_GROUPS), ranking.top(BUDGET) * (s > 0)
    rule = s > THRESHOLD
    found = {
        f"GATE(effect, group {g + 1} of {N_GROUPS})": tau[codes == g].mean()
        for g in range(N_GROUPS)
    }
    return found | {
        "AUTOC": rank_weighted(tau, ranking, "AUTOC")[0],
        "Qini": rank_weighted(tau, ranking, "Qini")[0],
        "covariance": np.cov(s, tau, ddof=0)[0, 1],
        "variance": s.var(),
        "threshold: V(rule) - V(none)": (rule * tau).mean(),
        "threshold: V(rule) - V(all)": ((rule - 1.0) * tau).mean(),
        "budget: V(rule) - V(none)": (top * tau).mean(),
        "budget: V(rule) - V(random)": ((top - top.mean()) * tau).mean(),
    }


def on_rows(fit: Fit, tau: Array) -> dict[str, float]:
    """The same with the true effects of the rows drawn."""
    s, folds, w = predicted(fit), fit.nuisances.fold_ids, fit.drawn.data.weights
    ranking = Ranking.of(s, w, folds)
    codes, top = ranking.groups(N_GROUPS), ranking.top(BUDGET) * (s > 0)
    rule, centred = s > THRESHOLD, centred_in_folds(s, folds, w)
    found = {
        f"GATE(effect, group {g + 1} of {N_GROUPS})": tau[codes == g].mean()
        for g in range(N_GROUPS)
    }
    return found | {
        "AUTOC": rank_weighted(tau, ranking, "AUTOC")[0],
        "Qini": rank_weighted(tau, ranking, "Qini")[0],
        "BLP(slope)": centred @ tau / (centred @ centred),
        "threshold: V(rule) - V(none)": (rule * tau).mean(),
        "threshold: V(rule) - V(all)": ((rule - 1.0) * tau).mean(),
        "budget: V(rule) - V(none)": (top * tau).mean(),
        "budget: V(rule) - V(random)": ((top - top.mean()) * tau).mean(),
    }


def predicted(fit: Fit) -> Array:
    return fit.nuisances.mean[:, 1] - fit.nuisances.mean[:, 0]


def questions(fit: Fit) -> dict[str, Estimate]:
    data, nuisances = fit.drawn.data, fit.nuisances
    asked = {
        "": [GATE(n_groups=N_GROUPS), BLP(), *BY_CONFOUNDERS],
        "threshold: ": [PolicyValue(threshold=THRESHOLD)],
        "budget: ": [BudgetRule(BUDGET)],
    }
    found = {
        f"{prefix}|{e.name} {k}": estimator_for(e).estimate(data, nuisances)
        for prefix, estimands in asked.items()
        for k, e in enumerate(estimands)
    }
    return found | {"|scores": _scores(fit)}


def _scores(fit: Fit) -> Estimate:
    """Scores of the predictions themselves, ranked within folds, without recalibration."""
    data, nuisances = fit.drawn.data, fit.nuisances
    effects = replace(conditional_effects(data, nuisances), effect=predicted(fit))
    return score_effects(data, nuisances, effects, n_groups=2, shares=[0.5]).scores


def answers(design: str, fit: Fit, points: Array) -> Iterator[dict[str, Any]]:
    """One row a quantity and truth: error and standard error."""
    tau = fit.drawn.mean[:, 1] - fit.drawn.mean[:, 0]
    known = design_by_name(design)
    by_x = {k: v for e in BY_CONFOUNDERS for k, v in known.truth_of(e).items()}
    by_x["BLP(average)"] = known.truth().value("ATE")
    truths = {"population": by_x}
    if fit.elsewhere is None:
        truths["rows"] = on_rows(fit, tau)
    else:
        truths["population"] |= in_population(fit.elsewhere, true_effect(design, points))
    for key, estimate in questions(fit).items():
        prefix = key.split("|")[0]
        labels = [prefix + label for label in estimate.labels]
        errors = np.sqrt(np.diag(estimate.cov))
        for truth, values in truths.items():
            known_here = [j for j, label in enumerate(labels) if label in values]
            for j in known_here:
                miss = estimate.values[j] - values[labels[j]]
                yield {"quantity": labels[j], "truth": truth, "value": values[labels[j]],
                       "error": miss, "std_error": errors[j],
                       "covered": abs(miss) <= 1.96 * errors[j]}  # fmt: skip
            if len(known_here) == len(labels) > 2:
                low, high = estimate.interval(simultaneous=True)
                target = np.array([values[label] for label in labels])
                inside = bool(((low <= target) & (target <= high)).all())
                yield {"quantity": f"{labels[0]} and the others at once", "truth": truth,
                       "value": np.nan, "error": np.nan, "std_error": np.nan,
                       "covered": inside}  # fmt: skip


def accuracy(fit: Fit) -> dict[str, float]:
    """sqrt(PEHE) of the effects before and after recalibration."""
    effects = conditional_effects(fit.drawn.data, fit.nuisances)
    tau = fit.drawn.mean[:, 1] - fit.drawn.mean[:, 0]
    before, after = (np.sqrt(((t - tau) ** 2).mean()) for t in (effects.predicted, effects.effect))
    return {
        "before": before,
        "after": after,
        "moved": float(((effects.shift != 0) | (effects.slope != 1)).mean()),
    }


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage with its Monte Carlo error, bias, and standard error over Monte Carlo sd."""
    out = []
    for (source, design, quantity, truth), part in rows.groupby(
        ["source", "design", "quantity", "truth"], sort=False
    ):
        cover, spread = part["covered"].mean(), part["error"].std()
        out.append({
            "source": source, "design": design, "quantity": quantity, "truth": truth,
            "draws": len(part), "mean_truth": part["value"].mean(), "bias": part["error"].mean(),
            "sd": spread, "se_ratio": part["std_error"].mean() / spread, "coverage": cover,
            "mc_error": np.sqrt(max(cover * (1 - cover), 0.0475) / len(part)),
        })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=1000, help="light and oracle draws")
    options.add_argument("--n", type=int, default=500)
    args = options.parse_args()
    draws = 5 if args.quick else args.draws
    start = time.process_time()
    rows, fits = [], []
    for source, design, fit, points in _fits(args, draws):
        rows += [{"source": source, "design": design, **r} for r in answers(design, fit, points)]
        fits.append({"source": source, "design": design, **accuracy(fit)})
    table = summarised(pd.DataFrame(rows))
    table["cpu_seconds"] = (time.process_time() - start) / len(table)
    table["code_version"] = package_version()
    by = pd.DataFrame(fits).groupby(["source", "design"], sort=False)
    pehe = by[["before", "after", "moved"]].mean().assign(draws=by.size()).reset_index()
    shown = table.drop(columns=["cpu_seconds", "code_version"])
    captions = [(f"Intervals at 95 %, {args.n} rows a draw. {CAPTION}", shown), (PEHE, pehe)]
    write("heterogeneity", TITLE, table, captions, args.quick, args.studies)


def _fits(args: Any, draws: int) -> Iterator[tuple[str, str, Fit, Array]]:
    for design, fit in full_fits(["gauss", "bimodal", "no-effect"], args.n, draws, args.studies):
        yield "full", design, fit, _points(design)
    makers: list[tuple[str, str, Callable[..., Fit]]] = [
        ("light", "gauss", light_fit), ("light", "bimodal", light_fit),
        ("light", "no-effect", light_fit), ("light", "linear", light_fit),
        ("oracle", "gauss", oracle_fit),
    ]  # fmt: skip
    for source, design, make in makers:
        points = _points(design)
        for draw in range(draws):
            yield source, design, make(design, args.n, draw, points), points


def _points(design: str) -> Array:
    """Covariates that stand for the population, with their mirror image."""
    half = np.random.default_rng(0).standard_normal(
        (N_POINTS // 2, design_by_name(design).n_covariates)
    )
    return np.vstack([half, -half])


TITLE = "Groups, lines, rank scores and rules"
CAPTION = (
    "`truth`: see the script's first lines. `se_ratio`: mean standard error over the Monte Carlo "
    "sd of the error"
)
PEHE = (
    "sqrt(PEHE) before and after recalibration; `moved` is the share of folds whose line was moved"
)

if __name__ == "__main__":
    main()
