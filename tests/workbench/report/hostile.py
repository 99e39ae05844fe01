"""Payloads that come alive in a page that trusts its notebook, and a parser's eye for live ones."""

from html.parser import HTMLParser
from typing import Any

import html5lib
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from workbench.report.figures import CHART_MIME

_HIT = "window.hit=(window.hit||0)+1;alert(1)"
PAYLOADS = {
    "script": f"<script>{_HIT}</script>",
    "handler": f'<img src="x:y" onerror="{_HIT}"><p onmouseover="{_HIT}">words</p>',
    "svg": f'<svg onload="{_HIT}"><script>{_HIT}</script>'
    f'<a xlink:href="javascript:{_HIT}">x</a></svg>',
    "link": f'<a href="javascript:{_HIT}">click</a><a href=" java\tscript:{_HIT}">click</a>',
    "frame": f"<iframe srcdoc='<script>parent.{_HIT}</script>'></iframe>"
    "<iframe src='http://127.0.0.1:9/'>",
    "object": "<object data='http://127.0.0.1:9/x'></object><embed src='data:text/html,x'>",
    "form": f"<form action='javascript:{_HIT}'>"
    f"<button formaction='javascript:{_HIT}'>go</button></form>",
    "meta": "<meta http-equiv='refresh' content='0;url=http://127.0.0.1:9/'>"
    "<base href='http://127.0.0.1:9/'>",
    "style": "<style>@import 'http://127.0.0.1:9/x.css';body{display:none}</style>"
    "<div style='position:fixed;inset:0;background:url(http://127.0.0.1:9/x)'>over</div>",
    "mutation": "<math><mtext><table><mglyph><style><!--</style>"
    f"<img title='--&gt;&lt;img src=x onerror={_HIT}&gt;'>",
    "noscript": f'<noscript><p title="</noscript><img src=x onerror={_HIT}>"></noscript>',
    "comment": f"<!--><script>{_HIT}</script>--><!-- --!><img src=x onerror={_HIT}>",
}
_RUNNING_TAGS = {"script", "iframe", "object", "embed", "form", "meta", "base", "link", "style"}
_RUNNING_TAGS |= {"frame", "frameset", "button", "input", "math", "template", "video", "audio"}
_URL_ATTRIBUTES = {"href", "src", "action", "formaction", "xlink:href", "data", "poster", "srcset"}
_FAKE_CHART = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9" '
    f'onload="{_HIT}"><script>{_HIT}</script><image href="http://127.0.0.1:9/x.png"/></svg>'
)
_FAKE_SPEC = {
    "data": {"url": "http://127.0.0.1:9/rows.json"},
    "usermeta": {"embedOptions": {"loader": {"target": "_top"}}},
    "mark": {"type": "point", "tooltip": {"signal": f"({_HIT})"}},
}


def cells(payload: str) -> list[Any]:
    """Return cells of every kind that carry the payload wherever text can stand."""
    data = {"image/svg+xml": payload, "text/latex": f"$x$ {payload}", "text/plain": payload}
    outputs = [
        new_output("display_data", data={"text/html": payload}),
        new_output("execute_result", data={"text/html": payload}, execution_count=1),
        new_output("display_data", data={"text/markdown": payload}),
        new_output("display_data", data=data),
        new_output("display_data", data={"text/latex": payload}),
        new_output("display_data", data={"text/plain": payload}),
        new_output("display_data", data={"image/svg+xml": payload}),
        new_output("display_data", data={"application/javascript": payload, "text/plain": "js"}),
        new_output("display_data", data={"image/png": f'"><script>{payload}</script>'}),
        new_output(
            "display_data",
            data={"image/png": "aGVsbG8="},
            metadata={"image/png": {"alt": f'">{payload}', "width": f'1">{payload}'}},
        ),
        new_output(
            "display_data",
            data={
                CHART_MIME: {"title": payload, "alt": payload, "spec": _FAKE_SPEC},
                "image/svg+xml": _FAKE_CHART,
            },
        ),
        new_output("display_data", data={CHART_MIME: {"spec": {"mark": payload}}}),
        new_output("stream", name="stdout", text=payload),
        new_output("stream", name="stderr", text=f"\x1b]8;;javascript:alert(1)\x07{payload}"),
        new_output("error", ename=payload, evalue=payload, traceback=[payload, payload]),
    ]
    metadata = {"tags": [payload.replace(",", " ")], "papermill": {"duration": payload}}
    return [
        new_markdown_cell(
            f"# {payload}\n\n{payload}\n\n[x](javascript:alert(1))\n\n```\n{payload}\n```"
        ),
        new_raw_cell(payload),
        new_raw_cell(payload, metadata={"raw_mimetype": "text/html"}),
        new_code_cell(payload, execution_count=1, outputs=outputs, metadata=metadata),
    ]


def hostile_notebook() -> Any:
    """Return one notebook with every payload in every place."""
    return new_notebook(cells=[cell for payload in PAYLOADS.values() for cell in cells(payload)])


def live_parts(html: str) -> list[str]:
    """Return what would run, fetch or take over, as html5lib and html.parser see the page."""
    return [*_live_in_tree(html), *_LiveFinder(html).found]


def _live_in_tree(html: str) -> list[str]:
    found = []
    # A browser reads <noscript> as text or as markup, depending on whether scripts are on.
    for scripting in (False, True):
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        found += _live_elements(parser.parse(html, scripting=scripting))
    return found


def _live_elements(tree: Any) -> list[str]:
    found = []
    for element in tree.iter():
        if isinstance(element.tag, str):
            tag = element.tag.rpartition("}")[2].lower()
            attributes = {
                str(name).rpartition("}")[2].lower(): v for name, v in element.attrib.items()
            }
            found += _live(tag, attributes)
    return found


class _LiveFinder(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += _live(tag, {name.lower(): value or "" for name, value in attrs})


def _live(tag: str, attributes: dict[str, str]) -> list[str]:
    found = []
    is_data = tag == "script" and attributes.get("type") == "application/json"
    if tag in _RUNNING_TAGS and not is_data:
        found.append(f"<{tag}>")
    for name, value in attributes.items():
        text = "".join(value.split()).lower()
        if name.startswith("on") or name in ("srcdoc", "ping"):
            found.append(f"{tag} {name}")
        if name in _URL_ATTRIBUTES and text.startswith(("javascript:", "vbscript:", "data:text")):
            found.append(f"{tag} {name}={value}")
        if name in ("src", "srcset", "poster", "data") and "127.0.0.1" in value:
            found.append(f"{tag} {name}={value}")
        if name == "style" and text.removesuffix(";") not in (
            "",
            "text-align:left",
            "text-align:right",
        ):
            found.append(f"{tag} style={value}")
    return found
