"""Laws of vectors in closed form against brute force."""

import numpy as np
import torch

from causal_ddpm.diffusion.surface import Prior, posterior, resample
from causal_ddpm.diffusion.vector_oracle import MixtureLaw, gaussian_law

LAW = MixtureLaw(
    np.array([0.3, 0.7]),
    np.array([[1.0, 0.5], [-0.6, 0.2]]),
    np.array([[[0.4, 0.1], [0.1, 0.3]], [[0.2, 0.0], [0.0, 0.5]]]),
)
NONE = np.empty((1, 0))


def test_the_denoiser_is_the_posterior_mean():
    x = LAW.sample(NONE, 400_000, 0)[0]
    for tau, v in ((0.5, [0.2, 0.4]), (2.0, [1.5, -1.0])):
        w = np.exp(-0.5 * ((x - v) ** 2).sum(1) / tau**2)
        by_hand = w @ x / w.sum()
        exact = LAW.denoiser(NONE)(torch.tensor([v], dtype=torch.float64), tau)
        np.testing.assert_allclose(exact.numpy()[0], by_hand, atol=0.01)


def test_moments_and_conditioning_against_draws():
    x = LAW.sample(NONE, 400_000, 1)[0]
    mean, cov = LAW.moments()
    np.testing.assert_allclose(x.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(np.cov(x.T), cov, atol=0.01)
    A, b = np.array([[1.0, 1.0]]), np.array([0.8])
    near = x[np.abs(x @ A[0] - b[0]) < 0.02]
    given = LAW.given(A, b)
    np.testing.assert_allclose(near.mean(0), given.moments()[0], atol=0.02)
    np.testing.assert_allclose(np.cov(near.T), given.moments()[1], atol=0.02)


def test_the_second_order_posterior_of_a_gaussian_is_exact():
    cov = np.array([[1.0, 0.4], [0.4, 0.6]])
    law, tau = gaussian_law([0.2, -0.1], cov), 0.7
    prior = Prior.of(torch.from_numpy(law.sample(NONE, 200_000, 2)), 1)
    cloud = posterior(law.denoiser(NONE), torch.zeros(1, 2, dtype=torch.float64), tau, prior)
    exact = tau**2 * cov @ np.linalg.inv(cov + tau**2 * np.eye(2))
    np.testing.assert_allclose(cloud.cov[0].numpy(), exact, atol=2e-3)
    np.testing.assert_allclose((cloud.root @ cloud.root.mT)[0].numpy(), exact, atol=2e-3)


def test_resampling_keeps_good_rows_and_follows_the_weights():
    generator = torch.Generator().manual_seed(0)
    log_w = torch.zeros(2, 1000, dtype=torch.float64)
    log_w[1, :100] = 5.0
    index, left, share = resample(log_w, generator)
    assert torch.equal(index[:1000], torch.arange(1000))
    kept = index[1000:] - 1000
    expected = 100 * np.exp(5) / (100 * np.exp(5) + 900)
    assert abs(float((kept < 100).double().mean()) - expected) < 0.002
    assert left[1].abs().max() == 0
    assert share[0] > 0.999 > 0.2 > share[1]
