"""Entry point of ``causal-ddpm``: errors become one sentence and an exit code.

Exit codes: 0 done; 1 something failed; 2 bad usage or input; 3 the effect is not identified or the
groups do not overlap.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from causal_ddpm import __version__
from causal_ddpm.cli import options
from causal_ddpm.cli.compare import compare
from causal_ddpm.cli.demo import demo
from causal_ddpm.cli.dgp import dgp
from causal_ddpm.cli.estimate import estimate
from causal_ddpm.cli.factorial import factorial
from causal_ddpm.cli.panel import panel
from causal_ddpm.cli.simulate import simulate
from causal_ddpm.cli.study import study
from causal_ddpm.core.errors import CausalDDPMError

_USAGE_ERRORS: Any = typer.BadParameter.__mro__[2]
"""Root of typer's usage errors, which it does not export: BadParameter, UsageError, then this."""

app = typer.Typer(
    name="causal-ddpm",
    add_completion=False,
    rich_markup_mode="markdown",
    help="Causal effects with honest intervals, from a data file, in one command.",
    epilog=(
        "Start with `causal-ddpm demo`, or with data of your own: "
        "`causal-ddpm estimate firms.csv --treatment ai_adoption --outcome productivity "
        "--confounders industry_size,rd_intensity,education --report report.html`."
    ),
)
app.command(
    epilog=(
        "Example: `causal-ddpm estimate firms.csv --treatment ai_adoption --outcome productivity "
        "--confounders industry_size,rd_intensity,education --estimand ate --estimand att "
        "--json effects.json --report report.html`. "
        "Exit codes: 0 done, 2 bad usage or input, 3 not identified or no overlap, 1 anything else."
    )
)(estimate)
app.command(epilog="Example: `causal-ddpm simulate ai-adoption --n 1000 --out firms.csv`.")(
    simulate
)
app.command(epilog="Example: `causal-ddpm demo --report jobs.html`.")(demo)
app.command(
    epilog=(
        "Example: `causal-ddpm factorial callbacks.csv --factors name,gender,quality "
        "--outcome call --report callbacks.html`."
    )
)(factorial)
app.command(
    epilog=(
        'Example: `python -c "import synthdid as s; s.load_california_prop99()'
        ".to_csv('smoking.csv', index=False)\"`, then "
        "`causal-ddpm panel smoking.csv --unit State --period Year --outcome PacksPerCapita "
        "--treated treated --json smoking.json --report smoking.html`. "
        "Exit codes: 0 done, 2 bad usage or input, 3 not identified, 1 anything else."
    )
)(panel)
app.command(
    epilog=(
        "Example: `causal-ddpm compare firms.csv --treatment ai_adoption --outcome productivity "
        "--confounders industry_size,rd_intensity,education --estimand att --report methods.html`. "
        "Exit codes: 0 done, 2 bad usage or input or no method that can answer, 1 anything else."
    )
)(compare)
app.add_typer(study, name="study")
app.add_typer(dgp, name="dgp")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"causal-ddpm {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Causal effects with honest intervals, from a data file, in one command."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``causal-ddpm`` on the command line.

    Returns
    -------
    int
        The exit code. Every failure has been told on stderr in one sentence; a traceback appears
        only with ``--debug``.
    """
    state: dict[str, Any] = {"debug": False}
    try:
        result = typer.main.get_command(app).main(
            args=list(arguments) or ["--help"],
            prog_name="causal-ddpm",
            standalone_mode=False,
            obj=state,
        )
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("Interrupted; nothing was written.", 130, state)
    except _USAGE_ERRORS as error:
        return _fail(error.format_message(), error.exit_code, state)
    except CausalDDPMError as error:
        return _fail(str(error), error.exit_code, state)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        return _fail(
            f"Unexpected failure ({found}); run again with --debug to see where.", 1, state
        )
    return result if isinstance(result, int) else 0


def _fail(sentence: str, code: int, state: dict[str, Any]) -> int:
    """Say what went wrong on stderr and return the exit code."""
    if state["debug"]:
        traceback.print_exc()
    typer.echo(f"causal-ddpm: {' '.join(sentence.split())}", err=True)
    return code
