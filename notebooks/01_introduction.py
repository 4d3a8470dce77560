# %% [markdown]
# # Causal effects from diffusion models, in one minute and then from the inside
#
# A thousand firms; some have adopted AI. Does it make them more productive? Larger, more
# research-intensive and better-educated firms adopt more often, and would be more productive
# anyway. The firms are simulated, so the answer is known, and this notebook can be wrong in public.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from causal_ddpm import (
    ATE,
    ATT,
    GATE,
    QTE,
    AIAdoption,
    CausalConfig,
    CausalData,
    CausalInferenceFramework,
    PotentialOutcomeModel,
    analyse,
    catalog,
    compare,
    joint_effects,
    sensitivity,
    write_report,
)
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import displays, style

draw = AIAdoption().draw(1000, seed=0)
firms = draw.frame
firms.head()

# %% [markdown]
# ## The one-minute door

# %%
config = CausalConfig(n_epochs=100, batch_size=32)
framework = CausalInferenceFramework(config)
columns = ["industry_size", "rd_intensity", "education"]
dataset = framework.prepare_data(
    firms, treatment_col="ai_adoption", outcome_col="productivity", confounder_cols=columns
)
framework.train(dataset)
ate, ate_std = framework.estimate_ate(dataset)

naive = firms.groupby("ai_adoption")["productivity"].mean().diff().iloc[-1]
print(f"naive difference         {naive:5.2f} thousand dollars a worker")
print(f"average effect           {ate:5.2f} (standard error {ate_std:.2f})")
print(f"true average effect      {draw.truth.value('ATE'):5.2f}")

# %% [markdown]
# Most of what a naive comparison sees is who adopts, not what adoption does. `ate_std` is the
# standard error of the average effect, in thousand dollars.
#
# ## The plain API: what is estimated, and under which assumptions
#
# The door hides three steps. Roles are given once, questions are plain descriptions, and one fit
# answers all of them.

# %%
data = CausalData(firms, treatment="ai_adoption", outcome="productivity", confounders=columns)
questions = [ATE(), ATT(), QTE([0.1, 0.5, 0.9]), GATE("education", n_groups=3)]
source = Source("simulated firms", "thousand dollars a worker", truth=draw.truth)
analysis = analyse(data, questions, source=source)
for estimate in analysis.estimates:
    print(estimate)

# %% [markdown]
# **What is estimated.** The ATE is the mean of Y(1) - Y(0) over firms like these; the ATT the same
# over adopters; the QTE compare quantiles of the two outcomes among all firms; the groups are
# thirds by education. None is the effect on a single firm.
#
# **Under which assumptions.** In the words that every estimate carries:

# %%
for assumption in analysis.estimates[0].assumptions:
    print("-", assumption)


# %%
def show(display: displays.Display, height: float = 3.2) -> None:
    """Draw a display in the look of the reports."""
    with style.look():
        _, ax = plt.subplots(figsize=(7.6, height), layout="constrained", facecolor="white")
        display.plot(ax)
        plt.show()


show(displays.EffectDisplay.of(analysis), 2.4)
show(displays.DistributionsDisplay.of(analysis))
show(displays.OverlapDisplay.of(analysis), 2.6)

# %% [markdown]
# ## What is inside: a law, not a number
#
# For each arm a conditional diffusion model learns the *law* of the outcome given the confounders.
# To see why that takes more than a mean and a spread, here is a design of the laboratory whose
# noise has two modes, and the learnt laws of the first three units beside the true ones.

# %%
two_modes = catalog()["bimodal"]
sample = two_modes.draw(2000, seed=1)
law = PotentialOutcomeModel().fit(sample.data, random_state=0)

units = sample.frame.drop(columns=["d", "y"]).head(3)
grid = np.linspace(-4, 6, 300)
with style.look():
    _, axes = plt.subplots(2, 3, figsize=(7.6, 3.4), layout="constrained", sharex=True)
    for arm, row in enumerate(axes):
        truth, learnt = two_modes.law(units.to_numpy(), arm), law.density(units, arm, grid)
        for i, ax in enumerate(row):
            ax.fill_between(grid, np.gradient(truth.cdf(grid)[i], grid), color="0.85", label="true")
            ax.plot(grid, learnt[i], label="learnt")
            ax.set(title=f"Y({arm}) of unit {i + 1}", yticks=[])
    axes[0, 0].legend(frameon=False)
    plt.savefig("../docs/images/law_of_a_unit.png", dpi=110)
    plt.show()

