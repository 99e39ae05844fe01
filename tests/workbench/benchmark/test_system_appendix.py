"""The appendix: filled by the machine it runs on, and free of names of hosts and people."""

from __future__ import annotations

import getpass
import platform
from pathlib import Path

from workbench.benchmark import system_appendix


def test_it_names_processor_memory_and_software() -> None:
    frame = system_appendix.describe()
    items = dict(zip(frame["item"], frame["value"], strict=True))
    assert items["page"].endswith("KiB")
    assert items["LLVM's name"]
    assert f"Python {platform.python_version()}".endswith(items["Python"].split()[-1])
    assert "numba" in items["packages"]
    assert all(items.values())


def test_it_names_no_host_user_or_path() -> None:
    text = "\n".join(system_appendix.describe()["value"])
    words = set(text.replace(",", " ").split())
    assert not words & {getpass.getuser(), platform.node()}
    assert str(Path.home()) not in text
