"""Generators of table rows on three real tables: can rows be told apart, do effects survive.

A third of the rows is held out; a generator learns from the others and makes as many rows.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping

import generators
import lightgbm
import numpy as np
import pandas as pd
from common import parser, run, write
from generators import LIGHT, OURS, PEERS, TABLES, Generated, Table
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from causal_ddpm.core.random import Seed
from causal_ddpm.evaluation.studies import Spec, Study, grid

Array = NDArray[np.float64]
CLIP = 1e-3
PEER_PYTHON = "GENERATORS_PYTHON"
"""Environment variable by which workers learn of the peers' Python; no part of a row's name."""
TREES = {
    "n_estimators": 100, "learning_rate": 0.05, "num_leaves": 8, "min_child_samples": 10,
    "num_threads": 1, "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip


def classifier() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(**TREES, random_state=0)


# -- what is measured -----------------------------------------------------------------------
def two_sample_auc(real: pd.DataFrame, generated: pd.DataFrame, seed: int) -> float:
    """Area under the ROC curve of trees that tell the two apart, from five folds.

    No training row enters twice: a copy in another fold would give the source away.
    """
    made = generated[~generated.index.duplicated()].sample(len(real), random_state=seed)
    x = np.vstack([real.to_numpy(dtype=float), made.to_numpy(dtype=float)])
    label = np.repeat([0, 1], len(real))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    score = cross_val_predict(classifier(), x, label, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(label, score))


def effect(source: Table, frame: pd.DataFrame) -> tuple[float, float]:
    """Cross-fitted AIPW with boosted trees and logistic regression; nan where it is refused."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import causal_ddpm
    from causal_ddpm.nuisance.learner_model import LearnerOutcomeModel, LearnerPropensityModel

    confounders = [c for c in frame.columns if c not in (source.treatment, source.outcome)]
    logistic = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", causal_ddpm.CausalDDPMWarning)
        try:
            found = causal_ddpm.estimate_effects(
                causal_ddpm.CausalData(frame, source.treatment, source.outcome, confounders),
                getattr(causal_ddpm, source.effect)(),
                outcome_model=LearnerOutcomeModel(lightgbm.LGBMRegressor(**TREES)),
                propensity_model=LearnerPropensityModel(logistic),
                random_state=0,
            )[0]
        except causal_ddpm.OverlapError:
            return np.nan, np.nan
    return found.value, found.std_error


def assignment_loss(source: Table, train: pd.DataFrame, held: pd.DataFrame) -> float:
    """Log loss, on held-out real rows, of a classifier of the treatment trained on ``train``."""
    columns = [c for c in train.columns if c not in (source.treatment, source.outcome)]
    arm = train[source.treatment]
    if arm.nunique() < 2:
        return np.nan
    fitted = classifier().fit(train[columns].to_numpy(dtype=float), arm)
    return loss_of(source, held, fitted.predict_proba(held[columns].to_numpy(dtype=float))[:, 1])


def loss_of(source: Table, held: pd.DataFrame, probability: Array) -> float:
    return float(log_loss(held[source.treatment], np.clip(probability, CLIP, 1 - CLIP)))


def measures(
    source: Table, train: pd.DataFrame, held: pd.DataFrame, made: Generated, seed: int
) -> dict[str, float]:
    """One row of the table of results."""
    value, error = effect(source, train)
    found, _ = effect(source, made.frame)
    own = np.nan
    if made.probability is not None:
        confounders = held.drop(columns=source.outcome)
        own = loss_of(source, held, made.probability(confounders))
    return {
        "auc": two_sample_auc(held, made.frame, seed),
        "effect_real": value,
        "std_error_real": error,
        "effect_generated": found,
        "loss_real": assignment_loss(source, train, held),
        "loss_generated": assignment_loss(source, made.frame, held),
        "loss_own": own,
        "loss_constant": loss_of(
            source, held, np.full(len(held), float(train[source.treatment].mean()))
        ),
        "fit_seconds": made.fit_seconds,
        "sample_seconds": made.sample_seconds,
    }


def light_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    source = generators.table(spec["table"])
    train, held = source.halves(spec["seed"])
    made = LIGHT[spec["method"]](source, train, len(train), spec["seed"])
    return measures(source, train, held, made, spec["seed"])


