"""Mooncake's traces are read as they are; what is none of them is refused with its line."""

import json

import pytest

from workbench.benchmark.caching import trace_mooncake
from workbench.errors import DataError, UsageError

RECORD = {"timestamp": 1500, "input_length": 700, "output_length": 9, "hash_ids": [4, 5]}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("mooncake-conversation", (12_031, 288_500, 182_790)),
        ("mooncake-synthetic", (3_993, 121_877, 43_924)),
    ],
)
def test_the_traces_hold_what_is_known_of_them(name, counts):
    trace = trace_mooncake.read(name)
    assert (len(trace), trace.n_references, trace.n_distinct) == counts
    assert trace.block_tokens == 512
    assert trace.input_tokens.min() > 0
    n_blocks = -(-trace.input_tokens // 512)
    assert (trace.starts[1:] - trace.starts[:-1] == n_blocks).mean() > 0.99


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="mooncake"):
        trace_mooncake.read("mooncake-conversatoin")


def test_times_are_seconds(tmp_path):
    path = tmp_path / "two.jsonl"
    later = {**RECORD, "timestamp": 4000}
    path.write_text(f"{json.dumps(RECORD)}\n{json.dumps(later)}\n")
    assert trace_mooncake.parse("two", path).arrival_s.tolist() == [0.0, 2.5]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"timestamp": 1}', json.dumps({**RECORD, "timestamp": "now"}), ""],
)
def test_a_line_that_is_no_request_is_named(tmp_path, line):
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{json.dumps(RECORD)}\n{line}\n{json.dumps(RECORD)}\n")
    with pytest.raises(DataError, match=r"bad\.jsonl, line 2: no request .*data get some-trace"):
        trace_mooncake.parse("some-trace", path)
