# %% [markdown]
# # What does adopting AI do? A seminar discussant's questions
#
# Firms choose to adopt AI. Those that do are larger, do more research and have better-educated
# staff, and would be more productive anyway. *What exactly is estimated, under which assumptions,
# what do other methods say, for whom does it hold, and what would overturn it?*
#
# **All data here are simulated**: two designs whose truth is known, so that every answer can be
# checked. Nothing in this notebook is evidence on AI. The same analysis of real data (a randomised
# trial, European sectors, US states) is in [the page on AI adoption](../docs/ai_adoption.md).

# %%
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from causal_ddpm import (
    ATE,
    ATT,
    BLP,
    GATE,
    CausalData,
    PanelData,
    analyse,
    analyse_panel,
    compare,
    design_by_name,
    refute,
    sensitivity,
)
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import displays, style

ROOT = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "experiments").is_dir())
sys.path.insert(0, str(ROOT / "experiments"))
from ai_adoption_firms import by_group  # noqa: E402 - the experiments are scripts, not a package
from ai_adoption_parts import forest  # noqa: E402

UNIT = "thousand dollars a worker"
warnings.filterwarnings("ignore", message="IProgress not found")


def show(display: displays.Display, height: float = 3.4) -> None:
    """Draw a display in the look of the reports."""
    with style.look():
        _, ax = plt.subplots(figsize=(7.6, height), layout="constrained", facecolor="white")
        display.plot(ax)
        plt.show()


# %% [markdown]
# ## One thousand firms, once
#
# ### What is estimated?
#
# The average over firms of productivity with AI less productivity without (ATE), and the same for
# the firms that did adopt (ATT). The file is what `causal-ddpm simulate ai-adoption` writes.

# %%
firms = design_by_name("ai-adoption").draw(1000, seed=0)
confounders = ["industry", "industry_size", "rd_intensity", "education"]
data = CausalData(firms.frame, "ai_adoption", "productivity", confounders)
source = Source("simulated firms", UNIT, firms.truth)
groups = [GATE("industry"), GATE("effect"), BLP(), BLP(confounders[1:])]
analysis = analyse(data, [ATE(), ATT(), *groups], source=source)
show(displays.EffectDisplay.of(analysis), 2.4)

# %% [markdown]
# The naive difference is about twice the effect: half of it is who adopts. Triangles are the truth,
# which only a simulator knows.
#
# ### Under which assumptions?

# %%
for text in analysis.assumptions:
    print("-", text)

# %% [markdown]
# The first cannot be tested. The second can be seen: for every user there must be others who were
# about as likely to adopt. And what adjustment is for: the two groups differ in everything that
# matters, until they are weighted.

# %%
show(displays.OverlapDisplay.of(analysis), 3.0)
show(displays.BalanceDisplay.of(analysis), 3.2)

# %% [markdown]
# ### What do other methods say?

# %%
methods = compare(
    data, ATE(), ["diffusion", "difference", "ols", "interacted", "ipw", "plr", "irm"],
    firms.truth.value("ATE"), random_state=0,
)  # fmt: skip
print(methods.summary())
show(displays.MethodForestDisplay.of(methods), 3.4)

# %% [markdown]
# The benchmark is the true ATE. One weighted average is not another: regression and the partially
# linear model of double machine learning average effects with weights of their own where effects
# differ between firms, as here. Propensity-score matching answers for the users:

# %%
users = compare(data, ATT(), ["difference", "ols", "matching"], firms.truth.value("ATT"))
ours = next(e for e in analysis.estimates if e.estimand == "ATT")
print(users)
print(ours)

# %% [markdown]
# Matching in pairs gives each user another firm of its own. There are 445 users and 555 others, and
# users are the larger, better-educated firms: for many no near match is left, and the pairs keep
# much of the naive difference.
#
# ### For whom?
#
# By industry, and by fifths of the effect that was predicted for each firm without its own outcome.

# %%
rows = by_group(analysis)
show(forest(rows, f"Effect on {analysis.outcome_label}"), 4.4)
for estimate in analysis.estimates:
    if estimate.estimand == "BLP":
        columns = ["label", "value", "ci_low", "ci_high"]
        print(estimate.to_frame()[columns].round(3).to_string(index=False))

