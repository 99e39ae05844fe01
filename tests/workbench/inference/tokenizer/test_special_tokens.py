"""Special tokens: cut out longest first, and the ends of a generation known by text and by key."""

from __future__ import annotations

import numpy as np

from workbench.inference.tokenizer.special_tokens import (
    control_ids,
    cut_out,
    end_ids,
    user_defined_ids,
)
from workbench.inference.tokenizer.vocabulary import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Vocabulary,
)


def vocabulary(tokens: dict[str, int], **special_ids: int) -> Vocabulary:
    kinds = np.array([*tokens.values()], np.int32)
    scores = np.zeros(len(tokens), np.float32)
    return Vocabulary("llama", "", [*tokens], kinds, scores, [], special_ids, {})


def test_tokens_are_cut_out_and_nothing_is_lost() -> None:
    specials = {"<bc>": 7, "<b>": 8}
    assert cut_out("a<b><bc>d<b>", specials) == ["a", 8, 7, "d", 8]
    assert cut_out("<b<b>b>", specials) == ["<b", 8, "b>"]
    assert cut_out("", specials) == []
    assert cut_out("abc", {}) == ["abc"]


def test_what_is_looked_for_first_wins() -> None:
    assert cut_out("abcd", {"bcd": 1, "ab": 2}) == ["a", 1]
    assert cut_out("abcd", {"ab": 2, "bcd": 1}) == [2, "cd"]


def test_generation_ends_at_named_ids_and_at_known_texts() -> None:
    tokens = dict.fromkeys(["a", "<|im_end|>", "x", "<|file_sep|>", "</s>"], NORMAL)
    assert end_ids(vocabulary(tokens, eos=2)) == {1, 2, 3, 4}
    assert end_ids(vocabulary(tokens, eos=2, fim_sep=0)) == {0, 1, 2, 4}


def test_control_tokens_are_those_marked_and_those_that_end_a_turn() -> None:
    kinds = {"<unk>": UNKNOWN, "<s>": CONTROL, "a": NORMAL, "<|im_end|>": NORMAL, "y": USER_DEFINED}
    assert control_ids(vocabulary(kinds)) == {0, 1, 3}
    assert user_defined_ids(vocabulary(kinds)) == {4}
