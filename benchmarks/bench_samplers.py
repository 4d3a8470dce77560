"""Samplers: accuracy at 10, 20 and 50 noise levels, cost, and the ancestral chain beside them.

Oracles: mixtures whose denoiser and quantiles are known in closed form. Networks: a conditional
diffusion trained with default settings on standardised residuals of the bimodal design (of a design
of our own where the folder ``shared/`` is missing); the reference is the same network read by Heun
on 200 levels. All errors are in standard deviations of v, over the quantiles (i + 1/2) / 64.

Ancestral: 1000 steps of the linear schedule. S independent draws from a law have a W1 distance of
about c / sqrt(S) to it; c is measured with 256 exact draws. The deterministic reading, 20 levels
and 32 nodes, is at w, and S* = (c / w)^2 draws would be as near, if the chain had exactly that law.
What S* draws cost is extrapolated from the 256 draws of the chain that were made, with the same
network and one member in both.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from common import parser, run, write
from datasets import SHARED, _designs as designs
from scipy.stats import norm

from causal_ddpm.core.random import Seed
from causal_ddpm.diffusion.conditional import (
    ConditionalDiffusion,
    DiffusionSettings,
    TrainingGroup,
    train_conditional,
)
from causal_ddpm.diffusion.oracle import MixtureDenoiser
from causal_ddpm.diffusion.sampler import SAMPLERS, crossing_share, decode
from causal_ddpm.diffusion.schedule import schedule_of
from causal_ddpm.evaluation.studies import Spec, Study, grid

LAWS = {
    "normal": ([1.0], [0.0], [1.0]),
    "bimodal": ([0.3, 0.7], [-1.3, 0.557], [0.35, 0.5]),
    "narrow": ([0.5, 0.5], [-0.98, 0.98], [0.2, 0.2]),
    "skewed": ([0.6, 0.3, 0.1], [-0.6, 0.4, 2.4], [0.3, 0.5, 0.8]),
    "peaked": ([0.5, 0.5], [0.0, 0.0], [0.3, 1.38]),
}
FLOWS = ("adams", "heun", "dpmpp", "ddim")
LEVELS = (10, 20, 50)
U = (np.arange(64) + 0.5) / 64
Z = norm.ppf(U)
FINE = (np.arange(1000) + 0.5) / 1000
N_TEST, N_CHAIN, CHAIN_DRAWS, CHAIN_STEPS = 200, 10, 256, 1000


# -- laws -----------------------------------------------------------------------------------
def quantiles(name: str, p: np.ndarray) -> np.ndarray:
    """Of a mixture, by interpolation of its distribution function on a fine grid."""
    w, m, s = map(np.array, LAWS[name])
    v = np.linspace(-12, 12, 400_001)
    return np.interp(
        p, sum(wj * norm.cdf((v - mj) / sj) for wj, mj, sj in zip(w, m, s, strict=True)), v
    )


def deviation(name: str) -> float:
    w, m, s = map(np.array, LAWS[name])
    return float(np.sqrt(w @ (s**2 + m**2) - (w @ m) ** 2))


def residuals(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conditions, arms and residuals standardised by the true moments."""
    if (SHARED / "peers" / "designs.py").exists():
        design = designs().Synth("bimodal")
        drawn = design.draw(n, seed)
        x, arm = drawn["x"], drawn["t"].astype(np.int64)
        return x, arm, (drawn["y"] - design.mean(x, arm)) / np.sqrt(design.var(x, arm))
    rng = np.random.default_rng(seed)
    x, arm = rng.standard_normal((n, 10)), rng.integers(0, 2, n)
    p = 1 / (1 + np.exp(-0.8 * x[:, 4] - 0.5 * arm))
    high = rng.random(n) < p
    v = np.where(high, 1 - p, -p) * 2.4 + 0.4 * rng.standard_normal(n)
    return x, arm, v / np.sqrt(2.4**2 * p * (1 - p) + 0.4**2)


@lru_cache(maxsize=2)
def trained(draw: int, n_members: int | None) -> tuple[ConditionalDiffusion, np.ndarray]:
    """A network trained on 2000 rows, and conditions to read it at."""
    x, arm, v = residuals(2000, 7000 + draw)
    settings = DiffusionSettings(n_members=n_members)
    model = train_conditional([TrainingGroup(x, arm, v)], settings, random_state=draw)
    return model, residuals(N_TEST, 8000 + draw)[0]


