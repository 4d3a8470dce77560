"""Quality of the law of Y(a) given x beside the peers, where the truth is known.

Designs ``bimodal`` and ``gauss``, and ``skewed``: the locations and scales of ``gauss`` with
exponential noise. For new rows and both arms: W1 and expected CRPS against the true law, coverage
of 90 % predictive intervals under it, and, where the true density has two separated modes, whether
the predicted one has two (see ``laws.py``). ``gaussian_oracle`` is a Gaussian with the true
moments of each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import law_peers
import laws
import numpy as np
import ours
import pandas as pd
from common import parser, run, write
from datasets import _designs as designs, require_shared
from scipy.special import ndtri

from causal_ddpm.core.random import Seed, integer_seed
from causal_ddpm.evaluation.studies import Spec, Study

WITHOUT = "ours_without_one_step"
OURS = ("ours", WITHOUT, "ours_end_to_end")
ORACLE = "gaussian_oracle"
DRAWS = range(2000, 2005)
N_TRAIN, N_TEST = 2000, 500
_SECONDS = {"gp_t": 60, "bart_t": 15, "forest_t": 8, "spline_flow": 15, "ours": 30,
            WITHOUT: 25, "ours_end_to_end": 10, ORACLE: 2}  # fmt: skip


class Skewed:
    """``gauss`` with noise E - 1, E exponential: mean 0, variance 1, one steep edge."""

    def __init__(self) -> None:
        self._base = designs().Synth("gauss")

    def _standard(self, x: np.ndarray, a: int, y: np.ndarray) -> np.ndarray:
        return (y - self._base.loc(x, a)[:, None]) / self._base.scale(x, a)[:, None]

    def draw(self, n: int, seed: int) -> dict[str, np.ndarray]:
        """Rows of the design."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((n, self._base.d))
        t = (rng.random(n) < self._base.prop(x)).astype(float)
        noise = rng.exponential(size=n) - 1
        return {"x": x, "t": t, "y": self._base.loc(x, t) + self._base.scale(x, t) * noise}

    def mean(self, x: np.ndarray, a: int) -> np.ndarray:
        """E[Y(a) | x]."""
        return self._base.loc(x, a)

    def var(self, x: np.ndarray, a: int) -> np.ndarray:
        """Var(Y(a) | x)."""
        return self._base.scale(x, a) ** 2

    def cdf(self, x: np.ndarray, a: int, y: np.ndarray) -> np.ndarray:
        """Distribution function at y (n, G)."""
        return -np.expm1(-np.maximum(self._standard(x, a, y) + 1, 0))

    def quantiles(self, x: np.ndarray, a: int, u: np.ndarray) -> np.ndarray:
        """Quantiles at levels u (G,), shape (n, G)."""
        noise = -np.log1p(-u) - 1
        return self._base.loc(x, a)[:, None] + self._base.scale(x, a)[:, None] * noise


def design(name: str) -> Any:
    return Skewed() if name == "skewed" else designs().Synth(name)


def row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    known = design(spec["design"])
    train = known.draw(spec["n"], spec["draw"])
    x_new = known.draw(N_TEST, 1_000_000 + spec["draw"])["x"]
    nodes = predicted(spec["method"], known, train, x_new, integer_seed(seed))
    return scores(known, nodes, x_new)


def predicted(
    method: str, known: Any, train: Mapping[str, np.ndarray], x_new: np.ndarray, seed: int
) -> np.ndarray:
    """Nodes of every arm and new row, shape (2, n_test, Q)."""
    if method == ORACLE:
        z = ndtri(laws.LEVELS)
        moments = [(known.mean(x_new, a), np.sqrt(known.var(x_new, a))) for a in (0, 1)]
        return np.stack([mean[:, None] + sd[:, None] * z for mean, sd in moments])
    d = train["t"].astype(np.int64)
    if method not in OURS:
        fit = law_peers.LAWS[method]
        return fit(train["x"], d, train["y"], x_new, laws.LEVELS, seed)
    from causal_ddpm import PotentialOutcomeModel

    names = [f"x{j}" for j in range(x_new.shape[1])]
    frame = pd.DataFrame(train["x"], columns=names).assign(treatment=d, outcome=train["y"])
    model = PotentialOutcomeModel(
        location="none" if method == "ours_end_to_end" else "stack", one_step=method != WITHOUT
    )
    law = model.fit(ours.causal_data(frame), random_state=seed)
    new = pd.DataFrame(x_new, columns=names)
    return np.stack([law.predictive(new, a, laws.N_NODES).nodes for a in (0, 1)])


