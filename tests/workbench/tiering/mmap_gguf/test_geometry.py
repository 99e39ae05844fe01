"""kv_geometry(): the header's own layout, or a refusal that names the key."""

import pytest

from tests.workbench.tiering.gguf_files import array, scalar, tiny_llama
from workbench.tiering.kv_geometry import KVGeometry
from workbench.tiering.mmap_gguf import GGUFError, kv_geometry, read_header

HEADS = "llama.attention.head_count"
KV_HEADS = "llama.attention.head_count_kv"
KEY, VALUE = "llama.attention.key_length", "llama.attention.value_length"


def geometry(tmp_path, **changes):
    return kv_geometry(read_header(tiny_llama(**changes).write(tmp_path / "m.gguf")))


def test_the_head_width_is_the_embeddings_share(tmp_path):
    found = geometry(tmp_path)
    assert found == KVGeometry(layers=3, kv_heads=2, head_dim=16, dtype="float16")
    assert found.bytes_per_token == 2 * 3 * 2 * 16 * 2


def test_a_stated_head_width_wins(tmp_path):
    found = geometry(tmp_path, key=scalar(KEY, "u32", 128), value=scalar(VALUE, "u32", 128))
    assert found.head_dim == 128


def test_without_kv_heads_every_head_has_its_own(tmp_path):
    assert geometry(tmp_path, head_count_kv=b"").kv_heads == 4


@pytest.mark.parametrize("kind", ["u32", "i32"])
def test_equal_kv_heads_a_layer_are_one_number(tmp_path, kind):
    assert geometry(tmp_path, head_count_kv=array(KV_HEADS, kind, [2, 2, 2])).kv_heads == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"block_count": b""}, "block_count is missing"),
        ({"block_count": scalar("llama.block_count", "u32", 10**9)}, r"outside 1\.\.1024"),
        ({"block_count": scalar("llama.block_count", "i32", 3)}, "is i32, expected u32"),
        ({"head_count": scalar(HEADS, "u32", 0)}, "outside"),
        ({"head_count": scalar(HEADS, "u32", 3)}, "does not divide 3 heads"),
        ({"head_count_kv": scalar(KV_HEADS, "u32", 0)}, "does not divide"),
        ({"head_count_kv": array(KV_HEADS, "u32", [2, 4, 2])}, "differs between layers"),
        ({"head_count_kv": array(KV_HEADS, "u32", [])}, "differs between layers"),
        ({"head_count_kv": array(KV_HEADS, "u32", [2] * 2000)}, "differs between layers"),
        ({"head_count_kv": scalar(KV_HEADS, "f32", 2.0)}, "is f32"),
        ({"embedding_length": scalar("llama.embedding_length", "u32", 66)}, "no multiple of 4"),
        ({"key": scalar(KEY, "u32", 192), "value": scalar(VALUE, "u32", 128)}, "differ in width"),
        ({"architecture": scalar("general.architecture", "", "other")}, "other.block_count"),
    ],
)
def test_what_has_no_single_layout_is_refused(tmp_path, changes, reason):
    with pytest.raises(GGUFError, match=reason):
        geometry(tmp_path, **changes)
