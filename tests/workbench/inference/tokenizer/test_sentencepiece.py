"""SentencePiece: the best score first, the leftmost of equals, bytes where nothing fits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.inference.tokenizer.conftest import scored
from workbench.errors import UsageError
from workbench.inference.tokenizer.sentencepiece import SentencePiece
from workbench.inference.tokenizer.vocabulary import Vocabulary

_LETTERS = "ab\u2581"


def encode(pieces: dict[str, float], text: str) -> list[str]:
    vocabulary = scored(pieces)
    return [vocabulary.tokens[token_id] for token_id in SentencePiece(vocabulary).encode(text)]


def one_at_a_time(vocabulary: Vocabulary, text: str) -> list[int]:
    """Merge the best pair of the whole text, again and again: the definition."""
    pieces = list(text.replace(" ", "\u2581"))
    while True:
        joined = [pieces[at] + pieces[at + 1] for at in range(len(pieces) - 1)]
        offers = [
            (-vocabulary.scores[vocabulary.ids[piece]], at)
            for at, piece in enumerate(joined)
            if piece in vocabulary.ids
        ]
        if not offers:
            break
        at = min(offers)[1]
        pieces[at : at + 2] = [joined[at]]
    ids = []
    for piece in pieces:
        in_bytes = [vocabulary.ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
        ids.extend([vocabulary.ids[piece]] if piece in vocabulary.ids else in_bytes)
    return ids


def test_the_best_score_is_merged_first() -> None:
    letters = {"a": -9.0, "b": -9.0, "c": -9.0}
    assert encode({**letters, "ab": -1.0, "bc": -2.0}, "abc") == ["ab", "c"]
    assert encode({**letters, "ab": -2.0, "bc": -1.0}, "abc") == ["a", "bc"]


def test_of_equal_scores_the_leftmost_is_merged_first() -> None:
    assert encode({"a": 0.0, "aa": -1.0}, "aaaaa") == ["aa", "aa", "a"]


def test_a_character_without_a_token_becomes_its_bytes() -> None:
    assert encode({"a": 0.0}, "a\u00e9") == ["a", "<0xC3>", "<0xA9>"]


def test_without_bytes_the_unknown_token_stands_for_each() -> None:
    tokens = ["<unk>", "a"]
    kinds, scores = np.array([2, 1], np.int32), np.zeros(2, np.float32)
    known = Vocabulary("llama", "", tokens, kinds, scores, [], {"unknown": 0}, {})
    assert SentencePiece(known).encode("a\u00e9a") == [1, 0, 0, 1]
    none = Vocabulary("llama", "", tokens, kinds, scores, [], {}, {})
    with pytest.raises(UsageError, match="no token for '\u00e9'"):
        SentencePiece(none).encode("a\u00e9a")


@given(
    st.dictionaries(
        st.text(_LETTERS, min_size=1, max_size=5), st.integers(-3, 0).map(float), max_size=12
    ),
    st.text("ab c", max_size=30),
)
def test_any_vocabulary_merges_as_the_definition_does(pieces: dict[str, float], text: str) -> None:
    vocabulary = scored(pieces)
    assert SentencePiece(vocabulary).encode(text) == one_at_a_time(vocabulary, text)


def test_long_words_merge_as_short_ones_do() -> None:
    vocabulary = scored({"a": 0.0, "aa": -1.0, "aaaa": -2.0})
    text = "a" * 301
    assert SentencePiece(vocabulary).encode(text) == one_at_a_time(vocabulary, text)
