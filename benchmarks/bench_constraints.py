"""Economic constraints: draws against closed forms, plain projection beside, and a taxed market.

Oracle laws (a Gaussian, two mixtures in three dimensions) conditioned on one equality or cut by a
half-space, with exact denoisers: what is measured is the sampler. ``learnt`` trains the vector
diffusion on shares and compares free coordinates with
training on all columns and projecting afterwards. ``market`` is the simulated market of
``causal_ddpm.dgp.supply_demand`` under a tax of 20 percent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from common import parser, run, write
from numpy.typing import NDArray
from scipy.stats import truncnorm, wasserstein_distance

from causal_ddpm import MarketModel
from causal_ddpm.core.errors import NotIdentifiedError
from causal_ddpm.core.random import Seed
from causal_ddpm.dgp.supply_demand import CURVED, LOG_LINEAR
from causal_ddpm.diffusion.constrained import Coordinates, VectorLaw, constrained_draws
from causal_ddpm.diffusion.constraints import LinearEquality, bounds, polyhedron, shares
from causal_ddpm.diffusion.null_space import null_space
from causal_ddpm.diffusion.settings import DiffusionSettings
from causal_ddpm.diffusion.vector import train_vector
from causal_ddpm.diffusion.vector_oracle import MixtureLaw, gaussian_law
from causal_ddpm.evaluation.studies import Spec, Study
from causal_ddpm.nuisance.residual_recipe import residual_settings

Array = NDArray[np.float64]
NAMES = ("a", "b", "c")
TAX = 0.2


def law_of(kind: str, seed: int) -> MixtureLaw:
    """A random law of three columns with mean 0 and variance 1."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((3, 3))
    if kind == "gaussian":
        cov = root @ root.T + 0.3 * np.eye(3)
        size = np.sqrt(np.diag(cov))
        return gaussian_law(np.zeros(3), cov / np.outer(size, size))
    inner = 0.4 if kind == "mixture" else 0.15
    weights, means = rng.dirichlet([4, 4, 4]), rng.standard_normal((3, 3))
    means = (means - weights @ means) / np.sqrt(weights @ (means - weights @ means) ** 2)
    return MixtureLaw(weights, means * np.sqrt(1 - inner), np.stack([inner * np.eye(3)] * 3))


def plain(law: MixtureLaw, n: int) -> Coordinates:
    return Coordinates(np.zeros((n, law.size)), np.tile(np.eye(law.size), (n, 1, 1)))


def w1(x: Array, y: Array) -> float:
    """Mean over columns of the Wasserstein distance of two samples, in sd of the second."""
    return float(
        np.mean([wasserstein_distance(a, b) / b.std() for a, b in zip(x.T, y.T, strict=True)])
    )


def equality_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """One law given a'x = b with a random a, and b one sd from the mean; exact or learnt."""
    law, n, per_row = law_of(spec["law"], spec["seed"]), spec["rows"], 64
    model: VectorLaw = law
    if "train" in spec:
        known = law.sample(np.empty((1, 0)), spec["train"], 0)[0]
        settings = residual_settings(DiffusionSettings(), spec["train"])
        model = train_vector(known, np.empty((len(known), 0)), settings, 0)
    direction = np.random.default_rng(spec["seed"] + 1).standard_normal(3)
    mean, cov = law.moments()
    b = float(direction @ mean + np.sqrt(direction @ cov @ direction))
    limits = [LinearEquality(direction, b, NAMES)]
    start = time.process_time()
    region = polyhedron(limits, NAMES, n)
    draws = constrained_draws(model, np.empty((n, 0)), plain(law, n), region, per_row, seed)
    cpu = time.process_time() - start
    truth = law.given(direction[None], np.array([b]))
    exact = surface_draws(truth)
    x = draws.x.reshape(-1, 3)
    free = model.sample(np.empty((1, 0)), len(x), 2)[0]
    projected = free + np.outer((b - free @ direction) / (direction @ direction), direction)
    return {
        **moment_errors(x, truth), "violation": region.violation(draws.x), "w1": w1(x, exact),
        "w1_projection": w1(projected, exact), "effective_share": draws.effective_share.mean(),
        "weight_moved": float(np.abs(truth.weights - law.weights).sum() / 2),
        "ms_per_draw": 1e3 * cpu / len(x),
    }  # fmt: skip


def surface_draws(truth: MixtureLaw, n: int = 50_000) -> Array:
    """Exact draws of a law on a surface, whose covariances are singular."""
    rng = np.random.default_rng(0)
    part = rng.choice(len(truth.weights), n, p=truth.weights)
    roots = []
    for cov in truth.covariances:
        lengths, axes = np.linalg.eigh(cov)
        roots.append(axes * np.sqrt(np.maximum(lengths, 0)))
    noise = rng.standard_normal((n, truth.size))
    return truth.means[part] + np.einsum("nij,nj->ni", np.array(roots)[part], noise)


