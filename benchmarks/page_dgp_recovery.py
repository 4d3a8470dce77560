"""The picture and the numbers of docs/understanding_the_dgp.md, from results/dgp_recovery.csv.

python benchmarks/page_dgp_recovery.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
from bench_dgp_recovery import BOOTSTRAP, HEADLINES, ORACLE
from common import RESULTS, markdown

from causal_ddpm.report import style
from causal_ddpm.report.displays import LeaderboardDisplay

DOCS = RESULTS.parent.parent / "docs"
PAGE, PICTURE = DOCS / "understanding_the_dgp.md", DOCS / "images" / "dgp_recovery.png"
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"


def errors(fits: pd.DataFrame) -> pd.DataFrame:
    """Errors as multiples of what a fresh draw stays within, means over fits."""
    ratios = {name: fits[name] / fits[f"{name}_allowance"] for name in HEADLINES}
    table = pd.DataFrame({"generator": fits["generator"], **ratios})
    return table.groupby("generator", sort=False).mean().reset_index()


def block(fits: pd.DataFrame) -> str:
    """What the page says in numbers."""
    designs = ", ".join(f"`{d}`" for d in fits["design"].unique())
    seeds = fits["seed"].nunique()
    late = fits.loc[fits["outcome"] != "fitted", ["design", "generator", "outcome"]]
    learners = fits[~fits["generator"].isin([ORACLE, BOOTSTRAP])]
    aspects = LeaderboardDisplay.of(learners).shares.mean().sort_values(ascending=False)
    ranked = ", ".join(f"{name} {share:.0%}" for name, share in aspects.items())
    counts = fits.groupby("generator").size()
    uneven = " Not every generator has seen every design and draw yet." * (counts.nunique() > 1)
    parts = [
        f"{len(fits)} fits: {designs}; {seeds} draw{'s' if seeds > 1 else ''} a design; "
        f"{len(late)} of them gave no rows.{uneven}",
        f"Checks recovered, mean over the generators that learn: {ranked}.",
        "Errors as multiples of what a fresh draw stays within (at most 1: recovered):",
        markdown(errors(fits)),
    ]
    return "\n\n".join(parts)


def draw(fits: pd.DataFrame, path: Path) -> None:
    """The leaderboard as a picture."""
    import matplotlib.pyplot as plt

    with style.look():
        figure, ax = plt.subplots(figsize=(9.5, 4.2), layout="constrained")
        LeaderboardDisplay.of(fits).plot(ax)
        figure.savefig(path, dpi=90, facecolor="white")
        plt.close(figure)


def main() -> None:
    fits = pd.read_csv(RESULTS / "dgp_recovery.csv")
    draw(fits, PICTURE)
    text = PAGE.read_text(encoding="utf-8")
    inside = f"{BEGIN}\n\n{block(fits)}\n\n{END}"
    found = re.sub(f"{BEGIN}.*{END}", lambda _: inside, text, flags=re.S)
    PAGE.write_text(found, encoding="utf-8")
    print(f"Written: {PICTURE}, {PAGE}")


if __name__ == "__main__":
    main()
