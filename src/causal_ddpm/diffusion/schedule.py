r"""Noise schedules: one family, one clock.

A diffusion blurs a variable x_0 along t in [0, 1],

    x_t = alpha_t x_0 + sigma_t eps,        eps ~ N(0, 1),        tau(t) = sigma_t / alpha_t.

Only tau matters: with v_tau = x_t / alpha_t = x_0 + tau eps all schedules are the same process on
different clocks, and a denoiser E[x_0 | v_tau] trained under one is read under any other. So a
schedule is a clock tau(t), rising from tau(0) = tau_min to tau(1) = tau_max, a scale alpha_t (it
moves x_t, never the law), and the law of log tau used in training, given by its quantiles.

    edm      tau = (a + t (b - a))^5, a = tau_min^(1/5), b = tau_max^(1/5)    [1]; trained on
             log tau ~ N(-0.6, 1.4^2)
    linear   alpha_t^2 = prod_{j <= tT} (1 - beta_j), betas linear            [2]; t uniform
    cosine   alpha_t = cos(theta_t), sigma_t = sin(theta_t), theta linear     [3]; t uniform
    flow     alpha_t = 1 - s, sigma_t = s, s linear in t                      [4]; t uniform

All but flow preserve variance: alpha^2 + sigma^2 = 1 (flow: alpha + sigma = 1).

A deterministic sampler may visit any noise levels: those of :func:`noise_levels` are equally
spaced in tau^(1/5) [1], those of :func:`angle_levels` nearly so in the angle atan(tau). The
ancestral chain follows the schedule's own clock (:meth:`Schedule.clock_levels`).

References
----------
[1] Karras, Aittala, Aila, Laine (2022), Elucidating the design space of diffusion models, eq. 5.
[2] Ho, Jain, Abbeel (2020), Denoising diffusion probabilistic models.
[3] Nichol, Dhariwal (2021), Improved denoising diffusion probabilistic models.
[4] Lipman, Chen, Ben-Hamu, Nickel, Le (2023), Flow matching for generative modeling.
"""

from abc import ABC, abstractmethod
from math import atan

import torch
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.settings import DiffusionSettings

TAU_MIN, TAU_MAX, RHO = 0.01, 20.0, 5.0
"""Ends and curvature of the sampling grid. At tau = 20 a standardised law is Gaussian to 1e-3."""

_FAR = 100.0
"""Largest noise level of the schedules whose clock would run to infinity."""


class Schedule(ABC):
    """A clock from t in [0, 1] to the noise level tau = sigma_t / alpha_t.

    ``power`` is the p of alpha^p + sigma^p = 1: 2 preserves variance, 1 is a straight line.
    """

    power = 2.0

    @abstractmethod
    def tau(self, t: Tensor) -> Tensor:
        """Noise level at time t; increasing."""

    @abstractmethod
    def time(self, tau: Tensor) -> Tensor:
        """Inverse of :meth:`tau`."""

    @abstractmethod
    def log_tau_quantile(self, p: Tensor) -> Tensor:
        """Quantiles of the training law of log tau, p in [0, 1]."""

    def scales(self, tau: Tensor) -> tuple[Tensor, Tensor]:
        """Signal and noise scale at a noise level, alpha = (1 + tau^p)^(-1/p) and tau alpha."""
        alpha = (1 + tau**self.power) ** (-1 / self.power)
        return alpha, tau * alpha

    def alpha(self, t: Tensor) -> Tensor:
        """Signal scale at time t."""
        return self.scales(self.tau(t))[0]

    def sigma(self, t: Tensor) -> Tensor:
        """Noise scale at time t."""
        return self.scales(self.tau(t))[1]

    def clock_levels(self, n: int) -> list[float]:
        """Falling noise levels at t = 1, (n-1)/n, ..., 1/n."""
        t = torch.arange(n, 0, -1, dtype=torch.float64) / n
        return self.tau(t).tolist()


def noise_levels(n: int, tau_max: float = TAU_MAX, tau_min: float = TAU_MIN) -> list[float]:
    """n falling noise levels from tau_max to tau_min, equally spaced in tau^(1/5)."""
    a, b = tau_max ** (1 / RHO), tau_min ** (1 / RHO)
    return (torch.linspace(a, b, n, dtype=torch.float64) ** RHO).tolist()


def angle_levels(n: int, tau_max: float = TAU_MAX, tau_min: float = TAU_MIN) -> list[float]:
    """n falling noise levels tau = tan(theta), equally spaced in theta^0.7."""
    a, b = atan(tau_max) ** 0.7, atan(tau_min) ** 0.7
    return torch.tan(torch.linspace(a, b, n, dtype=torch.float64) ** (1 / 0.7)).tolist()


