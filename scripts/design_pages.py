"""Write the pages of the designs: docs/designs/, and their pictures in docs/images/designs/.

Run it after a change of the catalogue: ``python scripts/design_pages.py``. With ``--text`` it
leaves the pictures as they are.
"""

import sys
from itertools import groupby
from pathlib import Path

from causal_ddpm.dgp.catalog import FAMILIES, entries
from causal_ddpm.report.design_sheet import DesignSheet

ROOT = Path(__file__).resolve().parent.parent
PAGES = Path("docs/designs")
PICTURES = Path("docs/images/designs")


def pages(sheets: list[DesignSheet]) -> dict[Path, str]:
    """Text of every page, by its path below the repository."""
    texts = {}
    for sheet in sheets:
        name = sheet.entry.name
        texts[PAGES / f"{name}.md"] = sheet.markdown(f"../images/designs/{name}.png")
    return {PAGES / "index.md": index(), **texts}


def index() -> str:
    """The table of contents, family by family."""
    parts = [
        "# The laboratory of designs\n",
        "Data-generating processes whose truth is known. Every page has the equations, a picture "
        "of one draw, what a naive analysis of it finds, and the truth: population values beside "
        "those of the very rows drawn. On the terminal: `causal-ddpm dgp list`, "
        "`causal-ddpm dgp show gauss`, `causal-ddpm dgp draw gauss --out rows.csv`; in Python: "
        '`causal_ddpm.catalog()["gauss"].draw(1000, seed=0)`.\n',
        "Each population value is compared with a brute-force mean of 10^6 potential outcomes "
        "(`tests/dgp/test_brute_force.py`). Equations write S for the logistic function and count "
        "from 0.\n",
    ]
    for family, members in groupby(entries(), key=lambda entry: entry.family):
        parts += [f"## {family}\n", f"{FAMILIES[family][0].upper()}{FAMILIES[family][1:]}.\n"]
        parts += ["| Design | What it is good for |", "| --- | --- |"]
        parts += [f"| [{entry.name}]({entry.name}.md) | {entry.summary} |" for entry in members]
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Write every page, remove those of designs that are gone, and draw the pictures."""
    sheets = [DesignSheet.of(entry) for entry in entries()]
    texts = pages(sheets)
    for folder in (PAGES, PICTURES):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
    for stale in set((ROOT / PAGES).glob("*.md")) - {ROOT / path for path in texts}:
        stale.unlink()
    for path, text in texts.items():
        (ROOT / path).write_text(text, encoding="utf-8")
    if "--text" not in sys.argv[1:]:
        for sheet in sheets:
            sheet.save_picture(ROOT / PICTURES / f"{sheet.entry.name}.png")
    print(f"{len(texts)} pages in {PAGES}")


if __name__ == "__main__":
    main()
