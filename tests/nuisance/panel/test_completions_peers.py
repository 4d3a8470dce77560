"""Bases of untreated outcomes beside the libraries of their authors' methods."""

import warnings

import numpy as np
import pandas as pd
import pytest

from causal_ddpm.nuisance.panel.completion import two_way_tables
from causal_ddpm.nuisance.panel.donors import DonorPool
from causal_ddpm.nuisance.panel.factors import InteractiveFactors
from causal_ddpm.nuisance.panel.period_weights import period_weights
from causal_ddpm.nuisance.panel.soft_impute import SoftImpute
from causal_ddpm.nuisance.panel.synthetic_control import SyntheticControl, donor_weights
from causal_ddpm.nuisance.panel.synthetic_did import SyntheticDID

synthdid = pytest.importorskip("synthdid")
pyfector = pytest.importorskip("pyfector")

SOLVER = 0.01
"""Frank-Wolfe of the peer stops early: packs, of effects near -16."""

EARLY_STOP = 0.15
"""Without a ridge, it stops further from the optimum."""


@pytest.fixture(scope="module")
def prop99():
    return synthdid.panel_matrices(synthdid.load_california_prop99())


def effect(base, panel):
    seen = np.ones(panel.Y.shape, dtype=bool)
    seen[panel.N0 :, panel.T0 :] = False
    return float((panel.Y - base.complete(panel.Y, seen[None])[0])[~seen].mean())


class _TwoWay:
    def complete(self, y, seen):
        return two_way_tables(y, seen)


@pytest.mark.parametrize(
    ("base", "published", "tolerance"),
    [
        (SyntheticDID(), -15.604, SOLVER),
        (SyntheticControl(), -19.62, EARLY_STOP),
        (_TwoWay(), -27.35, 0.005),
    ],
    ids=["SDID", "SC", "DID"],
)
def test_proposition_99(prop99, base, published, tolerance):
    assert effect(base, prop99) == pytest.approx(published, abs=tolerance)


def test_sdid_weights_are_those_of_the_peer(prop99):
    peer = synthdid.synthdid_estimate(prop99.Y, prop99.N0, prop99.T0)
    seen = np.arange(prop99.Y.shape[1]) < prop99.T0
    pool = DonorPool(prop99.Y[: prop99.N0], prop99.Y[-1], seen)
    np.testing.assert_allclose(period_weights(pool), peer.weights.time, atol=2e-3)
    w = donor_weights(pool, peer.opts["zeta_omega"], intercept=True)
    np.testing.assert_allclose(w, peer.weights.unit, atol=5e-3)


def test_our_synthetic_control_fits_no_worse_than_the_peers(prop99):
    """The optimum is ours: the peer's weights leave more of California's past."""
    Y, N0, T0 = prop99.Y, prop99.N0, prop99.T0
    peer = synthdid.sc_estimate(Y, N0, T0)
    seen = np.ones(Y.shape, dtype=bool)
    seen[N0:, T0:] = False
    ours = SyntheticControl().complete(Y, seen[None])[0, -1]
    theirs = peer.weights.unit @ Y[:N0]

    def past(path):
        return ((Y[-1] - path)[:T0] ** 2).sum()

    assert past(ours) <= past(theirs)


def test_sdid_of_every_placebo_unit_is_the_peers(prop99):
    Y, T0 = prop99.Y[: prop99.N0], prop99.T0
    for i in (0, 20):
        order = np.r_[np.delete(np.arange(len(Y)), i), i]
        peer = float(synthdid.synthdid_estimate(Y[order], len(Y) - 1, T0))
        seen = np.ones(Y.shape, dtype=bool)
        seen[i, T0:] = False
        ours = (Y - SyntheticDID().complete(Y, seen[None])[0])[i, T0:].mean()
        assert ours == pytest.approx(peer, abs=0.05)


def factor_panel(seed=0):
    """Two factors and noise; 5 of 30 units treated from period 15 of 22 on."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((30, 1)) + np.cumsum(rng.standard_normal(22))
    y = y + rng.standard_normal((30, 2)) @ rng.standard_normal((2, 22))
    y += 0.5 * rng.standard_normal(y.shape)
    treated = np.zeros(y.shape, dtype=bool)
    treated[:5, 15:] = True
    return y, treated


def peer_counterfactual(y, treated, **settings):
    """Untreated outcomes by pyfector, shape (N, T)."""
    n_units, n_periods = y.shape
    frame = pd.DataFrame({
        "unit": np.repeat(np.arange(n_units), n_periods),
        "period": np.tile(np.arange(n_periods), n_units),
        "y": y.ravel(), "d": treated.ravel().astype(int),
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pyfector.fect(
            frame, Y="y", D="d", index=("unit", "period"), CV=False, tol=1e-9, max_iter=20000,
            n_jobs=1, **settings,
        )  # fmt: skip
    return np.asarray(found.Y_ct).T


@pytest.mark.parametrize("rank", [1, 2])
def test_interactive_fixed_effects_are_those_of_the_peer(rank):
    y, treated = factor_panel()
    ours = InteractiveFactors(rank, tolerance=1e-10, limit=5000).complete(y, ~treated[None])[0]
    theirs = peer_counterfactual(y, treated, method="ife", r=rank)
    np.testing.assert_allclose(ours[treated], theirs[treated], atol=1e-5)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_matrix_completion_is_that_of_the_peer(share):
    """Its penalty is per cell: lambda N T on the nuclear norm of the outcomes."""
    y, treated = factor_panel()
    seen = ~treated
    left = np.where(seen, y - two_way_tables(y, seen[None])[0], 0.0)
    lam = share * np.linalg.svd(left, compute_uv=False)[0] / y.size
    base = SoftImpute(share, debias=False, tolerance=1e-10, limit=5000, max_rank=10)
    ours = base.complete(y, seen[None])[0]
    theirs = peer_counterfactual(y, treated, method="mc", lam=lam)
    np.testing.assert_allclose(ours[treated], theirs[treated], atol=1e-5)
