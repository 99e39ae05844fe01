"""Let HTML of unknown origin into a page: an allowlist first, then ids and headings made fit.

Follows: ammonia by nh3, which parses as browsers do; bleach and two parses took 25 times as long.
Leaves out: SVG (svg.py). The page's content policy is the second lock (shell.py).
"""

from __future__ import annotations

import re
from collections import Counter

import nh3

_TAGS = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i "
        "img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td "
        "tfoot th thead tr tt u ul var",
    )
)
_VOID = frozenset({"br", "hr", "img"})
_ATTRIBUTES = {
    "*": {"class", "id", "style"},
    "a": {"href", "title"},
    "abbr": {"title"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_PROTOCOLS = frozenset({"http", "https", "mailto", "data"})
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
# Classes of Pygments, of ANSI colours and of our own tables; a cell must not dress up as the page.
_CLASS = re.compile(r"[a-z]{1,3}\d?|highlight|ansi-[\w-]+|num|long|wb-table|workbench-\w+")
_ALIGN = re.compile(r"\s*text-align\s*:\s*(left|right|center|justify|start|end)\s*;?\s*")
_MAX_DEPTH = 256
# A tag as a browser may read it, and one as nh3 writes it: attributes in double quotes, no others.
_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [\w-]+="[^"]*")*)>')


def safe_html(html: str | bytes) -> str:
    """Return the HTML with nothing left in it that runs, fetches or covers the page.

    Headings go one level down (the page has the only ``h1``), ids get the prefix ``nb-``, tables
    get a box to scroll in.

    Cost    one parse in native code: 0.2 s a MB.
    """
    text = html.decode() if isinstance(html, bytes) else html
    if not _is_deep(text):
        cleaned = _CLEANER.clean(text)
        # Counting tags tells the depth of clean HTML for certain, of any other only roughly.
        if not _is_deep(cleaned):
            return _TAG.sub(_fitted, cleaned)
    return f"<p>[HTML nested deeper than {_MAX_DEPTH} levels is not shown]</p>"


def _is_deep(html: str) -> bool:
    """Tell whether elements nest so deep that cleaning or showing them would take minutes."""
    opened: Counter[str] = Counter()
    depth = 0
    for closing, name in _ANY_TAG.findall(html):
        if closing:
            depth -= opened[name] > 0
            opened[name] -= opened[name] > 0
        elif name not in _VOID:
            depth += 1
            opened[name] += 1
        if depth > _MAX_DEPTH:
            return True
    return False


def _kept(tag: str, name: str, value: str) -> str | None:
    """Return what becomes of an attribute that the allowlist lets through; None drops it."""
    if name == "class":
        return " ".join(part for part in value.split() if _CLASS.fullmatch(part)) or None
    if name == "id":
        return f"nb-{value}"
    if name == "style":
        align = _ALIGN.fullmatch(value)
        return f"text-align: {align[1]}" if align else None
    if name == "src":
        return value if _PICTURE.fullmatch(value) else None
    if name == "href":
        return _kept_link(value)
    return value


def _kept_link(href: str) -> str | None:
    if href.startswith("#"):
        return f"#nb-{href[1:]}"
    return None if href.strip().lower().startswith("data:") else href


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    # Stripped tags leave their text behind, which for these two is nothing to read.
    clean_content_tags={"script", "style"},
    attributes=_ATTRIBUTES,
    attribute_filter=_kept,
    url_schemes=set(_PROTOCOLS),
    strip_comments=True,
    link_rel="noopener noreferrer",
)


def _fitted(tag: re.Match[str]) -> str:
    """Return a clean tag as the page wants it."""
    slash, name, attributes = tag.groups()
    if name in ("h1", "h2", "h3", "h4", "h5"):
        return f"<{slash}h{int(name[1]) + 1}{attributes}>"
    if name == "table":
        return "</table></div>" if slash else f'<div class="scroll"><table{attributes}>'
    if name == "img" and ' alt="' not in attributes:
        return f'<img{attributes} alt="picture without a description">'
    return tag[0]
