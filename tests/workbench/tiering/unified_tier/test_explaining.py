"""What is said about settings that are wrong."""

import pytest
from pydantic import BaseModel, Field, ValidationError

from workbench.tiering.unified_tier.explaining import explained, unknown


class Some(BaseModel):
    size: int | str = Field(1, description="how large", ge=1)
    secret: int = Field(1, description="not told", repr=False)


def test_one_line_a_setting_with_its_value_but_no_secret():
    with pytest.raises(ValidationError) as told:
        Some(size=None, secret="hush")
    lines = explained(Some, told.value)
    assert list(lines) == ["size", "secret"]
    assert lines["size"].startswith("size=None: ")
    assert lines["size"].endswith("it is: how large")
    assert "hush" not in lines["secret"]


def test_a_name_that_is_nearly_right_is_recognised():
    assert unknown(Some, "siz") == "unknown setting siz; did you mean size?"
    assert unknown(Some, "zzz") == "unknown setting zzz; there are size, secret"
