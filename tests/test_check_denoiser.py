"""The conformance check of denoisers passes true ones and refuses the usual accidents."""

import pytest
import torch

from causal_ddpm.diffusion.oracle import GaussianDenoiser, MixtureDenoiser
from causal_ddpm.diffusion.parametrisation import ForeignDenoiser, predictor_of
from causal_ddpm.diffusion.schedule import CosineSchedule
from causal_ddpm.testing import check_denoiser

MIXTURE = MixtureDenoiser(
    torch.tensor([0.5, 0.5]), torch.tensor([-0.9, 0.9]), torch.tensor([0.4, 0.4])
)


def test_exact_denoisers_pass():
    check_denoiser(GaussianDenoiser(0.0, 1.0), n_rows=6)
    check_denoiser(MIXTURE, n_rows=6)
    schedule = CosineSchedule()
    foreign = ForeignDenoiser(predictor_of(MIXTURE, schedule, "noise"), schedule, "noise")
    check_denoiser(foreign, n_rows=6)


def test_a_network_read_as_another_target_is_refused():
    schedule = CosineSchedule()
    noise = predictor_of(MIXTURE, schedule, "noise")
    with pytest.raises(AssertionError, match="another schedule or target"):
        check_denoiser(ForeignDenoiser(noise, schedule, "data"), n_rows=6)


@pytest.mark.parametrize(
    ("denoiser", "words"),
    [
        (lambda v, tau: MIXTURE(v, tau) + 0.01 * torch.rand_like(v), "dropout"),
        (lambda v, tau: MIXTURE(v, tau) - 0.1 * v.mean(), "rows see each other"),
        (lambda v, tau: MIXTURE(v, tau)[:, :1], "shape"),
        (lambda v, tau: MIXTURE(v, tau) * float("nan"), "finite"),
        (lambda v, tau: -2 * MIXTURE(v, tau) if tau < 1 else MIXTURE(v, tau), "off"),
    ],
)
def test_the_usual_accidents_are_refused(denoiser, words):
    with pytest.raises(AssertionError, match=words):
        check_denoiser(denoiser, n_rows=6)