# %% [markdown]
# A slope of one says that predicted differences between firms are real ones, no larger and no
# smaller. In the design the effect is 5 + 2 z3 + 2 tanh(z2): it grows with education (z3), and with
# research (z2) up to a point. Ten intervals are ten chances to be wrong: a group is a finding if it
# was asked for beforehand.
#
# ### What would overturn it?
#
# A confounder that is not in the data. How strong it must be, beside those that are:

# %%
hidden = sensitivity(analysis.headline, data, analysis.nuisances, benchmarks=confounders[1:])
for text in hidden.sentences:
    print("-", text)
show(displays.OmittedVariableDisplay.of(hidden, "linear_ovb"), 4.0)

# %% [markdown]
# What hiding one does, tried: education is taken out of the data.

# %%
blind = CausalData(firms.frame, "ai_adoption", "productivity", confounders[:3])
print(compare(blind, ATE(), ["difference", "ols", "ipw", "plr"], firms.truth.value("ATE")))

# %% [markdown]
# All methods agree with each other, and all are wrong: agreement is no evidence against a hidden
# confounder. Placebos, noise and subsets, which need no truth:

# %%
checks = refute(ATE(), data, n_runs=4, random_state=0)
for text in checks.sentences:
    print("-", text)

# %% [markdown]
# They find errors of the pipeline. None of them finds a confounder that is not in the data.
#
# **Spillovers**: every method above takes firms not to feel what others adopt. If users of AI take
# customers from the others, these fall, and the difference is too large. With links between firms,
# [effects on neighbours](../docs/spillovers.md) can be estimated; without them they are a caveat.
#
# ## One hundred and twenty firms, sixteen quarters
#
# ### What is estimated, and against whom?
#
# Firms adopt in different quarters, productive ones first. The effect on the treated cells: what
# adopters produced since, less what they would have produced. Its assumption is another one: not
# that firms are alike, but that **without AI they would have moved alike**.

# %%
dated = design_by_name("ai-adoption-panel").draw(120, seed=0)
panel = PanelData(dated.frame, "unit", "period", "y", cohort="cohort")
print(panel)
show(displays.CohortMeansDisplay.of(panel, f"productivity ({UNIT})"), 3.6)

# %%
over_time = analyse_panel(
    panel, methods=["twfe", "cs", "sun-abraham", "bjs"], random_state=0,
    source=Source("simulated panel", UNIT, dated.truth),
)  # fmt: skip
effect = over_time.effect
print(effect)
print(f"True effect on these cells: {dated.truth.sample['ATT']:.3f} (simulated)")
show(displays.EventStudyDisplay.of(effect.event_study, "productivity", effect.level))

# %% [markdown]
# ### What do other methods say?

# %%
cells = dated.frame.groupby("treated")["y"].mean()
print(f"Users and others, all quarters: {cells[1] - cells[0]:.2f}, who adopts included")
print(over_time.methods.verdict)
show(displays.MethodForestDisplay.of(over_time.methods, "productivity"), 2.9)

# %% [markdown]
# Two-way fixed effects also compare late adopters with early ones, whose gains are still growing,
# and come out lowest. On one draw that is as far from the truth as others are by chance; that it is
# no chance, only many draws show (below).
#
# ### What would overturn it?

# %%
for name in ("breakdown", "honest_did", "bacon"):
    if name in over_time.diagnostics:
        print("-", over_time.diagnostics[name].words)

# %% [markdown]
# A firm that adopts because it sees better times ahead breaks parallel trends, and nothing before
# adoption need show it. A market that all share breaks the comparison with those who do not adopt.
#
# ## How often is it right?
#
# One draw proves little. The recorded benchmark repeats it, cross-sections through the command
# line, panels through the public API:

# %%
text = (ROOT / "benchmarks/results/ai_adoption.md").read_text(encoding="utf-8")
table = [line for line in text.split("\n\n")[2].splitlines() if line.startswith("|")]
cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
print(pd.DataFrame(cells[2:], columns=cells[0]).to_string(index=False))
