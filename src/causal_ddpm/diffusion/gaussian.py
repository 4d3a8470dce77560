r"""The Gaussian inside a diffusion of vectors: exact denoising of any subset, given the rest.

A row is a vector z in R^K, some coordinates of which are observed (o), the others hidden (h) and
blurred, x = z + tau eps. What an observer sees of a coordinate may be less than its value: a count
of 3 is seen as the mean z of all rows that count 3, while its hidden value is spread over them. So
the second moments are those of what is seen, C, plus the variance e of the spread. Then z_h given
z_o is approximately N(m, S), exactly so for a Gaussian table,

    m = mu_h + C_ho C_oo^+ (z_o - mu_o),      S = C_hh + diag(e_h) - C_ho C_oo^+ C_oh = U diag(l) U'

and with r = U'(x - m) the best linear guess of z and the variance that it leaves are

    D_G(x, tau) = m + U diag(l / (l + tau^2)) r,      d_j^2 = sum_i U_ji^2 l_i tau^2 / (l_i + tau^2)

A denoiser is D = D_G + d F for a network F of unit size; F = 0 is the Gaussian table itself. Along
the probability-flow equation each direction i has an angle theta_i = atan(tau / sqrt(l_i)) of its
own, on which w = r / sqrt(l + tau^2) moves by departures from the Gaussian only:

    dw / dtheta = -f,      f = U'(D - D_G) sqrt(l + tau^2) / (sqrt(l) tau)                   (1)

(1) is the one-dimensional equation of :mod:`causal_ddpm.diffusion.sampler` in every direction at
once: for a Gaussian table any number of steps is exact, correlations included.

A category among the coordinates (unit vectors times a, in a block B) has its linear discriminant:
what the other coordinates say of its levels when they are normal around means that differ by level.
With contrasts Q (orthonormal, orthogonal to the ones) and P the posterior covariance of the block,
the message of the others is read off the posterior by taking the block's own noisy value and its
prior out again,

    h = (Q'PQ)^-1 Q'(D_G - mu) - Q'(x - mu) / tau^2,     G = (Q'PQ)^-1 - (Q'CQ)^-1 - I / tau^2
    lean_l = e_l' h - e_l' G e_l / 2,     e_l = Q'(a 1_l - mu)                                  (2)

and p_l exp(lean_l) is the level's share given the other coordinates.

Off-diagonal moments are shrunk by the rule of Schaefer and Strimmer (2005): the intensity is the
sum of the sampling variances of all correlations over the sum of their squares.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

_FLOOR = 1e-6
"""Smallest variance of a direction; below it a relation counts as exact."""

_FAR = 12.0
"""Largest lean of a level, in logits."""


@dataclass(frozen=True, eq=False)
class Moments:
    """First and second moments of the rows of a table.

    Parameters
    ----------
    mean : Tensor, shape (K,)
        mu.
    seen : Tensor, shape (K, K)
        C, moments of what an observer sees.
    spread : Tensor, shape (K,)
        e, variance of the value around what is seen.
    """

    mean: Tensor
    seen: Tensor
    spread: Tensor

    @classmethod
    def of(cls, seen: Tensor, variance: Tensor | None = None) -> "Moments":
        """Moments of n rows, off-diagonal ones shrunk.

        Parameters
        ----------
        seen : Tensor, shape (n, K)
        variance : Tensor, shape (K,), optional
            Variance of the values themselves; that of what is seen by default.
        """
        mean = seen.double().mean(0)
        away = seen.double() - mean
        cov = _shrunk(away.T @ away / len(seen), away)
        own = cov.diagonal()
        spread = own * 0 if variance is None else (variance.double() - own).clamp(min=0)
        return cls(mean.float(), cov.float(), spread.float())

    def given(self, observed: Tensor) -> "Gaussian":
        """The law of the hidden coordinates given the observed ones.

        Parameters
        ----------
        observed : Tensor of bool, shape (K,)
        """
        C, o, h = self.seen.double(), observed, ~observed
        A, U = torch.zeros_like(C), torch.zeros_like(C)
        S = C[h][:, h] + torch.diag(self.spread.double()[h])
        if o.any():
            weights = torch.linalg.pinv(C[o][:, o], rtol=1e-6, hermitian=True) @ C[o][:, h]
            A[o.nonzero(), h.nonzero().T] = weights
            S = S - C[h][:, o] @ weights
        values, vectors = torch.linalg.eigh((S + S.T) / 2)
        U[h.nonzero(), h.nonzero().T] = vectors
        lengths = torch.ones(len(o), dtype=torch.float64, device=o.device)
        lengths[h] = values.clamp(min=_FLOOR)
        return Gaussian(observed, self.mean, self.seen, A.float(), U.float(), lengths.float())


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(m, S) of hidden coordinates given observed ones, for one pattern or a stack of them.

    Parameters
    ----------
    observed : Tensor of bool, shape (..., K)
    mean : Tensor, shape (K,)
    seen : Tensor, shape (K, K)
        C.
    slope : Tensor, shape (..., K, K)
        C_oo^+ C_oh, zero elsewhere.
    vectors : Tensor, shape (..., K, K)
        U; observed rows and columns are zero.
    lengths : Tensor, shape (..., K)
        l; one at observed coordinates.
    """

    observed: Tensor
    mean: Tensor
    seen: Tensor
    slope: Tensor
    vectors: Tensor
    lengths: Tensor

    @classmethod
    def stack(cls, each: Sequence["Gaussian"]) -> "Gaussian":
        """Several patterns of one table as one record."""
        parts = ([getattr(g, k) for g in each] for k in ("observed", "slope", "vectors", "lengths"))
        observed, slope, vectors, lengths = (torch.stack(p) for p in parts)
        return cls(observed, each[0].mean, each[0].seen, slope, vectors, lengths)

    def __getitem__(self, index: Tensor) -> "Gaussian":
        """Patterns at ``index`` of any shape."""
        return Gaussian(
            self.observed[index], self.mean, self.seen, self.slope[index], self.vectors[index],
            self.lengths[index],
        )  # fmt: skip

    def centre(self, z: Tensor) -> Tensor:
        """m for rows whose observed coordinates are those of z, shape (..., R, K); z where o."""
        m = self.mean + (z - self.mean) @ self.slope
        return torch.where(self.observed[..., None, :], z, m)

    def guess(self, x: Tensor, m: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        """D_G and d; x and m are (..., R, K), tau (..., R, 1)."""
        lengths, var = self.lengths[..., None, :], tau**2
        left = lengths / (lengths + var)
        r = (x - m) @ self.vectors
        d2 = (left * var) @ self.vectors.square().mT
        return m + (r * left) @ self.vectors.mT, d2.clamp(min=1e-12).sqrt()

    def lean(self, x: Tensor, guess: Tensor, tau: Tensor, start: int, e: Tensor) -> Tensor:
        """Equation (2) for a hidden block from ``start`` on, shape (..., R, levels).

        Parameters
        ----------
        x, guess : Tensor, shape (..., R, K)
        tau : Tensor, shape (..., R, 1)
        start : int
        e : Tensor, shape (levels, levels)
            a 1_l in its rows.
        """
        B, Q, var = slice(start, start + len(e)), _contrasts(len(e)).to(x.device), tau**2
        V = Q.T @ self.vectors[..., B, :]
        left = (self.lengths[..., None, :] * var / (self.lengths[..., None, :] + var))[..., None, :]
        posterior = (V[..., None, :, :] * left) @ V[..., None, :, :].mT
        eye = torch.eye(len(e) - 1, device=x.device)
        precision = _inverse(posterior + 1e-6 * eye)
        prior = _inverse(Q.T @ self.seen[B, B] @ Q + 1e-6 * eye)
        own = (x - self.mean)[..., B] @ Q / var
        h = ((guess - self.mean)[..., None, B] @ Q @ precision)[..., 0, :] - own
        G = precision - prior - eye / var[..., None]
        contrast = (e - self.mean[B]) @ Q
        curve = ((contrast @ G) * contrast).sum(-1)
        return (h @ contrast.T - curve / 2).clamp(-_FAR, _FAR)

    def sample(self, m: Tensor, tau: float, w: Tensor) -> Tensor:
        """x at noise level tau from standard normal w (R, K): m + U sqrt(l + tau^2) w."""
        return m + (w * (self.lengths + tau**2).sqrt()) @ self.vectors.mT

    def flow(
        self,
        denoiser: Callable[[Tensor, float], Tensor],
        m: Tensor,
        w: Tensor,
        taus: Sequence[float],
    ) -> Tensor:
        """Standard normal w to values at noise zero, by the two-step Adams rule on (1).

        Parameters
        ----------
        denoiser : callable
            D(x, tau) for rows x (R, K).
        m, w : Tensor, shape (R, K)
        taus : sequence of float
            Falling noise levels.
        """
        root, before, width = self.lengths.sqrt(), None, torch.ones(())
        for t, s in pairwise([*taus, 0.0]):
            size = (self.lengths + t**2).sqrt()
            D = denoiser(self.sample(m, t, w), t)
            departure = (D - m) @ self.vectors - self.lengths / size * w
            f = departure * size / (root * t)
            h = torch.atan(s / root) - torch.atan(t / root)
            step = f if before is None else torch.lerp(before, f, 1 + h / (2 * width))
            w, before, width = w - h * step, f, h
        return self.sample(m, 0.0, w)


def _inverse(matrix: Tensor) -> Tensor:
    return 1 / matrix if matrix.shape[-1] == 1 else torch.linalg.inv(matrix)


def _contrasts(n: int) -> Tensor:
    """Orthonormal columns that are orthogonal to the ones, shape (n, n - 1)."""
    steps = torch.tril(torch.ones(n, n - 1, dtype=torch.float64), -1)
    steps = steps - steps.mean(0)
    return torch.linalg.qr(steps).Q.float()


def _shrunk(cov: Tensor, away: Tensor) -> Tensor:
    """Correlations times (1 - intensity) [Schaefer, Strimmer 2005]."""
    sd = cov.diagonal().clamp(min=1e-12).sqrt()
    corr, unit, n = cov / sd / sd[:, None], away / sd, len(away)
    noise = (unit.square().T @ unit.square() / n - corr**2).clamp(min=0) / n
    off = ~torch.eye(len(cov), dtype=torch.bool, device=cov.device)
    intensity = (noise[off].sum() / corr[off].square().sum().clamp(min=1e-12)).clamp(max=1.0)
    return torch.where(off, cov * (1 - intensity), cov)
