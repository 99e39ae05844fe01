"""House rules that a program can check: twins, documentation, what must never be committed."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import largest_rooms, write_docs
from workbench import paths

ROOT = paths.root()

# Written so that this file does not hold what it looks for.
NEVER = {
    "a path of one machine": r"(?<![\w.$])/(?:home|root|Users|work|tmp)/\w",
    "a registry's address": r"(?:pypi|pythonhosted|npmjs|debian|anaconda)\.(?:org|com)\b",
    "a secret": r"-{5}BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_\w{30}|\bAKIA[0-9A-Z]{16}",
    "a password in an address": r"://\w+:[^@\s{}/]+@\w",
    "work left for later": r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|NotImplemented" + r"Error",
}
# These tests are about such things: every path and password in them is made up.
EXCUSED = {
    "a password in an address": {
        "tests/workbench/datasets/test_download.py",
        "tests/workbench/datasets/test_package_index.py",
    },
}


def committed() -> list[Path]:
    """Return every file that git holds, or would: what is ignored may hold anything."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def defines_something(path: Path) -> bool:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(path.read_text())))


def twin(path: Path) -> Path:
    name = "init" if path.stem == "__init__" else path.stem
    return ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{name}.py"


def test_every_source_file_has_its_test_twin() -> None:
    lonely = [
        str(path.relative_to(ROOT))
        for path in write_docs.modules()
        if defines_something(path) and not twin(path).exists()
    ]
    assert lonely == []


def test_every_module_says_in_one_line_what_it_does() -> None:
    silent = [path.name for path in write_docs.modules() if len(write_docs.first_line(path)) < 20]
    assert silent == []


def test_the_structure_page_lists_every_module_as_it_is() -> None:
    current = (ROOT / "docs/structure.md").read_text()
    assert current == write_docs.structure(current), "run `make docs`"


def test_the_command_line_reference_is_the_command_lines_own() -> None:
    assert (ROOT / "docs/cli.md").read_text() == write_docs.cli_reference(), "run `make docs`"


@pytest.mark.parametrize("what", NEVER)
def test_nothing_is_committed_that_must_not_be(what: str) -> None:
    found = []
    for path in committed():
        name = str(path.relative_to(ROOT))
        if path.suffix in {".png", ".lock"} or name in EXCUSED.get(what, set()):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [f"{name}:{n}" for n, line in enumerate(lines, 1) if re.search(NEVER[what], line)]
    assert found == []


def test_committed_files_are_small() -> None:
    large = [str(path.relative_to(ROOT)) for path in committed() if path.stat().st_size > 500_000]
    assert large == []


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def verbs() -> set[str]:
    text = (ROOT / "docs/cli.md").read_text()
    return set(re.findall(r"^## `workbench ([a-z]+)`", text, re.MULTILINE))


def code_of(text: str) -> str:
    """Return a page's code: spans between backticks and lines indented by four, a line each."""
    spans = re.findall(r"`([^`\n]+)`|^    (.+)$", text, re.MULTILINE)
    return "\n".join(span or line for span, line in spans)


@pytest.mark.parametrize("page", ["README.md", "data/README.md", "docs/structure.md"])
def test_commands_that_the_pages_name_exist(page: str) -> None:
    code = code_of((ROOT / page).read_text())
    assert set(re.findall(r"^make ([a-z]+)", code, re.MULTILINE)) <= make_targets()
    assert set(re.findall(r"^workbench ([a-z]+)", code, re.MULTILINE)) <= verbs()


def test_every_target_is_helped() -> None:
    helped = subprocess.run(
        ["make", "help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert set(re.findall(r"^  make ([a-z]+)", helped, re.MULTILINE)) == make_targets()


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in committed()
        if page.suffix == ".md"
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_the_largest_rooms_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "workbench").mkdir()
    long = "def long():\n" + "    pass\n" * 450
    (tmp_path / "workbench" / "large.py").write_text(long)
    (tmp_path / "kernels" / "small.py").write_text("def short():\n    pass\n")
    largest_rooms.main(tmp_path)
    printed = capsys.readouterr().out
    assert "largest of 2 files, 453 lines:" in printed
    assert "   451 ! workbench/large.py\n     2   kernels/small.py" in printed
    assert "   451 ! workbench/large.py:1 long" in printed


SKIPPING = """
import pytest
def test_ran(): pass
@pytest.mark.skip(reason="no browser")
def test_marked(): pass
def test_inside(): pytest.skip("no disk")
@pytest.mark.xfail
def test_expected(): assert False
"""


@pytest.mark.parametrize(
    ("plugin", "outcome"),
    [
        ([], "1 passed, 2 skipped, 1 xfailed"),
        (["-p", "tests.house.no_skips"], "1 failed, 1 passed, 1 xfailed, 1 error"),
    ],
)
def test_a_skip_fails_only_where_nothing_may_be_skipped(
    plugin: list[str], outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(tmp_path / "pytest.ini"), *plugin]
    run = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert outcome in run.stdout
    assert run.returncode == bool(plugin)


class TestSetup:
    """`.ci/setup` finds an interpreter, or says what is wrong, before it touches anything."""

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        """A folder with the script, and a PATH that holds no Python and no uv."""
        (tmp_path / ".ci").mkdir()
        shutil.copy(ROOT / ".ci/setup", tmp_path / ".ci/setup")
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("sh", "dirname", "head", "date", "rm", "touch"):
            (tools / name).symlink_to(shutil.which(name) or name)
        return tmp_path

    def run(self, checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [checkout / "tools/sh", checkout / ".ci/setup"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(checkout / "tools"), **environment},
        )

    def program(self, checkout: Path, name: str, script: str) -> None:
        place = checkout / "tools" / name
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)

    def test_without_a_python_it_says_which_ones_it_tried(self, checkout: Path) -> None:
        run = self.run(checkout)
        assert run.returncode == 2
        assert "no Python 3.11 to 3.14 among: python3 python3.13" in run.stderr
        assert "fix:" in run.stderr
        assert not (checkout / ".venv").exists()

    def test_an_old_python_is_passed_over_for_a_newer_one(self, checkout: Path) -> None:
        self.program(checkout, "python3", "[ $1 = --version ] && echo Python 3.9.2; exit 1")
        found = self.run(checkout)
        assert "python3 here is Python 3.9.2" in found.stderr
        self.program(checkout, "python3.12", f'exec {sys.executable} "$@"')
        broken_venv = 'case "$2" in venv) exit 1;; esac; exec ' + f'{sys.executable} "$@"'
        self.program(checkout, "python3.12", broken_venv)
        run = self.run(checkout)
        assert "python3.12 cannot make a virtual environment" in run.stderr
        assert "apt-get install python3-venv" in run.stderr

    def test_a_named_interpreter_is_the_only_one_tried(self, checkout: Path) -> None:
        self.program(checkout, "python3", f'exec {sys.executable} "$@"')
        run = self.run(checkout, PYTHON="python3.99")
        assert (run.returncode, "among: python3.99" in run.stderr) == (2, True)
