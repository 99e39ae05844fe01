"""The surroundings: programs, fonts, model and outputs, there and missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.profiling import counters, sampler
from workbench.runs.doctor import surroundings


@pytest.mark.parametrize(
    ("found", "status"), [("performance", "ok"), ("powersave", "warn"), ("unknown", "ok")]
)
def test_the_governor(found: str, status: str) -> None:
    assert surroundings.governor(found).status == status
    assert surroundings.governor().status in ("ok", "warn")


def test_programs_are_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for check in (surroundings.browser, surroundings.fio):
        missing = check()
        assert missing.status == "warn"
        assert "install" in missing.fix
    for name in ("chromium", "fio"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert surroundings.browser().status == surroundings.fio().status == "ok"


def test_a_profiler_that_may_not_look_warns_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise sampler.refused("Error: Permission denied", "linux")

    monkeypatch.setattr(sampler, "check", refuse)
    found = surroundings.profiler()
    assert (found.status, "SYS_PTRACE" in found.fix) == ("warn", True)
    assert "Permission denied" in found.found
    monkeypatch.setattr(sampler, "check", lambda: None)
    assert surroundings.profiler().status == "ok"


def test_missing_counters_warn_only_where_there_is_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "missing", lambda: "perf answers <not supported>")
    assert surroundings.hardware_counters().status == "ok"
    monkeypatch.setattr(counters, "missing", lambda: "perf is not installed; fix: apt-get it")
    found = surroundings.hardware_counters()
    assert (found.status, found.fix) == ("warn", "apt-get it")


def test_fonts_are_found_in_their_folders(tmp_path: Path) -> None:
    assert surroundings.fonts((str(tmp_path),)).status == "warn"
    (tmp_path / "truetype").mkdir()
    (tmp_path / "truetype" / "Some.ttf").write_bytes(b"")
    assert surroundings.fonts((str(tmp_path),)).status == "ok"


def test_a_missing_model_says_how_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    found = surroundings.model()
    assert (found.status, found.fix) == ("warn", "workbench data get smollm2-135m")


def test_outputs_that_cannot_be_written_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    assert surroundings.outputs().status == "ok"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "file"))
    assert surroundings.outputs().status == "fail"


def test_peers_are_named_with_their_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_PEERS", str(tmp_path))
    missing = surroundings.peers()
    assert missing.status == "warn"
    assert missing.fix.startswith("make peers")
    assert "llama.cpp, transformers not installed" in missing.found
    (tmp_path / ".llama").touch()
    assert surroundings.peers().found == "llama.cpp; not transformers"
    (tmp_path / ".torch").touch()
    assert (surroundings.peers().status, surroundings.peers().found) == (
        "ok",
        "llama.cpp, transformers",
    )