class EDMSchedule(Schedule):
    """Polynomial clock with a log-normal training law [1], in variance-preserving scale."""

    def __init__(self, mean: float = -0.6, sd: float = 1.4):
        self.mean, self.sd = mean, sd
        self._a, self._b = TAU_MIN ** (1 / RHO), TAU_MAX ** (1 / RHO)

    def tau(self, t: Tensor) -> Tensor:
        """Noise level at time t."""
        return (self._a + t * (self._b - self._a)) ** RHO

    def time(self, tau: Tensor) -> Tensor:
        """Time of noise level tau."""
        return (tau ** (1 / RHO) - self._a) / (self._b - self._a)

    def log_tau_quantile(self, p: Tensor) -> Tensor:
        """Quantiles of log tau in training."""
        return self.mean + self.sd * torch.special.ndtri(p.clamp(1e-4, 1 - 1e-4))


class LinearSchedule(Schedule):
    """Betas equally spaced over a number of discrete steps [2].

    Exact at t = k / n_steps; between the steps log alpha^2 is linear, and below the first step
    tau keeps its value there (the smallest noise that the discrete chain knows).
    """

    def __init__(self, beta_start: float = 1e-4, beta_end: float = 0.02, n_steps: int = 1000):
        self.beta = torch.linspace(beta_start, beta_end, n_steps, dtype=torch.float64)
        self._log_alpha2 = torch.log1p(-self.beta).cumsum(0)
        self.n_steps = n_steps
        last = float(self.tau(torch.ones(1)))
        if last < 4:
            raise DataError(
                f"with beta_start {beta_start}, beta_end {beta_end} and {n_steps} steps the noise "
                f"ends at {last:.2g} times the signal", "at least 4 times",
                "Leave the betas unset, or raise beta_end or diffusion_steps.",
            )  # fmt: skip

    def tau(self, t: Tensor) -> Tensor:
        """Noise level at time t."""
        table = self._log_alpha2.to(t.device)
        position = (t.double() * self.n_steps - 1).clamp(0, self.n_steps - 1)
        low = position.floor().long().clamp(max=self.n_steps - 2)
        log_alpha2 = torch.lerp(table[low], table[low + 1], position - low)
        return torch.expm1(-log_alpha2).sqrt().to(t.dtype)

    def time(self, tau: Tensor) -> Tensor:
        """Time of noise level tau."""
        table = self._log_alpha2.to(tau.device)
        log_alpha2 = -torch.log1p(tau.double() ** 2)
        high = torch.searchsorted(-table, -log_alpha2).clamp(1, self.n_steps - 1)
        share = (log_alpha2 - table[high - 1]) / (table[high] - table[high - 1])
        return ((high + share.clamp(0, 1)) / self.n_steps).to(tau.dtype)

    def log_tau_quantile(self, p: Tensor) -> Tensor:
        """Quantiles of log tau in training."""
        return self.tau(p).log()


class CosineSchedule(Schedule):
    """The angle theta = atan(tau) moves at constant speed [3]."""

    def __init__(self) -> None:
        self._low, self._width = atan(TAU_MIN), atan(_FAR) - atan(TAU_MIN)

    def tau(self, t: Tensor) -> Tensor:
        """Noise level at time t."""
        return torch.tan(self._low + t * self._width)

    def time(self, tau: Tensor) -> Tensor:
        """Time of noise level tau."""
        return (torch.atan(tau) - self._low) / self._width

    def log_tau_quantile(self, p: Tensor) -> Tensor:
        """Quantiles of log tau in training."""
        return self.tau(p).log()


class FlowSchedule(Schedule):
    """Straight line between data and noise [4]: x = (1 - s) x_0 + s eps, tau = s / (1 - s)."""

    power = 1.0

    def __init__(self) -> None:
        self._low = TAU_MIN / (1 + TAU_MIN)
        self._width = _FAR / (1 + _FAR) - self._low

    def tau(self, t: Tensor) -> Tensor:
        """Noise level at time t."""
        s = self._low + t * self._width
        return s / (1 - s)

    def time(self, tau: Tensor) -> Tensor:
        """Time of noise level tau."""
        return (tau / (1 + tau) - self._low) / self._width

    def log_tau_quantile(self, p: Tensor) -> Tensor:
        """Quantiles of log tau in training."""
        return self.tau(p).log()


def schedule_of(settings: DiffusionSettings) -> Schedule:
    """The schedule that the settings name.

    Raises
    ------
    DataError
        If the betas of the linear schedule leave too much signal at t = 1.
    """
    if settings.schedule == "linear":
        stretch = 1000 / settings.diffusion_steps
        return LinearSchedule(
            beta_start=settings.beta_start or min(1e-4 * stretch, 0.5),
            beta_end=settings.beta_end or min(0.02 * stretch, 0.999),
            n_steps=settings.diffusion_steps,
        )
    presets = {"edm": EDMSchedule, "cosine": CosineSchedule, "flow": FlowSchedule}
    return presets[settings.schedule]()
