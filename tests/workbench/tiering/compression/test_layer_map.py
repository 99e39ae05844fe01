"""Maps are read as they are spelled; whatever cannot be read is named, all of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import UsageError
from workbench.tiering.compression import CODECS, parse, spell


def names(text, layers):
    return [codec.name for codec in parse(text).codecs(layers)]


def test_a_name_alone_is_of_all_layers():
    assert names("int8", 3) == ["int8"] * 3
    assert names(" int8+zstd ", 1) == ["int8+zstd"]


def test_layers_are_counted_from_0_and_both_ends_are_in():
    assert names("int8, int4:1-2 ,none:4", 6) == ["int8", "int4", "int4", "int8", "none", "int8"]
    assert names("int8,int4:0-0", 2) == ["int4", "int8"]


def test_a_map_is_spelled_in_runs():
    assert spell("int8", {}) == "int8"
    assert spell("int8", {"int4": []}) == "int8"
    said = spell("int8", {"int4": [9, 3, 4], "none": np.arange(10, 12)})
    assert said == "int8,int4:3-4,int4:9,none:10-11"


@given(st.lists(st.sampled_from(sorted(CODECS)), min_size=1, max_size=40))
def test_what_is_spelled_is_read_again(wanted):
    others = {name: [n for n, one in enumerate(wanted) if one == name] for name in wanted[1:]}
    others.pop(wanted[0], None)
    assert names(spell(wanted[0], others), len(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["unknown codec ''"]),
        ("int88,int5:1", ["did you mean int8", "unknown codec 'int5'"]),
        ("int8,int4", ["'int4' cannot be read; give"]),
        ("int8,", ["'' cannot be read"]),
        ("int8,:3", ["':3' cannot be read"]),
        ("int8,int4:", ["'int4:' cannot"]),
        ("int8,int4:2-1,int4:-1", ["'int4:2-1' cannot", "'int4:-1' cannot"]),
        ("int8,int4:1.5,int4:\u0661,int4:1000000000000", ["'int4:1.5'", "cannot", "cannot"]),
        ("int8,int4:1-3,none:3-4,none:1", ["names layers 1, 3 twice"]),
        ("int8,int4:1-3,int4:3", ["names layer 3 twice"]),
        ("int8;int4:1", ["unknown codec 'int8;int4:1'"]),
    ],
)
def test_what_cannot_be_read_is_named(text, words):
    with pytest.raises(UsageError) as told:
        parse(text)
    assert len(told.value.problems) == len(words)
    for word, problem in zip(words, told.value.problems, strict=True):
        assert word in problem
