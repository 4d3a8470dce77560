"""Checkpoints: training that was killed goes on where it was, to the same bits.

A step depends on the weights, both moments of Adam, the step's number, and the random numbers of
each member; so that, with the losses so far and each member's best held-out weights, is what a
checkpoint holds. It is one safetensors file with a JSON note, written in one go between two blocks
of random numbers, at most every few seconds and once more at the end.

The file is named after a fingerprint of everything that decides the result (rows, settings, seed,
device, version of torch). So other rows or other settings never meet a checkpoint that is not
theirs, several trainings can share one folder, and a training that had finished is not done again.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from causal_ddpm.core.errors import ModelFileError
from causal_ddpm.core.files import draft_of
from causal_ddpm.diffusion.batches import MemberStream

FORMAT_VERSION = 1

WRITE_EVERY = 5.0
"""Seconds between two writes at least."""


def fingerprint(tables: Iterable[Tensor], facts: object) -> str:
    """Hexadecimal digest of training rows and of the ``repr`` of everything else that counts."""
    digest = hashlib.sha256(repr((FORMAT_VERSION, torch.__version__, facts)).encode())
    for table in tables:
        digest.update(repr(tuple(table.shape)).encode())
        digest.update(table.cpu().contiguous().numpy().data)
    return digest.hexdigest()


@dataclass
class CheckpointFile:
    """The file of one training.

    Parameters
    ----------
    folder : Path
        Made when it is missing.
    mark : str
        From :func:`fingerprint`.
    streams : sequence of MemberStream
        The random numbers of the members, restored in place.
    """

    folder: Path
    mark: str
    streams: Sequence[MemberStream]

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._written = time.monotonic()

    @property
    def path(self) -> Path:
        """Where the state is kept."""
        return self.folder / f"{self.mark[:24]}.safetensors"

    @property
    def is_due(self) -> bool:
        """Whether enough seconds have passed since the last write."""
        return time.monotonic() - self._written >= WRITE_EVERY

    def write(self, state: dict[str, Tensor]) -> None:
        """Keep a training state together with the members' random numbers."""
        tensors = {f"state/{k}": w.detach().cpu().contiguous() for k, w in state.items()}
        for i, stream in enumerate(self.streams):
            tensors[f"stream/{i}/generator"], tensors[f"stream/{i}/order"] = stream.state()
        note = {"fingerprint": self.mark, "digest": _digest(tensors)}
        with draft_of(self.path) as draft:
            save_file(tensors, draft, {"note": json.dumps(note)})
        self._written = time.monotonic()

    def read(self) -> dict[str, Tensor] | None:
        """The state that was kept, or None; the random numbers go on from there.

        Raises
        ------
        ModelFileError
            If the file is damaged or belongs to another training.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                note = json.loads((file.metadata() or {})["note"])
                tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
            whole, own = note["digest"] == _digest(tensors), note["fingerprint"] == self.mark
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise ModelFileError(self._damaged()) from error
        if not whole:
            raise ModelFileError(self._damaged())
        if not own:
            raise ModelFileError(
                f"The checkpoint '{self.path}' belongs to a training with other rows, settings, "
                "seed or versions; delete it, or give another checkpoint_dir."
            )
        for i, stream in enumerate(self.streams):
            stream.restore(tensors[f"stream/{i}/generator"], tensors[f"stream/{i}/order"])
        return {k.removeprefix("state/"): w for k, w in tensors.items() if k.startswith("state/")}

    def _damaged(self) -> str:
        return f"The checkpoint '{self.path}' is damaged; delete it, and training starts anew."


def _digest(tensors: dict[str, Tensor]) -> str:
    """Of names, shapes and contents."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(repr((name, tuple(tensors[name].shape))).encode())
        digest.update(tensors[name].contiguous().numpy().data)
    return digest.hexdigest()
