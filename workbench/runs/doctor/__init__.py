"""Examine this machine and installation: every check ok, warn or fail, each with a one-line fix.

Follows: `brew doctor` and `flutter doctor`.
Leaves out: mending anything.
"""

from __future__ import annotations

from pathlib import Path

from workbench.runs.doctor import software
from workbench.runs.doctor.finding import Finding, fail, look

__all__ = ["Finding", "examine"]


def examine(store: Path) -> dict[str, Finding]:
    """Look at everything and return the findings by name, in the order to read them.

    Parameters
    ----------
    store : Path   the folder whose disk is looked at; is made if it is not there

    Cost    2-8 s, most of it importing Altair; writes and removes one file of 64 MiB.
    """
    found = look(software.CHECKS)
    try:
        from workbench.runs.doctor import disk, sealing, surroundings
    except ImportError as error:  # a broken installation: say what the rest would have said
        rest = fail(f"not looked at: {error.name} cannot be imported", "make setup")
        return {**found, "machine": rest}
    here = {**disk.checks(store), **sealing.checks(store), **surroundings.CHECKS}
    return {**found, **look(here)}
