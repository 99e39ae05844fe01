"""The template worker's rendering, without the process around it."""

from __future__ import annotations

import json

import pytest

from workbench.inference.template_worker import answer, to_json


def rendered(template: str, output_bytes: int = 1000, **names: object) -> str:
    task = {"template": template, "names": names, "output_bytes": output_bytes, "memory_bytes": 1}
    return answer(task).decode()


def test_blocks_leave_no_lines_behind_and_loops_can_be_left() -> None:
    template = "{% for x in xs %}\n  {% if x == 3 %}{% break %}{% endif %}\n{{ x }},{% endfor %}\n"
    assert rendered(template, xs=[1, 2, 3, 4]) == "+1,2,"


def test_json_is_written_for_a_model_not_for_a_page() -> None:
    value = {"a": "<\u00e9>"}
    assert to_json(value) == '{"a": "<\u00e9>"}'
    assert json.loads(rendered("{{ v | tojson(indent=2) }}", v=value)[1:]) == value


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "-TemplateError: roles must alternate"),
        ("{% for", "-TemplateSyntaxError: "),
        ("{{ 1 // 0 }}", "-ZeroDivisionError: "),
        ("{{ xs.append(1) }}", "-it asked for what the sandbox forbids: "),
        ("{{ strftime_now('%Y') }}", "-UndefinedError: 'strftime_now' is undefined"),
        ("{% for i in range(99) %}0123456789012345{% endfor %}", "-its output passes 1000 bytes"),
    ],
)
def test_every_failure_is_put_into_words(template: str, reason: str) -> None:
    assert rendered(template, xs=[]).startswith(reason)
