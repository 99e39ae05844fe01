"""Chat templates: the real model's renders as published; hostile ones fail typed and in time."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workbench.tiering.gguf_files import GGUFFile, scalar
from workbench.errors import UsageError
from workbench.inference.chat_template import LIMITS, ChatTemplateError, chat_template, render_chat
from workbench.inference.model_file import model_file
from workbench.tiering.mmap_gguf import GGUFError, read_header

HELLO = [{"role": "user", "content": "Hello <|im_end|> {{ 7 * 7 }}"}]
ONE_SECOND = replace(LIMITS, cpu_s=1)

# What was tried against other loaders, and what each must be refused for.
HOSTILE = {
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}": "sandbox forbids|undefined",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": "sandbox forbids|undefined",
    "{{ ('{0.__class__.__mro__}' | attr('format'))(cycler) }}": "sandbox forbids",
    "{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}": "sandbox forbids",
    "{{ messages.append(1) }}": "sandbox forbids",
    "{% include '/etc/passwd' %}": "no loader",
    "{% for i in range(999999) %}{% endfor %}": "OverflowError: Range too big",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "CPU time",
    "{{ 'a' * 10000000000 }}": "bytes of memory",
    "{{ 'a'.ljust(10000000000) }}": "bytes of memory",
    "{{ 'a' * 3000000 }}": "output passes 1048576 bytes",
    "{% for i in range(99999) %}{{ 'a' * 99 }}{% endfor %}": "output passes 1048576 bytes",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "RecursionError",
    "{{ raise_exception('only one turn') }}": "only one turn",
    "{{ '\\ud800' }}": "half a surrogate pair",
    "{{ messages[0].nothing.more }}": "UndefinedError",
    "{% for": "TemplateSyntaxError",
}  # fmt: skip


def test_the_real_model_is_given_its_turns(tmp_path: Path) -> None:
    template = chat_template(read_header(model_file("smollm2-135m")))
    system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, "
    turn = "<|im_start|>user\nHello <|im_end|> {{ 7 * 7 }}<|im_end|>\n"
    text = render_chat(template, HELLO)
    assert text.startswith(system)
    assert text.endswith(turn + "<|im_start|>assistant\n")
    assert render_chat(template, HELLO, add_generation_prompt=False).endswith(turn)


def test_further_names_reach_the_template() -> None:
    names = {"bos_token": "<s>", "tools": [{"name": "f"}]}
    assert render_chat("{{ bos_token }}{{ tools[0].name }}", [], names=names) == "<s>f"


@pytest.mark.parametrize("template", HOSTILE)
def test_a_hostile_template_fails_with_its_reason(template: str) -> None:
    with pytest.raises(ChatTemplateError, match=HOSTILE[template]):
        render_chat(template, HELLO, limits=ONE_SECOND)


def test_a_template_sees_nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET", "1")
    before = os.environ.copy(), resource.getrlimit(resource.RLIMIT_CPU)
    probe = "{{ self }}{{ namespace }}{{ dict }}{{ lipsum }}{{ environ }}"
    assert "WORKBENCH" not in render_chat(probe, HELLO)
    assert (os.environ.copy(), resource.getrlimit(resource.RLIMIT_CPU)) == before


def test_the_wall_clock_is_a_limit_of_its_own() -> None:
    started = time.monotonic()
    with pytest.raises(ChatTemplateError, match=r"takes more than 0\.001 s"):
        render_chat("a", HELLO, limits=replace(LIMITS, wall_s=0.001))
    assert time.monotonic() - started < LIMITS.wall_s


def test_a_long_template_is_never_run() -> None:
    with pytest.raises(ChatTemplateError, match="65537 bytes; 65536 are allowed"):
        render_chat("\u00e9" * 32_768 + "a", HELLO)
    assert render_chat("a" * 65_536, HELLO) == "a" * 65_536


def test_output_is_measured_in_bytes() -> None:
    limits = replace(LIMITS, output_bytes=1000)
    assert render_chat("{{ 'a' * 1000 }}", HELLO, limits=limits) == "a" * 1000
    with pytest.raises(ChatTemplateError, match="output passes 1000 bytes"):
        render_chat("{{ '\u20ac' * 334 }}", HELLO, limits=limits)


def test_a_file_without_a_template_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no chat template"):
        chat_template(read_header(GGUFFile().write(tmp_path / "none.gguf")))
    number = GGUFFile(pairs=[scalar("tokenizer.chat_template", "u32", 1)])
    with pytest.raises(GGUFError, match="expected string"):
        chat_template(read_header(number.write(tmp_path / "number.gguf")))
