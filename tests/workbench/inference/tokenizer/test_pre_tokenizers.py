"""Pre-tokenizers: each cuts as its name says; an unknown name is refused."""

from __future__ import annotations

import pytest
from tokenizers import Regex, pre_tokenizers

from workbench.errors import UsageError
from workbench.inference.tokenizer.pre_tokenizers import PRE_TOKENIZERS, pre_tokenizer


def words(name: str, text: str) -> list[str]:
    cuts = [pre_tokenizers.Split(Regex(e), "isolated") for e in pre_tokenizer(name).expressions]
    return [word for word, _ in pre_tokenizers.Sequence(cuts).pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-2", "It|'s| 1234|  | IT|'|S| a|.|\n|\n|b"),
        ("smollm", "It|'s| |1|2|3|4|  | IT|'|S| a|.|\n|\n|b"),
        ("llama-bpe", "It|'s| |123|4|  | IT|'S| a|.\n\n|b"),
        ("qwen2", "It|'s| |1|2|3|4|  | IT|'S| a|.\n\n|b"),
    ],
)
def test_a_text_is_cut_as_its_model_was_trained(name: str, expected: str) -> None:
    assert "|".join(words(name, "It's 1234   IT'S a.\n\nb")) == expected


def test_starcoder_and_refact_cut_as_smollm_does() -> None:
    smollm = PRE_TOKENIZERS["smollm"]
    assert PRE_TOKENIZERS["starcoder"] == PRE_TOKENIZERS["refact"] == smollm


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_nothing_is_lost_in_cutting(name: str) -> None:
    text = " \t\r\n a1\u00b2\u0301 \u3000'S''re\u200d\U0001f642 \u2167x!\n \n"
    assert "".join(words(name, text)) == text


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="'tekken' is not supported; supported: gpt-2, smollm, "):
        pre_tokenizer("tekken")
