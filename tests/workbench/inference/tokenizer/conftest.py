"""Vocabularies for the tokenizer tests: small ones made here, and GPT-2's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench.inference.tokenizer.vocabulary import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    Vocabulary,
    read_vocabulary,
)
from workbench.tiering.mmap_gguf import read_header


def scored(pieces: dict[str, float], **special_ids: int) -> Vocabulary:
    """Return a SentencePiece vocabulary: <unk>, <s>, </s>, the bytes, then the given pieces."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(pieces)]
    scores = [0.0] * 259 + list(pieces.values())
    ids = {"unknown": 0, "bos": 1, "eos": 2, **special_ids}
    kinds_array, scores_array = np.array(kinds, np.int32), np.array(scores, np.float32)
    return Vocabulary("llama", "", tokens, kinds_array, scores_array, [], ids, {})


@pytest.fixture(scope="session")
def gpt2(fetched: Callable[[str], dict[str, Path]]) -> Vocabulary:
    """Return GPT-2's vocabulary: 50,257 tokens."""
    return read_vocabulary(read_header(fetched("tokenizer-vectors")["ggml-vocab-gpt-2.gguf"]))
