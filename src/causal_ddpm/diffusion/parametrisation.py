r"""What a network may predict, and how one answer is turned into another.

Every target in use is linear in the data and the noise. With x_t = alpha x_0 + sigma eps,

    y = a x_0 + b eps         data       a = 1,       b = 0
                              noise      a = 0,       b = 1                    [1]
                              v          a = -sigma,  b = alpha                [2]
                              velocity   a = -1,      b = 1                    [3]
                              score      a = 0,       b = -1 / sigma           [4]

so x_t and one of them give all the others (the determinant is never zero for sigma > 0):

    x_0 = (sigma y - b x_t) / (sigma a - alpha b),    eps = (a x_t - alpha y) / (sigma a - alpha b)

and the conditional mean of one is the same function of the conditional mean of another. The
network F of :mod:`causal_ddpm.diffusion.denoiser` predicts -v in variance-preserving scale.

Least squares on y weighs noise levels differently from least squares on F: at a given x_t an error
of x_0 makes one of y, larger by dy/dx_0 = a - b alpha / sigma, and one of F, larger by
sqrt(1 + tau^2) / tau. Hence

    |error of y|^2 = w |error of F|^2,     w = (a - b alpha / sigma)^2 tau^2 / (1 + tau^2)

    noise w = 1 / (1 + tau^2),   data w = tau^2 / (1 + tau^2),   v w = 1,
    velocity (on the straight line, alpha = 1 - sigma) w = (1 + tau)^2 / (1 + tau^2)

References
----------
[1] Ho, Jain, Abbeel (2020).  [2] Salimans, Ho (2022).  [3] Lipman et al. (2023), on the straight
line alpha = 1 - sigma, where x_t moves at velocity eps - x_0.  [4] Song et al. (2021), the
gradient of log p(x_t).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.denoiser import Denoiser
from causal_ddpm.diffusion.schedule import Schedule

Target = Literal["data", "noise", "v", "velocity", "score"]
Predictor = Callable[[Tensor, Tensor], Tensor]
"""Conditional mean of a target from (x_t, t), t a tensor with one time."""


def coefficients(target: Target, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """a and b of y = a x_0 + b eps.

    Raises
    ------
    DataError
        For an unknown target.
    """
    zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)
    table: dict[str, tuple[Tensor, Tensor]] = {
        "data": (one, zero),
        "noise": (zero, one),
        "v": (-sigma, alpha),
        "velocity": (-one, one),
        "score": (zero, -1 / sigma),
    }
    if target not in table:
        raise DataError(f"target is {target!r}", f"one of {', '.join(table)}")
    return table[target]


def convert(
    y: Tensor, x_t: Tensor, scales: tuple[Tensor, Tensor], source: Target, to: Target
) -> Tensor:
    """A prediction of one target as a prediction of another.

    Parameters
    ----------
    y, x_t : Tensor
        Prediction of ``source``, and the noisy value it was made from.
    scales : (Tensor, Tensor)
        alpha and sigma.
    source, to : {"data", "noise", "v", "velocity", "score"}
    """
    alpha, sigma = scales
    a, b = coefficients(source, alpha, sigma)
    c, d = coefficients(to, alpha, sigma)
    determinant = sigma * a - alpha * b
    return (c * (sigma * y - b * x_t) + d * (a * x_t - alpha * y)) / determinant


def weight(target: Target, alpha: Tensor, sigma: Tensor) -> Tensor:
    """w: squared error of the target over squared error of F, at noise level sigma / alpha."""
    a, b = coefficients(target, alpha, sigma)
    return (a - b * alpha / sigma) ** 2 * sigma**2 / (alpha**2 + sigma**2)


@dataclass(frozen=True)
class ForeignDenoiser(Denoiser):
    """A network trained under any schedule and target, read as a denoiser E[v | v_tau].

    Parameters
    ----------
    predict : callable
        Conditional mean of ``target`` from (x_t, t).
    schedule : Schedule
        Its clock and scale; noise levels beyond its ends are read at the ends.
    target : {"data", "noise", "v", "velocity", "score"}
    """

    predict: Predictor
    schedule: Schedule
    target: Target

    def __call__(self, v_tau: Tensor, tau: float) -> Tensor:
        """E[v | v_tau]."""
        t = self.schedule.time(torch.tensor(tau, dtype=torch.float64)).clamp(0, 1)
        scales = self.schedule.alpha(t), self.schedule.sigma(t)
        x_t = scales[0].to(v_tau.dtype) * v_tau
        y = self.predict(x_t, t)
        alpha, sigma = (scale.to(v_tau) for scale in scales)
        return convert(y, x_t, (alpha, sigma), self.target, "data")


def predictor_of(denoiser: Denoiser, schedule: Schedule, target: Target) -> Predictor:
    """The inverse of :class:`ForeignDenoiser`: a denoiser as another schedule's network."""

    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule.alpha(t).to(x_t), schedule.sigma(t).to(x_t)
        x_0 = denoiser(x_t / alpha, float(schedule.tau(t)))
        return convert(x_0, x_t, (alpha, sigma), "data", target)

    return predict