def scores(known: Any, nodes: np.ndarray, x: np.ndarray) -> Mapping[str, float]:
    """Averages over rows and arms."""
    parts: dict[str, list[np.ndarray]] = {}
    for a in (0, 1):
        truth = known.quantiles(x, a, laws.LEVELS)
        ends = known.cdf(x, a, laws.interval(nodes[a]))
        separated = laws.n_modes(truth, laws.SEPARATED) == 2
        both = (laws.n_modes(nodes[a], laws.VALLEY) == 2).astype(float)
        each = {
            "w1": laws.w1(nodes[a], truth),
            "crps": laws.crps(nodes[a], truth),
            "oracle_crps": laws.crps(truth, truth),
            "coverage_90": ends[:, 1] - ends[:, 0],
            "width_90": np.diff(laws.interval(nodes[a]))[:, 0],
            "mean_error": (nodes[a].mean(axis=1) - truth.mean(axis=1)) ** 2,
            "separated": separated.astype(float),
            "both_modes": np.where(separated, both, np.nan),
        }
        for name, value in each.items():
            parts.setdefault(name, []).append(value)
    out = {name: _average(np.concatenate(value)) for name, value in parts.items()}
    out["rmse_mean"] = out.pop("mean_error") ** 0.5
    out["excess_crps"] = out["crps"] - out["oracle_crps"]
    return out


def _average(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over draws, and CRPS in per cent above the oracle."""
    kept = ["w1", "crps", "oracle_crps", "excess_crps", "coverage_90", "width_90", "both_modes",
            "rmse_mean", "cpu_seconds"]  # fmt: skip
    table = rows.groupby(["design", "method"], sort=False)[kept].mean().reset_index()
    above = 100 * table["excess_crps"] / table["oracle_crps"]
    table.insert(5, "% above oracle", above)
    return table


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Excess CRPS of ours over each peer's on the same draws, and the best peer's."""
    mean = rows.pivot_table(index="design", columns="method", values="excess_crps", sort=False)
    peers = [m for m in law_peers.LAWS if m in mean]
    out = mean[peers].rdiv(mean["ours"], axis=0).add_prefix("ours / ")
    out["ours / best peer"] = mean["ours"] / mean[peers].min(axis=1)
    return out.reset_index()


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument(
        "--designs", nargs="+", default=["bimodal", "gauss", "skewed"],
        choices=["bimodal", "gauss", "skewed"],
    )  # fmt: skip
    every = [ORACLE, *law_peers.LAWS, *OURS]
    options.add_argument("--methods", nargs="+", default=every, choices=every)
    args = options.parse_args()
    require_shared("peers", "designs.py")
    draws, n = (DRAWS[:1], 300) if args.quick else (DRAWS, N_TRAIN)
    tables = []
    for name, methods, version in (
        ("law-peers", [ORACLE, *law_peers.LAWS], law_peers.version()),
        ("law-ours", OURS, None),
    ):
        specs = [
            {"design": d, "method": m, "n": n, "draw": draw}
            for d in args.designs for m in methods if m in args.methods for draw in draws
        ]  # fmt: skip
        if not specs:
            continue
        study = Study(
            name, row, specs, args.studies, code_version=version, any_version=args.any_version
        )
        tables.append(run(study, args.n_jobs, lambda spec: _SECONDS[spec["method"]]))
    rows = pd.concat(tables, ignore_index=True)
    shown = [(NOTE, summary(rows))]
    if set(args.methods) == set(every):
        shown.append(("Excess CRPS of ours over that of the peers", ratios(rows)))
    write("law", "The law of a potential outcome given x", rows, shown, args.quick, args.studies)


NOTE = (
    f"{N_TRAIN} training rows, {len(DRAWS)} draws, {N_TEST} new rows, both arms. `both_modes`: "
    "share of the laws with two separated modes whose prediction has exactly two"
)

if __name__ == "__main__":
    main()
