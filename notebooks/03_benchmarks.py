# %% [markdown]
# # How does it compare? The recorded benchmarks, and where we lose
#
# A new method is worth a look when it stands beside the ones that people know, on data that neither
# side chose after seeing the result. The questions of a discussant, and where this page answers
# them:
#
# - **What is compared?** Effects of single units, their means, their intervals, whole laws of
#   outcomes, untreated paths of panels, and generated data; each with the methods made for it.
# - **On what?** Data whose truth is known because it was made (ACIC, IHDP, RealCause, the designs
#   of the laboratory), an experiment beside non-experimental controls (LaLonde), and real panels on
#   which nothing happened (placebos).
# - **Under which rules?** Default settings on both sides, the same rows for everybody, lists fixed
#   before the run, every row kept in a ledger. IHDP and ACIC 2016, settings 1 and 4, had a part in
#   choosing the learners of this package, so wins there are worth less than elsewhere.
# - **Where does it lose?** Said under every picture and collected at the end.
#
# Pictures are drawn from the recorded rows in `benchmarks/results/`; next to each table there lies
# the command that rebuilds it. One small comparison runs live.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from causal_ddpm import ATE, compare
from causal_ddpm.dgp.catalog import catalog
from causal_ddpm.evaluation.provenance import Reference
from causal_ddpm.report import displays, style

ROOT = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "experiments").is_dir())
sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "benchmarks")]
import standings  # noqa: E402 - experiments and benchmarks are scripts, not a package
from study_page import HeatMap, text_of  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
OURS = "ours"


def read(name: str) -> pd.DataFrame:
    """The recorded rows of a benchmark."""
    return pd.read_csv(RESULTS / f"{name}.csv")


def show(display: displays.Display, width: float = 7.6) -> None:
    """Draw a display in the look of the reports."""
    height = getattr(display, "height", 3.6)
    with style.look():
        _, ax = plt.subplots(figsize=(width, height), layout="constrained", facecolor="white")
        display.plot(ax)
        plt.show()


def error_map(rows: pd.DataFrame, score: str, columns: list[str]) -> HeatMap:
    """Mean errors; the more colour, the further from the best of the column, full at thrice."""
    means = rows.pivot_table(index="method", columns="dataset", values=score)[columns]
    means = means.loc[(means / means.min()).mean(axis=1).sort_values().index]
    return HeatMap(((means / means.min() - 1) / 2).clip(0, 1), means.map(text_of))


# %% [markdown]
# ## Effects of single units
#
# sqrt(PEHE), the root mean squared error of the predicted effect of rows that no method has seen:
# ACIC 2016 (three settings, three splits each), two simulated designs (20 draws), IHDP (20
# replications), beside the Bayesian methods that usually win such contests and an X-learner.

# %%
pehe = read("pehe")
own = pehe[~pehe["method"].str.startswith("ours_")]
show(error_map(own, "sqrt_pehe", ["acic1", "acic4", "acic5", "gauss", "bimodal", "ihdp"]))

means = own.pivot_table(index="dataset", columns="method", values="sqrt_pehe", sort=False)
for dataset, row in means.iterrows():
    best = row.drop(OURS).idxmin()
    print(f"{dataset:8s} ours / best other ({best}): {row[OURS] / row[best]:.2f}")
without = pehe[pehe["method"] == "ours_without_linkX"]["sqrt_pehe"].mean()
print(f"IHDP without the learner that contains its family: {without:.2f}")

# %% [markdown]
# A ratio above one is a loss: **BCF**, a forest that shrinks effects towards a constant, is ahead
# where effects are simple. On IHDP a member of our stack contains the family that made the data;
# without it the lead over the best other method shrinks to the figure printed last.

# %% [markdown]
# ## One list, eight methods
#
# `python experiments/run_benchmarks.py --full` asks every method about IHDP, ACIC 2016 and 2017,
# RealCause LaLonde and Twins and the real LaLonde: the effects of rows, the ATE and the ATT.
# Parts of at most 2 000 rows train. The rank of a method is averaged within a family of data sets,
# then over families.

# %%
if (RESULTS / "semisynthetic.csv").exists():
    rows = read("semisynthetic")
    for score, label in standings.SCORES.items():
        known = standings.errors(rows, score)
        families = [f for f in rows["family"].unique() if f in known.index and f != "laboratory"]
        ranks = standings.mean_ranks(rows, score, families)
        badness = (ranks.set_index("method")[["mean rank", *families]] - 1) / (len(ranks) - 1)
        print(f"{label}: ours is number {standings.place(ranks, OURS)} of {len(ranks)}")
        show(HeatMap(badness, ranks.set_index("method")[badness.columns].map(text_of)), 8.4)
    lost = standings.losses(rows, "sqrt_pehe", OURS)
    print("Data sets on which another method predicts effects better:")
    print(lost.round(3).to_string(index=False))
else:
    print("Not recorded yet.")

# %% [markdown]
# ## Intervals
#
# An interval is worth what it covers. Each dot is one estimand of the coverage study: the share of
# 95 % intervals of the default pipeline that held the truth, over 100 draws of 500 rows (500 draws
# in `gauss` and `bimodal`, which are judged more sharply). The band is what 100 draws of an honest
# interval give in 99 of 100 cases.

