"""What a fleet needs follows from counts and assumptions, in units that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.workbench.inference.tiny_models import write_model
from workbench.benchmark.caching.trace import Request, from_requests
from workbench.benchmark.network import fleet_cost
from workbench.benchmark.network.fleet_cost import Fleet, FleetCost

# 512 tokens of 2 KiB: a block is 1 MiB.
FLEET = Fleet(
    machines=2, local_gib=1, shared_gib=0.5, kv_kib_per_token=2, prefill_tokens_s=1024 / 120
)
# Two machines are asked for the same two blocks, two minutes apart.
TRACE = from_requests("toy", 512, [Request(0.0, 1024, 1, [1, 2]), Request(120.0, 1024, 1, [1, 2])])


def test_blocks_are_counted_from_bytes():
    assert FLEET.block_bytes(TRACE) == 1 << 20
    assert FLEET.local_blocks(TRACE) == 1024
    assert FLEET.shared_blocks(TRACE, 1.0) == 512
    assert FLEET.shared_blocks(TRACE, 2.0) == 1024
    assert replace(FLEET, local_gib=1e-6).local_blocks(TRACE) == 1


def test_the_table_counts_bytes_and_machines():
    alone, plain, smaller = FleetCost(TRACE, FLEET, {"none": 1.0, "int8": 2.0}).table.iter_rows(
        named=True
    )
    assert [one["server stores"] for one in (alone, plain, smaller)] == [
        "no server",
        "float16",
        "int8",
    ]
    # 2,048 tokens in 120 s keep two machines busy, of which the server spares one.
    assert alone["prefill keeps busy, machines"] == pytest.approx(2)
    assert plain["prefill keeps busy, machines"] == pytest.approx(1)
    assert plain["in the busiest minute, machines"] == pytest.approx(2)
    assert (alone["found on the server"], plain["found on the server"]) == ("0.0%", "50.0%")
    # Two blocks are written and two are read: 4 MiB in 120 s.
    assert alone["network, Gbit/s"] == 0
    assert plain["network, Gbit/s"] == pytest.approx((4 << 20) * 8e-9 / 120)
    assert smaller["network, Gbit/s"] == pytest.approx(plain["network, Gbit/s"] / 2)
    assert plain["server memory used, GiB"] == pytest.approx(2 / 1024)
    assert smaller["KiB a token"] == 1


def test_the_sweep_has_a_row_a_size_and_codec():
    rows = FleetCost(TRACE, FLEET, {"none": 1.0, "int8": 2.0}).sweep([0.0001, 1])
    assert rows["variant"].to_list() == ["machines alone", "float16", "int8"] * 2
    # The smaller server holds no block at all.
    assert rows["value"].to_list() == pytest.approx([0, 0, 0, 0, 0.5, 0.5])


def test_assumptions_name_every_parameter():
    said = " ".join(FLEET.assumptions(TRACE))
    for figure in ("2 machines", "1 GiB", "0.5 GiB", "2 KiB", "9 tokens/s", "2 requests"):
        assert figure in said


def test_ratios_come_from_real_keys_and_values(tmp_path, monkeypatch):
    monkeypatch.setattr(
        fleet_cost.real_text, "token_ids", lambda path, n: [n % 30 + 1 for n in range(n)]
    )
    ratios = fleet_cost.codec_ratios(write_model(tmp_path), ("none", "int8"), 64)
    assert ratios["none"] == 1
    assert 1 < ratios["int8"] < 2
