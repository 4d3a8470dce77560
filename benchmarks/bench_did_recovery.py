"""The historic difference-in-differences experiment over seeds: who finds untreated outcomes.

100 units, 100 periods, half of the units (at random) treated from period 50 on, effect 0.5, trend
0.01 a period, y = unit + trend + 1.1 x + effect + noise. Two information sets, never mixed:

    H   all units before treatment; untreated outcomes after it follow from a stated line in time
    D   all untreated cells, those of controls after treatment included

In each: the plain end-to-end diffusion of y, the recommended diffusion of the residuals of least
squares, and that least squares alone. Beside D the two-way regression on all cells (TWFE); least
squares in D is the imputation estimator of Borusyak, Jaravel and Spiess (BJS).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from common import parser, run, write
from scipy import sparse, stats

from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.did import DifferenceInDifferences
from causal_ddpm.dgp.panel_draw import PanelDraw
from causal_ddpm.evaluation.studies import Spec, Study
from causal_ddpm.nuisance.panel.cells import PanelCells
from causal_ddpm.nuisance.panel.end_to_end import EndToEndPanelModel
from causal_ddpm.nuisance.panel.law import PanelLaw
from causal_ddpm.nuisance.panel.residual_law import ResidualPanelModel
from causal_ddpm.nuisance.panel.two_way import TwoWay
from causal_ddpm.nuisance.panel.unit_trend import UnitTrend

EFFECT = 0.5
BASES = {"H": UnitTrend(), "D": TwoWay()}
LEAST_SQUARES, RECOMMENDED, PLAIN, TWFE = "least squares", "recommended", "plain", "TWFE"
METHODS = {"H": (LEAST_SQUARES, RECOMMENDED, PLAIN), "D": (LEAST_SQUARES, TWFE, RECOMMENDED, PLAIN)}


def recovery_row(spec: Spec, seed: Seed) -> Mapping[str, Any]:
    """Errors of one method on one draw; the noise of a draw differs between rows by a factor."""
    design = DifferenceInDifferences(
        n_periods=spec["size"], start=spec["size"] // 2, noise_sd=spec["noise_sd"]
    )
    drawn = design.draw(spec["size"], seed=spec["draw"])
    y, treated = drawn.outcome, drawn.treated
    if spec["method"] == TWFE:
        return {"att_error": twfe(drawn) - design.effect}
    before = np.broadcast_to(np.arange(spec["size"]) < design.start, y.shape)
    cells = PanelCells.of(y, covariate(drawn), before if spec["information"] == "H" else ~treated)
    base = BASES[spec["information"]]
    begin = time.process_time()
    more: dict[str, float] = {}
    if spec["method"] == LEAST_SQUARES:
        mean = base.fit(cells).predict(cells)[treated]
    else:
        plain = spec["method"] == PLAIN
        law = (EndToEndPanelModel() if plain else ResidualPanelModel(base)).fit(cells, seed)
        mean = law.mean(treated)
        more = {"kappa": law.kappa, "fit_cpu_seconds": time.process_time() - begin}
        more |= law_scores(law, drawn)
    return {
        "att_error": y[treated].mean() - mean.mean() - design.effect,
        "cell_rmse": np.sqrt(np.mean((drawn.untreated_mean[treated] - mean) ** 2)),
        **more,
    }


def law_scores(law: PanelLaw, drawn: PanelDraw) -> dict[str, float]:
    """Where true untreated outcomes lie in their laws: KS distance and coverage, some cells."""
    some = drawn.treated.copy()
    some[:, np.arange(some.shape[1]) % 5 != 0] = False
    u = law.predictive(some, 32).cdf(drawn.untreated[some][:, None])[:, 0]
    return {
        "ks": float(stats.kstest(u, "uniform").statistic),
        "covered_90": float(np.mean((u >= 0.05) & (u <= 0.95))),
    }


def twfe(drawn: PanelDraw) -> float:
    """Coefficient of treated cells in a regression with unit and period indicators, all cells."""
    n_units, n_periods = drawn.untreated.shape
    columns = [drawn.treated.reshape(-1, 1).astype(float), covariate(drawn).reshape(-1, 1)]
    unit = sparse.kron(sparse.eye(n_units), np.ones((n_periods, 1)))
    period = sparse.kron(np.ones((n_units, 1)), sparse.eye(n_periods))
    design = sparse.hstack([*columns, unit, period], format="csr")
    return float(sparse.linalg.lsqr(design, drawn.outcome.ravel(), atol=1e-12, btol=1e-12)[0][0])


def covariate(drawn: PanelDraw) -> np.ndarray:
    """x, shape (N, T)."""
    return drawn.frame["x"].to_numpy().reshape(drawn.untreated.shape)


def accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    """Errors of the ATT in percent of the effect, beside least squares of the same information."""
    rows = rows.assign(percent=100 * rows["att_error"] / EFFECT)
    out = []
    for (sd, information, method), part in rows.groupby(
        ["noise_sd", "information", "method"], sort=False
    ):
        same = rows[(rows["noise_sd"] == sd) & (rows["information"] == information)]
        base = same[same["method"] == LEAST_SQUARES].set_index("draw")["percent"]
        own = part.set_index("draw")["percent"]
        base = base.loc[own.index]
        out.append({
            "noise sd": sd, "information": information, "method": method,
            "mean abs error %": own.abs().mean(), "its MC error": own.abs().sem(),
            "bias %": own.mean(), "RMSE %": rms(own),
            "abs error / least squares": own.abs().mean() / base.abs().mean(),
            "RMSE / least squares": rms(own) / rms(base), "draws": len(own),
        })  # fmt: skip
    return pd.DataFrame(out)


def against_twfe(rows: pd.DataFrame) -> pd.DataFrame:
    """Paired RMSE ratios to TWFE and BJS in D, with a jackknife error over draws."""
    part = rows[rows["information"] == "D"]
    out = []
    for sd, same in part.groupby("noise_sd", sort=False):
        errors = same.pivot(index="draw", columns="method", values="att_error")
        for method in (m for m in (RECOMMENDED, PLAIN) if m in errors):
            row, wide = {"noise sd": sd, "method": method}, errors[errors[method].notna()]
            for peer, name in ((TWFE, "TWFE"), (LEAST_SQUARES, "BJS")):
                row[f"RMSE / {name}"] = rms(wide[method]) / rms(wide[peer])
                row[f"its error ({name})"] = ratio_error(wide[method], wide[peer])
            out.append({**row, "draws": len(wide)})
    return pd.DataFrame(out)


def cells_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How near single untreated outcomes of treated cells are, and their laws."""
    names = {
        "cell_rmse": "RMSE of E[Y(0)]", "ks": "KS of the law", "covered_90": "90 % band covers",
        "kappa": "kappa", "fit_cpu_seconds": "CPU s a fit",
    }  # fmt: skip
    part = rows[rows["method"] != TWFE]
    table = part.groupby(["noise_sd", "information", "method"], sort=False)[list(names)].mean()
    return table.rename(columns=names).reset_index()


