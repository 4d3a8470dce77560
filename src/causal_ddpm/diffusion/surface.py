r"""Draws of v given A v = b, for an equality that the data need not obey.

With v_t = v + t eps, the posterior of v given v_t has mean and covariance (Tweedie)

    D = D(v_t, t),        S = t^2 dD/dv_t

and, as far as it is Gaussian, conditioning on the equality gives

    D_b = D + K (b - A D),   S_b = S - K A S,   K = S A' (A S A')^-1                        (1)
    p(b | v_t) = N(b; A D, A S A')                                                          (2)

One step from noise t to s draws v from N(D_b, S_b), as a draw u of N(D, S) moved to the surface,
u + K (b - A u), and blurs it again by the bridge between v and v_t:

    v_s = r v_t + (1 - r) v + s sqrt(1 - r) xi,        r = (s/t)^2                          (3)

At high noise t^2 magnifies the errors of a learnt Jacobian, while v given v_t is all but Gaussian:
with the covariance S_0 of v from plain draws,

    S = c t^2 dD/dv_t + (1 - c) S_G,   S_G = t^2 S_0 (S_0 + t^2)^-1,   c = 1 / (1 + t^2)         (5)

For a Gaussian v this is exact with any number of steps. Otherwise (1) is only a proposal: between
two modes it leaves each its old weight, though b may speak for one of them. So P particles a row
carry weights: (2) is what v_t says of b, g(b | v_s, v_t) what (1) and (3) predicted that v_s would
say, and

    w_s = w_t p(b | v_s) / g(b | v_s, v_t)                                                  (4)

makes the weighted particles draws of v given A v = b, as P and the number of levels grow, whatever
S is: the twisted diffusion sampler [1] with the second-order posterior of [2]. It starts at t = 12,
where v_t is all but Gaussian; weights stop at t = .05, where the law is locally Gaussian and the
errors of a learnt D outgrow t. Rows whose effective number of particles falls below P/2 are
resampled. The last level is (1) itself, in float64: the projection onto the surface in the metric
of the local covariance.

Inequalities G v <= h enter (4) as the factor prod_j Phi((h - G D_b)_j / sd_j) of each level, sd_j^2
the diagonal of G S_b G'; at the end they hold exactly or the particle counts nothing.

References
----------
[1] Wu, Trippe, Naesseth, Blei, Cunningham (2023), Practical and asymptotically exact conditional
    sampling in diffusion models.
[2] Rozet, Andry, Lanusse, Louppe (2024), Learning diffusion priors from observations by
    expectation maximization, section 4.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor

from causal_ddpm.diffusion.schedule import angle_levels

PointDenoiser = Callable[[Tensor, float], Tensor]
"""D(v_tau, tau) on points (B, k) in float64, differentiable."""

_FLOOR, _TRIES, _TRUST, _TOP, _WEIGHED = 1e-10, 16, 1.0, 12.0, 0.05


@dataclass(frozen=True)
class Target:
    """What points (B, k) must obey: A v = b and G v <= h, each point's own.

    Parameters
    ----------
    A : Tensor, shape (B, m, k), of full row rank
    b : Tensor, shape (B, m)
    G : Tensor, shape (B, q, k)
    h : Tensor, shape (B, q)
    """

    A: Tensor
    b: Tensor
    G: Tensor
    h: Tensor

    def feasible(self, v: Tensor) -> Tensor:
        """Whether G v <= h, shape (B,)."""
        return ((self.G @ v[..., None])[..., 0] <= self.h).all(-1)


@dataclass
class Cloud:
    """Particles at one noise level: v (B, k), posterior mean (B, k), covariance and its root."""

    v: Tensor
    mean: Tensor
    cov: Tensor
    root: Tensor

    def keep(self, index: Tensor) -> None:
        """Replace the particles by those at ``index``."""
        for name in ("v", "mean", "cov", "root"):
            setattr(self, name, getattr(self, name)[index])


@dataclass(frozen=True)
class Prior:
    """First two moments of v for each point, from plain draws; covariance by its eigenvectors.

    Parameters
    ----------
    mean : Tensor, shape (B, k)
    lengths : Tensor, shape (B, k)
        Eigenvalues of the covariance.
    axes : Tensor, shape (B, k, k)
    """

    mean: Tensor
    lengths: Tensor
    axes: Tensor

    @classmethod
    def of(cls, draws: Tensor, n_particles: int) -> "Prior":
        """Moments of the draws (n, M, k) of each row, for its particles."""
        away = draws - draws.mean(1, keepdim=True)
        lengths, axes = torch.linalg.eigh(away.mT @ away / draws.shape[1])
        lengths = lengths.clamp(min=1e-4 * float(lengths.max()))
        parts = (draws.mean(1), lengths, axes)
        return cls(*(part.repeat_interleave(n_particles, 0) for part in parts))

    def covariance(self, tau: float) -> Tensor:
        """Posterior covariance given v_tau, were v Gaussian: equation (5)."""
        narrowed = self.lengths * tau**2 / (self.lengths + tau**2)
        return (self.axes * narrowed[:, None]) @ self.axes.mT


def posterior(denoiser: PointDenoiser, v: Tensor, tau: float, prior: Prior) -> Cloud:
    """Mean and covariance of v_0 given v_tau; the Jacobian by k backward passes."""
    with torch.enable_grad():
        at = v.detach().requires_grad_(True)
        mean = denoiser(at, tau)
        k = v.shape[1]
        rows = [
            torch.autograd.grad(mean[:, i].sum(), at, retain_graph=i + 1 < k)[0] for i in range(k)
        ]
    jacobian = torch.stack(rows, 1).double()
    own = _positive(tau**2 * (jacobian + jacobian.mT) / 2)[0]
    trust = _TRUST / (_TRUST + tau**2)
    cov, root = _positive(trust * own + (1 - trust) * prior.covariance(tau))
    return Cloud(v, mean.detach().double(), cov, root)


def _positive(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The matrix without negative eigenvalues, and a root of it."""
    lengths, axes = torch.linalg.eigh(matrix)
    lengths = lengths.clamp(min=_FLOOR)[:, None]
    return (axes * lengths) @ axes.mT, axes * lengths.sqrt()


