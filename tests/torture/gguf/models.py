"""Whole small models, valid to the last byte: what the hostile files are made from.

Follows: tests/workbench/tiering/gguf_models.py, with tokenizers. Leaves out: sensible weights.
"""

from __future__ import annotations

from tests.workbench.tiering.gguf_files import array, scalar
from tests.workbench.tiering.gguf_models import Model

PREFIX = "tokenizer.ggml."
MERGES = ["a b", "ab c", "d e"]
# Few, so that most changes hit what is no token: some bytes, what the merges make, a control token.
BYTE_LEVEL_TOKENS = ["a", "b", "c", "d", "e", "\u0120", "ab", "abc", "de", "<|end|>"]
PIECES = ["<unk>", "<s>", "</s>", "<0x0A>", "<0xE2>", "a", "b", "ab", "\u2581"]


def byte_level_pairs() -> dict[str, bytes]:
    """Return the pairs of a byte-level tokenizer."""
    count = len(BYTE_LEVEL_TOKENS)
    return _pairs(
        model=scalar(f"{PREFIX}model", "", "gpt2"),
        pre=scalar(f"{PREFIX}pre", "", "smollm"),
        tokens=array(f"{PREFIX}tokens", "string", BYTE_LEVEL_TOKENS),
        token_type=array(f"{PREFIX}token_type", "i32", [1] * (count - 1) + [3]),
        merges=array(f"{PREFIX}merges", "string", MERGES),
        eos_token_id=scalar(f"{PREFIX}eos_token_id", "u32", count - 1),
        add_bos_token=scalar(f"{PREFIX}add_bos_token", "bool", False),
    )


def sentencepiece_pairs() -> dict[str, bytes]:
    """Return the pairs of a SentencePiece tokenizer."""
    kinds = [2, 3, 3, 6, 6, 1, 1, 1, 1]
    return _pairs(
        model=scalar(f"{PREFIX}model", "", "llama"),
        tokens=array(f"{PREFIX}tokens", "string", PIECES),
        scores=array(f"{PREFIX}scores", "f32", [-float(i) for i in range(len(PIECES))]),
        token_type=array(f"{PREFIX}token_type", "i32", kinds),
        bos_token_id=scalar(f"{PREFIX}bos_token_id", "u32", 1),
        eos_token_id=scalar(f"{PREFIX}eos_token_id", "u32", 2),
    )


def _pairs(**pairs: bytes) -> dict[str, bytes]:
    return {f"{PREFIX}{name}": pair for name, pair in pairs.items()}


def byte_level_model() -> Model:
    """Return a llama of one layer with a byte-level tokenizer."""
    return Model(
        layers=1,
        embedding=32,
        feed_forward=32,
        heads=2,
        kv_heads=1,
        vocab=len(BYTE_LEVEL_TOKENS),
        kind="Q4_0",
        pairs=byte_level_pairs(),
    )


def sentencepiece_model() -> Model:
    """Return a qwen2 of one layer, with biases, an output and rope factors."""
    return Model(
        architecture="qwen2",
        layers=1,
        embedding=32,
        feed_forward=32,
        heads=2,
        kv_heads=1,
        vocab=len(PIECES),
        kind="Q8_0",
        tied=False,
        biases=True,
        pairs=sentencepiece_pairs(),
        tensors={"rope_freqs.weight": ((8,), "F32")},
        # All weights are noise; with this seed the rope factors are positive.
        seed=55,
    )


def valid_models() -> list[Model]:
    """Return both models."""
    return [byte_level_model(), sentencepiece_model()]


def valid_files() -> list[bytes]:
    """Return both models' files."""
    return [model.file().to_bytes() for model in valid_models()]
