"""Render one chat template in a process of its own, within limits.

Follows: the environment that published templates are written for: trimmed blocks, loop controls,
`tojson` and `raise_exception`. Run as a script, it reads a JSON object from standard input, writes
"+" and the text or "-" and the reason to standard output.
Leaves out: the date (`strftime_now`), so that a conversation always renders to the same text.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import Any, NoReturn

from jinja2.exceptions import SecurityError, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment


def limit(cpu_s: int, memory_bytes: int, output_bytes: int) -> None:
    """Let the kernel end this process when it takes more than it may."""
    # The default action of SIGXFSZ would end it as well, but Python ignores that signal.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    limits = [
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, output_bytes + 4096),
        (resource.RLIMIT_CORE, 0),
    ]
    # macOS has no limit on address space that it keeps to.
    if sys.platform == "linux":
        limits.append((resource.RLIMIT_AS, memory_bytes))
    for kind, value in limits:
        resource.setrlimit(kind, (value, value))


def refuse(message: str) -> NoReturn:
    """Answer a template's own `raise_exception`."""
    raise TemplateError(message)


def to_json(value: object, **options: Any) -> str:
    """Write JSON without escaping HTML, which would reach the model."""
    return json.dumps(value, ensure_ascii=False, **options)


def render(template: str, names: dict[str, Any], output_bytes: int) -> str:
    """Return the text, or "-" and the reason."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    parts: list[str] = []
    n_chars = 0
    for part in environment.from_string(template).generate(names):
        parts.append(part)
        n_chars += len(part)
        if n_chars > output_bytes:
            return f"-its output passes {output_bytes} bytes"
    return "+" + "".join(parts)


def answer(task: dict[str, Any]) -> bytes:
    """Render a task and put every failure into words, in UTF-8."""
    try:
        return render(task["template"], task["names"], task["output_bytes"]).encode()
    except SecurityError as error:
        reason = f"it asked for what the sandbox forbids: {error}"
    except MemoryError:
        reason = f"it needs more than {task['memory_bytes']} bytes of memory"
    except UnicodeEncodeError:
        reason = "its output holds half a surrogate pair"
    except Exception as error:  # a template may fail in any way that Python code can
        reason = f"{type(error).__name__}: {str(error)[:500]}"
    return b"-" + reason.encode("utf-8", "replace")


if __name__ == "__main__":
    task = json.load(sys.stdin.buffer)
    limit(task["cpu_s"], task["memory_bytes"], task["output_bytes"])
    sys.stdout.buffer.write(answer(task))
