"""Read parameter values from text, and say in words what a field accepts.

Follows: the field's own annotation and limits; nothing is guessed from how a value looks.
Leaves out: the models themselves and checking them (params.py).
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo


def from_text(annotation: Any, text: str) -> object:
    """Read a value as the field's type says; text stays text only where the field is text.

    Raises
    ------
    ValueError   saying what the text is not
    """
    choices, kinds = _choices(annotation), _kinds(annotation)
    if type(None) in kinds and text.lower() in ("", "none"):
        return None
    if choices:
        for choice in choices:
            if str(choice) == text:
                return choice
        raise ValueError("is not one of the choices")
    for kind in kinds:
        if kind in _READERS:
            return _READERS[kind](text)
    return text


def _read_int(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError("is not a whole number")
    return int(text)


def _read_float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _read_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text.lower() == "true"


_READERS: dict[type, Callable[[str], object]] = {
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
}


def literal(value: object) -> str:
    """Return a default as Python source, text in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def type_name(annotation: Any) -> str:
    """Return the plain name of a field's type, e.g. ``int or None``."""
    names = ("None" if kind is type(None) else kind.__name__ for kind in _kinds(annotation))
    return " or ".join(names)


def unit(field: FieldInfo) -> str:
    """Return the field's unit, or nothing for a pure number or text."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def allowed(field: FieldInfo) -> str:
    """Return what the field accepts in words, or nothing if anything of its type will do."""
    choices = _choices(field.annotation)
    if choices:
        words = f"one of {', '.join(str(choice) for choice in choices)}"
        return f"{words}, or None" if type(None) in _kinds(field.annotation) else words
    low = next((item.ge for item in field.metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in field.metadata if isinstance(item, Le)), None)
    if low is None and high is None:
        return ""
    if high is None:
        words = f"at least {low}"
    else:
        words = f"at most {high}" if low is None else f"{low}..{high}"
    return f"{words} or None" if type(None) in _kinds(field.annotation) else words


def hint(model: type[BaseModel], name: str) -> str:
    """Return range and unit in brackets, for the end of an error message."""
    field = model.model_fields[name]
    parts = [part for part in (allowed(field), unit(field)) if part]
    return f"({'; '.join(parts)})" if parts else ""


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return what a union is made of; anything else is its own only member."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _choices(annotation: Any) -> tuple[object, ...]:
    return tuple(
        choice
        for member in _members(annotation)
        if get_origin(member) is Literal
        for choice in get_args(member)
    )


def _kinds(annotation: Any) -> tuple[type, ...]:
    kinds: dict[type, None] = {}
    for member in _members(annotation):
        is_literal = get_origin(member) is Literal
        kinds |= dict.fromkeys(map(type, get_args(member)) if is_literal else (member,))
    return tuple(kinds)
