# %% [markdown]
# # Experiments with several factors: what does a diffusion law add, and what does it cost?
#
# An experiment that crosses two-level factors answers several questions with every row. This
# notebook asks a discussant's four questions of such an experiment: what is estimated, under which
# assumptions, how do methods compare, and what would overturn the answer? The experiments are
# simulated, so that every answer can be checked; the designs are pages of
# [the laboratory](../docs/designs/factorial.md).

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from causal_ddpm import (
    DiffusionSettings,
    FactorialData,
    FactorialModel,
    NotIdentifiedError,
    alias_structure,
    catalog,
    factorial_analysis,
    factorial_ols,
    fractional_factorial,
    lenth_test,
)
from causal_ddpm.report import displays, style


def show(display: displays.Display, height: float = 3.2) -> None:
    """Draw a display in the look of the reports."""
    with style.look():
        _, ax = plt.subplots(figsize=(7.6, height), layout="constrained", facecolor="white")
        display.plot(ax)
        plt.show()


# %% [markdown]
# ## What is estimated? Two codings, two questions
#
# Three factors are assigned independently, `c` to three rows in ten. Its coefficient in a
# regression on 0/1 columns is **zero**: where `a` and `b` are absent it does nothing. And yet it
# raises the outcome on average, because it works together with `b`.

# %%
draw = catalog()["factorial"].draw(4000, seed=0)
fit = factorial_ols(draw.data, order=3)
simple, average = fit.effects("01"), fit.effects("ame")
truth = draw.truth.population
for label in ("a", "b", "c"):
    in_01, in_ame = (list(e.labels).index(label) for e in (simple, average))
    print(
        f"{label}: effect where the others are 0 {simple.values[in_01]:6.2f} "
        f"(true {truth[label + ' [0/1]']:5.2f});  averaged over them "
        f"{average.values[in_ame]:6.2f} (true {truth[label]:5.2f})"
    )
show(displays.FactorGridDisplay.of(fit), 2.8)

# %% [markdown]
# Neither answer is wrong. `ame` averages over the assignment probabilities of the other factors,
# `01` holds them at zero. Estimates are converted exactly, with covariances and influence
# functions, so the choice can be made after the fit, and both can be reported.
#
# ## Under which assumptions?
#
# **Randomisation with known probabilities, and no effect of one row's cell on another row.**
# Nothing else: least squares on the products is a way to average, not a model that has to be true,
# and its standard errors (HC2) allow every cell a variance of its own. With known probabilities
# orthogonal scores need no model of the outcome at all.

# %%
found = factorial_analysis(
    draw.frame,
    list("abc"),
    "y",
    order=3,
    probabilities={"a": 0.5, "b": 0.5, "c": 0.3},
    covariates=["x"],
    diffusion=DiffusionSettings(n_steps=150),
)
summary = found.summary()
print(summary[["ols", "ols se", "scores", "scores se", "law"]].round(3))
show(displays.FactorialEffectsDisplay.of(found.estimates, "y", truth=truth))

# %% [markdown]
# The scores also use a covariate that was measured before the assignment; that narrows their
# intervals and cannot bias them. The law is sparse: it has shrunk the interaction of all three
# factors (true: -.50) far towards zero, which a sparse truth would have thanked it for.
#
# ## What does the law add?
#
# The third answer is a diffusion law of the outcome in **every cell**. Its mean is a prediction
# without an interval. What least squares cannot say at all is what a cell does to the *shape* of
# the outcome:

# %%
cells = [(0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1)]
levels = [0.1, 0.5, 0.9]
rows = {
    str(cell): found.law.quantile(dict(zip("abc", cell, strict=True)), levels) for cell in cells
}
print(pd.DataFrame(rows, index=["10 %", "median", "90 %"]).T.round(2))

# %% [markdown]
# ### Where it wins: many factors, few of which matter
#
# Eight factors have 36 main effects and pairs. With 600 rows and most coefficients zero, a sparse
# location is nearer to the truth than least squares, which spends its rows on effects that are not
# there. One draw:

# %%
model = FactorialModel(600, k=8, degree=2, sigma=1, sparsity=0.7)
t, y = model.sample(seed=3)
frame = pd.DataFrame(t, columns=list("abcdefgh")).assign(y=y)
many = factorial_analysis(
    frame,
    list("abcdefgh"),
    "y",
    order=2,
    probabilities=0.5,
    coding="01",
    diffusion=DiffusionSettings(n_steps=150, n_members=1),
)
estimates, beta = many.summary(), model.beta[1:]
table = estimates[["ols", "scores", "law"]].assign(truth=beta)
print(table.iloc[[0, 1, 2, 3, 10, 20, 30]].round(2))
print(table[["ols", "scores", "law"]].sub(beta, axis=0).pow(2).mean().pow(0.5).round(3).to_dict())

