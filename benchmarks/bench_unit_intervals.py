"""Intervals of conditional effects and of effects on single units: what do they cover, how wide.

The designs `gauss` and `bimodal` have known tau(x) and known potential outcomes. Our rows read the
nuisances of the coverage study (fitted here where they are missing); the peers get the same draws.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import peers
from common import parser, run, write
from numpy.typing import NDArray
from scipy import stats

from causal_ddpm import (
    PotentialOutcomeModel,
    conditional_intervals,
    new_unit_effect_intervals,
    unit_effect_intervals,
)
from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.coverage.fits import fits_study, read_fit
from causal_ddpm.evaluation.studies import Spec, Study
from causal_ddpm.nuisance.crossfit import Nuisances
from causal_ddpm.nuisance.folds import draw_folds
from causal_ddpm.nuisance.location import cross_fit_members, held_out_weights
from causal_ddpm.nuisance.outcome import sample_of
from causal_ddpm.nuisance.replicates import EffectReplicates, fit_replicates
from causal_ddpm.nuisance.stack import LocationStack

Array = NDArray[np.float64]
DESIGNS = ("gauss", "bimodal")
OTHERS = (
    ("no-effect", 500), ("linear", 500), ("heavy-tails", 500), ("weak-overlap", 500),
    ("binary-outcome", 500), ("gauss", 250), ("gauss", 1000),
)  # fmt: skip
STACK_ALONE = "ours, stack alone"
LEVEL = 0.95
FIRST_DRAW = 100
"""Draws 0 to 99 served to choose the construction."""

FIRST_SEED = 20_000
NEW_SEED = 50_000
N_NEW = 500


# -- what is judged -------------------------------------------------------------------------
def judged(prefix: str, lower: Array, upper: Array, draw: Any) -> dict[str, float]:
    """Coverage of tau(x) over all rows and in tenths of the rows, mean width."""
    truth = true_effect(draw)
    inside = (lower <= truth) & (truth <= upper)
    tenths = {name: v >= np.quantile(v, 0.9) for name, v in extremes(draw).items()}
    return {
        f"{prefix}:covered": float(inside.mean()),
        f"{prefix}:width": float((upper - lower).mean()),
        **{f"{prefix}:in {name}": float(inside[top].mean()) for name, top in tenths.items()},
    }


def true_effect(draw: Any) -> Array:
    return np.asarray(draw.mean[:, 1] - draw.mean[:, 0])


def extremes(draw: Any) -> dict[str, Array]:
    """The tenth of the rows with the largest value of each of these is looked at by itself."""
    x, tau, e = draw.data.covariates.values, true_effect(draw), draw.propensity[:, 1]
    return {
        "|x|": (x**2).sum(axis=1), "|x0|": np.abs(x[:, 0]), "|x1|": np.abs(x[:, 1]),
        "tau": tau, "-tau": -tau, "e": e, "-e": -e,
    }  # fmt: skip


def fitted(spec: Spec, folder: Path) -> tuple[Any, Any]:
    """Draw and nuisances of the coverage study."""
    own = {key: spec[key] for key in ("design", "n", "draw")}
    study = fits_study([own], folder, any_version=True)
    rows = study.run() if study.status().n_pending else study.collect()
    return read_fit(folder / study.name, rows["file"].iloc[0], own)


# -- our rows -------------------------------------------------------------------------------
def ours(spec: Spec, seed: Seed, folder: Path) -> Mapping[str, float]:
    draw, nuisances = fitted(spec, folder)
    replicates = fit_replicates(draw.data, nuisances, random_state=integer_seed(seed))
    return conditional(draw, nuisances, replicates) | units(spec, draw, nuisances)


def stack_alone(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Means of the location stack without a diffusion: a cheap look at other designs and sizes."""
    draw = design_by_name(spec["design"]).draw(spec["n"], seed=FIRST_SEED + spec["draw"])
    folds, number = draw_folds(draw.data, 5, integer_seed(seed)), integer_seed(seed)
    sample = sample_of(draw.data, folds)
    members = cross_fit_members(LocationStack(), sample, number, pairs=False)
    mean = members.held_out @ held_out_weights(members, sample)
    nuisances = Nuisances(folds, mean, draw.propensity, None, draw.data.fingerprint)
    replicates = fit_replicates(draw.data, nuisances, random_state=number)
    return conditional(draw, nuisances, replicates)


