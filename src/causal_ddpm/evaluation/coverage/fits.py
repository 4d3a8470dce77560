"""Nuisances of many draws, fitted once and kept: the costly half of the coverage study.

A draw is a design, a number of rows and a number; its nuisances are the default pipeline's,

    draw r = design.draw(n, seed = FIRST_SEED + r),    nuisances = fit_nuisances(draw, seed of r),

and go to a file of their own beside the study's row. Every estimand is then scored from the same
file in a fraction of a second, so that a new estimand or a corrected formula costs no new fit. A
row is valid for the source of the layers that fit (core, dgp, diffusion, nuisance), not for that
of the estimators.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import causal_ddpm
from causal_ddpm.core.errors import DataError
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.evaluation.code_version import digest
from causal_ddpm.evaluation.studies import Spec, Study
from causal_ddpm.nuisance.crossfit import Nuisances, fit_nuisances

FIRST_SEED = 10_000
"""Seed of draw 0: the draws of the study are used for nothing else."""

STUDY = "coverage-fits"
_FITTING_LAYERS = ("core", "dgp", "diffusion", "nuisance")


def fits_study(
    specs: Iterable[Mapping[str, Any]], folder: str | Path, any_version: bool = False
) -> Study:
    """The study that fits the nuisances of draws.

    Parameters
    ----------
    specs : iterable of mapping
        With the keys ``design``, ``n`` and ``draw``.
    folder : path
        Where studies live.
    any_version : bool
        Accept fits that earlier code has made.
    """
    home = Path(folder) / STUDY
    task = functools.partial(fit_draw, home=str(home))
    version = fitting_version()
    return Study(STUDY, task, specs, folder, code_version=version, any_version=any_version)


def fit_draw(spec: Spec, seed: np.random.SeedSequence, home: str) -> dict[str, Any]:
    """Fit the nuisances of one draw and write them to ``home``; the row names the file."""
    from causal_ddpm.diffusion.persistence import save_model

    drawn = drawn_by(spec)
    nuisances = fit_nuisances(drawn.data, random_state=seed)
    name = f"{digest(f'{sorted(spec.items())}|{fitting_version()}', 24)}.nuisances"
    save_model(nuisances, Path(home) / name)
    return {"file": name, "fingerprint": nuisances.fingerprint}


def read_fit(home: str | Path, file: str, spec: Spec) -> tuple[Any, Nuisances]:
    """The draw of a row of the study and its nuisances.

    Raises
    ------
    DataError
        If the design no longer draws the rows that the nuisances belong to.
    """
    from causal_ddpm.diffusion.persistence import load_model

    drawn = drawn_by(spec)
    nuisances = load_model(Path(home) / file, Nuisances)
    if nuisances.fingerprint != drawn.data.fingerprint:
        raise DataError(
            f"the fit of draw {spec['draw']} of '{spec['design']}' belongs to other rows",
            "the rows that the design draws today",
            "The design has changed: fit its draws anew.",
        )
    return drawn, nuisances


def drawn_by(spec: Mapping[str, Any]) -> Any:
    """The draw that a specification names."""
    return design_by_name(spec["design"]).draw(spec["n"], seed=FIRST_SEED + spec["draw"])


@functools.cache
def fitting_version() -> str:
    """Hash of the source of the layers that a fit depends on."""
    root = Path(causal_ddpm.__path__[0])
    sha = hashlib.sha256()
    for layer in _FITTING_LAYERS:
        for path in sorted((root / layer).rglob("*.py")):
            sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"fitting layers {sha.hexdigest()[:12]}"
