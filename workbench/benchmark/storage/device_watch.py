"""Prove that what an engine moves comes from the device and not from the page cache.

Follows: the O_DIRECT flag read back from the kernel, and mincore over the file around the timing.
Leaves out: caches below the file system (a host's, a drive's own); nothing here can see those.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from workbench.benchmark.scratch_files import COLD_FRAC, MediumError
from workbench.tiering.async_io import residency
from workbench.tiering.async_io.real_files import RealFiles


class DeviceWatch:
    """One file as one engine has it open, and the evidence about it so far."""

    def __init__(self, name: str, engine: RealFiles, file: int) -> None:
        """Begin with no evidence; ``name`` says what is read, in the table."""
        self.name = name
        self.engine = engine
        self.file = file
        self.resident_before: list[float] = []
        self.resident_after: list[float] = []

    @property
    def direct(self) -> bool:
        """Return whether requests of the file bypass the page cache."""
        return self.engine.is_direct(self.file)

    def chill(self) -> None:
        """Make the file cold and note what mincore says; outside any timing."""
        self.resident_before.append(residency.drop_cache(self.engine.fileno(self.file)))

    def before_sample(self) -> None:
        """Make the file cold again where the last sample's own reads have warmed it."""
        if not self.direct:
            self.chill()

    def conclude(self) -> None:
        """Note what mincore says after the timing."""
        self.resident_after.append(residency.resident_frac(self.engine.fileno(self.file)))

    @property
    def proven(self) -> bool:
        """Return whether the flag and mincore bore the device out around every timing."""
        if not self.resident_before or not self.resident_after:
            return False
        refuted = self.direct and self.engine.direct_proof(self.file).flag is False
        # Buffered reads fill the cache themselves; each sample began cold instead.
        after = max(self.resident_after) if self.direct else 0.0
        return not refuted and max(self.resident_before) <= COLD_FRAC and after <= COLD_FRAC

    def demand(self) -> None:
        """Raise MediumError unless this was the device, read past the page cache."""
        if not self.direct or not self.proven:
            reason = self.engine.stats().fallback_reason or "mincore found the file in memory"
            raise MediumError(
                f"{self.name} by {self.engine.kind} was not proven to reach the device: {reason}; "
                "choose a store folder on a disk whose file system has O_DIRECT"
            )


_TABLE: dict[str, pl.DataType] = {
    "what": pl.String(),
    "engine": pl.String(),
    "O_DIRECT read back": pl.String(),
    "resident before": pl.Float64(),
    "resident after": pl.Float64(),
    "proven": pl.Boolean(),
}


def proof_table(watches: Sequence[DeviceWatch]) -> pl.DataFrame:
    """Return one row a file and engine: the flag, and what mincore said at its worst.

    Columns
    -------
    O_DIRECT read back                  set, not set, or why the system cannot say
    resident before, resident after     largest fraction of the file in memory around the timings
    proven                              True when both bear out that the device was reached
    """
    return pl.DataFrame([_row(watch) for watch in watches], schema=_TABLE)


def _row(watch: DeviceWatch) -> dict[str, object]:
    flag = watch.engine.direct_proof(watch.file)
    return {
        "what": watch.name,
        "engine": watch.engine.kind,
        "O_DIRECT read back": {True: "set", False: "not set", None: flag.evidence}[flag.flag],
        "resident before": max(watch.resident_before, default=None),
        "resident after": max(watch.resident_after, default=None),
        "proven": watch.proven,
    }