def moment_errors(x: Array, truth: MixtureLaw) -> dict[str, float]:
    """Largest error of the mean in sd, relative error of the covariance."""
    mean, cov = truth.moments()
    sd = np.sqrt(np.trace(cov) / 2)  # two free dimensions
    return {
        "mean_error_sd": float(np.abs(x.mean(0) - mean).max() / sd),
        "covariance_error": float(np.linalg.norm(np.cov(x.T) - cov) / np.linalg.norm(cov)),
    }


def half_space_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """N(0, I) cut at a >= threshold, against the truncated normal."""
    law, n, per_row = gaussian_law(np.zeros(3), np.eye(3)), spec["rows"], 64
    start = time.process_time()
    region = polyhedron([bounds("a", low=spec["threshold"])], NAMES, n)
    draws = constrained_draws(law, np.empty((n, 0)), plain(law, n), region, per_row, seed)
    cpu, oracle = time.process_time() - start, truncnorm(spec["threshold"], np.inf)
    a = draws.x[..., 0]
    return {
        "feasible": region.feasible_share(draws.x), "probability": truncnorm_mass(spec),
        "mean_error_sd": float((a.mean() - oracle.mean()) / oracle.std()),
        "sd_ratio": float(a.std() / oracle.std()),
        "others_mean": float(np.abs(draws.x[..., 1:].mean((0, 1))).max()),
        "ms_per_draw": 1e3 * cpu / a.size,
    }  # fmt: skip


def truncnorm_mass(spec: Spec) -> float:
    from scipy.stats import norm

    return float(norm.sf(spec["threshold"]))


def learnt_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Shares of three columns: free coordinates against projecting a free model."""
    rng = np.random.default_rng(spec["seed"])

    def shares_of(n: int) -> Array:
        boom = rng.choice([0.0, 1.2], n)
        logits = rng.standard_normal((n, 3)) * [0.4, 0.3, 0.2]
        e = np.exp(logits + np.column_stack([boom, np.zeros(n), 0.5 * boom]))
        return e / e.sum(1, keepdims=True)

    train, test = shares_of(spec["rows"]), shares_of(50_000)
    none, one = np.empty((len(train), 0)), np.empty((1, 0))
    n_draws, settings = 4000, DiffusionSettings(n_steps=spec["steps"])
    space = null_space(np.ones((1, 3)), train.std(0))
    base = space.offset(np.ones((1, 1)))
    w = space.encode(train - base)
    model = train_vector((w - w.mean(0)) / w.std(0), none, settings, 0)
    coordinates = Coordinates(base + w.mean(0) @ space.matrix.T, (space.matrix * w.std(0))[None])
    region = polyhedron(shares(NAMES), NAMES, 1)
    draws = constrained_draws(model, one, coordinates, region, n_draws, 1)
    raw = train_vector((train - train.mean(0)) / train.std(0), none, settings, 0)
    free = train.mean(0) + train.std(0) * raw.sample(one, n_draws, 1)[0]
    projected = free + (1 - free.sum(1, keepdims=True)) / 3
    return {
        "violation": region.violation(draws.x), "feasible": region.feasible_share(draws.x),
        "w1": w1(draws.x[0], test), "w1_projection": w1(projected, test),
        "feasible_projection": float((projected >= 0).all(1).mean()),
        "sum_off_before_projection": float(np.abs(free.sum(1) - 1).mean()),
    }  # fmt: skip


def market_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Mean price under the tax, by instruments and by least squares."""
    design = {"log-linear": LOG_LINEAR, "curved": CURVED}[spec["design"]]
    degree = 1 if spec["design"] == "log-linear" else 2
    drawn, known = design.draw(spec["rows"], 7000 + spec["seed"]), design.truth()
    price, before = known.value(f"price(tax={TAX:g})"), known.value("price")
    sold, out = known.value(f"quantity(tax={TAX:g})"), {}
    settings = DiffusionSettings(n_steps=200, hidden_dim=32)
    for label, how in (("iv", "instruments"), ("ols", "none")):
        try:
            model = MarketModel(degree, how, settings).fit(
                drawn.frame, "price", "quantity", ["income"], ["cost"]
            )
        except NotIdentifiedError:  # curves that do not cross once
            out[f"{label}_no_crossing"] = 1.0
            continue
        out[f"{label}_no_crossing"] = 0.0
        taxed, free = (model.tax(drawn.frame, t, spec["draws"], seed).summary() for t in (TAX, 0.0))
        rise = taxed["consumer_price"] - free["consumer_price"]
        out[f"{label}_price_error"] = taxed["consumer_price"] / price - 1
        out[f"{label}_rise_error"] = rise / (price - before) - 1
        out[f"{label}_quantity_error"] = taxed["quantity"] / sold - 1
    return out


