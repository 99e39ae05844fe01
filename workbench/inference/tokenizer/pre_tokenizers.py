"""Name the ways a text is cut into words before byte pairs are merged.

Follows: the expressions published with GPT-2, StarCoder, Llama 3 and Qwen2, as llama.cpp reads
them: contractions in ASCII letters only, and no Unicode normalisation before (Qwen2's own has it).
Leaves out: every other name that a GGUF file may carry; a wrong cut degrades a model silently.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import UsageError

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_ONE_DIGIT = r"\p{N}"


def _cl100k(digits: str) -> str:
    """Return the expression of Llama 3 and Qwen2, which differ in how digits are grouped."""
    contractions = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
    words = r"[^\r\n\p{L}\p{N}]?\p{L}+"
    signs = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
    spaces = r"\s*[\r\n]+|\s+(?!\S)|\s+"
    return "|".join((contractions, words, digits, signs, spaces))


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """How to cut: each expression cuts what the one before left, matches and gaps alike.

    ``whole_words`` says that a word which is itself a token is taken before any merge;
    ``add_bos`` is what holds where a file does not say whether texts begin with a BOS token.
    """

    expressions: tuple[str, ...]
    whole_words: bool = False
    add_bos: bool = False


_DIGITS_APART = PreTokenizer((_ONE_DIGIT, _GPT2))
PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "gpt-2": PreTokenizer((_GPT2,)),
    "smollm": _DIGITS_APART,
    "starcoder": _DIGITS_APART,
    "refact": _DIGITS_APART,
    "llama-bpe": PreTokenizer((_cl100k(r"\p{N}{1,3}"),), whole_words=True, add_bos=True),
    "qwen2": PreTokenizer((_cl100k(_ONE_DIGIT),)),
}


def pre_tokenizer(name: str) -> PreTokenizer:
    """Return a pre-tokenizer by the name that a GGUF file gives it.

    Raises
    ------
    UsageError   if it is not supported; names those that are
    """
    if name not in PRE_TOKENIZERS:
        supported = ", ".join(PRE_TOKENIZERS)
        raise UsageError(f"pre-tokenizer {name!r} is not supported; supported: {supported}")
    return PRE_TOKENIZERS[name]
