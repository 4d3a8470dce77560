"""Do generative models recover the process behind the data? One report for nine generators.

Designs whose truth is known; a generator learns from 1000 rows of each and is examined by
``causal_ddpm.recover``: coefficients, conditional mean and quantiles, noise, assignment,
counterfactual outcomes, effects, distances of rows. Every check is held against what a fresh draw
of 1000 rows of the process itself stays within.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from recovery_generators import FitTimeoutError, GaussianCopula, Limited, Peer, SplineFlow

from causal_ddpm.core.errors import ConvergenceError
from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.recovery.api import recover
from causal_ddpm.evaluation.recovery.builtin import generator_by_name
from causal_ddpm.evaluation.recovery.generator import Generator, Roles
from causal_ddpm.evaluation.recovery.report import Recovery
from causal_ddpm.evaluation.studies import Spec, Study, grid

DESIGNS = ("gauss", "bimodal", "ai-adoption", "heavy-tails", "binary-outcome", "instrument")
ORACLE, BOOTSTRAP = "the process itself", "bootstrap"
OURS = {"joint diffusion (ours)": "joint", "conditional diffusion (ours)": "conditional"}
HERE = {"Gaussian copula": GaussianCopula, "spline flow": SplineFlow}
PEERS = ("ARF", "TVAE", "CTGAN")
GENERATORS = (ORACLE, BOOTSTRAP, *OURS, *HERE, *PEERS)
PEER_PYTHON = "GENERATORS_PYTHON"
"""Environment variable by which workers learn of the peers' Python; no part of a row's name."""

N, N_GENERATED, N_REPLICATES, CPU_SECONDS = 1000, 10_000, 8, 60.0
HEADLINES = {
    "w1": ("distance", "the Wasserstein distance"),
    "auc": ("distance", "the area under"),
    "mean_rmse": ("mean", "the root mean square error"),
    "noise_ks": ("noise", "the Kolmogorov"),
    "propensity_rmse": ("assignment", "the root mean square error"),
    "pehe": ("counterfactual", "the root mean square error"),
    "ate_error": ("effects", ("the ATE", "the LATE")),
}
"""Column, section of the report, and how the finding begins; the first such finding counts."""


@dataclass(frozen=True)
class Process:
    """The process itself as a generator: what the report says of the truth."""

    design: Any
    name: str = ORACLE

    def fit(self, frame: pd.DataFrame, roles: Roles, random_state: Seed = None) -> Process:
        """Nothing is to be learnt."""
        return self

    def sample(self, n: int, random_state: Seed = None) -> pd.DataFrame:
        """A fresh draw."""
        return self.design.draw(n, random_state).frame


def generator(name: str, design: Any) -> Generator:
    """One of :data:`GENERATORS`."""
    if name == ORACLE:
        return Process(design)
    if name in PEERS:
        return Peer(name, os.environ[PEER_PYTHON], CPU_SECONDS)
    if name in HERE:
        return HERE[name]()
    return generator_by_name(OURS.get(name, name))


def recovery_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Fit, examine, and keep one number a section; what failed is said in ``outcome``."""
    design = design_by_name(spec["design"])
    model = Limited(generator(spec["generator"], design), CPU_SECONDS)
    try:
        found = recover(
            design, model, N, spec["seed"], n_generated=N_GENERATED, n_replicates=N_REPLICATES
        )
    except FitTimeoutError:
        return {"outcome": f"no fit in {CPU_SECONDS:g} CPU-seconds", "fit_seconds": CPU_SECONDS}
    except ConvergenceError as error:
        return {"outcome": str(error), "fit_seconds": sum(model.seconds)}
    return {"outcome": "fitted", "fit_seconds": model.seconds[0], **numbers(found)}


def numbers(found: Recovery) -> dict[str, Any]:
    """Shares of checks recovered, the worst ratio of each section, and the headlines."""
    table = found.frame()
    judged = table[table["ratio"].notna()]
    row: dict[str, Any] = {
        "n_checks": len(judged),
        "share_recovered": float((judged["verdict"] == "recovered").mean()),
        "generate_seconds": found.seconds["generate"],
    }
    for section in found.sections:
        row[f"ratio_{section.name}"] = np.nan if section.ratio is None else section.ratio
        own = judged.loc[judged["section"] == section.name, "verdict"]
        row[f"share_{section.name}"] = float((own == "recovered").mean()) if len(own) else np.nan
    for name, (section, beginning) in HEADLINES.items():
        own = table[(table["section"] == section) & table["quantity"].str.startswith(beginning)]
        row[name] = float(own["error"].iloc[0]) if len(own) else np.nan
        row[f"{name}_allowance"] = float(own["allowance"].iloc[0]) if len(own) else np.nan
    return row


