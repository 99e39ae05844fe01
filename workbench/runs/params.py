"""Parameters: one frozen model a day is the truth; text, notebook cell and help are made from it.

Follows: pydantic, because it reports every problem at once; papermill's one-literal-a-line cell.
Leaves out: which days there are (runs/days), and what a preset amounts to (each day's plan).
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import UsageError
from workbench.runs import params_text
from workbench.runs.publish import write_atomic

if TYPE_CHECKING:
    from workbench.runs.days.day import Day

# The first line of the notebook's own cell; papermill's injected cell starts "# Parameters" too.
CELL_HEADER = "# Parameters: written by `workbench params --sync`, checked by day.open"
Preset = Literal["tiny", "standard", "full"]


def param(
    default: object,
    text: str,
    *,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
) -> Any:
    """Declare a field with its meaning, unit and smallest and largest value."""
    return Field(default, description=text, json_schema_extra={"unit": unit}, ge=ge, le=le)


class DayParams(BaseModel):
    """What every day's parameters share. Values never change type or meaning on the way in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    preset: Preset = param("standard", "how much to measure")
    seed: int = param(0, "seed of everything drawn at random", ge=0, le=2**32 - 1)
    store: str = param("data/store", "folder on the disk to measure, relative to the checkout")

    def plan(self) -> Any:
        """Return what the preset amounts to; a day without a plan runs on its parameters alone."""
        return self


P = TypeVar("P", bound=DayParams)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, if one is near enough."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def params_hash(params: DayParams) -> str:
    """Return 12 hex digits that are equal exactly when all parameters are."""
    canonical = json.dumps(params.model_dump(), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def validate(model: type[P], values: Mapping[str, object]) -> P:
    """Build the parameters from typed values, defaults for the rest.

    Raises
    ------
    UsageError   with one line for every problem there is
    """
    problems = [_unknown(model, name) for name in values if name not in model.model_fields]
    known = {name: value for name, value in values.items() if name in model.model_fields}
    try:
        params = model.model_validate(known)
    except ValidationError as error:
        raise UsageError([*problems, *_explained(model, error)]) from None
    if problems:
        raise UsageError(problems)
    return params


def parse_overrides(model: type[P], overrides: Sequence[str], preset: str | None = None) -> P:
    """Build the parameters from ``name=value`` texts, defaults for the rest.

    Raises
    ------
    UsageError   with one line for every problem in all of the texts
    """
    values, problems = read_overrides(model, overrides)
    if preset is not None and "preset" in values:
        problems.append("preset is given twice; use either --preset or -p preset=...")
    if preset is not None:
        values["preset"] = preset
    try:
        params = validate(model, values)
    except UsageError as error:
        raise UsageError([*problems, *error.problems]) from None
    if problems:
        raise UsageError(problems)
    return params


def read_overrides(
    model: type[DayParams], texts: Sequence[str]
) -> tuple[dict[str, object], list[str]]:
    """Return the typed values of ``name=value`` texts, and what is wrong with the others."""
    values: dict[str, object] = {}
    problems: list[str] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            problems.append(f"{text!r} is not of the form name=value")
        elif name not in model.model_fields:
            problems.append(_unknown(model, name))
        elif name in values:
            problems.append(f"{name} is given twice; give it once")
        else:
            try:
                values[name] = params_text.from_text(model.model_fields[name].annotation, value)
            except ValueError as error:
                problems.append(_problem(model, name, value, str(error)))
    return values, problems


def _problem(model: type[DayParams], name: str, value: object, what: str) -> str:
    return f"{name}={value} {what} {params_text.hint(model, name)}".rstrip()


def _unknown(model: type[DayParams], name: str) -> str:
    guess = closest(name, model.model_fields)
    if guess is None:
        return f"unknown parameter {name}; there are {', '.join(model.model_fields)}"
    hint = params_text.hint(model, guess)
    return f"unknown parameter {name}; did you mean {guess}? {hint}".rstrip()


_WHAT = {
    "int_type": "is not a whole number",
    "float_type": "is not a number",
    "string_type": "is not text",
    "bool_type": "is neither True nor False",
    "literal_error": "is not one of the choices",
    "greater_than_equal": "is out of range",
    "less_than_equal": "is out of range",
}


def _explained(model: type[DayParams], error: ValidationError) -> list[str]:
    """Return one line a field; pydantic has one for every member of a union."""
    problems: dict[str, str] = {}
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else ""
        if name in model.model_fields:
            what = _WHAT.get(item["type"], item["msg"])
            problems[name] = _problem(model, name, repr(item["input"]), what)
        else:
            problems[name] = str(item["msg"])
    return list(problems.values())


def describe(model: type[DayParams]) -> list[dict[str, object]]:
    """Return one row a parameter: name, type, range, unit, default, help."""
    return [
        {
            "name": name,
            "type": params_text.type_name(field.annotation),
            "range": params_text.allowed(field),
            "unit": params_text.unit(field),
            "default": field.default,
            "help": field.description or "",
        }
        for name, field in model.model_fields.items()
    ]


def parameters_cell(model: type[DayParams]) -> str:
    """Return the source of the notebook's cell: one typed literal a line, its meaning behind it.

    A line holds one equals sign only: papermill does not list a parameter whose line has two.
    """
    lines = [CELL_HEADER]
    for row in describe(model):
        # Papermill's pattern for annotations stops at "|", so a field that may be None has none.
        target = row["name"] if "None" in str(row["type"]) else f"{row['name']}: {row['type']}"
        comment = "; ".join(str(row[part]) for part in ("help", "unit", "range") if row[part])
        lines.append(f"{target} = {params_text.literal(row['default'])}  # {comment}")
    return "\n".join(lines)


def sync_notebook(day: Day) -> bool:
    """Write the day's parameters into its notebook's tagged cell; return whether that changed it.

    Raises
    ------
    UsageError   if the notebook is not there or has no single cell tagged ``parameters``
    """
    import nbformat

    if not day.path.is_file():
        raise UsageError(f"there is no notebook {day.notebook} to write the parameters into")
    notebook = nbformat.read(day.path, as_version=4)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise UsageError(f"{day.notebook} has {len(cells)} cells tagged 'parameters'; tag one")
    if cells[0].source == (source := parameters_cell(day.params)):
        return False
    cells[0].source = source
    write_atomic(day.path, (nbformat.writes(notebook) + "\n").encode())
    return True
