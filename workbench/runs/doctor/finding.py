"""One finding about this machine or installation: how it stands, and what to do about it.

Leaves out: what is looked at (software.py, disk.py, surroundings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.errors import WorkbenchError

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How something stands, what was found, and a one-line fix unless all is well."""

    status: Status
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        if (self.status == "ok") == bool(self.fix):
            raise ValueError(f"{self.status!r} and the fix {self.fix!r} do not agree")


Checks = Mapping[str, Callable[[], Finding]]


def ok(found: str) -> Finding:
    """Say that something is as it should be."""
    return Finding("ok", found)


def warn(found: str, fix: str) -> Finding:
    """Say that something works, but measures or shows less than it could."""
    return Finding("warn", found, fix)


def fail(found: str, fix: str) -> Finding:
    """Say that something does not work until it is mended."""
    return Finding("fail", found, fix)


def look(checks: Checks) -> dict[str, Finding]:
    """Make every check; one that cannot even be made has failed, and the others still run."""
    return {name: _guarded(check) for name, check in checks.items()}


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ImportError as error:
        return fail(f"{error.name or 'a package'} cannot be imported", "make setup")
    except OSError as error:
        return fail(error.strerror or str(error), "make the folder writable, or choose another")
    except WorkbenchError as error:
        return fail(str(error), "mend what it names, then run doctor again")
