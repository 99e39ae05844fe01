"""The colours, dashes and shapes of every chart, by the role a series plays.

Follows: Okabe and Ito's colour-blind safe set (2008); tiers are three lightness steps of one green.
An ``ink`` can be read on white and on dark alike; a page swaps it for its light or dark twin.
Leaves out: the page's own colours (templates/style.css).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """How one kind of series looks: never colour alone, a dash and a point shape go with it."""

    ink: str
    light: str
    dark: str
    dash: tuple[int, ...]
    shape: str


SOLID = (1, 0)
ROLES: dict[str, Role] = {
    "baseline": Role("#888d93", "#6f757c", "#9aa1a9", SOLID, "circle"),
    "optimised": Role("#0a78bd", "#0067a8", "#4ba9e6", SOLID, "square"),
    "device": Role("#0b6e51", "#00523a", "#1f8f6b", SOLID, "circle"),
    "page_cache": Role("#0e9069", "#007f5b", "#35bd92", SOLID, "square"),
    "memory": Role("#2fb38b", "#12a078", "#9be3cb", SOLID, "triangle-up"),
    "ceiling": Role("currentColor", "currentColor", "currentColor", (6, 4), "diamond"),
    "first": Role("#0b79be", "#0068a9", "#4caae7", SOLID, "circle"),
    "second": Role("#d0590a", "#b84a00", "#f08a43", (8, 2), "square"),
    "third": Role("#a85a8e", "#98457d", "#dd93c4", (2, 2), "triangle-up"),
    "fourth": Role("#9a7b12", "#7f6400", "#d9b53f", (8, 2, 2, 2), "cross"),
    "fifth": Role("#4a8fb0", "#2f7898", "#84c4e0", (4, 4), "triangle-down"),
}
OTHERS = ("first", "second", "third", "fourth", "fifth")
_CEILING_WORDS = ("ceiling", "fio")


def role_names(
    series: Sequence[str], given: Mapping[str, str], *, one_colour: bool = False
) -> list[str]:
    """Return a role a series: as given, else by its name, else the next free colour.

    Raises
    ------
    KeyError   if ``given`` names a role that does not exist
    """
    taken = 0
    names = []
    for name in series:
        role = given.get(name) or _role_by_name(name)
        if role is None:
            role = OTHERS[0 if one_colour else taken % len(OTHERS)]
            taken += 1
        if role not in ROLES:
            raise KeyError(f"no role {role!r}; choose from {', '.join(ROLES)}")
        names.append(role)
    return names


def _role_by_name(name: str) -> str | None:
    if name in ROLES:
        return name
    return "ceiling" if any(word in name.lower() for word in _CEILING_WORDS) else None
