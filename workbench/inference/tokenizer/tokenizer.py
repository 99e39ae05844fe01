"""Turn text into a model's token ids and back, by the vocabulary in its own GGUF file.

Follows: llama.cpp, whose ids for a file are what the file was published with; special tokens in a
text are parsed only when asked, so that no text can smuggle in the end of a turn.
Leaves out: chat templates (chat_template.py), and "cleaning up" blanks, which loses bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.errors import UsageError
from workbench.inference.tokenizer import special_tokens
from workbench.inference.tokenizer.byte_pairs import BytePairs
from workbench.inference.tokenizer.pre_tokenizers import pre_tokenizer
from workbench.inference.tokenizer.sentencepiece import SentencePiece
from workbench.inference.tokenizer.text_stream import TextStream
from workbench.inference.tokenizer.token_bytes import TokenBytes
from workbench.inference.tokenizer.vocabulary import Vocabulary, read_vocabulary
from workbench.tiering.mmap_gguf.header import GGUFHeader


class Tokenizer:
    """The tokenizer of one model.

    Attributes
    ----------
    n_tokens : int              size of the vocabulary
    bos_id, eos_id : int        begin and end of a text; None where the model has none
    end_ids : frozenset of int  ids that end a generation
    add_bos, add_eos : bool     whether the model was trained on texts that begin or end with them
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Build the encoder.

        Raises
        ------
        UsageError   if the pre-tokenizer is not supported, or the vocabulary contradicts itself

        Cost    70 ms for 49,152 tokens.
        """
        byte_level = vocabulary.model == "gpt2"
        cut = pre_tokenizer(vocabulary.pre) if byte_level else None
        self._encoder = BytePairs(vocabulary, cut) if cut else SentencePiece(vocabulary)
        flags = vocabulary.flags
        self.n_tokens = len(vocabulary.tokens)
        self.bos_id = vocabulary.special_ids.get("bos")
        self.eos_id = vocabulary.special_ids.get("eos")
        self.end_ids = special_tokens.end_ids(vocabulary)
        self.add_bos = flags.get("add_bos_token", cut.add_bos if cut else True)
        self.add_eos = flags.get("add_eos_token", False)
        self._space_prefix = not byte_level and flags.get("add_space_prefix", True)
        self._control_ids = special_tokens.control_ids(vocabulary)
        user_defined = special_tokens.user_defined_ids(vocabulary) - self._control_ids
        specials = user_defined | self._control_ids
        self._user_defined = _longest_first(vocabulary, user_defined)
        self._specials = _longest_first(vocabulary, specials)
        self._bytes = TokenBytes(vocabulary, specials)

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return the ids of a text.

        Parameters
        ----------
        text : str
        add_special : bool     begin with BOS and end with EOS where the model was trained so
        parse_special : bool   read "<|im_end|>" in the text as that token; only for text that
                               the caller wrote, such as a rendered chat template

        Raises
        ------
        UsageError   if the text holds half a surrogate pair

        Cost    1 us a token for byte-level pairs, 1 to 5 us a character for SentencePiece.
        """
        _check_unicode(text)
        specials = self._specials if parse_special else self._user_defined
        ids = [self.bos_id] if add_special and self.add_bos and self.bos_id is not None else []
        after_special = True
        for part in special_tokens.cut_out(text, specials):
            if isinstance(part, int):
                ids.append(part)
            else:
                prefix = " " if self._space_prefix and after_special else ""
                ids.extend(self._encoder.encode(prefix + part))
            after_special = isinstance(part, int)
        if add_special and self.add_eos and self.eos_id is not None:
            ids.append(self.eos_id)
        return ids

    def decode(self, ids: Iterable[int], *, show_special: bool = False) -> str:
        """Return the text of ids; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids, show_special=show_special).decode("utf-8", "replace")

    def decode_bytes(self, ids: Iterable[int], *, show_special: bool = False) -> bytes:
        """Return the exact bytes of a text's ids.

        The blank that SentencePiece puts before a text is taken away; a continuation, whose own
        first blank counts, is what `stream` is for.

        Parameters
        ----------
        ids : iterable of int
        show_special : bool    write control tokens out instead of leaving them out

        Raises
        ------
        UsageError   if an id is outside the vocabulary
        """
        ids = list(ids)
        raw = b"".join(self.piece(token_id, show_special=show_special) for token_id in ids)
        return raw[self._n_prefix_bytes(ids, raw) :]

    def piece(self, token_id: int, *, show_special: bool = False) -> bytes:
        """Return one token's bytes, which may be part of a character.

        Raises
        ------
        UsageError   if the id is outside the vocabulary
        """
        if not 0 <= token_id < self.n_tokens:
            raise UsageError(f"token {token_id} is outside 0..{self.n_tokens - 1}")
        if token_id in self._control_ids and not show_special:
            return b""
        return self._bytes[token_id]

    def control_tokens_in(self, text: str) -> list[str]:
        """Return the control tokens that a text would hold if it were parsed for them."""
        parts = special_tokens.cut_out(text, self._specials)
        ids = [part for part in parts if isinstance(part, int) and part in self._control_ids]
        return [self._bytes[token_id].decode() for token_id in ids]

    def stream(self, *, show_special: bool = False) -> TextStream:
        """Return a stream that turns ids into whole characters as they come."""
        return TextStream(lambda token_id: self.piece(token_id, show_special=show_special))

    def _n_prefix_bytes(self, ids: Sequence[int], raw: bytes) -> int:
        """Return 1 if the text begins with the blank that encoding put there."""
        first = ids[1:2] if ids[:1] == [self.bos_id] else ids[:1]
        added = self._space_prefix and bool(first) and first[0] not in self._control_ids
        return int(added and raw.startswith(b" "))


def read_tokenizer(header: GGUFHeader) -> Tokenizer:
    """Return the tokenizer of a GGUF file.

    Raises
    ------
    UsageError   if the kind of tokenizer is not supported
    GGUFError    if the file's vocabulary is missing or damaged
    """
    return Tokenizer(read_vocabulary(header))


def _longest_first(vocabulary: Vocabulary, ids: Iterable[int]) -> dict[str, int]:
    by_length = sorted(ids, key=lambda token_id: (-len(vocabulary.tokens[token_id]), token_id))
    return {vocabulary.tokens[token_id]: token_id for token_id in by_length}


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"character {error.start} of the text is half a surrogate pair") from error