# -- tables ---------------------------------------------------------------------------------
def overview(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a generator: share of checks recovered by section, and cost."""
    sections = [c for c in rows if c.startswith("share_") and c != "share_recovered"]
    by = rows.groupby("generator", sort=False)
    out = by.size().rename("fits").to_frame()
    out["timed out or failed"] = by["outcome"].agg(lambda o: int((o != "fitted").sum()))
    out["all checks"] = by["share_recovered"].mean()
    shares = by[sections].mean().rename(columns=lambda c: c.removeprefix("share_"))
    return out.join(shares).join(by["fit_seconds"].mean().rename("fit CPU-s")).reset_index()


def headlines(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a design and generator: the errors, and above them what a fresh draw stays within."""
    names = list(HEADLINES)
    blocks = []
    for design, own in rows.groupby("design", sort=False):
        limits = own[[f"{n}_allowance" for n in names]].mean().set_axis(names)
        first = {"design": design, "generator": f"within reach of {N:,} rows", **limits}
        found = own.groupby("generator", sort=False)[["share_recovered", *names]].mean()
        found.insert(0, "seeds", own.groupby("generator", sort=False).size())
        blocks += [pd.DataFrame([first]), found.reset_index().assign(design=design)]
    columns = ["design", "generator", "seeds", "share_recovered", *names]
    out = pd.concat(blocks, ignore_index=True)[columns]
    seeds = out["seeds"].map(lambda k: "" if pd.isna(k) else str(int(k)))
    return out.assign(seeds=seeds).rename(columns={"share_recovered": "recovered"})


def unfitted(rows: pd.DataFrame) -> pd.DataFrame:
    """Time-outs and failures, one row each."""
    return rows.loc[rows["outcome"] != "fitted", ["design", "generator", "seed", "outcome"]]


OVERVIEW = f"""## Which checks are recovered

Share of the checks of each section whose error stays within what a fresh draw of {N:,} rows of the
process itself stays within (99 in 100), mean over designs and seeds. Generators learn from {N:,}
rows with at most {CPU_SECONDS:g} CPU-seconds a fit, one thread, default settings (CTGAN and TVAE
300 epochs), and are read from {N_GENERATED:,} generated rows; our conditional diffusion and our
joint diffusion are asked for conditional means and quantiles by setting the treatment. Two
yardsticks: `{ORACLE}` draws from the design; `{BOOTSTRAP}` repeats the training rows, so that it
looks like them by construction, but knows no process: it cannot set a treatment, and its rows say
what the training rows say."""

HEADLINE = f"""## One number a section

Errors, smaller is better; the first row of a design is what a fresh draw of {N:,} rows stays
within. `w1`: Wasserstein distance of the outcome; `auc`: area under the ROC curve, above one half,
of a classifier that tells generated from true rows; `mean_rmse`: of E[Y | x, d]; `noise_ks`:
Kolmogorov-Smirnov distance of the noise; `propensity_rmse`: of P(D | x); `pehe`: root mean square
error of E[Y(1) - Y(0) | x]; `ate_error`: absolute error of the ATE (with an instrument, of the
LATE), in units of the outcome. All others are in standard deviations of the outcome or in
probabilities."""


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--designs", nargs="+", default=list(DESIGNS), metavar="DESIGN")
    options.add_argument("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument(
        "--peer-python", help="Python of the environment of requirements-generators.txt"
    )
    options.add_argument(
        "--finished", action="store_true", help="write the table of the rows that are there"
    )
    args = options.parse_args()
    chosen = args.generators
    if args.peer_python and shutil.which(args.peer_python):
        os.environ[PEER_PYTHON] = args.peer_python
    elif not args.finished:
        print("Left out, since --peer-python names no Python that has them:", *PEERS)
        chosen = [name for name in chosen if name not in PEERS]
    seeds, designs = (1, args.designs[:1]) if args.quick else (args.seeds, args.designs)
    specs = grid(seed=range(seeds), design=designs, generator=chosen)
    study = Study(
        "dgp-recovery", recovery_row, specs, folder=args.studies, any_version=args.any_version
    )
    rows = study.collect() if args.finished else run(study, args.n_jobs, lambda spec: 60.0)
    report(rows[rows["status"] == "ok"], len(specs), args)


def report(rows: pd.DataFrame, n_tasks: int, args: Any) -> None:
    """Write the tables of the rows that are there."""
    order = {name: k for k, name in enumerate(GENERATORS)}
    rows = rows.sort_values(["seed", "design", "generator"], key=lambda c: c.map(order).fillna(c))
    tables = [(OVERVIEW, overview(rows)), (HEADLINE, headlines(rows))]
    missed = unfitted(rows)
    if len(missed):
        tables.append(("## Fits that gave no rows", missed))
    title = f"Recovery of the data-generating process: {len(rows)} of {n_tasks} fits"
    write("dgp_recovery", title, rows, tables, args.quick, args.studies)


if __name__ == "__main__":
    main()
