"""read_vocabulary(): what the file says, defaults where it says nothing, refusals where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workbench.tiering.gguf_files import GGUFFile, array, scalar
from workbench.errors import UsageError
from workbench.inference.tokenizer.vocabulary import (
    BYTE,
    CONTROL,
    NORMAL,
    Vocabulary,
    read_vocabulary,
)
from workbench.tiering.mmap_gguf import GGUFError, read_header

KEY = "tokenizer.ggml."


def read(folder: Path, model: str = "llama", **pairs: bytes) -> Vocabulary:
    """Read a vocabulary of three tokens; pairs replace or add by name, b"" removes."""
    known = {
        "model": scalar(f"{KEY}model", "", model),
        "pre": scalar(f"{KEY}pre", "", "gpt-2"),
        "tokens": array(f"{KEY}tokens", "string", ["a", "b", "ab"]),
        "scores": array(f"{KEY}scores", "f32", [0.0, 0.5, -1.0]),
        "token_type": array(f"{KEY}token_type", "i32", [NORMAL, CONTROL, BYTE]),
        "merges": array(f"{KEY}merges", "string", ["a b"]),
        **pairs,
    }
    file = GGUFFile(pairs=[pair for pair in known.values() if pair])
    return read_vocabulary(read_header(file.write(folder / "vocabulary.gguf")))


def test_a_sentencepiece_vocabulary_has_scores_and_llamas_special_ids(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.model, found.pre, found.merges) == ("llama", "", [])
    assert found.tokens == ["a", "b", "ab"]
    assert found.scores.tolist() == [0.0, 0.5, -1.0]
    assert found.kinds.tolist() == [NORMAL, CONTROL, BYTE]
    assert found.special_ids == {"bos": 1, "eos": 2, "unknown": 0}
    assert found.ids == {"a": 0, "b": 1, "ab": 2}


def test_a_byte_level_vocabulary_has_merges_and_no_special_ids_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, "gpt2", eot=scalar(f"{KEY}eot_token_id", "u32", 1))
    assert (found.pre, found.merges, len(found.scores)) == ("gpt-2", ["a b"], 0)
    assert found.special_ids == {"eot": 1}


def test_an_id_that_is_not_used_may_be_nonsense(tmp_path: Path) -> None:
    found = read(tmp_path, pad=scalar(f"{KEY}padding_token_id", "u32", 4_294_967_295))
    assert "padding" not in found.special_ids


def test_without_types_every_token_is_normal(tmp_path: Path) -> None:
    assert read(tmp_path, token_type=b"").kinds.tolist() == [NORMAL] * 3


def test_flags_are_only_those_stated(tmp_path: Path) -> None:
    assert read(tmp_path).flags == {}
    stated = scalar(f"{KEY}add_bos_token", "bool", False)
    assert read(tmp_path, add_bos=stated).flags == {"add_bos_token": False}


def test_an_empty_token_gets_a_name_of_its_own(tmp_path: Path) -> None:
    tokens = array(f"{KEY}tokens", "string", ["", "b", ""])
    assert read(tmp_path, tokens=tokens).tokens == ["[EMPTY_0]", "b", "[EMPTY_2]"]


@pytest.mark.parametrize(
    ("name", "pair", "reason"),
    [
        ("tokens", array(f"{KEY}tokens", "string", ["a", "b", "a"]), "tokens 0 and 2 are both 'a'"),
        ("tokens", array(f"{KEY}tokens", "string", []), "is empty"),
        ("tokens", array(f"{KEY}tokens", "i32", [1, 2, 3]), "expected array of string"),
        ("tokens", b"", "is missing"),
        ("scores", array(f"{KEY}scores", "f32", [0.0]), "1 elements for 3 tokens"),
        ("scores", array(f"{KEY}scores", "i8", [0, 1, 2]), "expected array of f32"),
        ("scores", array(f"{KEY}scores", "f32", [0.0, float("nan"), 1.0]), "NaN"),
        ("scores", b"", "is missing"),
        ("token_type", array(f"{KEY}token_type", "i32", [1] * 4), "4 elements for 3 tokens"),
        ("bos", scalar(f"{KEY}bos_token_id", "u32", 3), "outside 0..2"),
        ("bos", scalar(f"{KEY}bos_token_id", "i32", -1), "expected u32"),
        ("add", scalar(f"{KEY}add_bos_token", "u32", 1), "expected bool"),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, name: str, pair: bytes, reason: str) -> None:
    with pytest.raises(GGUFError, match=reason):
        read(tmp_path, **{name: pair})


def test_an_unknown_kind_of_tokenizer_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'t5' is not supported; supported: gpt2, llama"):
        read(tmp_path, "t5")
