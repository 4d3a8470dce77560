"""Factorial experiments: coefficients, false findings and cells never run, least squares beside.

1. ``FactorialModel(n=2000, k=8, degree=2, sigma=1, sparsity=.7)``, one draw of the coefficients and
   one of the rows each: error of the 37 coefficients of the diffusion law, of its location alone,
   of the orthogonal scores, of least squares on all 37 columns and on the right ones only; false
   findings, power and simultaneous coverage of the two that have intervals.
2. Half fractions, two-way truth: error of the means of the cells that were never run.
3. Real 2x2x2, 2x2 and conjoint data beside published figures (no rows in the ledger).

Coefficients are drawn with seed 100 + draw and rows with seed 1000 + draw; members and settings of
the law were chosen on other seeds (5000 and up). The law of part 1 and 2 is trained for 150 steps
with one network a fold, a fifth of the default, to afford the draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from factorial_real import real_tables

from causal_ddpm.core.coding import all_cells, columns, conversion, terms_to
from causal_ddpm.core.covariates import Column, Covariates
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.dgp.factorial import FactorialModel
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.estimators.factorial import FactorialFit
from causal_ddpm.estimators.factorial_ols import factorial_ols
from causal_ddpm.estimators.factorial_scores import factorial_scores
from causal_ddpm.evaluation.studies import Spec, Study, grid
from causal_ddpm.nuisance.factor_law import factor_stack, fit_factor_law
from causal_ddpm.nuisance.factorial_folds import factorial_folds
from causal_ddpm.nuisance.location import Sample, cross_fit_members, held_out_weights

Array = np.ndarray
SHORT = DiffusionSettings(n_members=1, n_steps=150)
STRONG = 0.5
TERMS = terms_to(8, 2)
TO_AVERAGE = conversion(TERMS, np.full(8, 0.5), "01", "ame")


def frame_of(t: Array, y: Array) -> FactorialData:
    names = [chr(ord("a") + j) for j in range(t.shape[1])]
    return FactorialData(pd.DataFrame(t, columns=names).assign(y=y), names, "y")


def law_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """The law with its diffusion."""
    model, data = drawn(int(spec["draw"]))
    law = fit_factor_law(data, 2, diffusion=SHORT, random_state=integer_seed(seed))
    value = law.coefficients(2, "01")["value"].to_numpy()
    return errors_of({"law": value}, model)


def coefficients_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Everything but the diffusion, which moves no mean where the location is right."""
    model, data = drawn(int(spec["draw"]))
    fits = {"ols": factorial_ols(data), "scores": factorial_scores(data, random_state=seed)}
    x = model.xfm.transform(data.z)
    found = {
        "location": location(data, seed),
        "oracle": oracle(x, data.outcome, model.beta != 0),
        **{name: all_coefficients(fit) for name, fit in fits.items()},
    }
    out = errors_of(found, model)
    for name, fit in fits.items():
        out |= {f"{key}_{name}": v for key, v in decisions(fit, model.beta.astype(float)).items()}
    return out


def drawn(draw: int) -> tuple[FactorialModel, FactorialData]:
    model = FactorialModel(2000, k=8, degree=2, sigma=1, sparsity=0.7, beta_seed=100 + draw)
    return model, frame_of(*model.sample(1000 + draw))


def errors_of(found: Mapping[str, Array], model: FactorialModel) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in found.items():
        error = value - model.beta.astype(float)
        out[f"mse_01_{name}"] = float(np.mean(error**2))
        out[f"mse_ame_{name}"] = float(np.mean((TO_AVERAGE @ error) ** 2))
    return out


def location(data: FactorialData, seed: Seed) -> Array:
    """0/1 coefficients of the location of the law, by its own folds and weights."""
    rows = Covariates(tuple(Column(a, "boolean") for a in data.factors), data.z.astype(float))
    arm, everyone = np.zeros(data.n, dtype=np.int64), np.ones(data.n, dtype=bool)
    folds = factorial_folds(data, 5, seed)
    sample = Sample(rows, arm, data.outcome, None, folds, everyone, n_arms=1)
    stack = factor_stack(2, covariates=False)
    weights = held_out_weights(cross_fit_members(stack, sample, seed, pairs=False), sample)
    fitted = stack.fit(rows, arm, data.outcome, None, integer_seed(seed))
    cells = all_cells(data.k)
    means = fitted.predict(Covariates(rows.columns, cells.astype(float)))[:, 0] @ weights
    return np.linalg.lstsq(columns(cells, TERMS), means, rcond=None)[0]


def oracle(x: Array, y: Array, needed: Array) -> Array:
    value = np.zeros(x.shape[1])
    value[needed] = np.linalg.lstsq(x[:, needed], y, rcond=None)[0]
    return value


def all_coefficients(fit: FactorialFit) -> Array:
    """0/1 coefficients, the constant first."""
    return conversion(fit.terms, fit.data.p, "ame", "01") @ fit.coefficients.values


def decisions(fit: FactorialFit, beta: Array) -> dict[str, float]:
    """False findings, power and coverage of one fit."""
    effects, truth = fit.effects("01"), beta[1:]
    out: dict[str, float] = {}
    for rule in ("holm", "max-t", "romano-wolf"):
        hit = effects.test(adjust=rule)["p_adjusted"].to_numpy() < 0.05
        out[f"false_{rule}"] = float(hit[truth == 0].any())
        out[f"power_{rule}"] = float(hit[np.abs(truth) > STRONG].mean())
    for coding, target in (("01", truth), ("ame", (TO_AVERAGE @ beta)[1:])):
        estimate = fit.effects(coding)
        for name, simultaneous in (("each", False), ("all", True)):
            low, high = estimate.interval(simultaneous=simultaneous)
            inside = (low <= target) & (target <= high)
            out[f"cover_{name}_{coding}"] = float(inside.all() if simultaneous else inside.mean())
    return out


