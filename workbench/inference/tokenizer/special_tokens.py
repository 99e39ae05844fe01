"""Know a vocabulary's special tokens: cut them out of a text, and which of them end a generation.

Follows: llama.cpp: the longest token is cut first; generation ends at every token whose text is
known to end a turn, whatever the file calls it.
Leaves out: blanks around a special token that a few models swallow (Phi-3, Jina).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from workbench.inference.tokenizer.vocabulary import (
    CONTROL,
    UNKNOWN,
    USER_DEFINED,
    Vocabulary,
)

# A file names one end of text; chat models end a turn with another.
_END_TEXTS = frozenset(
    {
        "</s>",
        "<EOT>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<eos>",
        "<|call|>",
        "<|end_of_text|>",
        "<|endoftext|>",
        "<|end|>",
        "<|eom_id|>",
        "<|eot_id|>",
        "<|im_end|>",
        "<|return|>",
        "[EOS]",
        "[EOT]",
        "_<EOT>",
    }
)
# Between files of a repository a code model's answer is over as well.
_FILE_TEXTS = {
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    "fim_sep": ("<|file_sep|>",),
}


def end_ids(vocabulary: Vocabulary) -> frozenset[int]:
    """Return the ids that end a generation."""
    named = vocabulary.special_ids
    ids = {named[name] for name in ("eos", "eot", "eom", *_FILE_TEXTS) if name in named}
    texts = set(_END_TEXTS)
    for name, candidates in _FILE_TEXTS.items():
        if name not in named:
            texts.update(candidates)
    return frozenset(ids | set(_ids_of(vocabulary, texts)))


def control_ids(vocabulary: Vocabulary) -> frozenset[int]:
    """Return the ids that a text holds only when asked, and that are not shown unless asked."""
    marked = np.flatnonzero(np.isin(vocabulary.kinds, (CONTROL, UNKNOWN))).tolist()
    texts = {*_END_TEXTS, *(text for texts in _FILE_TEXTS.values() for text in texts)}
    # Some files call these normal; a user's text must never be able to end a turn.
    return frozenset({*marked, *_ids_of(vocabulary, texts)})


def user_defined_ids(vocabulary: Vocabulary) -> frozenset[int]:
    """Return the ids that are cut out of every text whole."""
    return frozenset(np.flatnonzero(vocabulary.kinds == USER_DEFINED).tolist())


def _ids_of(vocabulary: Vocabulary, texts: Iterable[str]) -> Iterator[int]:
    return (vocabulary.ids[text] for text in texts if text in vocabulary.ids)


def cut_out(text: str, specials: Mapping[str, int]) -> list[str | int]:
    """Cut special tokens out of a text.

    Parameters
    ----------
    text : str
    specials : mapping    token -> id, in the order in which to look for them

    Returns
    -------
    parts : list          ids, and the text between them; no part is empty
    """
    parts: list[str | int] = [text] if text else []
    for token, token_id in specials.items():
        if token in text:
            parts = [piece for part in parts for piece in _cut_one(part, token, token_id)]
    return parts


def _cut_one(part: str | int, token: str, token_id: int) -> Iterator[str | int]:
    if isinstance(part, int):
        yield part
        return
    first, *others = part.split(token)
    if first:
        yield first
    for other in others:
        yield token_id
        if other:
            yield other
