"""profile.json: everything a profile's page is made from, beside its run.json.

Follows: fields are only ever added, each with a default, as in run.json.
Leaves out: the machine and the code, which run.json holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.profiling.frames import Frame, Kind
from workbench.profiling.stacks import Stack
from workbench.runs.publish import write_atomic
from workbench.runs.scrub import scrubber

FILE_NAME = "profile.json"


class ProfileError(WorkbenchError):
    """A profile cannot be made, or its file cannot be read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FrameRecord(_Part):
    """A function, once; stacks name it by its number."""

    name: str
    place: str
    kind: Kind


class StackRecord(_Part):
    """A stack, outermost first, and the seconds sampled in it."""

    frames: tuple[int, ...]
    seconds: float = Field(ge=0, allow_inf_nan=False)


class PhaseRecord(_Part):
    """A phase over all threads, as workbench/phases.py adds it up."""

    name: str
    calls: int
    whole_ns: int
    own_ns: int
    minor_faults: int = 0
    major_faults: int = 0


class UsageRecord(_Part):
    """What the profiled process used while its phases were on."""

    wall_s: float = 0.0
    user_s: float = 0.0
    system_s: float = 0.0
    minor_faults: int = 0
    major_faults: int = 0


class Profile(_Part):
    """One profile.

    Attributes
    ----------
    command : str                   what was profiled, as typed
    sampler, rate_hz, native        py-spy's version, samples a second, whether C stacks were read
    n_samples, n_waiting, n_errors  samples of all threads; asleep, so left out; unreadable
    profiled_s, plain_s             wall time of the command under the sampler; of runs without it
    counters, counters_reason       hardware counts of the run without it; why some are missing
    phases, usage                   of the profiled run; None: it never came to write them
    fault_us : float                what one minor page fault costs here
    """

    command: str
    sampler: str
    rate_hz: int
    native: bool
    n_samples: int = 0
    n_waiting: int = 0
    n_errors: int = 0
    profiled_s: float = 0.0
    plain_s: tuple[float, ...] = ()
    counters: dict[str, int] = {}
    counters_reason: str = ""
    phases: tuple[PhaseRecord, ...] = ()
    usage: UsageRecord | None = None
    fault_us: float = 0.0
    frames: tuple[FrameRecord, ...] = ()
    stacks: tuple[StackRecord, ...] = ()

    @property
    def overhead_frac(self) -> float | None:
        """Return the share that sampling added to the quickest plain run; None without one."""
        return self.profiled_s / min(self.plain_s) - 1 if self.plain_s else None

    def sampled(self) -> dict[Stack, float]:
        """Return the stacks with their frames."""
        known = [Frame(one.name, one.place, one.kind) for one in self.frames]
        return {tuple(known[index] for index in one.frames): one.seconds for one in self.stacks}

    @model_validator(mode="after")
    def _frames_are_there(self) -> Self:
        named = {index for one in self.stacks for index in one.frames}
        if named - set(range(len(self.frames))):
            raise ValueError("a stack names a frame that is not there")
        return self


def folded(stacks: Mapping[Stack, float]) -> tuple[list[FrameRecord], list[StackRecord]]:
    """Return stacks as the file holds them."""
    numbers: dict[Frame, int] = {}
    rows = [
        StackRecord(
            frames=tuple(numbers.setdefault(frame, len(numbers)) for frame in stack),
            seconds=round(seconds, 6),
        )
        for stack, seconds in stacks.items()
    ]
    return [FrameRecord(**frame._asdict()) for frame in numbers], rows


def write(folder: Path, profile: Profile) -> None:
    """Write a run folder's profile.json, with no path or name of this machine in it."""
    text = json.dumps(scrubber().value(profile.model_dump(mode="json")), ensure_ascii=False)
    write_atomic(folder / FILE_NAME, (text + "\n").encode())


def read(folder: Path) -> Profile:
    """Read a run folder's profile.json.

    Raises
    ------
    ProfileError   if it is not there or not readable
    """
    path = folder / FILE_NAME
    try:
        return Profile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = str(error).splitlines()[0]
        raise ProfileError(f"{paths.shown(path)} is not a readable profile ({what})") from error
