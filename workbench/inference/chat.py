"""Turn a conversation into the token ids that a chat model expects.

Follows: transformers: the template itself decides about BOS, and special tokens in it are parsed.
Leaves out: tools and images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.errors import UsageError
from workbench.inference.chat_template import chat_template, render_chat
from workbench.inference.tokenizer import Tokenizer
from workbench.tiering.mmap_gguf.header import GGUFHeader


def chat_ids(
    header: GGUFHeader, tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]]
) -> list[int]:
    """Return the ids of a conversation, up to the beginning of the assistant's turn.

    Parameters
    ----------
    header : GGUFHeader     of the model's file, which holds the template
    tokenizer : Tokenizer   of the same file
    messages : sequence     {"role": "user", "content": "..."}, in order

    Raises
    ------
    UsageError          if the model has no template, or a message holds a control token's text,
                        with which it could end its turn and speak in another role's
    ChatTemplateError   if the template fails or takes more than it may

    Cost    0.1 s: the template is rendered in a process of its own.
    """
    problems = [
        f"message {index} holds {token!r}, which this model reads as a control token"
        for index, message in enumerate(messages)
        for token in tokenizer.control_tokens_in("\n".join(message.values()))
    ]
    if problems:
        raise UsageError(problems)
    named = {"bos_token": tokenizer.bos_id, "eos_token": tokenizer.eos_id}
    names = {
        name: tokenizer.decode([token_id], show_special=True)
        for name, token_id in named.items()
        if token_id is not None
    }
    text = render_chat(chat_template(header), messages, names=names)
    return tokenizer.encode(text, add_special=False, parse_special=True)
