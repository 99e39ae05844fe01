"""Render a conversation with the template that a model's file brings along, when asked to.

Follows: RELIABILITY's rule: a template is a stranger's program. It runs in Jinja's immutable
sandbox, in a process of its own without this one's environment, with limits on CPU time, memory,
wall-clock time and output; nothing is rendered while a file is loaded.
Leaves out: a template of its own for models that bring none.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UsageError, WorkbenchError
from workbench.tiering.mmap_gguf.header import GGUFHeader

_KEY = "tokenizer.chat_template"
_WORKER = Path(__file__).with_name("template_worker.py")


class ChatTemplateError(WorkbenchError):
    """A template that failed, asked for what is forbidden, or took more than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What rendering may take; an honest template takes 0.1 s, most of it Python's start."""

    template_bytes: int = 64 << 10
    output_bytes: int = 1 << 20
    memory_bytes: int = 512 << 20
    cpu_s: int = 2
    wall_s: float = 10.0


LIMITS = Limits()


def chat_template(header: GGUFHeader) -> str:
    """Return the template in a model's file, unread and unrun.

    Raises
    ------
    UsageError   if the file has none
    GGUFError    if it is no string, or too long to be a template
    """
    if _KEY not in header.fields:
        raise UsageError("the model has no chat template; give it plain text")
    return header.string(_KEY)


def render_chat(
    template: str,
    messages: Sequence[Mapping[str, str]],
    *,
    names: Mapping[str, object] | None = None,
    add_generation_prompt: bool = True,
    limits: Limits = LIMITS,
) -> str:
    """Return the text that a model expects for a conversation.

    Parameters
    ----------
    template : str                 of `chat_template`
    messages : sequence            {"role": "user", "content": "..."}, in order
    names : mapping                further values for the template, such as bos_token; JSON types
    add_generation_prompt : bool   end with the beginning of the assistant's turn
    limits : Limits                what it may take

    Raises
    ------
    ChatTemplateError   if it fails, is forbidden something, or takes more than the limits

    Cost    0.1 s: a Python process is started.
    """
    n_bytes = len(template.encode("utf-8", "surrogatepass"))
    if n_bytes > limits.template_bytes:
        reason = f"it has {n_bytes} bytes; {limits.template_bytes} are allowed"
        raise _refusal(reason)
    task = {
        "template": template,
        "names": {
            **(names or {}),
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": add_generation_prompt,
        },
        "cpu_s": limits.cpu_s,
        "memory_bytes": limits.memory_bytes,
        "output_bytes": limits.output_bytes,
    }
    answer = _run(json.dumps(task).encode(), limits)
    if not answer.startswith("+"):
        raise _refusal(answer.removeprefix("-") or "it ended without an answer")
    if len(answer.encode("utf-8")) - 1 > limits.output_bytes:
        raise _refusal(f"its output passes {limits.output_bytes} bytes")
    return answer[1:]


def _run(task: bytes, limits: Limits) -> str:
    """Run the worker and return its answer, at most what the kernel lets it write."""
    # A file, not a pipe: the kernel's limit on file size then bounds what this process reads.
    with tempfile.TemporaryFile() as output:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(_WORKER)],
                input=task,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env={},
                timeout=limits.wall_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _refusal(f"it takes more than {limits.wall_s} s") from error
        if ended.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            raise _refusal(f"it takes more than {limits.cpu_s} s of CPU time")
        if ended.returncode == -signal.SIGXFSZ:
            raise _refusal(f"its output passes {limits.output_bytes} bytes")
        if ended.returncode:
            raise _refusal(f"its process ended with {ended.returncode}")
        output.seek(0)
        return output.read().decode("utf-8", "replace")


def _refusal(reason: str) -> ChatTemplateError:
    return ChatTemplateError(f"the model's chat template was not rendered: {reason}")