def cells_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    k, draw = int(spec["k"]), int(spec["draw"])
    model = FactorialModel(1, k=k, degree=2, sigma=1, sparsity=0.5, beta_seed=200 + draw)
    cells = all_cells(k)
    ran = cells.sum(axis=1) % 2 == 0
    t = np.repeat(cells[ran], int(spec["n"]) // int(ran.sum()), axis=0)
    rng = np.random.default_rng(2000 + draw)
    beta = model.beta.astype(float)
    y = model.xfm.transform(t) @ beta + rng.normal(size=len(t))
    truth = model.xfm.transform(cells) @ beta
    law = fit_factor_law(frame_of(t, y), 2, diffusion=SHORT, random_state=integer_seed(seed))
    terms = terms_to(k, 2)
    x, everywhere = columns(t, terms, 0.5), columns(cells, terms, 0.5)
    two_way = everywhere @ np.linalg.lstsq(x, y, rcond=None)[0]
    main = everywhere[:, : k + 1] @ np.linalg.lstsq(x[:, : k + 1], y, rcond=None)[0]
    found = {"law": law.cell_means(), "two-way": two_way, "main effects": main}
    return {
        f"mse_{where}_{name}": float(np.mean((value - truth)[rows] ** 2))
        for name, value in found.items()
        for where, rows in (("run", ran), ("unrun", ~ran))
    }


def coefficient_table(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for name in ("ols", "scores", "location", "law", "oracle"):
        own = rows[rows[f"mse_01_{name}"].notna()]
        entry: dict[str, Any] = {"method": name, "draws": len(own)}
        for coding in ("01", "ame"):
            mse, base = own[f"mse_{coding}_{name}"], own[f"mse_{coding}_ols"]
            entry[f"rmse {coding}"] = float(np.sqrt(mse.mean()))
            entry[f"ratio to ols {coding}"] = float(np.sqrt(mse.mean() / base.mean()))
            entry[f"largest ratio {coding}"] = float(np.sqrt((mse / base).max()))
        out.append(entry)
    return pd.DataFrame(out)


def decision_table(rows: pd.DataFrame) -> pd.DataFrame:
    keys = [
        *(f"{what}_{rule}" for rule in ("holm", "max-t", "romano-wolf")
          for what in ("false", "power")),
        *(f"cover_{which}_{coding}" for coding in ("01", "ame") for which in ("each", "all")),
    ]  # fmt: skip
    shown = {
        name: [float(rows[f"{key}_{name}"].mean()) for key in keys] for name in ("ols", "scores")
    }
    return pd.DataFrame({"share of draws": keys, **shown})


def cell_table(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for (k, n), group in rows.groupby(["k", "n"]):
        entry: dict[str, Any] = {"k": k, "resolution": k, "n": n, "draws": len(group)}
        for where in ("unrun", "run"):
            base = group[f"mse_{where}_two-way"].mean()
            entry[f"two-way OLS, {where} cells"] = float(np.sqrt(base))
            for name in ("law", "main effects"):
                ratio = np.sqrt(group[f"mse_{where}_{name}"].mean() / base)
                entry[f"{name} / OLS, {where}"] = float(ratio)
        out.append(entry)
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=100)
    options.add_argument("--law-draws", type=int, default=100)
    options.add_argument("--cell-draws", type=int, default=20)
    options.add_argument("--only-light", action="store_true", help="no law, and no tables")
    args = options.parse_args()
    keep = {"folder": args.studies, "any_version": args.any_version}
    draws = range(2 if args.quick else args.draws)
    study = Study("factorial_light", coefficients_row, grid(draw=draws), **keep)
    coefficients = run(study, args.n_jobs, lambda spec: 1.0)
    if args.only_light:
        return
    law_draws = range(2 if args.quick else args.law_draws)
    study = Study("factorial", law_row, grid(draw=law_draws), **keep)
    law = run(study, args.n_jobs, lambda spec: 4.0)
    specs = grid(k=[4, 5, 6], n=[640], draw=range(1 if args.quick else args.cell_draws))
    study = Study("factorial_cells", cells_row, specs, **keep)
    cells = run(study, args.n_jobs, lambda spec: 2.0)
    by_law = [c for c in law if c == "draw" or c.endswith("_law")]
    coefficients = coefficients.merge(law[by_law], on="draw", how="left")
    tables = [*simulated_tables(coefficients, cells), *real_tables()]
    rows = pd.concat([coefficients.assign(part="coefficients"), cells.assign(part="cells")])
    write("factorial", "Factorial experiments", rows, tables, args.quick, args.studies)


def simulated_tables(
    coefficients: pd.DataFrame, cells: pd.DataFrame
) -> list[tuple[str, pd.DataFrame]]:
    return [
        ("## Coefficients\n\nRoot mean square error of all 37 coefficients of "
         "FactorialModel(n=2000, k=8, degree=2, sigma=1, sparsity=.7), in the 0/1 coding and as "
         "average effects. `law` is read from the cell means of the diffusion law, `location` is "
         "the law without its diffusion, `oracle` least squares on the non-zero columns.",
         coefficient_table(coefficients)),
        (f"False findings (any, among true zeros), power for |beta| > {STRONG}, both at 5 %; "
         "coverage of 95 % intervals, of each effect and of all 36 at once.",
         decision_table(coefficients)),
        ("## Cells never run\n\nHalf fractions I = abc..., two-way truth with half of its "
         "coefficients zero. At k = 4 (resolution IV) two-way interactions are confounded in "
         "pairs: two-way OLS is the shortest of its solutions there, and cannot be right.",
         cell_table(cells)),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
