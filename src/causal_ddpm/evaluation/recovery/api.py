"""``recover``: does a generator recover the process of a design."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from causal_ddpm.core.data import CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.core.factorial_data import FactorialData
from causal_ddpm.core.progress import Progress, silent
from causal_ddpm.core.random import Seed, seed_sequence
from causal_ddpm.dgp.catalog import design_by_name
from causal_ddpm.dgp.supply_demand import SupplyDemand
from causal_ddpm.evaluation.recovery.builtin import generator_by_name
from causal_ddpm.evaluation.recovery.confounded import confounded_sections
from causal_ddpm.evaluation.recovery.dose import dose_sections
from causal_ddpm.evaluation.recovery.factorial import factorial_roles, factorial_sections
from causal_ddpm.evaluation.recovery.generator import Generator, Roles, generated_rows
from causal_ddpm.evaluation.recovery.instrument import instrument_sections
from causal_ddpm.evaluation.recovery.market import MARKET_ROLES, market_sections
from causal_ddpm.evaluation.recovery.report import Recovery, Section
from causal_ddpm.evaluation.recovery.trial import Trial

N_GENERATED, N_REPLICATES = 20_000, 12
_FEWEST = 100


def recover(
    design: Any,
    model: Generator | str = "joint",
    n: int = 1000,
    random_state: Seed = 0,
    *,
    n_generated: int = N_GENERATED,
    n_replicates: int = N_REPLICATES,
    progress: Progress = silent,
) -> Recovery:
    """Fit a generator on a draw and compare what it generates with the known process.

    Parameters
    ----------
    design : design or str
        A design of :func:`~causal_ddpm.dgp.catalog.catalog`, or its name; any object with the same
        methods.
    model : Generator or str
        A generator, or the name of one of this package: "joint", "conditional", "end-to-end",
        "bootstrap".
    n : int
        Rows to learn from.
    random_state : int, SeedSequence or None
        Of the draw, the fit, and everything read.
    n_generated : int
        Rows to generate and read; many, so that the generator is judged and not its sampling.
    n_replicates : int
        Fresh draws of n rows that say how far from the truth n rows of the process itself are.
    progress : callable, optional

    Returns
    -------
    Recovery

    Raises
    ------
    DataError
        For an unknown design or generator, a design of a family that is not examined here, or too
        few rows.
    """
    design = design_by_name(design) if isinstance(design, str) else design
    model = generator_by_name(model) if isinstance(model, str) else model
    _check_model(model)
    for name, value, least in (
        ("n", n, _FEWEST), ("n_generated", n_generated, _FEWEST), ("n_replicates", n_replicates, 3),
    ):  # fmt: skip
        if value < least:
            raise DataError(f"{name} is {value}", f"at least {least}")
    sections_of = _family(design)
    root = seed_sequence(random_state)
    with threadpool_limits(limits=1):
        trial, seconds = _try(design, model, n, root, n_generated, n_replicates, progress)
        start = time.process_time()
        sections = sections_of(trial)
    progress("recovery", 1.0)
    return Recovery(
        design=str(design.name),
        model=model.name,
        n=n,
        sections=sections,
        n_generated=n_generated,
        n_replicates=n_replicates,
        equations=design.truth().equations,
        seed=int(random_state) if isinstance(random_state, int | np.integer) else None,
        seconds={**seconds, "read": time.process_time() - start},
        sample=trial.real,
        roles=trial.roles,
    )


def _try(
    design: Any,
    model: Generator,
    n: int,
    root: np.random.SeedSequence,
    n_generated: int,
    n_replicates: int,
    progress: Progress,
) -> tuple[Trial, dict[str, float]]:
    """Draw, fit and generate."""
    draw = design.draw(n, seed_sequence(root, "draw"))
    roles = roles_of(design, draw)
    real = draw.frame.loc[:, list(roles.columns)]
    progress("fit", 0.0)
    start = time.process_time()
    fitted = model.fit(real, roles, seed_sequence(root, "fit"))
    after = time.process_time()
    progress("generate", 0.4)
    generated = generated_rows(fitted, roles, n_generated, seed_sequence(root, "generate"))
    seconds = {"fit": after - start, "generate": time.process_time() - after}
    progress("read", 0.5)
    many = design.draw(n_generated, seed_sequence(root, "many")).frame.loc[:, list(roles.columns)]
    return Trial(design, roles, fitted, real, generated, many, n_replicates, root), seconds


def roles_of(design: Any, draw: Any) -> Roles:
    """Roles of the columns of a design's draw."""
    if isinstance(design, SupplyDemand):
        return MARKET_ROLES
    data = draw.data
    return factorial_roles(data) if isinstance(data, FactorialData) else Roles.of(data)


def _family(design: Any) -> Callable[[Trial], tuple[Section, ...]]:
    """Which sections a design of this kind gets.

    Raises
    ------
    DataError
        For families that are not examined here.
    """
    if isinstance(design, SupplyDemand):
        return market_sections
    draw = design.draw(_FEWEST, 0)
    data, rows_depend = getattr(draw, "data", None), hasattr(draw, "network")
    if isinstance(data, FactorialData):
        return factorial_sections
    if isinstance(data, CausalData):
        if data.instrument is not None and hasattr(design, "take_up"):
            return instrument_sections
        if data.treatment_schema.kind == "dose":
            return dose_sections
        if data.arms and data.instrument is None and not rows_depend:
            return confounded_sections
    raise DataError(
        f"'{design.name}' is of a family that is not examined row by row",
        "arms or a dose chosen on covariates that are seen, an instrument, a market, or factors",
        "For difference-in-differences designs there is recover_did.",
    )


def _check_model(model: object) -> None:
    if not isinstance(model, Generator):
        raise DataError(
            f"the model is a {type(model).__name__}", "a name, and fit(frame, roles, random_state)"
        )
