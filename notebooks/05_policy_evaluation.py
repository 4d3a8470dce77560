# %% [markdown]
# # What did the policy do? A seminar discussant's questions
#
# A policy reaches some units from some period on. An answer is a number for what would have
# happened otherwise, and the discussant's questions are always the same: *what exactly is
# estimated, under which assumptions, what do other methods say, and what would overturn it?*
# Two policies:
#
# - **Proposition 99** (1989): California taxes cigarettes by 25 cents and pays for a campaign. One
#   treated state, 19 years before: the home ground of synthetic control.
# - **Minimum wages** (2004 to 2007): states raise theirs above the federal one in different years.
#   191 treated counties, one to four years before: no ground for synthetic control at all.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from causal_ddpm import analyse_panel
from causal_ddpm.baselines.panel.staggered import CallawaySantAnna, Imputation
from causal_ddpm.core.estimand import ATTByEventTime
from causal_ddpm.evaluation.provenance import Source
from causal_ddpm.report import displays, style

ROOT = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "experiments").is_dir())
sys.path.insert(0, str(ROOT / "experiments"))
from policy_cohorts import cohort_fits  # noqa: E402 - the experiments are scripts, not a package
from policy_data import POLICIES, load  # noqa: E402


def show(display: displays.Display, height: float = 3.6) -> None:
    """Draw a display in the look of the reports."""
    with style.look():
        _, ax = plt.subplots(figsize=(7.6, height), layout="constrained", facecolor="white")
        display.plot(ax)
        plt.show()


# %% [markdown]
# ## Proposition 99
#
# ### What is estimated?
#
# The average effect on the treated: packs sold per head in California from 1989 on, less what would
# have been sold untreated. Not the effect on other states, nor of another tax.

# %%
smoking, source = load(POLICIES["smoking_tax"], None)
print(smoking, source, sep="\n")
show(displays.CohortMeansDisplay.of(smoking, "packs a head"))

# %% [markdown]
# California was falling away from the other states before 1989 already. A difference in differences
# books all of that as an effect of the tax.
#
# ### What would have happened?
#
# Regressions of untreated outcomes compete on **control states**, hidden as California is from 1989
# on; the errors they make there are the law of the error path. The fan is calibrated on the same
# placebos, and says how often it held them.

# %%
analysis = analyse_panel(smoking, source=Source(source, "packs a head"), random_state=0)
effect = analysis.effect
print(effect)
show(displays.CounterfactualPathDisplay.of(effect, "packs a head"))

# %% [markdown]
# ### Under which assumptions?

# %%
for text in effect.assumptions:
    print("-", text)

# %% [markdown]
# ### Would you have found this anywhere?

# %%
show(displays.GapDisplay.of(effect, "packs a head"))
show(displays.PlaceboDistributionDisplay.of(effect.placebo), 2.6)
show(displays.PlaceboCoverageDisplay.of(effect.placebo), 3.0)

# %% [markdown]
# With 38 donors no placebo p-value can be below 1/39, however large the effect. Treatment pretended
# some years earlier, on California itself:

# %%
print(analysis.diagnostics["placebo_in_time"].words)

# %% [markdown]
# ### What do other methods say?

# %%
print(analysis.methods.verdict)
show(displays.MethodForestDisplay.of(analysis.methods, "packs a head"), 4.6)

# %% [markdown]
# The spread across methods is an uncertainty that no single interval shows. Methods that let
# California fall on its own trend say that the tax did less than a difference in differences does.
#
# ### What carries it?

# %%
behind = analysis.diagnostics["donors"]
print(behind.words)
show(displays.DonorDisplay.of(behind))
show(displays.LeaveOneOutDisplay.of(behind, effect, "packs a head"))

# %% [markdown]
# **Would overturn it**: a shock to Californian smoking in 1989 that was not the programme;
# smuggling that moved sales and not smoke; programmes of other states before 2000 (states that had
# one are left out of these data for that reason).
#
# ## The minimum wage
#
# ### What is estimated, and against whom?

# %%
wage, source = load(POLICIES["minimum_wage"], None)
print(wage, source, sep="\n")
show(displays.TreatmentMapDisplay.of(wage), 4.0)

# %% [markdown]
# One to four years lie before treatment. Whatever is learnt from so little is close to a difference
# in differences, so methods for staggered adoption lead, ours among them, all on the same cells.

# %%
wage_analysis = analyse_panel(wage, source=Source(source, "log"), random_state=0)
wage_effect = wage_analysis.effect
print(wage_effect)
print(wage_analysis.methods.verdict)

# %%
studies = {
    "Panel diffusion": wage_effect.event_study,
    "Callaway-Sant'Anna": CallawaySantAnna().estimate(wage, ATTByEventTime(), level=0.9),
    "Imputation": Imputation().estimate(wage, ATTByEventTime(), level=0.9),
}
show(displays.EventStudyDisplay.of(studies, "log teen employment", 0.9), 4.0)

# %% [markdown]
# ### Why not synthetic control?
#
# Because it fits anything here. Placebo groups of never-treated counties, where the effect is zero,
# say what that is worth.

# %%
fits = cohort_fits(wage, wage_effect.by_cohort)
print(fits.words())
fits.frame.round(4)

# %% [markdown]
# ### Were trends parallel, and would the test have noticed?

# %%
for name in ("pretrends", "honest_did", "bacon"):
    print(wage_analysis.diagnostics[name].words, end="\n\n")
honest = displays.HonestDisplay.of(wage_analysis.diagnostics["honest_did"], "log teen employment")
show(honest, 3.2)

# %% [markdown]
# ### The discussant's verdict
#
# On these 500 counties the estimates are negative and small, about four per cent, and their sign
# does not survive modest departures from parallel trends. Workers cross county lines, states that
# raised their wage differ from those that did not, and the literature, with many more counties and
# years, disagrees. This panel does not settle it, and a report that said otherwise would be wrong.

# %%
pd.DataFrame({
    "policy": ["Proposition 99", "minimum wage"],
    "ATT": [effect.att.value, wage_effect.att.value],
    "low": [effect.att.interval()[0], wage_effect.att.interval()[0]],
    "high": [effect.att.interval()[1], wage_effect.att.interval()[1]],
    "placebo coverage": [effect.placebo.coverage, wage_effect.placebo.coverage],
    "placebo p": [effect.placebo.p_value, wage_effect.placebo.p_value],
}).round(3)  # fmt: skip
