"""Ask pip where a wheel is, so that the user's own index, certificate and proxy settings hold.

Follows: pip's installation report (`--report`, format version 1) and `pip config list`.
Leaves out: source distributions, which pip cannot describe without building them.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote, urlsplit

from workbench.errors import DataError


@dataclass(frozen=True, slots=True)
class Wheel:
    """Where a wheel is, and what the index says its sha256 is."""

    url: str
    sha256: str


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def find_wheel(package: str, version: str) -> Wheel:
    """Return the address of ``package==version`` as pip would install it, without installing.

    Raises
    ------
    DataError   if pip finds none; carries pip's own last line.
    """
    wanted = f"{package}=={version}"
    flags = (
        "--dry-run",
        "--quiet",
        "--no-input",
        "--no-deps",
        "--ignore-installed",
        "--report",
        "-",
    )
    answer = _pip("install", *flags, "--only-binary", ":all:", wanted)
    if answer.returncode != 0:
        reasons = [line for line in answer.stderr.splitlines() if line.startswith("ERROR")]
        reason = (reasons or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
        raise DataError(
            f"pip finds no wheel of {wanted}: {reason}\n"
            "fix: check the network and `pip config list`, or put the file into a folder named by"
            " WORKBENCH_DATA_MIRROR"
        )
    found = json.loads(answer.stdout)["install"][0]["download_info"]
    return Wheel(found["url"], found["archive_info"]["hashes"]["sha256"])


@cache
def pip_settings() -> dict[str, str]:
    """Return pip's settings by plain name (``cert``, ``index-url``); the environment's win."""
    settings: dict[str, str] = {}
    lines = _pip("config", "list").stdout.splitlines()
    for line in sorted(lines, key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        if value.startswith(("'", '"')):
            settings[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings


def credentials(url: str, settings: dict[str, str]) -> tuple[str, str] | None:
    """Return user and password that pip's index settings hold for this address's host, if any."""
    host = urlsplit(url).hostname
    indexes = [settings.get("index-url", ""), *settings.get("extra-index-url", "").split()]
    for index in map(urlsplit, indexes):
        if host and index.hostname == host and index.username:
            return unquote(index.username), unquote(index.password or "")
    return None
