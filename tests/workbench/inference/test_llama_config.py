"""LlamaConfig: widths that follow from heads."""

from dataclasses import replace

from workbench.inference.llama_config import LlamaConfig, Rope

ROPE = Rope(10_000.0, 16, 1.0, "", "adjacent")
CONFIG = LlamaConfig("llama", 2, 64, 96, 4, 2, 16, 40, 512, 1e-5, ROPE, True, False)


def test_widths_follow_the_heads_not_the_embedding():
    assert (CONFIG.query_width, CONFIG.kv_width) == (64, 32)
    wide = replace(CONFIG, head_dim=32)
    assert (wide.query_width, wide.kv_width) == (128, 64)
