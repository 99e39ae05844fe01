"""Turn what pydantic found into lines that name the value, what is wrong with it and the fix.

Follows: runs/params.py, whose parameters are explained so; secrets' values are left out.
Leaves out: what is right (config.py).
"""

from __future__ import annotations

import difflib

from pydantic import BaseModel, ValidationError


def explained(model: type[BaseModel], error: ValidationError) -> dict[str, str]:
    """Return one line for each setting that is wrong, by its name."""
    lines: dict[str, str] = {}
    for item in error.errors():
        name = str(item["loc"][0])
        field = model.model_fields[name]
        said = f"={item['input']!r}" if field.repr else ""
        what = item["msg"].removeprefix("Value error, ")
        lines.setdefault(name, f"{name}{said}: {what}; it is: {field.description}")
    return lines


def unknown(model: type[BaseModel], name: str) -> str:
    """Return what to say about a setting that there is not."""
    near = difflib.get_close_matches(name, list(model.model_fields), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(model.model_fields)}"
    return f"unknown setting {name}; {hint}"