def peer_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    source = generators.table(spec["table"])
    train, held = source.halves(spec["seed"])
    python = os.environ[PEER_PYTHON]
    made = generators.peer(spec["method"], python, source, train, len(train), spec["seed"])
    return measures(source, train, held, made, spec["seed"])


# -- tables ---------------------------------------------------------------------------------
def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, one row a table and method."""
    error = rows["effect_generated"] - rows["effect_real"]
    shown = rows.assign(
        effect_error=error,
        absolute=error.abs(),
        in_std_errors=(error / rows["std_error_real"]).abs(),
        refused=error.isna(),
        cpu=rows["fit_seconds"] + rows["sample_seconds"],
    )
    by = shown.groupby(["table", "method"], sort=False)
    out = by["auc"].agg(["size", "mean"]).set_axis(["seeds", "auc"], axis=1)
    out = out.join(by[["effect_real", "effect_error", "absolute", "in_std_errors"]].mean())
    out["refused"] = by["refused"].sum()
    losses = ["loss_generated", "loss_own", "loss_real", "loss_constant"]
    return out.join(by[[*losses, "cpu"]].mean()).reset_index()


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    options.add_argument("--methods", nargs="+", choices=[*LIGHT, *PEERS], default=[*LIGHT, *PEERS])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--peer-seeds", type=int, help="seeds of CTGAN and TVAE, if fewer")
    options.add_argument(
        "--peer-python", help="Python of the environment of requirements-generators.txt"
    )
    args = options.parse_args()
    peers = [m for m in args.methods if m in PEERS]
    if peers and not (args.peer_python and shutil.which(args.peer_python)):
        print("CTGAN and TVAE are left out: --peer-python names no Python that has them.")
        peers = []
    found = []
    seeds = range(1 if args.quick else args.seeds)
    if peers:
        os.environ[PEER_PYTHON] = args.peer_python
        few = seeds[: args.peer_seeds or args.seeds]
        specs = grid(method=peers, table=args.tables, seed=few)
        study = Study(
            "generators-peers", peer_row, specs, args.studies,
            code_version=f"ctgan 0.12.1, {generators.EPOCHS} epochs", any_version=args.any_version,
        )  # fmt: skip
        found.append(run(study, args.n_jobs, _expected))
    light = [m for m in args.methods if m in LIGHT]
    if light:
        specs = grid(method=light, table=args.tables, seed=seeds)
        study = Study("generators", light_row, specs, args.studies, any_version=args.any_version)
        found.append(run(study, args.n_jobs, _expected))
    rows = pd.concat(found, ignore_index=True)
    order = {name: k for k, name in enumerate([*TABLES, *LIGHT, *PEERS])}
    rows = rows.sort_values(["table", "method", "seed"], key=lambda c: c.map(order).fillna(c))
    write("generators", TITLE, rows, [(CAPTION, summary(rows))], args.quick, args.studies)


def _expected(spec: Spec) -> float:
    return {"CTGAN": 130.0, "TVAE": 60.0, OURS: 60.0}.get(spec["method"], 5.0)


TITLE = "Generators of table rows"
CAPTION = (
    "Means over `seeds` splits (methods with fewer saw the first ones only). "
    "`auc`: boosted trees tell held-out real rows from as "
    "many generated ones (.5: they cannot). `effect_error`: effect in the generated table less "
    "effect in the training rows, both by cross-fitted AIPW (ATT for lalonde, ATE elsewhere; in "
    "dollars, thousand dollars, kg); `absolute` and `in_std_errors` average its size, in standard "
    "errors of the real estimate; `refused` counts tables without overlap, where no effect was "
    "estimated. Log losses of the treatment given the confounders on held-out real rows: of trees "
    "trained on generated rows, of the generator's own P(T | X), of trees trained on real rows, "
    "and of the bare share. `cpu`: seconds to fit and sample, one thread. `resampled rows` repeats "
    "training rows: what sampling error alone costs, not a generator. CTGAN and TVAE run with "
    "their defaults (300 epochs); lalonde: 185 treated and 3815 CPS controls; 401k: 4000 of 9275 "
    "households; nhefs: 1566 rows"
)

if __name__ == "__main__":
    main()
