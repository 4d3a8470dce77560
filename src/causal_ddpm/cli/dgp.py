"""``causal-ddpm dgp``: the laboratory of designs whose truth is known."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causal_ddpm.cli import options
from causal_ddpm.cli.dgp_recover import recover_design
from causal_ddpm.core.files import check_writable

if TYPE_CHECKING:
    import pandas as pd

dgp = typer.Typer(
    help="The laboratory: designs whose truth is known, to draw from and to learn with.",
    epilog="Start with `causal-ddpm dgp list`, then `causal-ddpm dgp show gauss`.",
    no_args_is_help=True,
)

Name = Annotated[
    str, typer.Argument(help="A design of `causal-ddpm dgp list`.", show_default=False)
]
Rows = Annotated[
    int | None,
    typer.Option(
        help="Rows of the draw; units of a panel, markets of a market.",
        min=1,
        show_default="the size that shows the design",
    ),
]
DrawSeed = Annotated[int, typer.Option(min=0, help="Seed of the draw: same seed, same rows.")]


def list_designs(
    family: Annotated[
        str | None, typer.Option(help="Only this family.", show_default=False)
    ] = None,
    debug: options.Debug = False,
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


def show(
    name: Name,
    rows: Rows = None,
    seed: DrawSeed = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw it as a PNG file.", show_default=False)
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Show a design: its equations, its truth, its columns, what it teaches, a picture.

    The truth has two columns of numbers. Population: what the design implies for an endless sample.
    Sample: the very rows of one draw, from outcomes that only a simulator sees. An interval for one
    of the two is no interval for the other.
    """
    if picture is not None:
        check_writable(picture)
    from causal_ddpm.dgp.catalog import FAMILIES, describe

    entry = describe(name)
    from causal_ddpm.report.design_sheet import DesignSheet
    from causal_ddpm.report.text_picture import text_picture

    sheet = DesignSheet.of(entry, rows, seed)
    what = f"{sheet.size:,} {entry.counts}, seed {seed}"
    typer.echo(f"{entry.name}: {entry.summary}")
    typer.echo(f"Family {entry.family}: {FAMILIES[entry.family]}.")
    _section("Equations", "\n".join(f"  {line}" for line in entry.equations))
    _section("What it teaches", f"  {sheet.lesson()}")
    _section(f"Truth (the sample is a draw of {what})", _table(sheet.truth_frame()))
    _section("Columns", _table(sheet.columns_frame()))
    _section(f"A draw of {what}", text_picture(sheet.display()))
    if picture is not None:
        typer.echo(f"\nWrote {sheet.save_picture(picture)}")


def draw(
    name: Name,
    out: Annotated[
        Path,
        typer.Option(
            help="CSV or Parquet file to write; FILE.truth.json goes beside it.",
            show_default=False,
        ),
    ],
    rows: Rows = None,
    seed: DrawSeed = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    debug: options.Debug = False,
) -> None:
    """Draw from a design into a file, and write what is true of the draw beside it.

    The truth holds population values, values of the very rows drawn, efficiency bounds where they
    are known, the equations and the seed; its "provenance" says that it is simulated.
    """
    from causal_ddpm.dgp.catalog import describe
    from causal_ddpm.dgp.draw_file import check_draw_path, write_draw

    entry = describe(name)
    check_draw_path(out, force)
    drawn = entry.draw(rows, seed)
    table, truth = write_draw(drawn, out, force)
    typer.echo(
        f"Wrote {len(drawn.frame):,} simulated rows to {table} and what is true of them to {truth}"
    )


dgp.command("list", epilog="Example: `causal-ddpm dgp list --family instrument`.")(list_designs)
dgp.command(
    "show", epilog="Example: `causal-ddpm dgp show instrument-defiers --picture defiers.png`."
)(show)
dgp.command(
    "draw",
    epilog="Example: `causal-ddpm dgp draw ai-adoption --rows 2000 --seed 1 --out firms.csv`, then "
    "`causal-ddpm estimate firms.csv --treatment ai_adoption --outcome productivity --confounders "
    "industry_size,rd_intensity,education`.",
)(draw)


def _section(title: str, body: str) -> None:
    typer.echo(f"\n{title}\n{body}")


def _table(frame: "pd.DataFrame") -> str:
    """Columns under their names, numbers to the right."""
    from causal_ddpm.report.design_sheet import shown

    rows = [list(frame.columns), *([shown(v) for v in row] for row in frame.to_numpy().tolist())]
    numeric = [kind.kind == "f" for kind in frame.dtypes]
    widths = [max(len(row[k]) for row in rows) for k in range(len(numeric))]
    return "\n".join(
        "  " + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    )  # fmt: skip


dgp.command(
    "recover",
    epilog="Example: `causal-ddpm dgp recover bimodal --model conditional --report bimodal.html`.",
)(recover_design)
