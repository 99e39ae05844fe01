"""Read settings from where people keep them: a TOML file, environment variables.

Follows: one flat table of names; a variable is the name in capitals behind WORKBENCH_TIER_, and
empty is as good as not set.
Leaves out: whether they make sense (config.py).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import UsageError
from workbench.paths import shown

PREFIX = "WORKBENCH_TIER_"


def read_toml(path: Path) -> dict[str, object]:
    """Return the settings of a file.

    Raises
    ------
    UsageError   if it cannot be read, or is no TOML
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror}; give the file of the settings"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)} is no TOML: {error}; write name = value lines") from None


def read_environment(environ: Mapping[str, str] | None = None) -> dict[str, object]:
    """Return the settings of variables; None: of the process's own."""
    found = os.environ if environ is None else environ
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in found.items()
        if name.startswith(PREFIX) and value
    }
