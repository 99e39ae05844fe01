import re
from types import ModuleType
from typing import Any

import html5lib
import polars as pl
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workbench.report import cells
from workbench.report.cells import Body, render_cells
from workbench.report.figures import Figure
from workbench.report.page_charts import PageChart
from workbench.report.tables import table_html


def _draw(chart: PageChart) -> str:
    return f'<figure id="{chart.anchor}"></figure>'


def _html(body: Body) -> str:
    return str(body.filled(_draw))


def test_code_is_folded_under_a_name_and_cells_have_anchors(samples: ModuleType) -> None:
    notebook = samples.notebook(
        [samples.executed("\nx = 1\ny = 2"), new_markdown_cell("words"), samples.executed("z = 3")]
    )
    html = _html(render_cells(notebook))
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    folds = tree.findall(".//div[@class='cell']/details")
    assert re.findall(r'id="(cell-\d+)"', html) == ["cell-1", "cell-2"]
    assert ["".join(fold.find("summary").itertext()).split() for fold in folds] == [
        ["Cell", "1", "x", "=", "1", "1.2", "s"],
        ["Cell", "2", "z", "=", "3", "1.2", "s"],
    ]
    assert not [fold for fold in folds if "open" in fold.attrib]


def test_charts_are_taken_out_and_put_back_in_order(
    samples: ModuleType, figures: list[Figure]
) -> None:
    outputs = [samples.shown(samples.bundled(figure)) for figure in figures[:2]]
    notebook = samples.notebook(
        [
            samples.executed("show()", outputs),
            samples.executed("x", [samples.shown(samples.bundled(figures[2]))]),
        ]
    )
    body = render_cells(notebook)
    assert [chart.title for chart in body.charts] == [figure.title for figure in figures[:3]]
    assert re.findall(r'<figure id="(chart-\d)">', _html(body)) == ["chart-1", "chart-2", "chart-3"]
    assert "data-slot" not in _html(body)
    assert "<svg" not in _html(body)


def test_a_tag_chooses_the_headline(samples: ModuleType, figures: list[Figure]) -> None:
    shows = [[samples.shown(samples.bundled(figure))] for figure in figures[:3]]
    tags: tuple[tuple[str, ...], ...] = ((), ("headline",), ())
    code = [samples.executed("x", out, tag) for out, tag in zip(shows, tags, strict=True)]
    assert render_cells(samples.notebook(code)).headline == 2
    assert render_cells(samples.notebook(code[:1])).headline is None


def test_the_title_is_left_to_the_page_and_sections_get_anchors(samples: ModuleType) -> None:
    notebook = samples.notebook(
        [new_markdown_cell("# Day 1\n\nIntro.\n\n## Reads"), new_markdown_cell("## Writes *here*")]
    )
    body = render_cells(notebook)
    assert "Day 1" not in body.html
    assert [(one.anchor, one.text) for one in body.headings] == [
        ("section-1", "Reads"),
        ("section-2", "Writes here"),
    ]
    assert '<h3 id="section-1">' in body.html


def test_a_failure_shows_its_last_line_and_folds_its_traceback(samples: ModuleType) -> None:
    html = _html(render_cells(samples.failed_notebook()))
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    failure = tree.find(".//div[@class='failure']")
    line = "".join(failure.find("p").itertext())
    assert line == "OSError [Errno 28] No space left on device"
    assert "ansi-red-fg" in html
    assert "\x1b" not in html
    opened = [d for d in tree.findall(".//details[@class='code']") if "open" in d.attrib]
    assert len(opened) == 1
    assert "not run" in html


def test_papermills_own_banner_is_left_out(samples: ModuleType) -> None:
    banner = new_markdown_cell("banner", metadata={"tags": ["papermill-error-cell-tag"]})
    assert "banner" not in render_cells(samples.notebook([banner])).html


def test_long_outputs_are_cut_with_a_note(samples: ModuleType) -> None:
    text = new_output("stream", name="stdout", text="x" * 30_000)
    table = samples.shown({"text/html": f"<p>{'y' * 200_000}</p>"})
    many = [new_output("stream", name="stdout", text=str(number)) for number in range(50)]
    html = _html(
        render_cells(
            samples.notebook([samples.executed("a", [text, table]), samples.executed("b", many)])
        )
    )
    assert html.count("x" * 100) == 20_000 // 100
    assert "10,000 more characters" in html
    assert "yyy" not in html
    assert "200,007 characters of text/html are in out.ipynb" in html
    assert "10 more outputs are in out.ipynb" in html


