"""Values from text, and fields in words."""

from __future__ import annotations

from typing import Literal, Optional

import pytest
from pydantic import BaseModel, Field

from workbench.runs.params_text import allowed, from_text, hint, literal, type_name, unit


class Fields(BaseModel):
    choice: Literal["a", "b"] = "a"
    up: int = Field(1, ge=1)
    down: float = Field(1, le=9)
    both: int | None = Field(None, ge=1, le=9, json_schema_extra={"unit": "s"})
    free: str = ""


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "-12", -12),
        (float, "1e3", 1000.0),
        (bool, "TRUE", True),
        (str, " 1 ", " 1 "),
        (Literal[4, 16], "16", 16),
        (Literal[4, 16] | None, "16", 16),
        (Literal[4, 16] | None, "none", None),
        (Optional[int], "None", None),  # noqa: UP045 - both spellings must do
        (int | None, "3", 3),
    ],
)
def test_text_becomes_a_value(annotation, text, value):
    assert from_text(annotation, text) == value
    assert type(from_text(annotation, text)) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "what"),
    [
        (int, "1.0", "is not a whole number"),
        (int, "1_000", "is not a whole number"),
        (int, "", "is not a whole number"),
        (float, "fast", "is not a number"),
        (float, "nan", "is not a finite number"),
        (bool, "1", "is neither true nor false"),
        (Literal[4, 16], "5", "is not one of the choices"),
        (Literal[4, 16] | None, "5", "is not one of the choices"),
    ],
)
def test_other_text_is_refused_in_words(annotation, text, what):
    with pytest.raises(ValueError, match=what):
        from_text(annotation, text)


def test_fields_in_words():
    said = {name: allowed(field) for name, field in Fields.model_fields.items()}
    assert said == {
        "choice": "one of a, b",
        "up": "at least 1",
        "down": "at most 9",
        "both": "1..9 or None",
        "free": "",
    }
    assert hint(Fields, "both") == "(1..9 or None; s)"
    assert hint(Fields, "free") == ""
    assert unit(Fields.model_fields["both"]) == "s"
    assert type_name(Fields.model_fields["both"].annotation) == "int or None"
    assert type_name(Fields.model_fields["choice"].annotation) == "str"


def test_literals_are_python():
    assert [literal(value) for value in ("a\n'é", 1, None, True)] == [
        '"a\\n\'é"',
        "1",
        "None",
        "True",
    ]
