"""The law of outcomes of every kind on held-out rows, beside simple strong methods in the same run.

Simulated designs have a known law, whose own score is the floor; LaLonde's earnings and holding a
retirement account are real. Every method sees the same training rows and predicts the outcome of
the same test rows under their own arm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from common import parser, run, write
from numpy.typing import NDArray
from outcomes import LEVELS, N_COUNTS, REAL, SIMULATED, Task, scores, task
from scipy import stats

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

Array = NDArray[np.float64]
Method = Callable[[Task, int], Array]


# -- ours ------------------------------------------------------------------------------------
def ours(drawn: Task, seed: int, asked: str | None = None) -> Array:
    law = fitted(drawn, seed, asked)
    arm, out = drawn.test["treatment"].to_numpy(), None
    for a in (0, 1):
        rows = np.flatnonzero(arm == a)
        here = drawn.test.iloc[rows]
        read = _table(law, here, a, drawn) if drawn.levels else law.quantile(here, a, LEVELS)
        out = np.empty((len(arm), read.shape[1])) if out is None else out
        out[rows] = read
    assert out is not None
    return out


def fitted(drawn: Task, seed: int, asked: str | None = None):  # noqa: ANN201 - imported late
    from causal_ddpm import CausalData, PotentialOutcomeModel

    columns = [c for c in drawn.train.columns if c not in ("treatment", "outcome")]
    data = CausalData(
        drawn.train, "treatment", "outcome", columns, outcome_kind=asked or drawn.asked
    )
    return PotentialOutcomeModel().fit(data, random_state=seed)


def _table(law, rows: pd.DataFrame, arm: int, drawn: Task) -> Array:  # noqa: ANN001
    if drawn.kind not in ("count", "zeros"):
        return law.probability(rows, arm)
    return np.diff(law.cdf(rows, arm, np.arange(N_COUNTS)), axis=1, prepend=0.0)


def ours_plain(drawn: Task, seed: int) -> Array:
    return ours(drawn, seed, "continuous")


# -- peers -----------------------------------------------------------------------------------
def features(rows: pd.DataFrame, interactions: bool = False) -> Array:
    """Confounders and the arm, with their products for linear methods."""
    x = rows.drop(columns=["treatment", "outcome"]).to_numpy(dtype=float)
    d = rows[["treatment"]].to_numpy(dtype=float)
    return np.hstack([x, d, x * d]) if interactions else np.hstack([x, d])


def quantile_forest(drawn: Task, seed: int) -> Array:
    from quantile_forest import RandomForestQuantileRegressor

    y = drawn.train["outcome"].to_numpy(dtype=float)
    forest = RandomForestQuantileRegressor(
        n_estimators=300, min_samples_leaf=10, random_state=seed, n_jobs=1
    )
    forest.fit(features(drawn.train), y)
    return forest.predict(features(drawn.test), quantiles=list(LEVELS))


def boosted_poisson(drawn: Task, seed: int) -> Array:
    return _poisson(_boosted("poisson", drawn, seed).predict(features(drawn.test)))


def linear_poisson(drawn: Task, seed: int) -> Array:
    from sklearn.linear_model import PoissonRegressor

    model = PoissonRegressor(alpha=1e-3, max_iter=1000)
    model.fit(features(drawn.train, True), drawn.train["outcome"])
    return _poisson(model.predict(features(drawn.test, True)))


def negative_binomial(drawn: Task, seed: int) -> Array:
    from statsmodels.discrete.discrete_model import NegativeBinomial

    x, new = (np.insert(features(rows, True), 0, 1.0, axis=1) for rows in (drawn.train, drawn.test))
    fit = NegativeBinomial(drawn.train["outcome"].to_numpy(), x).fit(disp=False, maxiter=500)
    size = 1 / max(float(fit.params[-1]), 1e-6)
    rate = np.exp(new @ np.asarray(fit.params[:-1]))[:, None]
    return stats.nbinom.pmf(np.arange(N_COUNTS), size, size / (size + rate))


def _poisson(rate: Array) -> Array:
    return stats.poisson.pmf(np.arange(N_COUNTS), rate[:, None])


def boosted_classes(drawn: Task, seed: int) -> Array:
    import lightgbm

    model = lightgbm.LGBMClassifier(
        n_estimators=100, learning_rate=0.05, num_leaves=7, min_child_samples=20,
        random_state=seed, n_jobs=1, verbose=-1,
    )  # fmt: skip
    model.fit(features(drawn.train), drawn.train["outcome"])
    return _aligned(model.predict_proba(features(drawn.test)), model.classes_, drawn)


def logit(drawn: Task, seed: int) -> Array:
    """Binary or multinomial logistic regression, ridge chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegressionCV(
        Cs=5, cv=5, scoring="neg_log_loss", max_iter=2000, l1_ratios=(0,),
        use_legacy_attributes=False,
    )  # fmt: skip
    model = make_pipeline(StandardScaler(), model)
    model.fit(features(drawn.train, True), drawn.train["outcome"])
    return _aligned(model.predict_proba(features(drawn.test, True)), model.classes_, drawn)


def ordered_logit(drawn: Task, seed: int) -> Array:
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    codes = pd.Categorical(drawn.train["outcome"], categories=drawn.levels, ordered=True)
    model = OrderedModel(codes, features(drawn.train, True), distr="logit")
    result = model.fit(method="bfgs", disp=False, maxiter=500)
    return np.asarray(result.predict(features(drawn.test, True)))


