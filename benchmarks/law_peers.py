"""Conditional laws of the peers: mid-quantile nodes of Y(a) given x for new rows.

Every function is ``(x, d, y, x_test, levels, seed) -> nodes (2, n_test, Q)`` and fits one model an
arm (a T-learner), but for the flow, which is conditional on (x, a).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers import _SWEEPS
from scipy.special import ndtri

Array = NDArray[np.float64]
Law = Callable[[Array, NDArray[np.int64], Array, Array, Array, int], Array]

_FLOW_STEPS, _FLOW_BATCH, _PATIENCE = 2000, 256, 8


def gp_t(x: Array, d: NDArray[np.int64], y: Array, new: Array, levels: Array, seed: int) -> Array:
    """Gaussian process with one length scale a column and homoskedastic noise (scikit-learn)."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    nodes = []
    for arm in (0, 1):
        own = d == arm
        centre, scale = y[own].mean(), y[own].std()
        kernel = ConstantKernel(1.0) * RBF(np.full(x.shape[1], 3.0)) + WhiteKernel(0.5)
        model = GaussianProcessRegressor(kernel, random_state=seed)
        model.fit(x[own], (y[own] - centre) / scale)
        mean, sd = model.predict(new, return_std=True)
        nodes.append(centre + scale * (mean[:, None] + sd[:, None] * ndtri(levels)))
    return np.stack(nodes)


def bart_t(x: Array, d: NDArray[np.int64], y: Array, new: Array, levels: Array, seed: int) -> Array:
    """Posterior predictive law of BART (stochtree)."""
    from stochtree import BARTModel

    rng, nodes = np.random.default_rng(seed), []
    for arm in (0, 1):
        model = BARTModel()
        model.sample(
            X_train=x[d == arm],
            y_train=y[d == arm],
            general_params={"random_seed": seed + arm, "num_threads": 1},
            **_SWEEPS,
        )
        draws = np.asarray(model.predict(new, type="posterior", terms="y_hat"))
        sigma = np.sqrt(np.asarray(model.global_var_samples))
        noise = rng.standard_normal((*draws.shape, 4)) * sigma[None, :, None]
        predictive = (draws[:, :, None] + noise).reshape(len(new), -1)
        nodes.append(np.quantile(predictive, levels, axis=1).T)
    return np.stack(nodes)


def forest_t(
    x: Array, d: NDArray[np.int64], y: Array, new: Array, levels: Array, seed: int
) -> Array:
    """Quantile regression forest (quantile-forest), 200 trees, leaves of five."""
    from quantile_forest import RandomForestQuantileRegressor

    nodes = []
    for arm in (0, 1):
        model = RandomForestQuantileRegressor(
            n_estimators=200, min_samples_leaf=5, random_state=seed, n_jobs=1
        )
        model.fit(x[d == arm], y[d == arm])
        nodes.append(np.asarray(model.predict(new, quantiles=list(levels))))
    return np.stack(nodes)


def spline_flow(
    x: Array, d: NDArray[np.int64], y: Array, new: Array, levels: Array, seed: int
) -> Array:
    """Conditional neural spline flow (zuko) on (x, a), stopped early on 15 % held-out rows."""
    import torch
    import zuko

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    centre, scale = y.mean(), y.std()
    context = torch.tensor(np.column_stack([x, d]), dtype=torch.float32)
    value = torch.tensor((y - centre) / scale, dtype=torch.float32)[:, None]
    order = torch.randperm(len(y))
    held, train = order[: len(y) * 15 // 100], order[len(y) * 15 // 100 :]
    flow = zuko.flows.NSF(1, context.shape[1], transforms=1, bins=8, hidden_features=(64, 64))
    _train_flow(flow, context, value, (train, held))
    z, nodes = torch.tensor(ndtri(levels), dtype=torch.float32), []
    with torch.no_grad():
        for arm in (0, 1):
            known = np.column_stack([new, np.full(len(new), arm)])
            law = flow(torch.tensor(known, dtype=torch.float32))
            each = [law.transform.inv(z_j.expand(len(new), 1))[:, 0] for z_j in z]
            nodes.append(centre + scale * torch.stack(each, 1).double().numpy())
    return np.sort(np.stack(nodes), axis=-1)


def _train_flow(flow: Any, context: Any, value: Any, rows: tuple[Any, Any]) -> None:
    """Adam on the likelihood; the weights with the best held-out likelihood stay."""
    import torch

    train, held = rows
    optimiser = torch.optim.Adam(flow.parameters(), lr=2e-3)
    best, stale, state = np.inf, 0, flow.state_dict()
    for step in range(_FLOW_STEPS):
        batch = train[torch.randint(len(train), (_FLOW_BATCH,))]
        loss = -flow(context[batch]).log_prob(value[batch]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 25 == 24:
            with torch.no_grad():
                score = float(-flow(context[held]).log_prob(value[held]).mean())
            stale = 0 if score < best else stale + 1
            if score < best:
                best = score
                state = {k: v.clone() for k, v in flow.state_dict().items()}
            if stale == _PATIENCE:
                break
    flow.load_state_dict(state)


LAWS: dict[str, Law] = {
    "gp_t": gp_t,
    "bart_t": bart_t,
    "forest_t": forest_t,
    "spline_flow": spline_flow,
}


def version() -> str:
    """What recorded rows of the peers are valid for."""
    libraries = ("scikit-learn", "stochtree", "quantile-forest", "zuko", "torch")
    return ", ".join(f"{name} {metadata.version(name)}" for name in libraries) + ", laws 1"