# %%
coverage = read("coverage")
full = coverage[(coverage["method"] == "full") & (coverage["n"] == 500)]
designs = sorted(full["design"].unique())
with style.look():
    _, ax = plt.subplots(figsize=(7.6, 3.4), layout="constrained", facecolor="white")
    rng = np.random.default_rng(0)
    half = 2.6 * np.sqrt(0.95 * 0.05 / 100)
    ax.axvspan(0.95 - half, min(0.95 + half, 1), color="#eef4ee", zorder=0)
    style.rule(ax, 0.95)
    for place, design in enumerate(designs):
        part = full[full["design"] == design]
        colours = np.where(part["verdict"] == "fails", style.TREATED, style.UNTREATED)
        height = place + rng.uniform(-0.25, 0.25, len(part))
        ax.scatter(part["coverage"], height, c=colours, s=16, linewidths=0)
    ax.set_yticks(range(len(designs)), designs)
    ax.tick_params(axis="y", labelcolor=style.INK)
    ax.set_xlabel("coverage of 95 % intervals; orange: marked as failed in the table")
    plt.show()
headline = full.query("design in ['gauss', 'bimodal'] and case in ['ATE', 'ATT', 'ATU']")
print(headline[["design", "label", "n_draws", "coverage", "width_ratio"]].round(3).to_string())
counts = full.assign(fails=full["verdict"] == "fails").groupby("case")["fails"].agg(["sum", "size"])
worst = counts[counts["sum"] > 0].sort_values("sum", ascending=False)
print(f"\n{worst['sum'].sum()} of {len(full)} entries fail. By estimand (fail, of so many):")
print(worst.T.to_string())

# %% [markdown]
# On the two designs with 500 draws the means hold their level. What fails most often elsewhere are
# effects of subgroups and lines through effects (GATE, BLP) and uniform bands of distribution
# functions; quantile effects fail in one entry of 42. The table names each. Beside other libraries,
# on the same 50 draws:

# %%
text = (RESULTS / "coverage_peers.md").read_text(encoding="utf-8").splitlines()
cells = [[c.strip() for c in line.strip("|").split("|")] for line in text if line.startswith("| ")]
beside = pd.DataFrame(cells[2:], columns=cells[0])
shown = ["method", "design", "label", "coverage", "width_ratio", "rmse"]
print(beside[shown].to_string(index=False))

# %% [markdown]
# A width ratio of one is the smallest possible width. Others cover too, with wider intervals; with
# 50 draws the Monte Carlo error of a coverage is .03.

# %% [markdown]
# ## Against an experiment: LaLonde
#
# The job-training experiment says 1 794 dollars (standard error 671). Take away its controls, and
# put 15 992 people of the CPS or 2 490 of the PSID in their place: who still finds it? 20 random
# states each, since folds and networks are random.

# %%
sources = {"CPS controls": read("lalonde"), "PSID controls": read("lalonde_psid")}
methods = [m for m in sources["CPS controls"]["method"].unique() if m != OURS] + [OURS]
with style.look():
    _, axes = plt.subplots(
        1, 2, figsize=(8.4, 2.8), layout="constrained", facecolor="white", sharey=True
    )
    for ax, (title, rows) in zip(axes, sources.items(), strict=True):
        ax.axvspan(1794 - 1.96 * 671, 1794 + 1.96 * 671, color="#eef4ee", zorder=0)
        style.rule(ax, 1794)
        for place, method in enumerate(methods):
            part = rows[rows["method"] == method]["att"]
            colour = style.TREATED if method == OURS else style.NAIVE
            ax.plot(part, np.full(len(part), place), "o", ms=4, alpha=0.6, color=colour, mec="none")
            ax.plot(part.median(), place, "|", ms=16, color=style.INK)
        ax.set_yticks(range(len(methods)), methods)
        ax.tick_params(axis="y", labelcolor=style.INK)
        ax.set_xlim(-1600, 5600)
        ax.set_title(title, fontsize=10.5)
        ax.set_xlabel("ATT, dollars; green: the experiment's interval")
    plt.show()
for title, rows in sources.items():
    found = rows.groupby("method")["att"].agg(["median", "min", "max"]).loc[methods]
    print(title, found.round(0).astype(int).to_string(), sep="\n")

# %% [markdown]
# Most answers of the causal forest are off the picture: its doubly robust mean divides by
# propensities near zero, and ranges from minus 70 to plus 9 thousand (tables above). With CPS
# controls logistic DML sits nearer to the experiment than we do, and the medians of all but the
# forest are within its interval: the experiment cannot tell them apart. With PSID controls overlap
# is so poor that methods which weight by a propensity of boosted trees leave the interval, or move
# by thousands between random states; ours stays near 1 794.

# %% [markdown]
# ## Every method of `compare` on one question
#
# The distance of each estimate from the experiment's 1 794 dollars, in its own standard errors.

