"""Take this machine's paths and its user's name out of whatever is written down.

Follows: notebooks shared in public leaked home folders through tracebacks and metadata.
Leaves out: names too common to point at anyone (``root``), and secrets in general.
"""

from __future__ import annotations

import getpass
import platform
import re
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import paths

# Account and host names that identify nobody; replacing them would only garble text.
_COMMON = {"root", "user", "users", "home", "admin", "localhost", "ubuntu", "debian", "runner"}
_COMMON |= {"jovyan", "test", "build", "python", "linux", "docker", "none", "nobody", "data"}
_SHORTEST_NAME = 4
# A folder or name begins where a word does; a colour escape in a traceback ends in a letter, too.
_PATH_BEFORE = re.compile(r"[\w.\-~]\Z")
_WORD_BEFORE = re.compile(r"\w\Z")
_COLOUR_BEFORE = re.compile(r"\x1b\[[0-9;]*m\Z")


@dataclass(frozen=True, slots=True)
class _Rule:
    """Replace ``pattern`` where ``before`` does not match just in front of it."""

    plain: str
    pattern: re.Pattern[str]
    before: re.Pattern[str]
    replacement: str

    def apply(self, text: str) -> str:
        if self.plain not in text:  # much faster than the pattern, and nearly always the answer
            return text
        return self.pattern.sub(self._replaced, text)

    def _replaced(self, match: re.Match[str]) -> str:
        front = match.string[max(0, match.start() - 16) : match.start()]
        inside_a_word = self.before.search(front) and not _COLOUR_BEFORE.search(front)
        return match[0] if inside_a_word else self.replacement


class Scrubber:
    """Replaces folders by short names and people's names by roles, in text and in JSON values."""

    def __init__(self, folders: Mapping[str, str], names: Mapping[str, str]) -> None:
        """Take absolute folder -> short name, and person or host -> role.

        A folder whose short name is "." vanishes from what lies in it.
        """
        self._rules: list[_Rule] = []
        for folder in sorted(folders, key=len, reverse=True):
            self._add_folder(folder, folders[folder])
        for name, role in names.items():
            if len(name) >= _SHORTEST_NAME and name.lower() not in _COMMON:
                pattern = re.compile(re.escape(name) + r"(?!\w)")
                self._rules.append(_Rule(name, pattern, _WORD_BEFORE, role))

    def _add_folder(self, folder: str, short: str) -> None:
        if short == ".":
            inside = re.compile(re.escape(f"{folder}/") + r"(?=[\w.])")
            self._rules.append(_Rule(folder, inside, _PATH_BEFORE, ""))
        whole = re.compile(re.escape(folder) + r"(?![\w\-])")
        self._rules.append(_Rule(folder, whole, _PATH_BEFORE, short))

    def text(self, text: str) -> str:
        """Return the text without this machine's folders and names."""
        for rule in self._rules:
            text = rule.apply(text)
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON value with every text in it scrubbed, keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def scrubber() -> Scrubber:
    """Return the scrubber for this process: its folders, its user, its host."""
    folders: dict[str, str] = {}
    for folder, short in _folders():
        for spelling in {str(folder), str(folder.resolve())}:
            if len(Path(spelling).parts) > 1:  # never "/" itself
                folders.setdefault(spelling, short)
    host = platform.node()
    names = {_user(): "user", Path.home().name: "user", host: "host", host.split(".")[0]: "host"}
    return Scrubber(folders, names)


def _folders() -> list[tuple[Path, str]]:
    named = [(paths.runs(), "papermill_runs"), (paths.data(), "data"), (paths.root(), ".")]
    python = [("purelib", "site-packages"), ("stdlib", "python"), ("data", "python")]
    installed = [(Path(sysconfig.get_paths()[key]), short) for key, short in python]
    return [*named, *installed, (Path.home(), "~"), (Path(tempfile.gettempdir()), "$TMPDIR")]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return ""
