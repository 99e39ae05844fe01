"""Draw a call tree as a flame graph: boxes of plain HTML, placed by per cent, callees below.

Follows: Gregg's flame graphs, upside down (an icicle), so that the outermost call comes first.
Leaves out: zooming, which needs a script; the table of functions beside it says the same in words.
Boxes of HTML and not SVG: their text is cut off by the browser at any width, found by its search,
and takes the page's colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from workbench.profiling.flame import Node
from workbench.report.numbers import duration

# Narrower boxes would be 3 pixels wide, single samples in towers of imports that hide the rest.
LEAST_FRAC = 0.004
MOST_LEVELS = 48
ROW_REM = 1.375
# Of narrower boxes the text is there to be searched, but a letter of it would only be in the way.
READABLE_FRAC = 0.02


@dataclass(frozen=True, slots=True)
class Box:
    """A call in the graph: where it begins and how wide it is, as shares of the whole."""

    node: Node
    level: int
    left_frac: float
    width_frac: float


def boxes(root: Node) -> list[Box]:
    """Return every call wide enough to see, parents first, siblings by the time in them."""
    return list(_boxes(root, root.seconds, 0, 0.0)) if root.seconds > 0 else []


def _boxes(parent: Node, whole_s: float, level: int, left_frac: float) -> Iterator[Box]:
    if level == MOST_LEVELS:
        return
    for child in sorted(parent.children.values(), key=lambda one: (-one.seconds, one.frame)):
        width_frac = child.seconds / whole_s
        if width_frac < LEAST_FRAC:
            return
        yield Box(child, level, left_frac, width_frac)
        yield from _boxes(child, whole_s, level + 1, left_frac)
        left_frac += width_frac


def flame_html(root: Node, label: str) -> Markup:
    """Return the graph as one labelled image of HTML boxes.

    Parameters
    ----------
    root : Node   the call tree
    label : str   the sentence a screen reader says in its place

    Cost    about 200 bytes a box; at most a few thousand boxes.
    """
    placed = boxes(root)
    height_rem = ROW_REM * (1 + max((box.level for box in placed), default=0))
    drawn = "\n".join(_box_html(box, root.seconds) for box in placed)
    return Markup(
        f'<div class="flame" role="img" aria-label="{escape(label)}" '
        f'style="height: {height_rem:g}rem">\n{drawn}\n</div>'
    )


def _box_html(box: Box, whole_s: float) -> str:
    frame = box.node.frame
    share = f"{box.node.seconds / whole_s:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
    title = f"{frame.name}\n{frame.place}\n{duration(box.node.seconds)}, {share}"
    style = (
        f"left:{box.left_frac * 100:.3f}%;width:{box.width_frac * 100:.3f}%;"
        f"top:{box.level * ROW_REM:g}rem"
    )
    thin = " thin" if box.width_frac < READABLE_FRAC else ""
    return (
        f'<span class="{frame.kind}{thin}" style="{style}" title="{escape(title)}">'
        f"{escape(frame.name)}</span>"
    )
