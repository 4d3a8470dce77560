r"""The conditional diffusion of a vector v in R^k given (x): laws, samples, maps.

:func:`train_vector` learns D(v_tau, tau; x) = E[v | v + tau eps, x] with isotropic noise in the
units of v. The Gaussian inside is the full one: v given x with a (shrunk) linear mean and the
covariance of what that leaves (:mod:`causal_ddpm.diffusion.gaussian`), and the network learns
departures from it (:mod:`causal_ddpm.diffusion.masked`), so that with few rows the law falls back
on a multivariate normal regression instead of on noise.

In more than one dimension the probability-flow map is no quantile map: read it by samples.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence, stream
from causal_ddpm.diffusion.batches import Standardiser
from causal_ddpm.diffusion.gaussian import Moments
from causal_ddpm.diffusion.masked import CellNetwork, CellRows, Layout
from causal_ddpm.diffusion.masked_fit import MaskedDiffusion, Reading, tensors_of, train_masked
from causal_ddpm.diffusion.runtime import quick_arithmetic, resolve_device
from causal_ddpm.diffusion.settings import DiffusionSettings

FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class VectorDiffusion:
    """A trained conditional diffusion of vectors; made by :func:`train_vector`.

    Parameters
    ----------
    standardiser : Standardiser
        Of the conditions.
    engine : MaskedDiffusion
        On rows [x, v], x observed.
    """

    standardiser: Standardiser
    engine: MaskedDiffusion

    @property
    def n_columns(self) -> int:
        """d, columns of the condition."""
        return len(self.standardiser.mean)

    @property
    def size(self) -> int:
        """Length k of the vector."""
        return self.engine.layout.size - self.n_columns

    @property
    def report(self) -> dict[str, Any]:
        """Losses, steps, seconds; JSON-ready."""
        return self.engine.report

    # -- reading ---------------------------------------------------------------------------
    def denoiser(self, condition: NDArray[Any]) -> Callable[[Tensor, float], Tensor]:
        """D(v_tau, tau) for rows of conditions (B, d): from (B, k) to (B, k), differentiable."""
        z, reading, d = self._rows(condition), self._reading(), self.n_columns

        def D(v_tau: Tensor, tau: float) -> Tensor:
            return reading.denoise(z, torch.cat([z[:, :d], v_tau], 1), tau)[:, d:]

        return D

    def gaussian(self, condition: NDArray[Any]) -> tuple[Tensor, Tensor]:
        """Mean (B, k) and covariance (k, k) of the Gaussian inside, the law of a zero network."""
        z, base, d = self._rows(condition), self._reading().base, self.n_columns
        cov = (base.vectors * base.lengths) @ base.vectors.mT
        return base.centre(z)[:, d:], cov[d:, d:]

    @quick_arithmetic()
    @torch.no_grad()
    def decode(self, condition: NDArray[Any], z: NDArray[Any]) -> NDArray[np.float64]:
        """Vectors of standard normal latents z, (n, k) or (n, S, k), of the same shape.

        With sampler "ddpm" the chain's noise is drawn from a fixed stream.
        """
        latents = np.asarray(z, dtype=np.float32)
        n, k = len(condition), self.size
        if latents.ndim not in (2, 3) or latents.shape[0] != n or latents.shape[-1] != k:
            raise DataError(f"z has shape {latents.shape}", f"({n}, {k}) or ({n}, S, {k})")
        repeats = latents.shape[1] if latents.ndim == 3 else 1
        rows = self._rows(condition).repeat_interleave(repeats, 0)
        flat = torch.from_numpy(np.ascontiguousarray(latents.reshape(-1, k))).to(rows.device)
        return self._decoded(rows, flat, 0).reshape(latents.shape)

    @quick_arithmetic()
    @torch.no_grad()
    def sample(
        self, condition: NDArray[Any], n_samples: int, random_state: Seed = None
    ) -> NDArray[np.float64]:
        """Draws of v given each row, shape (n, n_samples, k)."""
        if n_samples < 1:
            raise DataError(f"n_samples is {n_samples}", "a whole number from 1 upwards")
        rng = stream(random_state, "sample")
        shape = (len(condition), n_samples, self.size)
        z = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).flatten(0, 1)
        rows = self._rows(condition).repeat_interleave(n_samples, 0)
        return self._decoded(rows, z.to(rows.device), int(rng.integers(2**31))).reshape(shape)

    # -- writing ---------------------------------------------------------------------------
    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, and everything else ready for JSON; :meth:`from_state` reads both back."""
        tensors = tensors_of(self.engine) | {
            f"standardiser/{k}": torch.from_numpy(getattr(self.standardiser, k))
            for k in ("mean", "sd")
        }
        meta = {
            "format_version": FORMAT_VERSION, "settings": asdict(self.engine.settings),
            "network": asdict(self.engine.network), "report": self.report,
        }  # fmt: skip
        return tensors, meta

    @classmethod
    def from_state(
        cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> "VectorDiffusion":
        """Inverse of :meth:`state_dict`.

        Raises
        ------
        DataError
            If the version is unknown, or tensors are missing or misshapen.
        """
        if meta.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"format_version is {meta.get('format_version')!r}", str(FORMAT_VERSION)
            )
        engine = engine_of(tensors, meta, Layout.numbers(int(meta["network"]["size"])))
        mean, sd = (tensors[f"standardiser/{k}"].numpy() for k in ("mean", "sd"))
        return cls(Standardiser(mean, sd), engine)

    # -- inside ----------------------------------------------------------------------------
    def _reading(self) -> Reading:
        device = self.engine.weights["out.b"].device
        return self.engine.given(
            torch.arange(self.engine.layout.size, device=device) < self.n_columns
        )

    def _rows(self, condition: NDArray[Any]) -> Tensor:
        x = np.asarray(condition, dtype=float)
        if x.ndim != 2 or x.shape[1] != self.n_columns:
            raise DataError(f"condition has shape {x.shape}", f"(n, {self.n_columns})")
        if not np.isfinite(x).all():
            raise DataError("condition has missing or infinite values", "finite numbers")
        clean = self.standardiser(x)
        rows = torch.cat([clean, torch.zeros(len(x), self.size)], 1)
        return rows.to(self.engine.weights["out.b"].device)

    def _decoded(self, rows: Tensor, latents: Tensor, seed: int) -> NDArray[np.float64]:
        reading, d = self._reading(), self.n_columns
        w = torch.cat([torch.zeros_like(rows[:, :d]), latents], 1)
        parts = [
            reading.decode(z, chunk, noise)[:, d:]
            for z, chunk, noise in chunks(rows, w, self.engine.chunk_rows, seed)
        ]
        return torch.cat(parts).cpu().numpy().astype(float)


