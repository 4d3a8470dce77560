"""What generated rows do to estimates of the ATE: linear confounded design, 150 rows.

Five generated rows for each real one. The generators are least squares with normal noise, which is
the truth of this design, and the diffusion law. Three folds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd
from common import parser, run, write
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.confounded import LINEAR
from causal_ddpm.evaluation.augmentation_check import (
    LinearGenerator,
    Ways,
    analyse_draw,
    summary_table,
)
from causal_ddpm.evaluation.studies import Spec, Study, grid
from causal_ddpm.nuisance.outcome import PotentialOutcomeModel

N, FACTOR, N_FOLDS, FIRST_SEED = 150, 5, 3, 50_000
GENERATORS = {"linear": LinearGenerator(), "diffusion": PotentialOutcomeModel(n_folds=N_FOLDS)}
LEARNERS = {
    "linear regression": LinearRegression(),
    "random forest": RandomForestRegressor(100, min_samples_leaf=5),
}
PAIRS = (("linear", "linear regression"), ("diffusion", "random forest"))
DRAWS = {"linear": 400, "diffusion": 20}


def row(spec: Spec, seed: Seed) -> Mapping[str, str]:
    """All ways of one draw in one row: the study's seed is not used, the draw's number is."""
    ways = Ways(GENERATORS[str(spec["generator"])], LEARNERS[str(spec["learner"])], FACTOR, N_FOLDS)
    return {"found": json.dumps(analyse_draw(ways, LINEAR, N, FIRST_SEED + int(spec["draw"])))}


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    args = options.parse_args()
    specs = []
    for generator, learner in PAIRS:
        draws = range(2 if args.quick else DRAWS[generator])
        specs += grid(generator=[generator], learner=[learner], draw=draws)
    study = Study("augmentation", row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: 0.3 if spec["generator"] == "linear" else 20)
    truth, tables = LINEAR.truth().value("ATE"), []
    for (generator, learner), part in rows.groupby(["generator", "learner"], sort=False):
        draws = pd.DataFrame([r for text in part["found"] for r in json.loads(text)])
        table = summary_table(draws, truth, N)
        tables.append(table.assign(generator=generator, learner=learner))
    summary = pd.concat(tables)
    first = ["generator", "learner", "analysis"]
    summary = summary[[*first, *(c for c in summary if c not in first)]]
    write("augmentation", TITLE, rows, [(AIM, summary)], args.quick, args.studies)


TITLE = "Generated rows: what they are worth"
AIM = (
    "`effective_n`: real rows that would be as accurate; `claimed_n`: rows that the standard "
    "errors pretend to. `learner` is the outcome model of the AIPW rows"
)

if __name__ == "__main__":
    main()
