"""Structural curves by instruments: error of the curve, coverage of intervals and of sets.

Design ``instrument-dose`` of the laboratory with 2 000 rows, in four forms. Beside ours stand
linear two-stage least squares and sieve two-stage least squares: the same natural splines of the
dose with a fixed number of terms (two to five) or as many as leave the Cragg-Donald F at four (our
rule) or at ten, instruments natural splines of z with two terms more, alone or also times each
covariate, and constant, covariates and their squares as controls (which is what the outcome is made
of).
Curves are compared with E[Y(d)] at 50 doses over the central 90 %.

A second study has many draws of a light first stage (a regression on z and x), for the coverage of
Anderson-Rubin sets beside that of the usual interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from sklearn.linear_model import LinearRegression

from causal_ddpm import ConfidenceSet, Estimate, NormalStages, StructuralCurve, structural_curve
from causal_ddpm.core.natural_splines import NaturalSplines
from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.instrument_dose import InstrumentDose, InstrumentDoseDraw
from causal_ddpm.estimators.sieve_iv import TELLING_F, WEAK_F, weakest_direction
from causal_ddpm.evaluation.studies import Spec, Study, grid

N = 2000
FIRST_DRAW = 2000
"""Draws below it served the development."""

ENDS = (-1.0, 1.0)
RANGE = (-1.5, 1.5)
TERMS = (2, 3, 4, 5)
OURS, LINEAR = "causal_ddpm", "linear 2SLS"
DESIGNS: Mapping[str, InstrumentDose] = {
    "F 50, hump": InstrumentDose("instrument-dose", 2.0, "hump"),
    "F 3, line, everyone responds": InstrumentDose("instrument-dose", 0.0316, "line", "all"),
    "F 50, saturation": InstrumentDose("instrument-dose", 2.0, "saturation"),
    "F 50, hump, everyone responds": InstrumentDose("instrument-dose", 0.157, "hump", "all"),
}
WEAK = "F 3, line, everyone responds"


def curve_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Every method on one draw."""
    design = DESIGNS[str(spec["design"])]
    drawn = design.draw(N, spec["draw"])
    d = drawn.data.dose
    grid_of_doses = np.linspace(*np.quantile(d, [0.05, 0.95]), 50)
    true = design.mean_outcome(grid_of_doses)
    found = fitted(drawn, spec["draw"])
    out: dict[str, Any] = {"F of z": plain_f(drawn), **read(found, design)}
    out[f"rmse {OURS}"] = rms(found.value(grid_of_doses) - true)
    for name, curve in sieves(drawn, grid_of_doses).items():
        out[f"rmse {name}"] = rms(curve - true)
    return out


def light_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Interval and set of a line with a light first stage."""
    design = DESIGNS[str(spec["design"])]
    drawn = design.draw(N, 10_000 + int(spec["draw"]))
    model = NormalStages(LinearRegression())
    return {"F of z": plain_f(drawn), **read(fitted(drawn, spec["draw"], model, 1), design)}


def fitted(
    drawn: InstrumentDoseDraw, seed: Any, model: Any = None, n_terms: int | None = None
) -> StructuralCurve:
    """Ours; its warnings are in the record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return structural_curve(drawn.data, model=model, n_terms=n_terms, random_state=seed)


def read(found: StructuralCurve, design: InstrumentDose) -> dict[str, Any]:
    """Intervals and sets beside the truth."""
    difference = float(np.subtract(*design.g(ENDS[::-1])))
    out: dict[str, Any] = {
        "first-stage F": found.first_stage_f,
        "terms": found.n_terms,
        "weakest F": found.fit.strength,
        "warned": any("Weak instrument" in text for text in found.warnings),
        **scored("difference", found.difference(*ENDS), difference),
        **scored("average slope", found.average_slope(*RANGE), true_slope(design)),
    }
    if design.curve == "line":
        return out | set_scored("set of slope", found.anderson_rubin(), 1.0)
    return out | set_scored("set of difference", found.anderson_rubin(*ENDS), difference)


def scored(name: str, found: Estimate, true: float) -> dict[str, float]:
    low, high = found.interval()
    return {
        f"error {name}": found.value - true,
        f"std_error {name}": found.std_error,
        f"covered {name}": float(low <= true <= high),
    }


def set_scored(name: str, found: ConfidenceSet, true: float) -> dict[str, float]:
    return {f"covered {name}": float(true in found), f"bounded {name}": float(found.bounded)}


def true_slope(design: InstrumentDose) -> float:
    """E[g'(D) | D in RANGE] by integration over x0 and the dose."""
    x0 = np.linspace(-6, 6, 601)
    weight = np.exp(-(x0**2) / 2)
    spread = np.sqrt(1.25 + design.response(np.column_stack([x0, x0, x0])) ** 2)
    d = np.linspace(*RANGE, 1001)
    density = weight @ (np.exp(-((d / spread[:, None]) ** 2) / 2) / spread[:, None])
    return float(np.average(design.slope(d), weights=density))


