"""footprint.py: projections by hand, the first report's error as data, a measured slab."""

import polars as pl
import pytest

from tests.workbench.tiering.gguf_files import tiny_llama
from workbench.benchmark import metrics
from workbench.benchmark.kv import footprint, hot_slab
from workbench.benchmark.kv.footprint import FORMATS, LLAMA_70B, seed_contrast
from workbench.errors import UsageError
from workbench.tiering.kv_geometry import SEED, KVGeometry
from workbench.tiering.mmap_gguf import read_header

KIB = 1024
FORMAT = {form.name: form for form in FORMATS}
SMOLLM2 = KVGeometry(layers=30, kv_heads=3, head_dim=64, dtype="float16")


@pytest.mark.parametrize(
    ("geometry", "fp32", "fp16", "int8", "int4"),
    [
        # 2 * 32 * 32 heads, each 512, 256, 128 + 4 or 64 + 4 bytes.
        (SEED, 1024 * KIB, 512 * KIB, 2048 * 132, 2048 * 68),
        # 2 * 80 * 8 heads of the same width: 320 KiB at fp16.
        (LLAMA_70B, 640 * KIB, 320 * KIB, 1280 * 132, 1280 * 68),
        # 2 * 30 * 3 heads of 64 values, one scale each.
        (SMOLLM2, 46_080, 23_040, 180 * 68, 180 * 36),
        # 200 values need two scales; 3 values of 4 bits need two bytes.
        (KVGeometry(1, 1, 200), 1600, 800, 2 * 208, 2 * 108),
        (KVGeometry(1, 1, 3), 24, 12, 2 * 7, 2 * 6),
    ],
)
def test_bytes_of_a_token_by_hand(geometry, fp32, fp16, int8, int4):
    found = {name: form.token_bytes(geometry) for name, form in FORMAT.items()}
    assert found == {"fp32": fp32, "fp16": fp16, "int8": int8, "int4": int4}


def test_plain_formats_agree_with_the_geometry():
    for geometry in (SEED, LLAMA_70B, SMOLLM2):
        for name, dtype in (("fp32", "float32"), ("fp16", "float16")):
            same = KVGeometry(geometry.layers, geometry.kv_heads, geometry.head_dim, dtype)
            assert FORMAT[name].token_bytes(geometry) == same.bytes_per_token


def test_the_first_report_was_3_28_times_too_large():
    hot, cold, total = seed_contrast().rows(named=True)
    assert (hot["reported MiB"], cold["reported MiB"], total["reported MiB"]) == (
        10_240,
        102_400,
        112_640,
    )
    assert (hot["correct MiB"], cold["correct MiB"], total["correct MiB"]) == (
        3125,
        31_250,
        34_375,
    )
    assert total["reported over correct"] == pytest.approx(3.2768)
    # 8,192 KV heads would be 320 MiB a token.
    assert total["8,192 heads, literally MiB"] == 110_000 * 320
    assert total["tokens"] == 110_000


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tiny_llama().write(tmp_path_factory.mktemp("model") / "tiny.gguf")
    return footprint.measure(read_header(path), model="tiny", hot_tokens=64, rounds=2)


def test_every_model_context_and_format_has_a_row(measured):
    assert dict(measured.metrics.schema) == metrics.SCHEMA
    rows = measured.metrics.filter(pl.col("metric") == "kv_footprint")
    found = dict(zip(zip(rows["case"], rows["variant"], strict=True), rows["value"], strict=True))
    assert found["model=seed tokens=64", "fp32"] == 64 << 20
    assert found["model=seed tokens=576", "fp32"] == 576 << 20
    # 3 layers, 2 KV heads of 16 values.
    assert found["model=tiny tokens=1000", "fp16"] == 1000 * 2 * 3 * 2 * 16 * 2
    assert found["model=llama-3.3-70b tokens=110000", "fp16"] == 110_000 * 320 * KIB
    assert len(found) == (3 + 4 + 4) * 4
    assert set(rows["tier"]) == {"memory"}
    assert measured.table.height == 3 + 4 + 4
    assert set(measured.table["figure"]) == {"projection"}


def test_the_table_says_what_compression_brings(measured):
    line = measured.table.filter(pl.col("model") == "llama-3.3-70b").row(3, named=True)
    assert line["tokens"] == "10,000 hot + 100,000 cold"
    assert line["KiB a token, fp16"] == 320
    assert line["fp16 GiB"] == pytest.approx(33.5693, abs=1e-4)
    assert line["int8 smaller than fp16"] == pytest.approx(256 / 132)
    assert line["int4 smaller than fp16"] == pytest.approx(256 / 68)


def test_the_slab_is_measured_at_the_seed_geometry(measured):
    slab = measured.metrics.filter(pl.col("metric") == "hot_slab_rss")
    assert slab["case"].unique().to_list() == ["model=seed tokens=64"]
    assert slab["value"].median() == pytest.approx(64 << 20, rel=0.1)
    assert measured.slab.height == 3


def test_weights_are_counted_by_type(measured):
    assert measured.weights.rows() == [("F32", 256 / 2**20), ("Q4_1", 120 / 2**20)]
    rows = measured.metrics.filter(pl.col("metric") == "model_weights")
    assert rows.select("case", "variant", "value").rows() == [
        ("model=tiny", "F32", 256),
        ("model=tiny", "Q4_1", 120),
    ]


def test_without_a_model_its_rows_are_missing_and_it_is_said():
    found = footprint.measure(None, hot_tokens=1, rounds=1)
    assert set(found.table["model"]) == {"seed", "llama-3.3-70b"}
    assert found.weights.is_empty()
    assert any("no model file" in note for note in found.notes)


def test_a_slab_too_large_for_this_machine_is_cut_and_it_is_said(monkeypatch):
    monkeypatch.setattr(footprint, "affordable_bytes", lambda: 8 << 20)
    monkeypatch.setattr(hot_slab, "affordable_bytes", lambda: 8 << 20)
    found = footprint.measure(None, hot_tokens=1024, rounds=1)
    slab = found.metrics.filter(pl.col("metric") == "hot_slab_rss")
    assert slab["case"].to_list() == ["model=seed tokens=8"]
    assert any("8 of 1,024 hot tokens" in note for note in found.notes)


@pytest.mark.parametrize("hot_tokens", [0, -5])
def test_no_tokens_are_refused(hot_tokens):
    with pytest.raises(UsageError, match=f"hot_tokens={hot_tokens}"):
        footprint.measure(None, hot_tokens=hot_tokens)
