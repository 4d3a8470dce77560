"""Average effects on simulated panels: errors and coverage beside what each design is made for.

    A   100 x 100, half of the units treated from period 50, a covariate, noise of sd 1 (TWFE)
    B   150 x 20, three cohorts, effects that differ between them and grow (imputation, BJS)
    C   50 x 40, 5 treated, two autoregressive factors, shifted loadings of the treated (gsynth)

each with the method that knows the design. The target is the mean effect on the treated cells
drawn. All methods see the same draws. From ten treated clusters on (A, B) the average effect of
``PanelDiffusion`` is that of its base, chosen by cross-validation, with cluster-robust inference;
the diffusion is the law of paths and does not enter it, so the rows leave it out. With fewer (C)
the interval rests on placebos and a law of their errors, plain or by diffusion, whichever predicts
held-out paths better; rows have the plain law, and ``--full-draws`` repeats the first draws with
the diffusion.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write

from causal_ddpm.baselines.panel.low_rank import InteractiveFixedEffects
from causal_ddpm.baselines.panel.staggered import Imputation
from causal_ddpm.baselines.panel.synthetic import SyntheticDiD
from causal_ddpm.baselines.panel.twfe import TwoWayFixedEffects
from causal_ddpm.core.estimand import ATT
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.panel_data import PanelData
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.estimators.panel.clustered import ClusterInference, clustered_effects
from causal_ddpm.estimators.panel.diffusion import PanelDiffusion
from causal_ddpm.estimators.panel.placebos import untreated_cells
from causal_ddpm.evaluation.studies import Spec, Study
from causal_ddpm.nuisance.panel.choose import choose_base

SHARED = Path(__file__).resolve().parents[2] / "shared" / "peers"
LEVEL = 0.95
OURS, BASE, FULL = "PanelDiffusion", "its base, clusters", "PanelDiffusion with its diffusion"
PEERS = {
    "TWFE": TwoWayFixedEffects(),
    "BJS": Imputation(),
    "SDID": SyntheticDiD(replications=2),
    "gsynth": InteractiveFixedEffects(replications=2),
}
"""Two replications are too few for an interval, and enough for the point."""
POINT_ONLY = ("SDID", "gsynth")
METHODS = {
    "A": (OURS, "TWFE", "BJS", "SDID"),
    "B": (OURS, "TWFE", "BJS", "SDID"),
    "C": (OURS, "TWFE", "BJS", "SDID", "gsynth"),
}
YARDSTICK = {"A": ("TWFE", 1.05), "B": ("BJS", 1.1), "C": ("gsynth", 1.2)}
SECONDS = {OURS: 7.0, FULL: 28.0, "gsynth": 2.0}
MANY_ERRORS = 2.6
"""Monte Carlo errors within which coverage counts as 95 percent."""


def drawn(design: str, draw: int) -> tuple[PanelData, float]:
    """A draw of a design, and its true effect."""
    if str(SHARED) not in sys.path:
        sys.path.insert(0, str(SHARED))
    import panels

    rng = np.random.default_rng([ord(design), draw])
    frame, truth = getattr(panels, f"design_{design.lower()}")(rng)
    covariates = ["x"] if design == "A" else None
    return PanelData(frame, "u", "t", "y", treated="w", covariates=covariates), truth


def design_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """What one method says of one draw."""
    panel, truth = drawn(spec["design"], spec["draw"])
    method = spec["method"]
    if method in PEERS:
        found = PEERS[method].estimate(panel, ATT(), seed, LEVEL)
        return scores(found, truth, interval=method not in POINT_ONLY)
    how = PanelDiffusion(level=LEVEL, leads=False)
    if method == FULL:
        return scores(how.estimate(panel, seed).att, truth)
    base = choose_base(untreated_cells(panel), seed_sequence(seed, "base")).base
    clustered = clustered_effects(panel, base, ClusterInference(n_leads=0), LEVEL).att
    ours = clustered
    if spec["design"] == "C":
        ours = PanelDiffusion(base, None, level=LEVEL, leads=False).estimate(panel, seed).att
    base_scores = {f"base_{name}": value for name, value in scores(clustered, truth).items()}
    return {**scores(ours, truth), **base_scores, "base": base.name}


def scores(found: Estimate, truth: float, interval: bool = True) -> dict[str, Any]:
    """Error, standard error, and whether the interval holds the truth."""
    out: dict[str, Any] = {"att_error": float(found.value) - truth}
    if interval:
        low, high = found.interval(LEVEL)
        out |= {"std_error": float(found.std_error), "length": float(high - low)}
        out["covered"] = bool(low <= truth <= high)
    return out


def with_base(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the base alone, made of those of ours."""
    names = ["att_error", "std_error", "length", "covered"]
    own = rows[rows["method"] == OURS]
    base = own[["design", "draw"]].assign(method=BASE)
    for name in names:
        base[name] = own[f"base_{name}"]
    return pd.concat([rows, base], ignore_index=True)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """RMSE, bias and coverage of every method, and RMSE over the yardstick's on the same draws."""
    out = []
    for (design, method), part in with_base(rows).groupby(["design", "method"], sort=False):
        error = part.set_index("draw")["att_error"].astype(float)
        peer, most = YARDSTICK[design]
        chosen = (rows["design"] == design) & (rows["method"] == peer)
        other = rows[chosen].set_index("draw")["att_error"].astype(float)
        both = error.index.intersection(other.index)
        covered = part["covered"].dropna().astype(float)
        out.append({
            "design": design, "method": method, "draws": len(error), "RMSE": rms(error),
            "bias": error.mean(), "its MC error": error.sem(),
            "RMSE ratio": rms(error[both]) / rms(other[both]) if len(both) else np.nan,
            "its error": ratio_error(error[both], other[both]) if len(both) > 2 else np.nan,
            "to": f"{peer} (at most {most})",
            "coverage": covered.mean(), "in MC errors from .95": coverage_gap(covered),
            "length": part["length"].mean(),
            "CPU s": part["cpu_seconds"].mean(),
        })  # fmt: skip
    return pd.DataFrame(out).sort_values("design", kind="stable")


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """What was asked for, and whether it is reached."""
    shown = table(rows).set_index(["design", "method"])
    out = []
    for design, (peer, most) in YARDSTICK.items():
        if (design, OURS) not in shown.index:
            continue
        own = shown.loc[(design, OURS)]
        out.append({
            "design": design, "draws": own["draws"], "RMSE ratio": own["RMSE ratio"],
            "at most": most, "yardstick": peer,
            "ratio reached": _yes(own["RMSE ratio"] <= most),
            "bias in MC errors": own["bias"] / own["its MC error"],
            "coverage": own["coverage"],
            "coverage reached": _yes(abs(own["in MC errors from .95"]) <= MANY_ERRORS),
        })  # fmt: skip
    return pd.DataFrame(out)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def coverage_gap(covered: pd.Series) -> float:
    """Coverage less .95, in Monte Carlo errors of a method that covers .95."""
    if covered.empty:
        return float("nan")
    return float((covered.mean() - LEVEL) / np.sqrt(LEVEL * (1 - LEVEL) / len(covered)))