# %% [markdown]
# Over 100 such draws of 2,000 rows ([table](../benchmarks/results/factorial.md)):

# %%
recorded = pd.read_csv("../benchmarks/results/factorial.csv").query("part == 'coefficients'")
names = ("ols", "scores", "location", "law", "oracle")
by_method = {m: np.sqrt(recorded[f"mse_01_{m}"].mean()) for m in names}
with style.look():
    _, ax = plt.subplots(figsize=(7.6, 2.4), layout="constrained")
    ax.barh(list(by_method)[::-1], list(by_method.values())[::-1], color="C0", height=0.6)
    ax.set(xlabel="root mean square error of 37 coefficients")
    plt.show()

# %% [markdown]
# Read this with care.
#
# - The gain, a third of the error, is that of the **sparse location**. The diffusion adds nothing
#   to a mean (.0628 against .0623): it is for the shape.
# - Shrunk coefficients are nearer to the truth on average and **biased one by one**: no interval.
#   Scores and least squares have one, and hold all 36 truths at once in 97 and 98 % of the draws.
# - `oracle` knows which columns matter, which nobody does.
#
# ## Fractions: what a quarter of the cells can and cannot say
#
# Six factors have 64 cells. Sixteen of them, well chosen, still tell main effects apart:

# %%
fraction = fractional_factorial(6, resolution=4)
print(*alias_structure(fraction.runs, list(fraction.runs.columns)).in_words(), sep="\n")

# %% [markdown]
# Some pairs are confounded with each other, and an analysis that asks for them is refused in a
# sentence rather than answered with a number:

# %%
runs = pd.concat([fraction.runs] * 20, ignore_index=True)
rng = np.random.default_rng(0)
runs["y"] = 1.0 + runs["a"] + 0.5 * runs["b"] * runs["c"] + rng.normal(0, 1, len(runs))
factors = list(fraction.runs.columns)
try:
    factorial_ols(FactorialData(runs, factors, "y", probability=0.5), order=2)
except NotIdentifiedError as error:
    print(error)

# %% [markdown]
# **Cells that were never run.** The law predicts them all the same. In half fractions of five and
# six factors with a two-way truth its error there is .83 and .84 of that of least squares; with
# four factors, where pairs are confounded, it has to guess, and errs three times as much
# ([table](../benchmarks/results/factorial.md)). A prediction for a cell nobody saw is an assumption
# about interactions, whoever makes it.
#
# ## One run a cell
#
# Without replication there is nothing to measure the noise by, except the many effects that are
# nearly zero (Lenth 1989):

# %%
single, response = FactorialModel(64, k=4, degree=2, sigma=0.3, sparsity=0.6).sample(seed=5)
once = pd.DataFrame(single, columns=list("abcd")).assign(y=response)
once = once.drop_duplicates(subset=list("abcd")).reset_index(drop=True)
test = lenth_test(FactorialData(once, list("abcd"), "y"))
print(*test.in_words(), sep="\n")
show(displays.HalfNormalDisplay.of(test))

# %% [markdown]
# ## What would overturn it?
#
# - **A failure of the assignment**: probabilities that are not those stated, rows that drop out
#   depending on their cell. `probabilities="observed"` against the stated ones is a first check.
# - **Interactions of higher order** than asked. They do not bias average effects of independent
#   factors; they do bias 0/1 coefficients, what is said of unrun cells and, in fractions, aliases.
# - **Rows that influence each other**, as respondents of one household do: give `clusters=`.
# - **Many effects, one false alarm.** 36 tests at 5 % find two effects where there is none; the
#   adjusted p-values hold the rate of any false alarm:

# %%
short = factorial_ols(draw.data, order=2)
for coding in ("01", "ame"):
    of_c = [found_to.effects(coding).values[2] for found_to in (short, fit)]
    print(f"effect of c, coding {coding}: up to order 2 {of_c[0]:.2f}, up to order 3 {of_c[1]:.2f}")

score = many.estimates["scores"]
tests = score.test(adjust="romano-wolf")
print(
    f"p < .05: {(tests['p_value'] < 0.05).sum()} of {len(tests)} effects; "
    f"adjusted: {(tests['p_adjusted'] < 0.05).sum()}; "
    f"coefficients that are not zero: {(np.abs(model.beta[1:]) > 0).sum()}"
)

# %% [markdown]
# ## Verdict
#
# **For average effects of a randomised factorial experiment, report orthogonal scores or least
# squares**: both are unbiased, both cover, and they cost milliseconds. **Add the law** when there
# are many factors and few matter, when the shape of the outcome is the question, or when somebody
# has to say something of a cell that was not run; and then say that it is a prediction.
# [Guide](../docs/factorial.md) and [what the scores and the law are](../docs/factorial_law.md).
