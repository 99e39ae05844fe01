"""Merge stacks into a call tree, and rank functions by the time in them.

Follows: Gregg's flame graphs: a node's width is the time in it and in what it called.
Leaves out: drawing (workbench/report/flame_graph.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from workbench.profiling.frames import Frame
from workbench.profiling.stacks import Stack


@dataclass(slots=True)
class Node:
    """A function as called on one path: the seconds in it, and in what it called from there."""

    frame: Frame
    seconds: float = 0.0
    children: dict[Frame, Node] = field(default_factory=dict)


class Ranked(NamedTuple):
    """A function over all paths: seconds in itself, and with all that it called."""

    frame: Frame
    own_s: float
    total_s: float


ROOT = Frame("all", "", "package")


def tree(stacks: Mapping[Stack, float]) -> Node:
    """Return the call tree; its root is the whole."""
    root = Node(ROOT)
    for stack, seconds in stacks.items():
        node = root
        node.seconds += seconds
        for frame in stack:
            node = node.children.setdefault(frame, Node(frame))
            node.seconds += seconds
    return root


def ranked(stacks: Mapping[Stack, float]) -> list[Ranked]:
    """Return every function, the longest in itself first; recursion counts once."""
    own: defaultdict[Frame, float] = defaultdict(float)
    total: defaultdict[Frame, float] = defaultdict(float)
    for stack, seconds in stacks.items():
        if not stack:
            continue
        own[stack[-1]] += seconds
        for frame in set(stack):
            total[frame] += seconds
    rows = [Ranked(frame, own[frame], total[frame]) for frame in total]
    return sorted(rows, key=lambda row: (-row.own_s, -row.total_s, row.frame))
