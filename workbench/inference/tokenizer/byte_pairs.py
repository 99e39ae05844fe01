"""Turn text into byte-level pairs' ids: cut into words, then merge bytes by rank.

Follows: GPT-2's byte alphabet; the merging is the `tokenizers` library's.
Leaves out: special tokens, which are cut out of the text before (special_tokens.py).
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from workbench.errors import UsageError
from workbench.inference.tokenizer.pre_tokenizers import PreTokenizer
from workbench.inference.tokenizer.vocabulary import Vocabulary


class BytePairs:
    """The encoder of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, cut: PreTokenizer) -> None:
        """Build the merge table.

        Raises
        ------
        UsageError   if a merge joins what are no tokens

        Cost    70 ms for 49,152 tokens.
        """
        merges = [merge.split(" ") for merge in vocabulary.merges]
        wrong = next((merge for merge in merges if len(merge) != 2), None)
        if wrong is not None:
            raise UsageError(f"the model's merge {' '.join(wrong)[:80]!r} is no pair")
        try:
            # The library wants tuples, and tells a merge of what are no tokens by the bare class.
            pairs = [(left, right) for left, right in merges]
            model = models.BPE(vocabulary.ids, pairs, ignore_merges=cut.whole_words)
        except Exception as error:
            raise UsageError(f"the model's merges do not fit its tokens: {error}") from error
        self._tokenizer = Tokenizer(model)
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                *(pre_tokenizers.Split(Regex(cut_at), "isolated") for cut_at in cut.expressions),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text without special tokens."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids
