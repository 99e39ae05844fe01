"""The flame graph: boxes inside their parents, nothing narrower than a pixel, text escaped."""

from __future__ import annotations

import re

from workbench.profiling.flame import tree
from workbench.profiling.frames import Frame
from workbench.report import flame_graph

A, B, C = (Frame(name, "kernels/x.py", "project") for name in "ABC")


def test_children_lie_inside_their_parent_and_beside_each_other() -> None:
    root = tree({(A, B): 6.0, (A, C): 1.0, (A,): 1.0, (C,): 2.0})
    placed = {(box.level, box.node.frame): box for box in flame_graph.boxes(root)}
    a, b, c, other = (placed[key] for key in ((0, A), (1, B), (1, C), (0, C)))
    assert (a.left_frac, a.width_frac) == (0.0, 0.8)
    assert (b.left_frac, b.width_frac) == (0.0, 0.6)
    assert (c.left_frac, c.width_frac) == (0.6, 0.1)
    assert (other.left_frac, other.width_frac) == (0.8, 0.2)


def test_what_nobody_could_see_is_not_drawn() -> None:
    deep = (A,) * 500
    root = tree({deep: 1.0, (B,): 1e-4})
    placed = flame_graph.boxes(root)
    assert len(placed) == flame_graph.MOST_LEVELS
    assert {box.node.frame for box in placed} == {A}
    assert flame_graph.boxes(tree({})) == []


def test_names_are_text_and_the_whole_is_one_labelled_image() -> None:
    hostile = Frame('<b onclick="x">&', "a'b", "native")
    html = flame_graph.flame_html(tree({(hostile,): 1.0}), 'says "hello"')
    assert "<b" not in html
    assert html.count("<span") == 1
    assert "&lt;b onclick=&quot;x&quot;&gt;&amp;" in html
    assert 'role="img" aria-label="says &quot;hello&quot;"' in html
    assert re.search(r"1\.00 s, 100\.0.%", html)
