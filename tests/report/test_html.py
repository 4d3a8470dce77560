"""The report is one well-formed file that loads nothing and trusts no column name."""

import re
from html.parser import HTMLParser

import pytest

from causal_ddpm import ATE, CausalData
from causal_ddpm.core.errors import DataError
from causal_ddpm.evaluation.analysis import analyse
from causal_ddpm.report import prose
from causal_ddpm.report.html import render, write_report
from causal_ddpm.report.tables import estimates_frame

VOID = {"meta", "br", "hr", "img", "link", "input", "col"}


class WellFormed(HTMLParser):
    """Checks that tags nest; collects ids and everything a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.loads, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data") and value[:1] != "#":
                self.loads.append((tag, value))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text.append(data)


def parsed(page):
    parser = WellFormed()
    parser.feed(page)
    parser.close()
    return parser


@pytest.fixture(scope="module")
def page(simulated):
    return render(simulated)


def test_tags_nest_ids_are_unique_and_nothing_is_loaded(page):
    found = parsed(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert found.loads == []
    assert "<script" not in page
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)


def test_the_same_analysis_gives_the_same_page(page, simulated):
    assert render(simulated) == page


def test_figures_are_inline_vector_graphics_with_a_description(page):
    assert page.count('<svg role="img" aria-label="') == 6
    assert "if all were treated" in page  # text in figures stays text


def test_the_headline_stands_beside_the_naive_difference(page, simulated):
    text = " ".join(parsed(page).text)
    places = prose.decimals(simulated.headline.std_error)
    low, high = simulated.headline.interval()
    assert prose.number(simulated.headline.value, places) in text
    assert prose.interval(low, high, 0.95, places) in text
    assert prose.number(simulated.naive.value, places) in text
    for heading in ("The design", "Are the groups comparable?", "What was assumed", "Provenance"):
        assert heading in text
    assert simulated.data.fingerprint in text


def test_simulated_rows_are_announced_with_their_truth(page, observed, simulated):
    text = " ".join(parsed(page).text)
    assert "Simulated data." in text
    assert "True effect in the simulation" in text
    truth = prose.number(simulated.truth.population["ATE"], 2)
    assert truth in list(estimates_frame(simulated)["Truth"])
    other = " ".join(parsed(render(observed)).text)
    assert "Simulated data" not in other
    assert "A trial" in other


@pytest.mark.filterwarnings("ignore::causal_ddpm.CausalDDPMWarning")
def test_hostile_names_are_shown_and_not_run(firms, light_settings):
    evil = "<script>alert(1)</script>"
    names = {"productivity": evil, "education": f"$x^{{{evil}}}$", "ai_adoption": '"><img src=x>'}
    frame = firms.frame.rename(columns=names).head(200)
    confounders = [names["education"], "industry_size"]
    data = CausalData(frame, names["ai_adoption"], evil, confounders)
    page = render(analyse(data, ATE(), light_settings()))
    found = parsed(page)
    assert "<script" not in page
    assert "<img" not in page
    assert found.loads == []
    assert evil in "".join(found.text)


@pytest.mark.filterwarnings("ignore::causal_ddpm.CausalDDPMWarning")
def test_warnings_stand_before_the_design(firms, light_settings):
    data = CausalData(
        firms.frame.head(120), "ai_adoption", "productivity", ["education", "industry_size"]
    )
    page = render(analyse(data, ATE(), light_settings()))
    assert page.index("Small sample: 120 rows") < page.index("The design")


def test_a_report_appears_complete_or_not_at_all(tmp_path, simulated):
    path = write_report(simulated, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").endswith("</html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(DataError, match="does not exist"):
        write_report(simulated, tmp_path / "nowhere" / "report.html")


@pytest.mark.parametrize(
    ("value", "std_error", "text"),
    [
        (1794.342, 671.0, "1,794"),
        (-0.51234, 0.081, f"{prose.MINUS}0.512"),
        (12.0, 3.2, "12.0"),
        (-0.0001, 0.5, "0.00"),
    ],
)
def test_numbers_show_two_digits_of_their_error(value, std_error, text):
    assert prose.number(value, prose.decimals(std_error)) == text


def test_lists_read_as_english():
    assert prose.listed(["a"]) == "a"
    assert prose.listed(["a", "b", "c"]) == "a, b and c"
    assert prose.listed(list("abcde"), limit=3) == "a, b, c and 2 more"