# %% [markdown]
# **Location** (a cross-fitted mixture of regressions), **scale** (how far outcomes spread) and
# **shape** (the diffusion of the standardised residual) are learnt one after the other; an
# untrained network *is* the Gaussian, so the diffusion learns only departures from it. Its
# probability-flow equation carries Gaussian quantiles to outcome quantiles: nothing above was
# sampled.
#
# The learnt laws find the modes; their places are as uncertain as 2,000 rows leave them. Over five
# such draws the law is nearer to the truth than those of four other methods: its CRPS is 5.4 %
# above the truth's, a Gaussian process' 13.7 %, a spline flow's 22.3 %
# ([table](../benchmarks/results/law.md)).
#
# **And yet no effect is read off the law.** Flexible models are biased in small samples. Every
# number above is corrected by an orthogonal score with propensities fitted on other folds, and its
# interval comes from the influence function of that score:

# %%
plug_in = float(analysis.unit_effects.mean())
print(f"read off the law      {plug_in:.2f}, without an honest interval")
print(f"corrected             {analysis.headline.value:.2f}")

# %% [markdown]
# ## Counterfactuals, and what lambda means
#
# What would firm 3 have produced in the other world? The law gives an answer once we say how its
# luck carries over. `treatment_strength` (lambda) is that statement: 0 keeps the rank of the firm,
# large values forget it. **In the law averages do not depend on it; nothing in the data can tell
# which is right.** (Below the mean gain moves a little all the same: the outcome with AI is the
# one observed, and the learnt law is not exactly that of these adopters.)

# %%
adopters = firms.loc[firms["ai_adoption"] == 1, [*columns, "ai_adoption", "productivity"]]
firm_law = PotentialOutcomeModel().fit(data, random_state=0)
for strength in (0.0, 1.0, 5.0):
    without = firm_law.counterfactual(adopters, arm=0, treatment_strength=strength, random_state=0)
    gain = adopters["productivity"].to_numpy() - without
    print(
        f"lambda {strength:3.0f}: mean gain of adopters {gain.mean():5.2f}, "
        f"sd {gain.std():5.2f}, share that lost {(gain < 0).mean():.2f}"
    )

# %% [markdown]
# So a share of losers is not a number but a curve, inside bounds that hold whatever the truth is:

# %%
show(displays.CouplingDisplay.of(joint_effects(data, analysis.nuisances)))

# %% [markdown]
# ## How does it compare?

# %%
methods = ["difference", "ols", "interacted", "ipw", "full-matching"]
found = compare(data, ATE(), methods=methods, benchmark=draw.truth.value("ATE"))
print(found)
show(displays.MethodForestDisplay.of(found), 2.6)
print(f"the diffusion law: {analysis.estimates[0]}")

# %% [markdown]
# By the rule of `compare` the classics agree: their intervals hold a common centre. And yet only
# that of matching holds the truth: the regressions and the logistic propensity take size, research
# and education for lines, and their relations to adoption and productivity bend. Methods that share
# a mistake agree on it. The interval of the law, corrected by its score, holds the truth.
#
# One draw proves nothing. Over 500 draws each of two designs the default pipeline's intervals of
# the average effect cover .93 and .94 at a width of 1.14 and 1.11 of the efficiency bound
# ([coverage](../benchmarks/results/coverage.md)); on the first 50 of them EconML's and DoubleML's,
# with logistic propensities, cover .94 and .98 at 1.31 to 1.51
# ([peers](../benchmarks/results/coverage_peers.md)). The price is 8 CPU-seconds for 1,000 rows
# ([cost](../benchmarks/results/speed.md)).
#
# ## What would overturn it?
#
# A confounder that is not in the table. The data cannot show it; how strong it would have to be can
# be computed, and compared with the confounders that are there:

# %%
strength = sensitivity(analysis.headline, data, analysis.nuisances)
for sentence in strength.sentences[:4]:
    print("-", sentence)
show(displays.OmittedVariableDisplay.of(strength), 3.6)

# %% [markdown]
# Leave out education, and see the bias that such a confounder makes:

# %%
without = CausalData(
    firms, treatment="ai_adoption", outcome="productivity", confounders=columns[:2]
)
print(compare(without, ATE(), methods=["interacted"], benchmark=draw.truth.value("ATE")))

# %% [markdown]
# ## The report
#
# One file with all of the above, that opens in any browser:

# %%
with tempfile.TemporaryDirectory() as folder:
    page = write_report(analysis, Path(folder) / "firms.html")
    print(f"{page.name}: {page.stat().st_size // 1000} kB")

# %% [markdown]
# **Where to go on.** [Which estimator for which question](../docs/which_estimator.md);
# [from a CSV file to a report](../docs/howto/csv_to_report.md); [the method](../docs/theory.md);
# [a real policy before a discussant](05_policy_evaluation.ipynb).
