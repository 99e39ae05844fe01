import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from workbench.errors import ReportError
from workbench.report.svg import inlined, labelled

_OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
_PLAIN = (
    _OPEN + 'class="marks" width="100" height="50" viewBox="0 0 100 50">'
    '<defs><clipPath id="clip0"><rect width="10" height="10"/></clipPath></defs>'
    '<g clip-path="url(#clip0)"><path d="M0,0h10" stroke="currentColor"/></g></svg>'
)


def test_a_chart_that_stands_alone_says_what_it_shows() -> None:
    root = ET.fromstring(labelled(_PLAIN, "Reads & <writes>", "It rises."))
    ids = root.get("aria-labelledby", "").split()
    texts = [element.text for one in ids for element in root.iter() if element.get("id") == one]
    assert root.get("role") == "img"
    assert texts == ["Reads & <writes>", "It rises."]


def test_two_charts_share_no_id() -> None:
    ids = [set(re.findall(r'id="([^"]+)"', labelled(_PLAIN, name, "alt"))) for name in "ab"]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_references_follow_the_ids() -> None:
    svg = inlined(_PLAIN, "chart-7", "label")
    assert 'id="chart-7-clip0"' in svg
    assert 'clip-path="url(#chart-7-clip0)"' in svg


def test_the_heading_is_for_other_viewers_and_leaves_the_page() -> None:
    alone = labelled(_PLAIN, "The title", "alt")
    assert ET.fromstring(alone).get("viewBox") == "0 -30 100 80"
    on_page = inlined(alone, "chart-1", "label")
    assert "The title" not in on_page
    assert ET.fromstring(on_page).get("viewBox") == "0 0 100 50"


_HOSTILE = {
    "script": "<script>alert(1)</script>",
    "handler": '<rect onload="alert(1)" onclick="alert(1)" width="5"/>',
    "link": '<a xlink:href="javascript:alert(1)"><text>x</text></a>',
    "image": '<image href="http://127.0.0.1/x.png"/>',
    "foreign": "<foreignObject><h:iframe xmlns:h='http://www.w3.org/1999/xhtml'/></foreignObject>",
    "use": '<use href="http://127.0.0.1/x.svg#a"/>',
    "animate": '<set attributeName="onload" to="alert(1)"/>',
    "style": "<style>@import url(http://127.0.0.1/x.css);</style>",
    "paint": '<rect fill="url(http://127.0.0.1/x.svg#p)"/>',
    "escaped paint": r'<rect fill="u\72l(http://127.0.0.1/x.svg#p)"/>',
    "inline style": '<rect style="background:url(http://127.0.0.1/x)"/>',
    "other namespace": '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    "cdata": "<text><![CDATA[</svg><script>alert(1)</script>]]></text>",
    "title": "<title>&lt;/title>&lt;script>alert(1)&lt;/script></title>",
}


class _Parsed(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("kind", _HOSTILE)
@pytest.mark.parametrize("step", ["labelled", "inlined"])
def test_nothing_that_runs_or_fetches_gets_in(kind: str, step: str) -> None:
    hostile = _PLAIN.replace("</svg>", f"{_HOSTILE[kind]}</svg>")
    svg = labelled(hostile, "t", "a") if step == "labelled" else inlined(hostile, "chart-1", "l")
    parsed = _Parsed(svg)
    assert not parsed.tags & {
        "script",
        "a",
        "image",
        "foreignobject",
        "iframe",
        "use",
        "set",
        "style",
    }
    assert not [name for name in parsed.attributes if name.startswith("on") or "href" in name]
    assert "127.0.0.1" not in svg
    assert "style" not in parsed.attributes


@pytest.mark.parametrize(
    "svg",
    [
        "",
        "no xml",
        "<html/>",
        '<!DOCTYPE svg [<!ENTITY a "b">]>' + _PLAIN,
        _PLAIN.replace("<g", "<g" + "><g" * 80, 1).replace("</g>", "</g>" * 81),
        "<svg><rect></svg>",
    ],
)
def test_what_is_no_chart_is_refused(svg: str) -> None:
    with pytest.raises(ReportError):
        inlined(svg, "chart-1", "label")


def test_a_refusal_of_deep_nesting_says_so() -> None:
    deep = _OPEN + ">" + "<g>" * 3000 + "</g>" * 3000 + "</svg>"
    with pytest.raises(ReportError, match="nested"):
        inlined(deep, "chart-1", "label")
