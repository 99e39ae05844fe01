"""BytePairs: merges by rank, whole words where the pre-tokenizer says so, bad merges refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import UsageError
from workbench.inference.tokenizer.byte_pairs import BytePairs
from workbench.inference.tokenizer.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer
from workbench.inference.tokenizer.vocabulary import Vocabulary

TOKENS = ["a", "b", "c", "\u0120", "ab", "bc", "abc"]


def vocabulary(*merges: str) -> Vocabulary:
    kinds = np.ones(len(TOKENS), np.int32)
    return Vocabulary("gpt2", "gpt-2", TOKENS, kinds, np.zeros(0, np.float32), [*merges], {}, {})


def encode(text: str, *merges: str, cut: PreTokenizer = PRE_TOKENIZERS["gpt-2"]) -> list[str]:
    return [TOKENS[token_id] for token_id in BytePairs(vocabulary(*merges), cut).encode(text)]


def test_the_earliest_merge_comes_first() -> None:
    assert encode("abc", "a b", "b c") == ["ab", "c"]
    assert encode("abc", "b c", "a b") == ["a", "bc"]
    assert encode("abcab", "b c", "a bc", "a b") == ["abc", "ab"]


def test_a_word_that_is_a_token_is_taken_whole_only_where_asked() -> None:
    gpt2 = PRE_TOKENIZERS["gpt-2"]
    assert encode("abc", "a b") == ["ab", "c"]
    assert encode("abc", "a b", cut=replace(gpt2, whole_words=True)) == ["abc"]


def test_words_are_not_merged_with_each_other() -> None:
    assert encode("ab ab", "a b") == ["ab", "\u0120", "ab"]


@pytest.mark.parametrize("merge", ["ab", "a b c", "", "a z", "c a"])
def test_a_merge_of_what_are_no_tokens_is_refused(merge: str) -> None:
    with pytest.raises(UsageError, match="merge"):
        BytePairs(vocabulary("a b", merge), PRE_TOKENIZERS["gpt-2"])
