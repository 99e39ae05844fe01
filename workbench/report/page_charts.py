"""Charts as a page holds them: the SVG in place, the spec beside it for the script to draw again.

Follows: UX.md C3 (the SVG is visible first and stays when scripts are blocked).
Leaves out: making charts (figures.py) and the script (templates/page.js).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from workbench.errors import ReportError
from workbench.report.svg import inlined

# What makes a spec fetch, link or reconfigure the embedder: none of our charts needs any of it.
_FORBIDDEN_KEYS = frozenset({"url", "href", "usermeta"})
# Rows of data, whose columns may be called anything.
_ROWS = ("datasets", "values")


@dataclass(frozen=True, slots=True)
class PageChart:
    """One chart of a page, numbered in reading order; every part is safe to put into HTML."""

    number: int
    title: str
    alt: str
    svg: Markup | None
    spec_json: Markup | None
    problem: str = ""

    @classmethod
    def of(cls, number: int, title: object, alt: object, svg: object, spec: object) -> PageChart:
        """Take a chart from a run's folder, where anything may stand; bad parts are left out."""
        words = str(title or "Untitled chart"), str(alt or "no description was given")
        problem = ""
        picture = None
        try:
            picture = Markup(inlined(str(svg), f"chart-{number}", ". ".join(words)))
        except ReportError as error:
            problem = str(error) if svg else "none was kept"
        return cls(number, *words, picture, _harmless_json(spec), problem)

    @property
    def anchor(self) -> str:
        """Return the id that links into the page use."""
        return f"chart-{self.number}"


def script_json(value: object) -> Markup:
    """Return a value as JSON that no parser can leave a ``<script>`` element from.

    Raises
    ------
    ValueError   if a number in it is not finite
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _harmless_json(spec: object) -> Markup | None:
    """Return the spec for the page's script, or None: then the picture alone is shown."""
    if not isinstance(spec, Mapping) or set(_keys(spec)) & _FORBIDDEN_KEYS:
        return None
    try:
        return script_json(spec)
    except ValueError:
        return None


def _keys(value: Any) -> Iterator[str]:
    """Yield every key of a JSON value that configures; rows of data may be called anything."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            if name not in _ROWS:
                yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)
