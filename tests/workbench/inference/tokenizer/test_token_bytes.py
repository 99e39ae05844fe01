"""TokenBytes: every kind of token gives the bytes that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.inference.tokenizer.conftest import scored
from workbench.errors import UsageError
from workbench.inference.tokenizer.token_bytes import TokenBytes, byte_alphabet
from workbench.inference.tokenizer.vocabulary import BYTE, UNUSED, Vocabulary


def test_the_byte_alphabet_is_one_printable_character_for_each_byte() -> None:
    alphabet = byte_alphabet()
    assert len(set(alphabet.values())) == 256
    assert all(char.isprintable() and not char.isspace() for char in alphabet.values())
    assert (alphabet[0x20], alphabet[0x0A], alphabet[0x41]) == ("\u0120", "\u010a", "A")


def test_a_byte_level_token_gives_its_bytes_and_a_special_one_its_text() -> None:
    tokens = ["\u0120the", "\u00e2\u013b", "\u0120"]
    kinds = np.ones(3, np.int32)
    vocabulary = Vocabulary("gpt2", "gpt-2", tokens, kinds, np.zeros(0, np.float32), [], {}, {})
    found = TokenBytes(vocabulary, literal_ids={2})
    assert [found[0], found[1], found[2]] == [b" the", b"\xe2\x99", "\u0120".encode()]


def test_a_sentencepiece_token_gives_blanks_and_bytes() -> None:
    vocabulary = scored({"\u2581the": 0.0, "\u00e9": 0.0})
    found = TokenBytes(vocabulary, literal_ids={1})
    assert [found[1], found[3 + 0xE2], found[259], found[260]] == [
        b"<s>",
        b"\xe2",
        b" the",
        "\u00e9".encode(),
    ]


def test_an_unused_token_gives_nothing() -> None:
    vocabulary = scored({"a": 0.0})
    vocabulary.kinds[-1] = UNUSED
    assert TokenBytes(vocabulary, ())[259] == b""


def test_a_byte_token_that_names_no_byte_is_refused() -> None:
    vocabulary = scored({"<0x0g>": 0.0})
    vocabulary.kinds[-1] = BYTE
    with pytest.raises(UsageError, match="'<0x0g>'"):
        TokenBytes(vocabulary, ())
