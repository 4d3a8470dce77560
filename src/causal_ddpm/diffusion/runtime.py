"""Where and how tensors are computed: one thread, no denormals, the device asked for.

Small batched networks are fastest on one thread a worker, and denormal floats (numbers so small
that a processor handles them in microcode) can slow a training step tenfold. Both are switched
inside one context manager, which puts them back.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from causal_ddpm.core.errors import DataError

ACTIVATION_FLOATS = {"cpu": 2**18, "cuda": 2**26}
"""Floats that one activation may hold. On a processor about 1 MB: larger blocks fall out of the
cache and into fresh pages of memory, and cost several times more an entry. These are fixed, so what
is trained together does not depend on the memory that happens to be free."""

_GPU_SHARE = 64


def activation_floats(device: torch.device) -> int:
    """Floats that one activation of a reading may hold: on a GPU a 64th of its free memory.

    A reading holds some ten activations at a time.
    """
    if device.type == "cpu":
        return ACTIVATION_FLOATS["cpu"]
    free, _ = torch.cuda.mem_get_info(device)
    return max(ACTIVATION_FLOATS["cpu"], free // (4 * _GPU_SHARE))


def denormals_are_flushed() -> bool:
    """Whether this thread rounds denormal floats to zero."""
    return float(torch.tensor([1e-30]).mul(1e-10).mul(1e20)) == 0.0


@contextmanager
def quick_arithmetic() -> Iterator[None]:
    """One torch thread and flushed denormals inside the block, the former state after it.

    Also a decorator: ``@quick_arithmetic()``. Freeing one block of just under 32 MiB makes the C
    library keep up to twice that for reuse, instead of returning every activation to the system
    (1000 page faults a training step otherwise, a fifth of its time); that setting stays.
    """
    torch.empty(2**25 - 2**18, dtype=torch.uint8)
    threads, flushed = torch.get_num_threads(), denormals_are_flushed()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def resolve_device(name: str) -> torch.device:
    """The torch device called ``name``; "auto" takes a GPU where there is one.

    Raises
    ------
    DataError
        If the name is unknown, or names a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DataError(f"device is {name!r}", "'auto', 'cpu' or 'cuda'") from None
    if device.type not in ("cpu", "cuda"):
        raise DataError(f"device is {name!r}", "'auto', 'cpu' or 'cuda'")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError(
            f"device is {name!r} but torch sees no CUDA device", "a machine with a GPU",
            "Use device='auto' or 'cpu', or install torch with CUDA.",
        )  # fmt: skip
    return device
