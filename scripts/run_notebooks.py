"""Make every notebook from its script, run it, and keep its output.

``python scripts/run_notebooks.py [NAME ...]`` reads ``notebooks/NAME.py`` (percent format: cells
begin with ``# %%``), runs the cells in a fresh kernel in the notebooks' folder, and writes
``notebooks/NAME.ipynb``. The scripts are what is edited; without names, all are run; with
``--changed`` those whose notebook is missing or does not hold the cells of its script. A notebook
whose cells raise is not written.
"""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SECONDS = 900
"""Limit on one cell."""

UNTOLD = "ignore:IProgress not found"
"""A warning about progress bars, with a path of this machine, that is no result of a notebook."""


def main(names: list[str]) -> None:
    """Run the notebooks called ``names``, or all."""
    try:
        import jupytext
        from nbclient import NotebookClient
    except ImportError as error:
        sys.exit(f"{error.name} is missing: pip install -e '.[docs]'")
    os.environ.setdefault("PYTHONWARNINGS", UNTOLD)
    named = [FOLDER / f"{name}.py" for name in names if name != "--changed"]
    scripts = named or sorted(FOLDER.glob("[0-9]*.py"))
    if "--changed" in names:
        scripts = [script for script in scripts if has_changed(script)]
    for script in scripts:
        if not script.exists():
            sys.exit(f"There is no {script}.")
        notebook = jupytext.read(script)
        notebook.metadata["kernelspec"] = {
            "name": "python3", "display_name": "Python 3", "language": "python",
        }  # fmt: skip
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3",
            resources={"metadata": {"path": str(FOLDER)}},
        )  # fmt: skip
        client.execute()
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"
            cell.metadata.pop("execution", None)
        jupytext.write(notebook, script.with_suffix(".ipynb"), fmt="ipynb")
        print(f"Written: {script.with_suffix('.ipynb')}")


def has_changed(script: Path) -> bool:
    """Whether the notebook of a script is missing or holds other cells."""
    import jupytext

    notebook = script.with_suffix(".ipynb")
    if not notebook.exists():
        return True
    cells = [[(c.cell_type, c.source) for c in jupytext.read(p).cells] for p in (script, notebook)]
    return cells[0] != cells[1]


if __name__ == "__main__":
    main(sys.argv[1:])
