"""Addresses: inside, between and outside of functions; a map that was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.profiling import symbols
from workbench.profiling.symbols import SymbolMap

LINES = ["1000 10 kernels.copy.vector", "2000 20 f (wrapper)", "zz 1 torn", "3000", ""]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0xFFF, None),
        (0x1000, "kernels.copy.vector"),
        (0x100F, "kernels.copy.vector"),
        (0x1010, None),
        (0x201F, "f (wrapper)"),
        (0x3000, None),
        (0, None),
    ],
)
def test_the_function_that_holds_an_address(address: int, name: str | None) -> None:
    assert SymbolMap(LINES).name(address) == name


def test_maps_are_found_by_process(tmp_path: Path) -> None:
    (tmp_path / "perf-17.map").write_text("\n".join(LINES))
    (tmp_path / "perf-100.map").write_text("")
    (tmp_path / "phases-17.json").write_text("{}")
    found = symbols.read_all(tmp_path)
    assert {pid: len(one) for pid, one in found.items()} == {17: 2, 100: 0}
    assert len(SymbolMap([])) == 0
    assert SymbolMap([]).name(1) is None