def conditional(draw: Any, nuisances: Nuisances, replicates: EffectReplicates) -> dict[str, float]:
    """Intervals of tau(x_i) of both kinds, and of the first kind at other levels."""
    tau = true_effect(draw)
    error = nuisances.mean[:, 1] - nuisances.mean[:, 0] - tau
    out = {"rmse": float(np.sqrt((error**2).mean()))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for cover in ("average", "subgroups"):
            found = conditional_intervals(draw.data, nuisances, replicates, cover=cover)
            out |= judged(cover, found.lower, found.upper, draw)
            for level in (0.8, 0.9):
                frame = found.to_frame(level)
                inside = (frame["lower"] <= tau) & (tau <= frame["upper"])
                out[f"{cover}:covered@{level:g}"] = float(inside.mean())
    return out


def units(spec: Spec, draw: Any, nuisances: Any) -> dict[str, float]:
    """Intervals of the rows' own effects, against potential outcomes and the true law."""
    data, x, d = draw.data, draw.data.covariates.values, draw.data.treatment
    effect = draw.potential_outcomes[:, 1] - draw.potential_outcomes[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = unit_effect_intervals(data, nuisances, LEVEL)
    inside = (found.lower <= effect) & (effect <= found.upper)
    finite = np.isfinite(found.upper - found.lower)
    u = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    design = design_by_name(spec["design"])
    plain = np.where((d == 1)[:, None], design.quantile(x, 0, u), design.quantile(x, 1, u))
    return {
        "unit:covered": float(inside.mean()),
        "unit:covered treated": float(inside[d == 1].mean()),
        "unit:covered untreated": float(inside[d == 0].mean()),
        "unit:width": float((found.upper - found.lower)[finite].mean()),
        "unit:infinite": float(1 - finite.mean()),
        "unit:oracle width": float(np.diff(plain, axis=1).mean()),
    }


def new(spec: Spec, seed: Seed, folder: Path) -> Mapping[str, float]:
    """The same for rows that were not in the sample."""
    draw, nuisances = fitted(spec, folder)
    data, number = draw.data, integer_seed(seed)
    law = PotentialOutcomeModel().fit(data, random_state=number)
    fresh = design_by_name(spec["design"]).draw(N_NEW, seed=NEW_SEED + int(spec["draw"]))
    rows, tau = fresh.data.covariates, true_effect(fresh)
    effect = fresh.potential_outcomes[:, 1] - fresh.potential_outcomes[:, 0]
    replicates = fit_replicates(data, nuisances, random_state=number)
    out: dict[str, float] = {}
    for cover in ("average", "subgroups"):
        intervals = conditional_intervals(data, nuisances, replicates, level=LEVEL, cover=cover)
        frame = intervals.at(rows, law.cate(rows))
        ends = frame["lower"].to_numpy(), frame["upper"].to_numpy()
        out |= judged(cover, *ends, fresh)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = new_unit_effect_intervals(data, nuisances, law, rows, LEVEL, random_state=number)
    finite = np.isfinite(unit.upper - unit.lower)
    return out | {
        "rmse": float(np.sqrt(((law.cate(rows) - tau) ** 2).mean())),
        "unit:covered": float(((unit.lower <= effect) & (effect <= unit.upper)).mean()),
        "unit:width": float((unit.upper - unit.lower)[finite].mean()),
        "unit:infinite": float(1 - finite.mean()),
        "unit:oracle width": oracle_width(spec["design"], rows.values),
    }


def oracle_width(design: str, x: Array) -> float:
    """Mean width of the interval under every coupling when both laws are known."""
    u = [(1 - LEVEL) / 4, (3 + LEVEL) / 4]
    return float(sum(np.diff(design_by_name(design).quantile(x, a, u)).mean() for a in (0, 1)))


# -- peers ----------------------------------------------------------------------------------
def causal_forest(spec: Spec, seed: Seed) -> Mapping[str, float]:
    from econml.dml import CausalForestDML

    model = CausalForestDML(
        model_y=peers._regressor(0), model_t=peers._classifier(0), discrete_treatment=True,
        cv=5, n_estimators=400, n_jobs=1, random_state=integer_seed(seed) % 2**31,
    )  # fmt: skip
    return peer(model, spec)


def linear_dr(spec: Spec, seed: Seed) -> Mapping[str, float]:
    from econml.dr import LinearDRLearner

    model = LinearDRLearner(
        model_propensity=peers._classifier(0, "logistic"), model_regression=peers._regressor(0),
        cv=5, random_state=integer_seed(seed) % 2**31,
    )  # fmt: skip
    return peer(model, spec)


def peer(model: Any, spec: Spec) -> Mapping[str, float]:
    """Intervals of a library for the effects of the rows it was fitted on."""
    from causal_ddpm.evaluation.coverage.fits import drawn_by

    draw = drawn_by(spec)
    data, x = draw.data, draw.data.covariates.values
    tau = true_effect(draw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.outcome, data.treatment, X=x)
        ends = [np.ravel(end) for end in model.effect_interval(x, alpha=1 - LEVEL)]
        effect = np.ravel(model.effect(x))
    rmse = float(np.sqrt(((effect - tau) ** 2).mean()))
    return {**judged("average", *ends, draw), "rmse": rmse}


def row(spec: Spec, seed: Seed, folder: Path) -> Mapping[str, float]:
    method = spec["method"]
    if method == "causal forest (EconML)":
        return causal_forest(spec, seed)
    if method == "linear DR learner (EconML)":
        return linear_dr(spec, seed)
    if method == STACK_ALONE:
        return stack_alone(spec, seed)
    return (new if method == "ours, new rows" else ours)(spec, seed, folder)


# -- tables ---------------------------------------------------------------------------------
def conditional_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Intervals of tau(x)."""
    out = []
    for (method, design, n), part in rows.groupby(["method", "design", "n"], sort=False):
        for cover in ("average", "subgroups"):
            if part.get(f"{cover}:covered") is None or part[f"{cover}:covered"].isna().all():
                continue
            tenths = [c for c in part.columns if c.startswith(f"{cover}:in ")]
            oracle = 2 * stats.norm.ppf((1 + LEVEL) / 2) * part["rmse"].mean()
            worst = part[tenths].mean()
            out.append({
                "design": design, "n": n, "method": method,
                "cover": cover if method.startswith("ours") else "", "draws": len(part),
                "coverage": part[f"{cover}:covered"].mean(),
                "MC error": part[f"{cover}:covered"].std() / np.sqrt(len(part)),
                "worst tenth": worst.min(),
                "it is": _in_words(worst.idxmin().removeprefix(f"{cover}:in ")),
                "width": part[f"{cover}:width"].mean(),
                "width if the rmse were known": oracle,
                "rmse": part["rmse"].mean(),
                "coverage at 80 / 90 %": _other_levels(part, cover),
            })  # fmt: skip
    return pd.DataFrame(out)


def _in_words(name: str) -> str:
    """Names without bars, which would cut a Markdown table."""
    return "norm of x" if name == "|x|" else name.replace("|x", "abs x").rstrip("|")


def _other_levels(part: pd.DataFrame, cover: str) -> str:
    names = [f"{cover}:covered@{level:g}" for level in (0.8, 0.9)]
    if not set(names) <= set(part.columns) or part[names].isna().all(axis=None):
        return ""
    return " / ".join(f"{part[name].mean():.3f}" for name in names)


def unit_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Intervals of Y(1) - Y(0)."""
    out = []
    for (design, method), part in rows.groupby(["design", "method"], sort=False):
        if part["unit:covered"].isna().all():
            continue
        out.append({
            "design": design,
            "units": "new" if method == "ours, new rows" else "of the sample",
            "draws": len(part),
            "coverage": part["unit:covered"].mean(),
            "MC error": part["unit:covered"].std() / np.sqrt(len(part)),
            "treated": part["unit:covered treated"].mean(),
            "untreated": part["unit:covered untreated"].mean(),
            "width": part["unit:width"].mean(),
            "oracle width": part["unit:oracle width"].mean(),
            "infinite": part["unit:infinite"].mean(),
        })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=50, help="draws of our rows")
    options.add_argument("--peer-draws", type=int, default=25, help="draws of the peers")
    options.add_argument("--other-draws", type=int, default=8, help="draws of other designs")
    options.add_argument("--new-draws", type=int, default=10, help="draws with new rows")
    args = options.parse_args()
    counts = {
        "ours": args.draws,
        "causal forest (EconML)": args.peer_draws,
        "linear DR learner (EconML)": args.peer_draws,
        STACK_ALONE: args.other_draws,
        "ours, new rows": args.new_draws,
    }
    specs = []
    for method, draws in counts.items():
        cells = OTHERS if method == STACK_ALONE else [(design, 500) for design in DESIGNS]
        specs += [
            {"method": method, "design": design, "n": n, "draw": FIRST_DRAW + number}
            for number in range(1 if args.quick else draws)
            for design, n in cells
        ]
    task = functools.partial(row, folder=args.studies)
    study = Study("unit-intervals", task, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 13.0 if spec["method"] == "ours, new rows" else 3.0)
    tables = [(CONDITIONAL, conditional_table(rows)), (UNITS, unit_table(rows))]
    write("unit_intervals", TITLE, rows, tables, args.quick, args.studies)


TITLE = "Intervals of conditional effects and of effects on single units"
CONDITIONAL = (
    "Intervals of tau(x), 95 %. `coverage`: share of rows whose interval holds tau(x); "
    "`worst tenth`: the same in the worst of seven tenths of the rows (largest norm of x, abs "
    "x0, abs x1, tau, -tau, e, -e), averaged over draws; `width if the rmse were "
    "known`: 3.92 times the root mean squared error; `ours, new rows`: 500 rows that were not in "
    "the sample; `ours, stack alone`: means of the location stack without the diffusion, to look "
    "at other designs"
)
UNITS = (
    "Intervals of Y(1) - Y(0), 500 rows, 95 %. `of the sample`: one outcome was observed, `oracle "
    "width` is that of the true 95 % interval of the other one; `new`: none was observed, "
    "`oracle width` is that of the interval under every coupling when both laws are known; "
    "widths are of finite intervals, `infinite` is the share of the others"
)

if __name__ == "__main__":
    main()
