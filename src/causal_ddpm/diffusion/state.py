"""A conditional diffusion as named tensors and a mapping ready for JSON, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causal_ddpm.core.errors import DataError
from causal_ddpm.diffusion.attention import RoleAttention
from causal_ddpm.diffusion.batches import Standardiser
from causal_ddpm.diffusion.fit import backbone_of
from causal_ddpm.diffusion.network import Backbone, Weights, check_weights
from causal_ddpm.diffusion.roles import ColumnRoles
from causal_ddpm.diffusion.runtime import resolve_device
from causal_ddpm.diffusion.settings import DiffusionSettings

FORMAT_VERSION = 1

Parts = tuple[DiffusionSettings, Backbone, Weights, tuple[Standardiser, ...], dict[str, Any]]
"""Settings, backbone, weights, standardisers and report."""


def written_state(
    settings: DiffusionSettings,
    backbone: Backbone,
    weights: Weights,
    standardisers: tuple[Standardiser, ...],
    report: Mapping[str, Any],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors on the CPU, and all else ready for JSON; :func:`read_state` reads both back."""
    tensors = {f"weights/{k}": w.cpu().contiguous() for k, w in weights.items()}
    for name in ("mean", "sd"):
        columns = np.stack([getattr(s, name) for s in standardisers])
        tensors[f"standardiser/{name}"] = torch.from_numpy(columns)
    meta = {
        "format_version": FORMAT_VERSION, "settings": asdict(settings),
        "hidden_dim": backbone.width, "n_arms": backbone.n_arms, "report": report,
    }  # fmt: skip
    if isinstance(backbone, RoleAttention):
        meta["roles"] = asdict(backbone.roles)
    return tensors, meta


def read_state(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Parts:
    """Inverse of :func:`written_state`.

    Raises
    ------
    DataError
        If the version is unknown, or tensors are missing, misshapen or not finite.
    """
    if meta.get("format_version") != FORMAT_VERSION:
        raise DataError(f"format_version is {meta.get('format_version')!r}", str(FORMAT_VERSION))
    settings = DiffusionSettings(**meta["settings"])
    parts = {"weights": {}, "standardiser": {}}  # type: dict[str, dict[str, Tensor]]
    for name, tensor in tensors.items():
        kind, _, key = name.partition("/")
        parts.get(kind, {})[key] = tensor
    if set(parts["standardiser"]) != {"mean", "sd"}:
        raise DataError("the state has no standardiser", "tensors written by state_dict")
    means, sds = (parts["standardiser"][k].numpy() for k in ("mean", "sd"))
    roles = ColumnRoles.plain(means.shape[1])
    if settings.backbone == "attention":
        roles = ColumnRoles.from_state(means.shape[1], meta.get("roles"))
    backbone = backbone_of(settings, meta["hidden_dim"], roles, meta["n_arms"])
    check_weights(backbone, parts["weights"], len(means))
    device = resolve_device(settings.device)
    weights = {k: w.to(device) for k, w in parts["weights"].items()}
    standardisers = tuple(Standardiser(m, s) for m, s in zip(means, sds, strict=True))
    return settings, backbone, weights, standardisers, dict(meta["report"])
