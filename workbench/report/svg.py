"""Label an SVG chart for people and screen readers, and let into a page only what a chart needs.

Follows: the allowlist idea of nbconvert's HTML sanitiser; ARIA: a chart is one labelled image.
Leaves out: drawing (figures.py) and HTML (markup.py).
"""

from __future__ import annotations

import hashlib
import re
from xml.etree import ElementTree as ET

from workbench.errors import ReportError

_SVG = "{http://www.w3.org/2000/svg}"
_TITLE_HEIGHT = 30
_MAX_DEPTH = 64
_TITLE_CLASS = "chart-title"
# What currentColor means where no page sets a colour (Lab, GitHub): legible on white and black.
_LONE_INK = "#777b82"
_ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "svg g path rect circle ellipse line polyline polygon text tspan defs clipPath "
        "linearGradient radialGradient stop",
    )
)
_ATTRIBUTES = frozenset(
    re.findall(
        r"[\w-]+",
        "id d transform x y x1 x2 y1 y2 dx dy cx cy r rx ry width height viewBox points offset "
        "clip-path fill fill-opacity fill-rule stroke stroke-opacity stroke-width "
        "stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit "
        "opacity stop-color stop-opacity gradientUnits text-anchor dominant-baseline "
        "font-family font-size font-weight font-style pointer-events aria-hidden",
    )
)
# CSS functions fetch and escapes hide them, so a value may hold none but these.
_PLAIN_VALUE = re.compile(r"[\w\s.,#%+:'\"-]*")
_FUNCTION_VALUE = re.compile(
    r"(\s*(translate|rotate|scale|matrix|rgba?|hsla?)\([\d\s.,%e+-]*\)\s*)+"
)
_LOCAL_URL = re.compile(r"url\(#([\w-]+)\)")

ET.register_namespace("", _SVG[1:-1])


def labelled(svg: str, title: str, alt: str) -> str:
    """Return a chart's SVG that stands alone: heading, ARIA title and description, own ids.

    Parameters
    ----------
    svg : str     as the Vega renderer writes it
    title : str   drawn above the chart
    alt : str     the sentence a screen reader says

    Cost    one parse; the result is about 400 bytes longer.
    """
    root = _parse(svg)
    _keep_allowed(root)
    prefix = f"fig-{hashlib.sha256(f'{title}{alt}{svg}'.encode()).hexdigest()[:10]}"
    _prefix_ids(root, prefix)
    _move_top(root, _TITLE_HEIGHT)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{prefix}-title {prefix}-desc",
        "color": _LONE_INK,
    }
    heading = ET.Element(
        f"{_SVG}text", {"class": _TITLE_CLASS, "x": "0", "y": "-12", "fill": "currentColor"}
    )
    heading.attrib |= {
        "font-family": "system-ui, sans-serif",
        "font-size": "15",
        "font-weight": "600",
    }
    heading.text = title
    root.insert(0, heading)
    for tag, text in (("desc", alt), ("title", title)):
        element = ET.Element(f"{_SVG}{tag}", {"id": f"{prefix}-{tag}"})
        element.text = text
        root.insert(0, element)
    return ET.tostring(root, encoding="unicode")


def inlined(svg: str, prefix: str, label: str) -> str:
    """Return an SVG fit for a page: allowlisted parts only, no heading, one ARIA label.

    Parameters
    ----------
    svg : str      from a run's folder: possibly hostile
    prefix : str   put before every id, unique on the page
    label : str    the ARIA label of the whole image

    Raises
    ------
    ReportError   if it is not well-formed XML, declares entities, or is not an SVG
    """
    root = _parse(svg)
    if any(child.get("class") == _TITLE_CLASS for child in root):
        _move_top(root, -_TITLE_HEIGHT)
    _keep_allowed(root)
    _prefix_ids(root, prefix)
    root.attrib |= {"role": "img", "aria-label": label}
    return ET.tostring(root, encoding="unicode")


def _parse(svg: str) -> ET.Element:
    # Without a document type there are no entities to blow up, and nothing external to load.
    if "<!doctype" in svg.lower() or "<!entity" in svg.lower():
        raise ReportError("an SVG with a document type or entities is refused; draw it as a Figure")
    try:
        root = ET.fromstring(svg)
    except ET.ParseError as error:
        raise ReportError(f"the SVG is not well-formed ({error}); draw it as a Figure") from error
    if root.tag != f"{_SVG}svg":
        raise ReportError(f"expected an svg element, got {root.tag}")
    if _depth(root) > _MAX_DEPTH:
        raise ReportError(f"the SVG is nested deeper than {_MAX_DEPTH} levels; draw it as a Figure")
    return root


def _depth(root: ET.Element) -> int:
    depth = 0
    level = [root]
    while level and depth <= _MAX_DEPTH:
        level = [child for element in level for child in element]
        depth += 1
    return depth


def _move_top(root: ET.Element, height: float) -> None:
    """Add room above the drawing, or take it away again."""
    x, y, width, full = (float(part) for part in (root.get("viewBox") or "0 0 0 0").split())
    root.set("viewBox", f"{x:g} {y - height:g} {width:g} {full + height:g}")
    root.set("height", f"{full + height:g}")


def _prefix_ids(root: ET.Element, prefix: str) -> None:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{prefix}-{value}")
            else:
                element.set(name, _LOCAL_URL.sub(rf"url(#{prefix}-\1)", value))


def _keep_allowed(element: ET.Element) -> None:
    for name in [name for name, value in element.attrib.items() if not _is_allowed(name, value)]:
        del element.attrib[name]
    for child in list(element):
        known = isinstance(child.tag, str) and child.tag.removeprefix(_SVG) in _ELEMENTS
        if known and child.tag.startswith(_SVG) and child.get("class") != _TITLE_CLASS:
            _keep_allowed(child)
        else:
            element.remove(child)


def _is_allowed(name: str, value: str) -> bool:
    safe = (
        _PLAIN_VALUE.fullmatch(value)
        or _FUNCTION_VALUE.fullmatch(value)
        or _LOCAL_URL.fullmatch(value)
    )
    return name in _ATTRIBUTES and safe is not None
