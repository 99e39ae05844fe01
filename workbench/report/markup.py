"""Let HTML of unknown origin into a page: an allowlist first, then ids and headings made fit.

Follows: bleach, the sanitiser that nbconvert itself calls; its own list lacks headings and tables.
Leaves out: SVG (svg.py). The page's content policy is the second lock (pages.py).
"""

from __future__ import annotations

import re

import bleach
from bleach.css_sanitizer import CSSSanitizer
from bs4 import BeautifulSoup, Tag

_TAGS = frozenset(
    re.findall(
        r"\w+",
        "a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i "
        "img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td "
        "tfoot th thead tr tt u ul var",
    )
)
_ATTRIBUTES = {
    "a": ["href", "title"],
    "abbr": ["title"],
    "img": ["alt", "height", "width"],
    "ol": ["start"],
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
}
_PROTOCOLS = frozenset({"http", "https", "mailto", "data"})
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
# Classes of Pygments, of ANSI colours and of our own tables; a cell must not dress up as the page.
_CLASS = re.compile(r"[a-z]{1,3}\d?|highlight|ansi-[\w-]+|num|long|wb-table|workbench-\w+")
_MAX_DEPTH = 256
_STYLES = CSSSanitizer(allowed_css_properties=["text-align"])


def safe_html(html: str | bytes) -> str:
    """Return the HTML with nothing left in it that runs, fetches or covers the page.

    Headings go one level down (the page has the only ``h1``), ids get the prefix ``nb-``, tables
    get a box to scroll in.

    Cost    two parses.
    """
    return _fitted(_cleaned(html.decode() if isinstance(html, bytes) else html))


def _cleaned(html: str) -> str:
    # Stripped tags leave their text behind, which for these two is nothing to read.
    soup = BeautifulSoup(html, "html.parser")
    if _is_deep(soup):
        return f"<p>[HTML nested deeper than {_MAX_DEPTH} levels is not shown]</p>"
    for element in soup.find_all(["script", "style"]):
        element.decompose()
    cleaned: str = bleach.clean(
        str(soup),
        tags=_TAGS,
        attributes=_is_allowed,
        protocols=_PROTOCOLS,
        css_sanitizer=_STYLES,
        strip=True,
        strip_comments=True,
    )
    return cleaned


def _is_deep(soup: BeautifulSoup) -> bool:
    """Tell whether elements nest so deep that cleaning them would take minutes."""
    level: list[Tag] = [soup]
    for _ in range(_MAX_DEPTH + 1):
        level = [child for element in level for child in element.children if isinstance(child, Tag)]
        if not level:
            return False
    return True


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return tag == "img" and _PICTURE.fullmatch(value) is not None
    if name == "href" and value.strip().lower().startswith("data:"):
        return False
    return name in ("class", "id", "style") or name in _ATTRIBUTES.get(tag, ())


def _fitted(html: str) -> str:
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.find_all(True):
        _fit_names(element)
    for level in range(6, 0, -1):
        for heading in soup.find_all(f"h{level}"):
            heading.name = f"h{min(level + 1, 6)}"
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
    for picture in soup.find_all("img"):
        picture.attrs.setdefault("alt", "picture without a description")
    return str(soup)


def _fit_names(element: Tag) -> None:
    """Prefix ids and links to them, drop foreign classes, and keep referrers from leaving."""
    if "id" in element.attrs:
        element["id"] = f"nb-{element['id']}"
    if element.name == "a":
        href = str(element.get("href", ""))
        if href.startswith("#"):
            element["href"] = f"#nb-{href[1:]}"
        element["rel"] = "noopener noreferrer"
    if "class" in element.attrs:
        kept = [name for name in element.get_attribute_list("class") if _CLASS.fullmatch(str(name))]
        element["class"] = " ".join(str(name) for name in kept)
