"""profile.json: there and back, hostile and foreign files, nothing of this machine in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.profiling.frames import Frame
from workbench.runs.profile import profile_file
from workbench.runs.profile.profile_file import Profile, ProfileError

A, B = Frame("a", "kernels/a.py", "project"), Frame("b", "compiled by Numba", "kernel")


def profile(**changes: object) -> Profile:
    frames, stacks = profile_file.folded({(A, B): 1.5, (A,): 0.25})
    told = {"command": "workbench run day01", "sampler": "py-spy 0.4.3", "rate_hz": 50}
    parts = {"native": True, "frames": tuple(frames), "stacks": tuple(stacks)}
    return Profile.model_validate({**told, **parts, **changes})


def test_there_and_back(tmp_path: Path) -> None:
    profile_file.write(tmp_path, profile(plain_s=(4.0, 2.0), profiled_s=3.0))
    again = profile_file.read(tmp_path)
    assert again.sampled() == {(A, B): 1.5, (A,): 0.25}
    assert again.overhead_frac == 0.5  # against the quicker one
    assert profile().overhead_frac is None


def test_what_a_newer_version_adds_is_ignored(tmp_path: Path) -> None:
    told = {**profile().model_dump(mode="json"), "later": 1}
    (tmp_path / profile_file.FILE_NAME).write_text(json.dumps(told))
    assert profile_file.read(tmp_path) == profile()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"command": 1}', '{"frames": 3}'])
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / profile_file.FILE_NAME).write_text(text)
    with pytest.raises(ProfileError, match="not a readable profile"):
        profile_file.read(tmp_path)


@pytest.mark.parametrize(
    "stack",
    [
        {"frames": [0, 9], "seconds": 1.0},
        {"frames": [-1], "seconds": 1.0},
        {"frames": [0], "seconds": -1.0},
        {"frames": [0], "seconds": "inf"},
    ],
)
def test_a_stack_that_cannot_be_is_refused(tmp_path: Path, stack: dict[str, object]) -> None:
    told = {**profile().model_dump(mode="json"), "stacks": [stack]}
    (tmp_path / profile_file.FILE_NAME).write_text(json.dumps(told))
    with pytest.raises(ProfileError, match="not a readable profile"):
        profile_file.read(tmp_path)


def test_a_folder_without_one(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="not a readable profile"):
        profile_file.read(tmp_path)


def test_paths_of_this_machine_stay_out(tmp_path: Path) -> None:
    profile_file.write(tmp_path, profile(command=f"workbench bench --out {Path.home()}/x"))
    assert str(Path.home()) not in (tmp_path / profile_file.FILE_NAME).read_text()
