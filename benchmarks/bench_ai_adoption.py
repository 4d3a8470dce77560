"""Simulated AI adoption, 100 seeds: the effect found where the naive difference misleads.

A cross-section of firms through the command line: for each seed `causal-ddpm simulate ai-adoption`,
then `causal-ddpm estimate` on the CSV it wrote; the classics get the same rows. And a panel of
firms that adopt in different quarters (design `ai-adoption-panel`), through the public API, with
the average effect on the treated cells drawn as the target. From ten treated firms on that average
does not depend on the law of paths, so the rows leave the diffusion of paths out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from common import parser, run, write

from causal_ddpm import ATE, ATT, CausalData, PanelData, PanelDiffusion, compare, design_by_name
from causal_ddpm.core.estimate import Estimate
from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.panel.comparison import compare_panel
from causal_ddpm.evaluation.studies import Spec, Study, grid

CONFOUNDERS = ["industry", "industry_size", "rd_intensity", "education"]
LEVEL, MANY_ERRORS = 0.95, 2.6
CLASSICS = {"ATE": ["difference", "ols", "plr", "irm"], "ATT": ["difference", "ols", "matching"]}
PANEL_CLASSICS = ["twfe", "cs", "bjs"]
TITLES = {
    "diffusion": "diffusion (this package)", "difference": "naive: difference in means",
    "ols": "OLS on the confounders", "plr": "DML, partially linear", "irm": "DML, interactive",
    "matching": "PSM, pairs", "twfe": "two-way fixed effects",
    "cs": "Callaway-Sant'Anna", "bjs": "imputation (BJS)",
    "naive": "naive: users and others, treated cells",
}  # fmt: skip


def firm_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Estimates of one simulated cross-section: ours by the command line, the classics beside."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "firms.csv", Path(folder) / "effects.json"
        state = str(spec["random_state"])
        asked = ("simulate", "ai-adoption", "--n", str(spec["n"]), "--out", str(file))
        command(*asked, "--random-state", state)
        command(
            "estimate", str(file), "--treatment", "ai_adoption", "--outcome", "productivity",
            "--confounders", ",".join(CONFOUNDERS), "--estimand", "ate", "--estimand", "att",
            "--json", str(out), "--random-state", state, "--quiet",
        )  # fmt: skip
        truth = json.loads(Path(f"{file}.truth.json").read_text(encoding="utf-8"))["population"]
        found = json.loads(out.read_text(encoding="utf-8"))["estimates"]
        frame = pd.read_csv(file)
    flat: dict[str, float] = {}
    for own in found:
        name = own["estimand"]
        interval = own["ci_low"], own["ci_high"]
        flat |= scores("diffusion", name, own["value"], own["std_error"], interval, truth[name])
    data = CausalData(frame, "ai_adoption", "productivity", CONFOUNDERS)
    for estimand in (ATE(), ATT()):
        name = estimand.name
        others = compare(data, estimand, CLASSICS[name], random_state=spec["random_state"])
        for line in others.frame().to_dict("records"):
            interval = line["ci_low"], line["ci_high"]
            flat |= scores(
                line["name"], name, line["value"], line["std_error"], interval, truth[name]
            )
    return flat


def panel_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Estimates of one simulated panel of adoption dates."""
    drawn = design_by_name("ai-adoption-panel").draw(spec["n"], spec["random_state"])
    panel = PanelData(drawn.frame, "unit", "period", "y", cohort="cohort")
    truth = drawn.truth.sample["ATT"]
    how = PanelDiffusion(diffusion=None, leads=False, level=LEVEL)
    ours: Estimate = how.estimate(panel, spec["random_state"]).att
    flat = scores("diffusion", "ATT", ours.value, ours.std_error, ours.interval(LEVEL), truth)
    others = compare_panel(panel, PANEL_CLASSICS, spec["random_state"], level=LEVEL)
    for line in others.frame().to_dict("records"):
        interval = line["ci_low"], line["ci_high"]
        flat |= scores(line["name"], "ATT", line["value"], line["std_error"], interval, truth)
    cells = drawn.frame.groupby("treated")["y"].mean()
    return flat | {"naive_ATT_error": cells[1] - cells[0] - truth}