ROWS: dict[str, Callable[[Spec, Seed], Mapping[str, float]]] = {
    "equality": equality_row,
    "learnt equality": equality_row,
    "half-space": half_space_row,
    "learnt": learnt_row,
    "market": market_row,
}


def task(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """One row, of the kind that the specification names."""
    return ROWS[spec["kind"]](spec, seed)


def specs_of(quick: bool, seeds: int) -> list[Spec]:
    rows, some = (16, 1) if quick else (128, seeds)
    out: list[Spec] = []
    for law in ("gaussian", "mixture", "far mixture"):
        out += [
            {"kind": "equality", "law": law, "rows": rows, "seed": 40 + s}
            for s in range(some if quick else 5)
        ]
    out += [{"kind": "half-space", "threshold": t, "rows": rows} for t in (1.0, 2.5, 4.0)]
    train, part = (300, 4) if quick else (3000, 32)
    for law in ("gaussian", "mixture", "far mixture"):
        out += [
            {"kind": "learnt equality", "law": law, "rows": part, "train": train, "seed": 150 + s}
            for s in range(1 if quick else 3)
        ]
    steps = 100 if quick else 400
    out += [
        {"kind": "learnt", "rows": 1000, "steps": steps, "seed": 60 + s}
        for s in range(1 if quick else 3)
    ]
    for design in ("log-linear", "curved"):
        out += [
            {
                "kind": "market",
                "design": design,
                "rows": 300 if quick else 2000,
                "draws": 5,
                "seed": s,
            }
            for s in range(some)
        ]
    return out


def table(rows: pd.DataFrame, kind: str, by: list[str]) -> pd.DataFrame:
    """Root mean squares of errors, means of the rest, by setting."""
    own = rows[rows["kind"] == kind].dropna(axis=1, how="all")
    numbers = [c for c in own.select_dtypes("number") if c not in (*by, *PLAIN)]
    out = []
    for key, part in own.groupby(by, sort=False):
        values = dict(zip(by, key, strict=True)) | {"runs": len(part)}
        for c in numbers:
            squared = c.endswith("error") or c == "mean_error_sd"
            x = part[c].to_numpy(float)
            values[f"{c} (rms)" if squared else c] = float(
                np.sqrt(np.nanmean(x**2))
                if squared
                else x.max()
                if c == "violation"
                else np.nanmean(x)
            )
        out.append(values)
    return pd.DataFrame(out)


PLAIN = ("rows", "seed", "train", "draws", "steps", "cpu_seconds", "wall_seconds", "attempts")


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=10, help="seeds of the market")
    args = options.parse_args()
    study = Study(
        "constraints", task, specs_of(args.quick, args.seeds), args.studies,
        any_version=args.any_version,
    )  # fmt: skip
    rows = run(study, args.n_jobs, lambda spec: 20.0 if spec["kind"] == "market" else 6.0)
    shown = [
        (EQUALITY, table(rows, "equality", ["law"])),
        (LEARNT_EQUALITY, table(rows, "learnt equality", ["law"])),
        (HALF, table(rows, "half-space", ["threshold"])),
        (LEARNT, table(rows, "learnt", ["kind"])),
        (MARKET, table(rows, "market", ["design"])),
    ]
    write("constraints", "Economic constraints", rows, shown, args.quick, args.studies)


EQUALITY = (
    "Imposed equalities, exact denoisers, three columns, a random direction fixed one sd from its "
    "mean; 128 rows x 64 draws a run. Aims for the Gaussian: mean within .03 sd, covariance within "
    "5 %, relative violation below 1e-6. `w1`: mean distance of the marginals to exact draws, in "
    "sd; `w1_projection`: the same for plain draws moved orthogonally onto the surface. "
    "`weight_moved`: how much probability the condition moves between components"
)
LEARNT_EQUALITY = (
    "The same with denoisers learnt from 3 000 rows, 32 rows x 64 draws a run: errors of the fit "
    "and of the sampler together; plain draws of the same fit are projected"
)
HALF = "Half-spaces a >= threshold of N(0, I), against the truncated normal"
LEARNT = (
    "Shares learnt from 1 000 rows: trained in free coordinates, against a model of all three "
    "columns whose draws are projected afterwards"
)
MARKET = (
    "A tax of 20 %: relative errors of the mean consumer price, of its rise and of the quantity, "
    "2 000 markets, 5 draws each, shocks trained for 200 steps. Aim: price within 3 %. `ols`: the "
    "same with curves read off by least squares; `no_crossing`: share of samples where the curves "
    "do not cross once, so that no tax can be solved (left out of the errors)"
)

if __name__ == "__main__":
    main()