# -- tasks ----------------------------------------------------------------------------------
def accuracy_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    if spec["law"] in LAWS:
        return oracle_row(spec)
    model, x = trained(int(spec["law"].split()[-1]), None)
    reading = model.reading(spec["sampler"], spec["levels"])
    reading.nodes(0, x, 1, 2)
    start = time.process_time()
    nodes = np.concatenate([reading.transport(0, x, a, Z) for a in (0, 1)])
    cpu = time.process_time() - start
    reference = model.reading("heun", 200)
    exact = np.concatenate([reference.transport(0, x, a, Z) for a in (0, 1)])
    error = np.abs(nodes - exact)
    crossing = max(reading.crossing_share(0, x, a, 64) for a in (0, 1))
    return {"mean_error": error.mean(), "worst_of_99": np.quantile(error.max(1), 0.99),
            "max_error": error.max(), "crossing": crossing, "reading_cpu": cpu}  # fmt: skip


def oracle_row(spec: Spec) -> Mapping[str, float]:
    law, step = spec["law"], SAMPLERS[spec["sampler"]]
    denoiser = MixtureDenoiser(*(torch.tensor(a).double() for a in LAWS[law]))
    start = time.process_time()
    v = decode(step, denoiser, torch.from_numpy(Z), step.levels(spec["levels"]))
    cpu = time.process_time() - start
    error = np.abs(v.numpy() - quantiles(law, U)) / deviation(law)
    return {"mean_error": error.mean(), "worst_of_99": error.max(), "max_error": error.max(),
            "crossing": crossing_share(v), "reading_cpu": cpu}  # fmt: skip


def w1(nodes: np.ndarray, exact: np.ndarray) -> float:
    """Mean over rows of the distance between step-free quantile functions on 1000 levels."""
    p = (np.arange(nodes.shape[1]) + 0.5) / nodes.shape[1]
    read = np.stack([np.interp(norm.ppf(FINE), norm.ppf(p), row) for row in np.sort(nodes)])
    return float(np.abs(read - exact).mean())


def chain_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """Deterministic reading and ancestral chain of one network, against its own law."""
    model, x = trained(spec["draw"], 1)
    x = x[:N_CHAIN]
    exact = model.reading("heun", 200).transport(0, x, 1, norm.ppf(FINE))
    flow = model.reading("adams", 20)
    repeats = 20
    start = time.process_time()
    for _ in range(repeats):
        nodes = flow.nodes(0, x, 1, 32)
    flow_cpu = (time.process_time() - start) / repeats
    chain = model.reading("ddpm", CHAIN_STEPS)
    start = time.process_time()
    draws = chain.sample(0, x, 1, CHAIN_DRAWS, random_state=spec["draw"])
    chain_cpu = time.process_time() - start
    rng = np.random.default_rng(spec["draw"])
    return {"flow_w1": w1(nodes, exact), "flow_cpu": flow_cpu, "chain_w1": w1(draws, exact),
            "exact_w1": exact_draws_w1(exact, rng), "chain_cpu": chain_cpu}  # fmt: skip


def exact_draws_w1(exact: np.ndarray, rng: np.random.Generator) -> float:
    """W1 of as many exact draws from each row's law, mean of 200 or more repetitions."""
    repeats = 200 // len(exact)
    u = rng.random((repeats * len(exact), CHAIN_DRAWS))
    rows = np.repeat(exact, repeats, axis=0)
    draws = np.stack([np.interp(p, FINE, row) for p, row in zip(u, rows, strict=True)])
    return w1(draws, rows)


def exact_chain_row(spec: Spec, seed: Seed) -> Mapping[str, float]:
    """The same for an oracle, where both have one truth; cost in evaluations of the denoiser."""
    law = spec["law"]
    denoiser = MixtureDenoiser(*(torch.tensor(a).double() for a in LAWS[law]))
    exact, scale = quantiles(law, FINE)[None], deviation(law)
    step, z = SAMPLERS["adams"], norm.ppf((np.arange(32) + 0.5) / 32)
    nodes = decode(step, denoiser, torch.from_numpy(z), step.levels(20)).numpy()[None]
    g = torch.Generator().manual_seed(spec["draw"])

    def noise(v: torch.Tensor) -> torch.Tensor:
        return torch.randn(v.shape, generator=g, dtype=v.dtype)

    taus = schedule_of(DiffusionSettings(schedule="linear")).clock_levels(CHAIN_STEPS)
    start = noise(torch.empty(20 * CHAIN_DRAWS, dtype=torch.float64))
    draws = decode(SAMPLERS["ddpm"], denoiser, start, taus, noise).numpy().reshape(20, -1)
    return {"flow_w1": w1(nodes, exact) / scale, "flow_cpu": 20.0 * 32,
            "chain_w1": w1(draws, exact) / scale,
            "exact_w1": exact_draws_w1(exact, np.random.default_rng(spec["draw"])) / scale,
            "chain_cpu": float(CHAIN_STEPS * CHAIN_DRAWS)}  # fmt: skip