def apply(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector for each point."""
    return (matrix @ vector[..., None])[..., 0]


def log_normal(away: Tensor, cov: Tensor) -> Tensor:
    """log N(away; 0, cov) up to a constant, shape (B,)."""
    lower = torch.linalg.cholesky(cov)
    z = torch.linalg.solve_triangular(lower, away[..., None], upper=False)[..., 0]
    return -0.5 * (z**2).sum(-1) - torch.diagonal(lower, dim1=-2, dim2=-1).log().sum(-1)


def gain(cov: Tensor, A: Tensor) -> Tensor:
    """K of (1)."""
    return torch.linalg.solve(A @ cov @ A.mT, A @ cov).mT


def conditioned(mean: Tensor, cov: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Mean and covariance given A v = b: equation (1)."""
    K = gain(cov, target.A)
    return mean + apply(K, target.b - apply(target.A, mean)), cov - K @ target.A @ cov


def log_message(mean: Tensor, cov: Tensor, target: Target) -> Tensor:
    """log p(b | v_t): equation (2)."""
    return log_normal(target.b - apply(target.A, mean), target.A @ cov @ target.A.mT)


def log_room(mean: Tensor, cov: Tensor, target: Target) -> Tensor:
    """sum_j log Phi((h - G D_b)_j / sd_j), zero without inequalities."""
    if target.G.shape[1] == 0:
        return torch.zeros(len(mean), dtype=mean.dtype)
    D_b, S_b = conditioned(mean, cov, target)
    var = ((target.G @ S_b) * target.G).sum(-1).clamp(min=1e-12)
    return torch.special.log_ndtr((target.h - apply(target.G, D_b)) / var.sqrt()).sum(-1)


def draw_clean(cloud: Cloud, target: Target, generator: torch.Generator) -> Tensor:
    """A draw of N(D_b, S_b) for each particle."""
    u = cloud.mean + apply(cloud.root, _normals(cloud.mean, generator))
    return u + apply(gain(cloud.cov, target.A), target.b - apply(target.A, u))


def step(
    denoiser: PointDenoiser,
    cloud: Cloud,
    target: Target,
    prior: Prior,
    levels: tuple[float, float],
    generator: torch.Generator,
) -> tuple[Cloud, Tensor]:
    """Equations (3) and (4): the next cloud, and the factors by which log weights grow."""
    t, s = levels
    r = (s / t) ** 2
    v = draw_clean(cloud, target, generator)
    v_s = r * cloud.v + (1 - r) * v + s * sqrt(1 - r) * _normals(v, generator)
    ahead = posterior(denoiser, v_s, s, prior)
    growth = log_room(ahead.mean, ahead.cov, target) - log_room(cloud.mean, cloud.cov, target)
    if s >= _WEIGHED:
        expected = log_message(*_prediction(cloud, v_s, r, s), target)
        growth = growth + log_message(ahead.mean, ahead.cov, target) - expected
    return ahead, growth


def _prediction(cloud: Cloud, v_s: Tensor, r: float, s: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of v given (v_s, v_t) were v given v_t N(D, S)."""
    cross = (1 - r) * cloud.cov
    eye = torch.eye(v_s.shape[1], dtype=v_s.dtype)
    lever = torch.linalg.solve(s**2 * (1 - r) * eye + (1 - r) * cross, cross).mT
    seen = v_s - r * cloud.v - (1 - r) * cloud.mean
    return cloud.mean + apply(lever, seen), cloud.cov - lever @ cross


def resample(log_w: Tensor, generator: torch.Generator, floor: float = 0.5) -> tuple[Tensor, ...]:
    """Systematic resampling of rows whose effective share of particles is below ``floor``.

    Parameters
    ----------
    log_w : Tensor, shape (n, P)
    generator : torch.Generator
    floor : float

    Returns
    -------
    index : Tensor of int, shape (n P,)
        Particles to keep, by flat position.
    log_w : Tensor, shape (n, P)
        Zero in resampled rows.
    share : Tensor, shape (n,)
        Effective share before.
    """
    n, P = log_w.shape
    w = torch.softmax(log_w, 1)
    share = 1 / (P * (w**2).sum(1))
    u = (torch.rand(n, 1, generator=generator, dtype=w.dtype) + torch.arange(P)) / P
    chosen = torch.searchsorted(w.cumsum(1).contiguous(), u.contiguous()).clamp(max=P - 1)
    poor = (share < floor)[:, None]
    index = torch.where(poor, chosen, torch.arange(P)) + P * torch.arange(n)[:, None]
    return index.flatten(), torch.where(poor, 0.0, log_w), share


@dataclass(frozen=True)
class SurfaceDraws:
    """Weighted particles of n rows.

    Parameters
    ----------
    v : Tensor, shape (n, P, k)
    weight : Tensor, shape (n, P)
        Sums to one in each row; all zero where no particle obeys the inequalities.
    share : Tensor, shape (n,)
        Smallest effective share of particles on the way.
    """

    v: Tensor
    weight: Tensor
    share: Tensor


def particles(
    denoiser: PointDenoiser,
    target: Target,
    prior: Prior,
    generator: torch.Generator,
    n_particles: int,
    n_levels: int = 48,
) -> SurfaceDraws:
    """Weighted draws of v given A v = b and G v <= h.

    Parameters
    ----------
    denoiser : callable
        On points (n P, k), the P particles of a row together.
    target : Target
        For the same points.
    prior : Prior
        For the same points.
    generator : torch.Generator
    n_particles : int
        P.
    n_levels : int
        Noise levels visited.
    """
    B, _, k = target.A.shape
    n, taus = B // n_particles, angle_levels(n_levels, tau_max=_TOP)
    cloud = _start(denoiser, target, prior, taus[0], generator)
    log_w = log_room(cloud.mean, cloud.cov, target).view(n, -1)
    share = torch.ones(n, dtype=log_w.dtype)
    for levels in pairwise(taus):
        cloud, growth = step(denoiser, cloud, target, prior, levels, generator)
        index, log_w, effective = resample(log_w + growth.view(n, -1), generator)
        cloud.keep(index)
        share = torch.minimum(share, effective)
    v, inside = _finish(cloud, target, generator)
    weight = torch.softmax(log_w, 1) * inside.view(n, -1)
    total = weight.sum(1, keepdim=True)
    return SurfaceDraws(v.view(n, -1, k), weight / total.clamp(min=1e-300), share)


def _start(
    denoiser: PointDenoiser, target: Target, prior: Prior, tau: float, generator: torch.Generator
) -> Cloud:
    """Particles at the first level: the prior as a Gaussian, moved to the surface and blurred."""
    cov, root = _positive(prior.covariance(1e3))
    v = draw_clean(Cloud(prior.mean, prior.mean, cov, root), target, generator)
    return posterior(denoiser, v + tau * _normals(v, generator), tau, prior)


def _finish(cloud: Cloud, target: Target, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clean draws on the surface, and whether each obeys the inequalities after some tries."""
    v = draw_clean(cloud, target, generator)
    for _ in range(_TRIES if target.G.shape[1] else 0):
        inside = target.feasible(v)
        if inside.all():
            break
        v = torch.where(inside[:, None], v, draw_clean(cloud, target, generator))
    return v, target.feasible(v)


def pick(draws: SurfaceDraws, n_samples: int, generator: torch.Generator) -> Tensor:
    """n_samples of the particles of each row in random order, by systematic resampling."""
    n, P, _ = draws.v.shape
    u = torch.rand(n, 1, generator=generator, dtype=torch.float64) + torch.arange(n_samples)
    chosen = torch.searchsorted(draws.weight.cumsum(1).contiguous(), (u / n_samples).contiguous())
    order = torch.rand(n, n_samples, generator=generator).argsort(1)
    index = chosen.clamp(max=P - 1).gather(1, order)
    return draws.v[torch.arange(n)[:, None], index]


def _normals(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)
