"""How long work tells what it is doing."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with a stage name and the share of the whole work that is done (0 to 1)."""


def silent(stage: str, share: float) -> None:
    """Progress callback that shows nothing."""


def within(progress: Progress, start: float, end: float) -> Progress:
    """A callback for a part of the work, which takes it from the share ``start`` to ``end``."""

    def shown(stage: str, share: float) -> None:
        progress(stage, start + (end - start) * share)

    return shown