def scores(
    method: str, estimand: str, value: float, std_error: float,
    interval: tuple[float, float], truth: float,
) -> dict[str, float]:  # fmt: skip
    """Error, standard error and whether the interval holds the truth, in columns of their own."""
    low, high = map(float, interval)
    known = {
        "error": float(value) - truth, "std_error": float(std_error), "truth": truth,
        "covered": float(low <= truth <= high),
    }  # fmt: skip
    return {f"{method}_{estimand}_{key}": number for key, number in known.items()}


def command(*arguments: str) -> None:
    """Run ``causal-ddpm`` in a process of its own.

    Raises
    ------
    RuntimeError
        If it ends with an error; its message is passed on.
    """
    entry = "from causal_ddpm.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", entry, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"causal-ddpm {arguments[0]}: {done.stderr[-1500:]}")


def summary(rows: pd.DataFrame, estimand: str, methods: list[str]) -> pd.DataFrame:
    """Bias and coverage of every method, in Monte Carlo errors where they are asked for."""
    truth = rows[f"diffusion_{estimand}_truth"].mean()
    out = []
    for method in methods:
        column = f"{method}_{estimand}_"
        error = rows[f"{column}error"].astype(float)
        line = {
            "estimand": estimand, "method": TITLES[method], "seeds": len(error),
            "truth (mean)": truth, "bias": error.mean(), "its MC error": error.sem(),
            "bias in MC errors": error.mean() / error.sem() if len(error) > 1 else np.nan,
            "RMSE": float(np.sqrt((error**2).mean())), "SD of estimates": error.std(),
        }  # fmt: skip
        if f"{column}covered" in rows:
            covered = rows[f"{column}covered"].astype(float)
            line |= {
                "mean SE": rows[f"{column}std_error"].mean(), "coverage": covered.mean(),
                "in MC errors from .95": coverage_gap(covered),
            }  # fmt: skip
        out.append(line)
    return pd.DataFrame(out)


def coverage_gap(covered: pd.Series) -> float:
    """Coverage less .95, in Monte Carlo errors of a method that covers .95."""
    return float((covered.mean() - LEVEL) / np.sqrt(LEVEL * (1 - LEVEL) / len(covered)))


def reached(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """What was asked of this package, and whether it is reached."""
    own = pd.concat([table.iloc[[0]] for table in tables], ignore_index=True)
    bias, gap = own["bias in MC errors"].abs(), own["in MC errors from .95"].abs()
    own["bias within 1.96 MC errors"] = np.where(bias <= 1.96, "yes", "no")
    own[f"coverage within {MANY_ERRORS} MC errors"] = np.where(gap <= MANY_ERRORS, "yes", "no")
    own.insert(0, "data", ["cross-section", "cross-section", "panel"])
    return own.drop(columns=["method", "RMSE", "SD of estimates", "mean SE"])


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=1000, help="firms of a cross-section")
    options.add_argument("--n-panel", type=int, default=120, help="firms of a panel")
    options.add_argument("--seeds", type=int, default=100)
    args = options.parse_args()
    n, seeds = (300, 2) if args.quick else (args.n, args.seeds)
    firms = Study(
        "ai-adoption", firm_row, grid(n=[n], random_state=range(seeds)), args.studies,
        any_version=args.any_version,
    )  # fmt: skip
    panels = Study(
        "ai-adoption-panel", panel_row, grid(n=[args.n_panel], random_state=range(seeds)),
        args.studies, any_version=args.any_version,
    )  # fmt: skip
    panel = run(panels, args.n_jobs, lambda spec: 3.0)
    cross = run(firms, args.n_jobs, lambda spec: 22.0)
    tables = [summary(cross, name, ["diffusion", *CLASSICS[name]]) for name in CLASSICS]
    dated = summary(panel, "ATT", ["diffusion", "naive", *PANEL_CLASSICS])
    rows = pd.concat([cross.assign(data="cross-section"), panel.assign(data="panel")])
    write("ai_adoption", TITLE, rows, [
        (ASKED, reached([*tables, dated])),
        (f"Cross-sections of {n:,} firms, population effects", pd.concat(tables)),
        (f"Panels of {args.n_panel} firms and 16 quarters, effect on the treated cells", dated),
    ], args.quick, args.studies)  # fmt: skip


ASKED = (
    "Asked for: bias within Monte Carlo error, coverage of the default 95 % interval within "
    f"{MANY_ERRORS} Monte Carlo errors of .95"
)
TITLE = "AI adoption, simulated: from the file to the effect"

if __name__ == "__main__":
    main()