# %%
asked = read("compare").set_index("sample")
names = [c.split("|")[0] for c in asked.columns if c.endswith("|distance")]
distance = asked[[f"{n}|distance" for n in names]].astype(float).set_axis(names, axis=1).T
texts = distance.map(lambda v: f"{v:+.1f}" if v == v else None)
show(HeatMap((distance.abs() / 4).clip(0, 1), texts), 7.0)

# %% [markdown]
# On the experiment everybody agrees. With survey controls the difference in means is seventeen
# standard errors off; adjusting for eight covariates brings most within two. A large standard error
# (the causal forest) hides a useless estimate from such a distance: read it with the table.

# %% [markdown]
# ## Panels on which nothing happened
#
# Units that were never treated are treated in pretence; what a method predicts for them is compared
# with what happened. Error over that of synthetic difference-in-differences, on the same units.

# %%
placebos = read("placebos")
squares = placebos.assign(square=placebos["rmspe"] ** 2)
rmspe = np.sqrt(squares.pivot_table("square", "method", "panel", sort=False))
ratio = rmspe.div(rmspe.loc["SDID"]).dropna()
ratio = ratio.loc[ratio.mean(axis=1).sort_values().index]
show(HeatMap(((ratio - 0.9) / 0.6).clip(0, 1), ratio.map("{:.2f}".format)), 6.4)

# %% [markdown]
# The base that is chosen on control units is within two hundredths of synthetic
# difference-in-differences, or better, on all four panels. Ridge regression on donors, twenty lines
# of code, is as good; with short panels (`mpdta`) nothing beats a plain difference in differences
# by much.

# %% [markdown]
# ## The whole law of an outcome
#
# Here the diffusion model earns its keep. How far is the predicted law of Y(a) given x from the
# true one (excess CRPS over the truth, in per cent) with two modes, Gaussian and skewed noise?

# %%
law = read("law")
law = law[~law["method"].isin(["gaussian_oracle", "ours_end_to_end"])]
excess = 100 * law.groupby(["method", "design"])["excess_crps"].mean().unstack()
excess = excess / law.groupby("design")["oracle_crps"].mean()
excess = excess.loc[excess.mean(axis=1).sort_values().index]
show(HeatMap((excess / 25).clip(0, 1), excess.map("{:.1f} %".format)), 5.6)

# %% [markdown]
# On Gaussian noise a Gaussian process is as good, as theory says it must be.

# %% [markdown]
# ## Generated data: the process, or only its looks?
#
# Shares of checks that a generator of whole tables recovers, over six designs whose process is
# known: regression lines, conditional quantiles, the assignment, effects.

# %%
show(displays.LeaderboardDisplay.of(read("dgp_recovery")), 8.6)

# %% [markdown]
# Our generators recover most of the process, and are told from real rows more easily than a
# bootstrap is (*looks*): they smooth what the bootstrap copies.

# %% [markdown]
# ## A small run, live
#
# A fresh draw whose truth is known, and four methods on the same 500 rows. One draw proves nothing;
# `experiments/run_synthetic.py` repeats this over draws and eleven designs.

# %%
drawn = catalog()["gauss"].draw(500, seed=2027)
asked = ["difference", "ols", "irm", "diffusion"]
truth = Reference("truth", drawn.truth.population["ATE"], 0.0)
found = compare(drawn.data, ATE(), methods=asked, benchmark=truth, random_state=0)
print(f"true ATE {truth.value:.2f}")
print(found.frame()[["method", "value", "ci_low", "ci_high", "seconds"]].round(2).to_string())
show(displays.MethodForestDisplay.of(found))

# %% [markdown]
# ## Where it loses
#
# Read from the same rows: cells in which another method's error is smaller than ours.

# %%
for dataset, row in means.iterrows():
    if row.idxmin() != OURS:
        print(f"effects of units, {dataset}: {row.idxmin()} {row.min():.3g}, ours {row[OURS]:.3g}")
for design, column in excess.items():
    if column.idxmin() != OURS:
        print(f"laws, {design}: {column.idxmin()} {column.min():.3g} %, ours {column[OURS]:.3g} %")
for panel, column in ratio.items():
    best, mine = column.idxmin(), column["panel diffusion"]
    if best not in ("panel diffusion", "chosen base"):
        print(f"placebos, {panel}: {best} {column.min():.2f}, ours {mine:.2f}")
cost = pehe.groupby(["dataset", "method"])["cpu_seconds"].mean().unstack()
print("processor time of ours over the X-learner's:")
print((cost[OURS] / cost["x_learner"]).round().astype(int).to_dict())

# %% [markdown]
# ## What would overturn it
#
# - **Another list.** Rank and lead depend on the data sets; these are the public ones, chosen
#   beforehand, and wins on IHDP and ACIC 2016 are not independent of the development.
# - **Tuned peers.** Defaults on both sides favour the method with the better defaults.
# - **Hidden confounding.** Every data set here but LaLonde satisfies what the methods assume. None
#   of these tables says that your confounders are complete; `causal_ddpm.sensitivity` asks how
#   strong one that you missed would have to be.
# - **Cost.** A fit takes seconds to minutes where boosted trees take a fraction of a second. Where
#   only a mean is wanted and covariates are many and simple, logistic DML is hard to beat.