def rms(values: pd.Series) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def ratio_error(a: pd.Series, b: pd.Series) -> float:
    """Jackknife standard error of rms(a) / rms(b)."""
    left_out = [rms(a.drop(k)) / rms(b.drop(k)) for k in a.index]
    n = len(left_out)
    return float(np.sqrt((n - 1) ** 2 / n * np.var(left_out, ddof=1)))


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=200)
    options.add_argument("--full-draws", type=int, default=5, help="with the diffusion, design C")
    options.add_argument("--designs", nargs="*", default=list(METHODS), choices=list(METHODS))
    options.add_argument("--finished", action="store_true", help="a table of rows already there")
    args = options.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"The designs are read from {SHARED}, which is not there.")
    draws = range(2) if args.quick else range(args.draws)
    specs = [
        {"design": design, "draw": draw, "method": method}
        for draw in draws for design in args.designs for method in METHODS[design]
    ]  # fmt: skip
    if "C" in args.designs and not args.quick:
        full = range(min(args.full_draws, args.draws))
        specs += [{"design": "C", "draw": draw, "method": FULL} for draw in full]
    study = Study("panel-designs", design_row, specs, args.studies, any_version=args.any_version)
    rows = study.collect() if args.finished else run(
        study, args.n_jobs, lambda spec: SECONDS.get(spec["method"], 0.3))  # fmt: skip
    rows = rows[rows["status"] == "ok"]
    write("panel_designs", "Average effects on simulated panels", rows,
          [(REACHED, verdicts(rows)), (ALL, table(rows))], args.quick, args.studies)  # fmt: skip


REACHED = (
    "Asked for: RMSE of the average effect on the treated cells at most so many times that of the "
    "method which knows the design, on the same draws; coverage of the default 95 % interval "
    f"within {MANY_ERRORS} Monte Carlo errors of .95; in B no bias beyond Monte Carlo error"
)
ALL = (
    "All methods. `its base, clusters` is the base that PanelDiffusion chooses with cluster-robust "
    "intervals; from ten treated units on that is what PanelDiffusion says. SDID and gsynth "
    "(interactive fixed effects, rank by cross-validation over all untreated cells) without "
    "intervals: theirs cost a hundred refits a draw"
)

if __name__ == "__main__":
    main()
