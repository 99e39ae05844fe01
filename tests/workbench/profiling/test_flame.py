"""The call tree and the ranking: sums, recursion, nothing at all."""

from __future__ import annotations

from workbench.profiling import flame
from workbench.profiling.frames import Frame

A, B, C = (Frame(name, "place", "project") for name in "ABC")


def test_a_node_holds_what_it_called() -> None:
    root = flame.tree({(A, B): 1.0, (A,): 0.5, (A, C): 0.25, (B,): 2.0})
    assert root.seconds == 3.75
    a = root.children[A]
    assert (a.seconds, a.children[B].seconds, a.children[C].seconds) == (1.75, 1.0, 0.25)
    assert root.children[B].children == {}


def test_recursion_counts_once_in_the_total() -> None:
    rows = flame.ranked({(A, B, A): 1.0, (A,): 0.5, (C, B): 0.5, (): 9.0})
    assert rows == [(A, 1.5, 1.5), (B, 0.5, 1.5), (C, 0.0, 0.5)]


def test_no_samples_make_an_empty_tree() -> None:
    assert flame.tree({}).seconds == 0
    assert flame.ranked({}) == []