def rms(values: pd.Series) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def ratio_error(a: pd.Series, b: pd.Series) -> float:
    """Jackknife standard error of rms(a) / rms(b)."""
    left_out = [rms(a.drop(k)) / rms(b.drop(k)) for k in a.index]
    n = len(left_out)
    return float(np.sqrt((n - 1) ** 2 / n * np.var(left_out, ddof=1)))


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--draws", type=int, default=20)
    options.add_argument("--plain-draws", type=int, default=20, help="of the plain model")
    args = options.parse_args()
    draws, size = (range(2), 20) if args.quick else (range(args.draws), 100)
    specs = [
        {"size": size, "draw": draw, "noise_sd": sd, "information": name, "method": method}
        for method in (LEAST_SQUARES, TWFE, RECOMMENDED, PLAIN)
        for sd in (0.1, 1.0) for draw in draws for name in METHODS
        if method in METHODS[name] and (method != PLAIN or draw < args.plain_draws)
    ]  # fmt: skip
    study = Study("did-recovery", recovery_row, specs, args.studies, any_version=args.any_version)
    rows = run(study, args.n_jobs, lambda spec: {PLAIN: 6.0, RECOMMENDED: 5.0}.get(
        spec["method"], 0.5))  # fmt: skip
    shown = [(ACCURACY, accuracy(rows)), (PAIRED, against_twfe(rows)), (CELLS, cells_table(rows))]
    write("did_recovery", "The historic difference-in-differences experiment", rows, shown,
          args.quick, args.studies)  # fmt: skip


ACCURACY = (
    "Error of the ATT (0.5) in percent of it. H: all units before treatment and a stated line in "
    "time; D: all untreated cells. Asked for at noise sd 0.1: mean absolute error of the "
    "recommended model at most 1.3 times that of least squares with the same information"
)
PAIRED = (
    "RMSE in D over that of the two-way regression (TWFE) and of imputation (BJS) on the same "
    "draws, with jackknife errors (asked for at noise sd 1: at most 1.05)"
)
CELLS = (
    "Untreated outcomes of the treated cells: error of their means, Kolmogorov-Smirnov distance of "
    "the true ones' probability transforms from uniform, coverage of the law's central 90 % band "
    "(means over draws; kappa is how far the diffusion may move the mean)"
)

if __name__ == "__main__":
    main()
