"""``causal-ddpm dgp``: the laboratory of designs whose truth is known."""

from typing import Annotated

import typer

from causal_ddpm.cli.dgp_recover import recover_design
from causal_ddpm.cli.options import Debug

dgp = typer.Typer(
    help="The laboratory: designs whose truth is known, to draw from and to learn with.",
    no_args_is_help=True,
)


def list_designs(
    family: Annotated[
        str | None, typer.Option(help="Only this family.", show_default=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """List the designs, family by family, with what each is good for."""
    from causal_ddpm.dgp.catalog import FAMILIES, entries

    chosen = entries(family)
    width = max(len(entry.name) for entry in chosen)
    for name, meaning in FAMILIES.items():
        members = [entry for entry in chosen if entry.family == name]
        if members:
            typer.echo(f"{name}: {meaning}")
        for entry in members:
            typer.echo(f"  {entry.name:<{width}}  {entry.summary}")


dgp.command("list", epilog="Example: `causal-ddpm dgp list --family instrument`.")(list_designs)
dgp.command(
    "recover",
    epilog="Example: `causal-ddpm dgp recover bimodal --model conditional --report bimodal.html`.",
)(recover_design)