# -- tables ---------------------------------------------------------------------------------
def accuracy_table(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    table = rows.pivot_table(index=["sampler", "levels"], columns="law", values=column, sort=False)
    laws = [name for name in LAWS if name in table] + [c for c in table if c not in LAWS]
    return table[laws].reset_index()


def cost_table(rows: pd.DataFrame) -> pd.DataFrame:
    network = rows[rows["law"].str.startswith("network")]
    table = network.groupby(["sampler", "levels"], sort=False)
    table = table.agg(reading_cpu=("reading_cpu", "median"), crossing=("crossing", "max"))
    every = rows.groupby(["sampler", "levels"], sort=False)["crossing"].max()
    table["crossing_anywhere"] = every
    return table.reset_index().drop(columns="crossing")


def speed_table(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for name, part in rows.groupby("law", sort=False):
        flow, chain, exact = (part[f"{k}_w1"].mean() for k in ("flow", "chain", "exact"))
        needed = CHAIN_DRAWS * (exact / flow) ** 2
        ratio = part["chain_cpu"].sum() / part["flow_cpu"].sum()
        out.append({
            "law": name, "W1 deterministic": flow, f"W1 of {CHAIN_DRAWS} chains": chain,
            f"W1 of {CHAIN_DRAWS} exact draws": exact,
            f"times the cost, {CHAIN_DRAWS} chains": ratio, "S*": needed,
            "times the cost at S*": ratio * needed / CHAIN_DRAWS,
        })  # fmt: skip
    return pd.DataFrame(out)


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    args = options.parse_args()
    networks = [f"network {k}" for k in range(1 if args.quick else 2)]
    specs = grid(law=[*LAWS, *networks], sampler=FLOWS, levels=LEVELS)
    kinds = {"folder": args.studies, "any_version": args.any_version}
    accuracy = Study("samplers-accuracy", accuracy_row, specs, **kinds)
    rows = run(accuracy, args.n_jobs, lambda spec: 3.0)
    chains = grid(law=["network"], draw=range(len(networks)))
    chain = run(
        Study("samplers-network-chain", chain_row, chains, **kinds), args.n_jobs, lambda _: 15.0
    )
    exact = grid(law=list(LAWS), draw=[0])
    oracle = run(Study("samplers-oracle-chain", exact_chain_row, exact, **kinds), 1, lambda _: 5.0)
    shown = [
        (WORST, accuracy_table(rows, "worst_of_99")),
        (MEAN, accuracy_table(rows, "mean_error")),
        (COST, cost_table(rows)),
        (SPEED, speed_table(pd.concat([chain, oracle]))),
    ]
    write("samplers", "Samplers", pd.concat([rows, chain, oracle], ignore_index=True), shown,
          args.quick, args.studies)  # fmt: skip


WORST = (
    "Largest error of a quantile, in sd: for oracles over the 64 quantiles, for networks the 99th "
    "percentile over 400 laws (200 rows, two arms) of each law's largest error. Aim: at most .02 "
    "at 20 levels for the default, `adams`"
)
MEAN = "Mean error of a quantile, in sd"
COST = (
    "CPU seconds for 64 quantiles of 400 laws (two members), and the share of neighbouring "
    "quantiles that cross, on the worst law of all. Heun asks the network twice a level"
)
SPEED = (
    "The deterministic reading (20 levels, 32 nodes) beside 1000-step ancestral sampling: W1 to "
    "the law in sd (mean over 10 laws of each of two networks), cost of the chains that were "
    "made as a multiple of the reading's (CPU time for the network, evaluations of the denoiser "
    "for oracles), draws S* that sampling error alone needs for the reading's W1, and their cost "
    "(extrapolated). Aim: at least 100 times. A network's law is the one that its flow has on 200 "
    "levels; a learnt denoiser is not exactly the score of one law, so its chain has a slightly "
    "different one, and no number of draws brings it to the flow's"
)

if __name__ == "__main__":
    main()