def sieves(drawn: InstrumentDoseDraw, doses: np.ndarray) -> dict[str, np.ndarray]:
    """Curves of two-stage least squares at the doses, by method."""
    frame, out = drawn.frame, {}
    y, d, z = (frame[name].to_numpy() for name in ("y", "d", "z"))
    x = frame[["x0", "x1", "x2"]].to_numpy()
    controls = np.column_stack([np.ones(N), x, x**2])
    for crossed, last in ((False, ""), (True, ", z times x")):
        for k in (1, *TERMS):
            basis = NaturalSplines.of(d, k)
            instruments = NaturalSplines.of(z, 1 if k == 1 else k + 2)(z)
            if crossed:
                times = (instruments * column[:, None] for column in x.T)
                instruments = np.hstack([instruments, *times])
            beta, f = two_stage(y, basis(d), instruments, controls)
            curve = y.mean() + (basis(doses) - basis(d).mean(axis=0)) @ beta
            out[f"sieve 2SLS, {k} terms{last}" if k > 1 else f"{LINEAR}{last}"] = curve
            for least in (TELLING_F, WEAK_F):
                if k == 1 or f >= least:
                    out[f"sieve 2SLS, terms while F >= {least:g}{last}"] = curve
    return out


def two_stage(
    y: np.ndarray, d: np.ndarray, z: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, float]:
    """Coefficients of the columns of d, and the Cragg-Donald F."""
    q, _ = np.linalg.qr(x)
    y, d, z = (v - q @ (q.T @ v) for v in (y, d, z))
    projected = z @ np.linalg.lstsq(z, d, rcond=None)[0]
    beta = np.linalg.lstsq(projected, y, rcond=None)[0]
    return beta, weakest_direction(z, d, np.ones(N)) / z.shape[1]


def plain_f(drawn: InstrumentDoseDraw) -> float:
    """F of z in the regression of the dose on (1, x, z)."""
    frame = drawn.frame
    x = np.column_stack([np.ones(N), frame[["x0", "x1", "x2"]]])
    q, _ = np.linalg.qr(x)
    d, z = (v - q @ (q.T @ v) for v in (frame["d"].to_numpy(), frame["z"].to_numpy()))
    slope = z @ d / (z @ z)
    rest = d - slope * z
    return float(slope**2 * (z @ z) / (rest @ rest / (N - 5)))


def rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def curve_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Median and mean RMSE of each method, and ours over theirs."""
    out = []
    for design, own in rows.groupby("design", sort=False):
        ours = own[f"rmse {OURS}"]
        for name in [c.removeprefix("rmse ") for c in rows if c.startswith("rmse ")]:
            theirs = own[f"rmse {name}"]
            out.append({
                "design": design, "method": name, "mean RMSE": theirs.mean(),
                "median RMSE": theirs.median(), "ours / theirs, means": ours.mean() / theirs.mean(),
                "ours / theirs, medians": ours.median() / theirs.median(), "draws": len(own),
            })  # fmt: skip
    return pd.DataFrame(out)


def coverage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage of intervals and sets with their Monte Carlo errors from .95."""
    out = []
    for design, own in rows.groupby("design", sort=False):
        for name in [c.removeprefix("covered ") for c in rows if c.startswith("covered ")]:
            hit = own[f"covered {name}"].dropna()
            if len(hit):
                out.append({"design": design, "of": name, **_covered(own, name, hit)})
    return pd.DataFrame(out)


def _covered(own: pd.DataFrame, name: str, hit: pd.Series) -> dict[str, Any]:
    error = np.sqrt(0.95 * 0.05 / len(hit))
    found = {"coverage": hit.mean(), "Monte Carlo errors from .95": (hit.mean() - 0.95) / error,
             "draws": len(hit)}  # fmt: skip
    if f"error {name}" in own:
        found |= {
            "bias": own[f"error {name}"].mean(), "sd": own[f"error {name}"].std(),
            "median std_error": own[f"std_error {name}"].median(),
        }  # fmt: skip
        return found
    return {**found, "bounded": own[f"bounded {name}"].mean()}


def strength_table(rows: pd.DataFrame) -> pd.DataFrame:
    """First-stage F, warnings and numbers of terms."""
    grouped = rows.groupby("design", sort=False)
    out = grouped[["F of z", "first-stage F", "terms", "weakest F"]].median()
    out["share warned"] = grouped["warned"].mean()
    return out.reset_index()


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=50)
    options.add_argument("--light-draws", type=int, default=500)
    options.add_argument("--designs", type=int, default=len(DESIGNS), help="the first so many")
    args = options.parse_args()
    draws, light_draws = (1, 5) if args.quick else (args.draws, args.light_draws)
    names = list(DESIGNS)[: 1 if args.quick else args.designs]
    specs = grid(design=names, draw=range(FIRST_DRAW, FIRST_DRAW + draws))
    study = Study("structural_iv", curve_row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 15.0)
    weak = grid(design=[WEAK], draw=range(light_draws))
    study = Study("structural_iv_light", light_row, weak, args.studies,
                  any_version=args.any_version)  # fmt: skip
    light = run(study, args.n_jobs, lambda spec: 1.0)
    write(
        "structural_iv",
        "Structural curves by instruments",
        pd.concat([rows.assign(study="diffusion"), light.assign(study="light")]),
        [
            ("Error of the curve over the central 90 % of the dose.", curve_table(rows)),
            ("Coverage, diffusion first stage.", coverage_table(rows)),
            ("Strength: F of z by least squares; robust F of the learnt instrument, out of fold; "
             "medians.", strength_table(rows)),
            ("Coverage with a light first stage, a line.", coverage_table(light)),
        ],
        args.quick,
        args.studies,
    )  # fmt: skip


if __name__ == "__main__":
    main()