def test_a_whole_page_has_a_budget(samples: ModuleType) -> None:
    output = {"text/html": f"<p>{'y' * 100_000}</p>"}
    chatty = [samples.executed("x", [samples.shown(output)]) for _ in range(20)]
    html = _html(render_cells(samples.notebook(chatty)))
    assert len(html) < cells.MAX_PAGE_CHARS + 100_000


def test_results_are_shown_like_displays(samples: ModuleType) -> None:
    result = new_output("execute_result", data={"text/plain": "42"}, execution_count=1)
    assert "<pre>42</pre>" in _html(
        render_cells(samples.notebook([samples.executed("x", [result])]))
    )


def test_widgets_and_javascript_show_their_text_or_nothing(samples: ModuleType) -> None:
    widget = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
        "text/plain": "a slider",
    }
    script = {"application/javascript": "alert(1)"}
    html = _html(
        render_cells(
            samples.notebook(
                [samples.executed("x", [samples.shown(widget), samples.shown(script)])]
            )
        )
    )
    assert "a slider" in html
    assert "alert" not in html


def test_pictures_keep_their_description(samples: ModuleType) -> None:
    output = samples.shown({"image/png": "aGVsbG8="})
    output.metadata = {"image/png": {"alt": 'a "kept" one'}}
    html = _html(render_cells(samples.notebook([samples.executed("x", [output])])))
    assert 'alt="a &quot;kept&quot; one"' in html or "alt='a \"kept\" one'" in html


def test_the_notebook_itself_is_not_changed(samples: ModuleType, figures: list[Figure]) -> None:
    notebook = samples.notebook(
        [samples.executed("x", [samples.shown(samples.bundled(figures[0]))])]
    )
    before = str(notebook)
    render_cells(notebook)
    assert str(notebook) == before


def test_a_forged_mark_draws_no_chart(samples: ModuleType, figures: list[Figure]) -> None:
    real = samples.shown(samples.bundled(figures[0]))
    forged = samples.shown({"text/html": '<div data-slot="1"></div>', "text/plain": "x"})
    forged.metadata = {"workbench_slot": "1"}
    html = _html(render_cells(samples.notebook([samples.executed("x", [forged, real])])))
    assert html.count('<figure id="chart-1">') == 1
    assert "data-slot" not in html


@pytest.mark.parametrize("kind", range(12))
def test_no_payload_survives_in_any_cell(
    hostile: ModuleType, samples: ModuleType, kind: int
) -> None:
    payload = list(hostile.PAYLOADS.values())[kind]
    body = render_cells(samples.notebook(hostile.cells(payload)))
    html = str(body.filled(lambda chart: str(chart.svg or "")))
    assert hostile.live_parts(html) == []
    assert len(body.charts) == 2
    assert [chart.spec_json for chart in body.charts[:1]] == [None]


def test_every_cell_of_the_hostile_notebook_is_still_there(hostile: ModuleType) -> None:
    notebook = hostile.hostile_notebook()
    n_code = sum(cell.cell_type == "code" for cell in notebook.cells)
    html = render_cells(notebook).html
    assert len(re.findall(r'id="cell-\d+"', html)) == n_code


def test_an_empty_cell_is_named_so(samples: ModuleType) -> None:
    html = _html(render_cells(samples.notebook([new_code_cell("")])))
    assert "<code>empty</code>" in html
    assert "not run" not in html


def test_a_long_table_is_folded_under_its_caption_and_a_short_one_is_not() -> None:
    def output(n_rows: int) -> Any:
        frame = pl.DataFrame({"number": range(n_rows)})
        return new_output("display_data", {"text/html": table_html(frame, f"{n_rows} numbers")})

    cell = new_code_cell("d.table(...)", execution_count=1, outputs=[output(60), output(61)])
    soup = BeautifulSoup(render_cells(new_notebook(cells=[cell])).html, "html.parser")
    folded = soup.select(".output details")
    assert [element.summary.get_text() for element in folded] == ["61 numbers (61 rows)"]
    assert len(soup.select(".output table")) == 2
