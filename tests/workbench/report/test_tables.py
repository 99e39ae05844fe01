import html5lib
import polars as pl
import pytest

from workbench.errors import ReportError
from workbench.report.markup import safe_html
from workbench.report.tables import table_html

_FRAME = pl.DataFrame(
    {
        "variant": ["numpy", "<b>njit</b>", None],
        "GB/s": [1.234, 56.78, None],
        "rounds": [10, 20_000, 30],
        "proven": [True, False, None],
    }
)
_NS = "{http://www.w3.org/1999/xhtml}"


def test_every_cell_is_reached_through_its_headers() -> None:
    table = html5lib.parse(table_html(_FRAME, "Rates")).find(f".//{_NS}table")
    assert "".join(table.find(f"{_NS}caption").itertext()) == "Rates"
    heads = table.findall(f"{_NS}thead/{_NS}tr/{_NS}th")
    assert [head.text for head in heads] == _FRAME.columns
    assert {head.get("scope") for head in heads} == {"col"}
    rows = table.findall(f"{_NS}tbody/{_NS}tr")
    assert [row[0].get("scope") for row in rows] == ["row"] * 3
    assert [[cell.text for cell in row] for row in rows] == [
        ["numpy", "1.23", "10", "yes"],
        ["<b>njit</b>", "56.8", "20,000", "no"],
        ["–", "–", "30", "–"],
    ]


def test_numbers_are_right_aligned_and_text_is_left() -> None:
    html = table_html(_FRAME, "Rates")
    table = html5lib.parse(html).find(f".//{_NS}table")
    sides = [cell.get("style") for cell in table.find(f"{_NS}tbody/{_NS}tr")]
    assert sides == [
        "text-align: left",
        "text-align: right",
        "text-align: right",
        "text-align: left",
    ]


def test_a_table_of_numbers_has_no_row_names() -> None:
    html = table_html(pl.DataFrame({"block_kib": [4], "rate": [1.0]}), "Sweep")
    assert 'scope="row"' not in html


def test_it_survives_the_sanitiser() -> None:
    kept = html5lib.parse(safe_html(table_html(_FRAME, "Rates"))).find(f".//{_NS}table")
    made = html5lib.parse(table_html(_FRAME, "Rates")).find(f".//{_NS}table")
    for ours, theirs in zip(made.iter(), kept.iter(), strict=True):
        assert ours.tag == theirs.tag
        assert ours.get("scope") == theirs.get("scope")
        assert ours.get("class") == theirs.get("class")
        assert ours.get("style", "").rstrip(";") == theirs.get("style", "").rstrip(";")


def test_an_empty_frame_is_a_table_without_rows() -> None:
    assert "<tbody>" in table_html(_FRAME.head(0), "Rates")


@pytest.mark.parametrize(
    ("frame", "caption", "said"),
    [(_FRAME, " ", "caption"), (pl.DataFrame({"x": range(1001)}), "Rows", "aggregate in polars")],
)
def test_what_no_page_may_carry_is_refused(frame: pl.DataFrame, caption: str, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        table_html(frame, caption)


def test_percentages_stand_to_the_right_and_names_may_wrap() -> None:
    name = "a name that is much longer than others"
    frame = pl.DataFrame({"what": [name, "b"], "share": ["3.5%", None], "mixed": ["3.5%", "none"]})
    html = table_html(frame, "shares")
    assert '<td class="num" style="text-align: right">3.5%</td>' in html
    assert '<td style="text-align: left">3.5%</td>' in html
    assert f'class="name" style="text-align: left">{name}<' in html
    assert "<caption><span>shares</span></caption>" in html


def test_numbers_written_out_stand_to_the_right_but_for_the_names_of_rows() -> None:
    frame = pl.DataFrame({"size": ["4", "16"], "KL": ["+0.0080", "-1.5"], "range": ["0 to 1", "2"]})
    html = table_html(frame, "Codecs")
    assert '<th scope="row" style="text-align: left">16</th>' in html
    assert '<td class="num" style="text-align: right">-1.5</td>' in html
    assert '<td style="text-align: left">2</td>' in html