def chunks(
    z: Tensor, w: Tensor, size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]]:
    """Pieces of at most ``size`` rows with their latents and a source of noise."""
    generator = torch.Generator().manual_seed(seed)

    def noise(v: Tensor) -> Tensor:
        return torch.randn(v.shape, generator=generator).to(v.device)

    for i in range(0, len(z), size):
        yield z[i : i + size], w[i : i + size], noise


def engine_of(
    tensors: Mapping[str, Tensor], meta: Mapping[str, Any], layout: Layout
) -> MaskedDiffusion:
    """A trained engine from its tensors."""
    settings = DiffusionSettings(**meta["settings"])
    device = resolve_device(settings.device)
    parts = {"weights": {}, "moments": {}}  # type: dict[str, dict[str, Tensor]]
    for name, tensor in tensors.items():
        kind, _, key = name.partition("/")
        parts.get(kind, {})[key] = tensor.to(device)
    network = meta["network"] | {"numeric": tuple(meta["network"]["numeric"])}
    return MaskedDiffusion(
        settings, layout.to(device), Moments(**parts["moments"]), CellNetwork(**network),
        parts["weights"], dict(meta["report"]),
    )  # fmt: skip


@quick_arithmetic()
def train_vector(
    target: NDArray[np.floating],
    condition: NDArray[np.floating],
    settings: DiffusionSettings | None = None,
    random_state: Seed = None,
    progress: Progress | None = None,
) -> VectorDiffusion:
    """Learn the law of a vector given conditions.

    Parameters
    ----------
    target : ndarray, shape (n, k)
        Columns of mean about 0 and variance about 1.
    condition : ndarray, shape (n, d)
        d may be 0.
    settings : DiffusionSettings, optional
        Open fields are filled in by :func:`causal_ddpm.diffusion.masked_fit.masked_recipe`.
    random_state : int, SeedSequence or None
    progress : callable, optional
        Called with a stage name and the share done.

    Raises
    ------
    DataError
        For rows that cannot be trained on.
    ConvergenceError
        If training diverged.
    """
    settings, tell = settings or DiffusionSettings(), progress or silent
    v, x = np.asarray(target, dtype=float), np.asarray(condition, dtype=float)
    _check(v, x)
    device, d = resolve_device(settings.device), x.shape[1]
    standardiser = Standardiser.of(x)
    seen = torch.cat([standardiser(x), torch.from_numpy(v.astype(np.float32))], 1).to(device)
    none, present = torch.zeros_like(seen), torch.ones_like(seen, dtype=torch.bool)
    engine = train_masked(
        CellRows.of(seen, none, none, present),
        Layout.numbers(seen.shape[1]),
        Moments.of(seen),
        [torch.arange(seen.shape[1], device=device) < d],
        settings,
        seed_sequence(random_state),
        progress=lambda share: tell("diffusion", share),
    )
    return VectorDiffusion(standardiser, engine)


def _check(v: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    if v.ndim != 2 or v.shape[1] < 1 or x.ndim != 2 or len(x) != len(v):
        raise DataError(f"target has shape {v.shape} and condition {x.shape}", "(n, k) and (n, d)")
    if len(v) < 8:
        raise DataError(f"there are {len(v)} training rows", "at least 8")
    if not (np.isfinite(v).all() and np.isfinite(x).all()):
        raise DataError("target or condition has missing or infinite values", "finite numbers")
    scale = np.sqrt((v**2).mean(axis=0))
    if (scale > 10).any():
        raise DataError(
            f"column {int(scale.argmax())} of the target has size {scale.max():.3g}",
            "standardised columns, of mean about 0 and variance about 1",
        )
