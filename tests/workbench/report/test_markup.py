from types import ModuleType

import pytest

from workbench.report.markup import safe_html


def test_prose_keeps_its_shape_one_level_down() -> None:
    html = safe_html("<h1>Title</h1><h2>Part</h2><p>One <em>two</em> <code>three</code></p>")
    assert html == "<h2>Title</h2><h3>Part</h3><p>One <em>two</em> <code>three</code></p>"


def test_headings_stop_at_the_sixth_level() -> None:
    assert safe_html("<h6>deep</h6>") == "<h6>deep</h6>"


def test_ids_and_the_links_to_them_get_a_prefix() -> None:
    html = safe_html('<p id="verdict">x</p><a href="#verdict">y</a>')
    assert '<p id="nb-verdict">' in html
    assert 'href="#nb-verdict"' in html


def test_a_table_gets_a_box_to_scroll_in() -> None:
    html = safe_html("<table><tbody><tr><td>1</td></tr></tbody></table>")
    assert html.startswith('<div class="scroll"><table>')


def test_links_leave_without_a_referrer() -> None:
    html = safe_html('<a href="https://example.org/" target="_blank" onclick="x()">y</a>')
    assert html == '<a href="https://example.org/" rel="noopener noreferrer">y</a>'


def test_classes_of_the_page_are_dropped_and_those_of_code_stay() -> None:
    html = safe_html('<p class="verdict tone-good">x</p><span class="mi num ansi-red-fg">1</span>')
    assert 'class="verdict' not in html
    assert 'class="mi num ansi-red-fg"' in html


@pytest.mark.parametrize(
    ("src", "stays"),
    [
        ("data:image/png;base64,aGVsbG8=", True),
        ("data:image/svg+xml;base64,aGVsbG8=", False),
        ("data:text/html;base64,aGVsbG8=", False),
        ("https://example.org/x.png", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_pictures_in_the_page_are_shown(src: str, stays: bool) -> None:
    assert ("src=" in safe_html(f'<img src="{src}">')) is stays


def test_every_picture_has_a_description() -> None:
    assert 'alt="picture without a description"' in safe_html("<img>")
    assert 'alt="mine"' in safe_html('<img alt="mine">')


@pytest.mark.parametrize(
    ("style", "stays"),
    [
        ("text-align: right;", "text-align: right"),
        ("text-align:url(http://127.0.0.1:9/x)", ""),
        ("text-align:right;position:fixed", ""),
        ("position:fixed;inset:0", ""),
        ("text-align:rig\\68t", ""),
    ],
)
def test_a_style_may_align_text_and_nothing_else(style: str, stays: str) -> None:
    expected = f'<p style="{stays}">x</p>' if stays else "<p>x</p>"
    assert safe_html(f'<p style="{style}">x</p>') == expected


def test_tags_within_an_attribute_stay_words() -> None:
    html = safe_html("<a title='<h1>\" onclick=\"<table>'>x</a><img alt='<img>'>")
    assert html == (
        '<a title="&lt;h1&gt;&quot; onclick=&quot;&lt;table&gt;" rel="noopener noreferrer">x</a>'
        '<img alt="&lt;img&gt;">'
    )


@pytest.mark.parametrize("href", ["//127.0.0.1:9/x", "DATA:text/html,x", "x.html"])
def test_a_link_goes_where_a_reader_sees_it_go_or_nowhere(href: str) -> None:
    assert ("href" in safe_html(f'<a href="{href}">x</a>')) is not href.startswith("DATA")


@pytest.mark.parametrize("twice", [False, True])
def test_no_payload_survives(hostile: ModuleType, twice: bool) -> None:
    for kind, payload in hostile.PAYLOADS.items():
        html = safe_html(payload)
        assert hostile.live_parts(safe_html(html) if twice else html) == [], kind


def test_the_eye_sees_every_payload(hostile: ModuleType) -> None:
    for kind, payload in hostile.PAYLOADS.items():
        assert hostile.live_parts(payload), kind


def test_endless_nesting_is_left_out_at_once() -> None:
    assert "not shown" in safe_html("<div>" * 30_000)
    assert "not shown" in safe_html("<div></b>" * 30_000)
    assert "not shown" in safe_html("<div><table><tr><td></div></table>" * 500)
    assert "not shown" not in safe_html("<ul><li>" * 20)
    assert "not shown" not in safe_html("<p>1<br>2<img></p>" * 1000)


def test_bytes_are_read_as_text() -> None:
    assert safe_html("<p>é</p>".encode()) == "<p>é</p>"