def _boosted(objective: str, drawn: Task, seed: int):  # noqa: ANN202
    import lightgbm

    model = lightgbm.LGBMRegressor(
        objective=objective, n_estimators=150, learning_rate=0.05, num_leaves=7,
        min_child_samples=20, random_state=seed, n_jobs=1, verbose=-1,
    )  # fmt: skip
    return model.fit(features(drawn.train), drawn.train["outcome"])


def _aligned(p: Array, classes: Array, drawn: Task) -> Array:
    out = np.zeros((len(p), len(drawn.levels)))
    for k, name in enumerate(classes):
        out[:, drawn.levels.index(name)] = p[:, k]
    return out


CLASSES: dict[str, Method] = {"boosted trees": boosted_classes, "logit": logit}
COUNTS: dict[str, Method] = {
    "boosted Poisson": boosted_poisson,
    "Poisson regression": linear_poisson,
    "negative binomial regression": negative_binomial,
}
NUMBERS: dict[str, Method] = {"quantile forest": quantile_forest}
METHODS: dict[str, dict[str, Method]] = {
    "continuous": NUMBERS,
    "heavy": {"ours, kind 'continuous'": ours_plain, **NUMBERS},
    "income": {"ours, kind 'continuous'": ours_plain, **NUMBERS},
    "atom": NUMBERS,
    "lalonde": NUMBERS,
    "count": COUNTS,
    "zeros": COUNTS,
    "ordinal": {"ordered logit": ordered_logit, **CLASSES},
    "binary": CLASSES,
    "categorical": CLASSES,
    "pension": CLASSES,
}


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    drawn = task(spec["kind"], spec["n"], 5000 + spec["draw"])
    out: dict[str, float] = {}
    for name, method in {"ours": ours, **METHODS[drawn.kind]}.items():
        start = time.process_time()
        prediction = method(drawn, spec["draw"])
        cost = time.process_time() - start
        found = {**scores(drawn, prediction), "seconds": cost}
        out.update({f"{name}|{key}": value for key, value in found.items()})
    if drawn.truth is not None:
        out.update({f"truth|{k}": v for k, v in scores(drawn, drawn.truth).items()})
    if drawn.kind == "lalonde":
        out.update(zero_shares(drawn, spec["draw"]))
    return out


def zero_shares(drawn: Task, seed: int) -> dict[str, float]:
    """Share without earnings among the treated of the sample, by the law and by the experiment.

    The overlap rule refuses a doubly robust estimate on so few comparable controls, so the law's
    answer is a plug-in; the experiment's own controls say what it should be.
    """
    from causaldata import nsw_mixtape

    treated = drawn.train[drawn.train["treatment"] == 1]
    law = fitted(drawn, seed)
    trained, untrained = (law.cdf(treated, a, [0.0])[:, 0].mean() for a in (1, 0))
    shares = nsw_mixtape.load_pandas().data.assign(none=lambda df: df["re78"] == 0)
    by_arm = shares.groupby("treat")["none"].mean()
    return {
        "zero|law, trained": trained,
        "zero|law, untrained": untrained,
        "zero|experiment, trained": by_arm[1],
        "zero|experiment, untrained": by_arm[0],
    }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a kind and method: means over the draws."""
    lines = []
    for kind in rows["kind"].unique():
        here = rows[rows["kind"] == kind].dropna(axis=1, how="all")
        names = list(dict.fromkeys(c.split("|")[0] for c in here.columns if c.endswith("|crps")))
        floor = here["truth|crps"].mean() if "truth" in names else np.nan
        for name in names:
            mean = {
                c.split("|")[1]: here[c].mean() for c in here.columns if c.split("|")[0] == name
            }
            lines.append(
                {
                    "outcome": kind,
                    "method": "the true law" if name == "truth" else name,
                    "CRPS": float(mean["crps"]),
                    "ratio to the truth": float(mean["crps"] / floor),
                    "log score": float(mean.get("log", np.nan)),
                    "90 % cover": float(mean.get("cover", np.nan)),
                    "error of the mean": float(mean.get("mean_error", np.nan)),
                    "share below 0": float(mean.get("outside", np.nan)),
                    "CPU seconds": float(mean.get("seconds", np.nan)),
                }
            )
    return pd.DataFrame(lines)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--kinds", nargs="+", choices=[*SIMULATED, *REAL])
    options.add_argument("--draws", type=int, default=3)
    args = options.parse_args()
    kinds = args.kinds or [*SIMULATED, *REAL]
    n, draws = (200, 1) if args.quick else (1000, args.draws)
    specs = grid(kind=kinds, n=[n], draw=range(draws))
    study = Study("outcomes", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 30.0)
    tables = [(f"{n} training rows, 1000 to predict, {draws} draws. {CAPTION}", summary(rows))]
    if "lalonde" in kinds:
        zero = rows[rows["kind"] == "lalonde"].filter(regex="^(draw$|zero)")
        zero = zero.rename(columns=lambda name: name.removeprefix("zero|"))
        tables.append((ZERO, zero))
    write("outcomes", "Outcomes of every kind", rows, tables, args.quick, args.studies)


CAPTION = (
    "CRPS: of numbers by 50 quantiles, of levels on their positions, of levels without an order "
    "Brier's score. Error of the mean: root mean square over rows, in sd of the true means"
)
ZERO = "LaLonde: share without earnings among the treated, had they been trained or not"

if __name__ == "__main__":
    main()
