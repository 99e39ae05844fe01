"""Open one file after another under limits, and say of each what came of it and what it took.

Follows: RELIABILITY's goal for GGUF files: refused by a typed error, within 1 s and 64 MiB.
Leaves out: which files (corpus.py, mutations.py). Run in a process of its own: limits stay set.
"""

from __future__ import annotations

import re
import resource
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from tests.torture.gguf.opening import open_everything
from workbench.errors import WorkbenchError

MAX_SECONDS = 1.0
MAX_BYTES = 64 << 20
# A file that takes this long has hung: the process is ended by a signal, and its parent sees it.
_HUNG_CPU_S = 20.0
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file.

    Attributes
    ----------
    verdict : str          "refused" with a typed error, "accepted", or "wrong": anything else
    reason : str           the error; of a wrong one with its place in the code
    cpu_s : float          processor time
    grown_bytes : int      how far the peak of memory lay above what was held before
    """

    verdict: str
    reason: str
    cpu_s: float
    grown_bytes: int


def prepare() -> None:
    """Set the limit for memory; call when everything is imported and was run once."""
    held = _status("VmSize")
    if held:
        # Twice: what is mapped is counted too, the small files themselves among it.
        resource.setrlimit(resource.RLIMIT_AS, (held + 2 * MAX_BYTES,) * 2)


def outcome(path: Path, measure_memory: bool = True) -> Outcome:
    """Open one file.

    Parameters
    ----------
    path : Path
    measure_memory : bool   ask the kernel for the peak, Linux only; 0.2 ms
    """
    signal.setitimer(signal.ITIMER_PROF, _HUNG_CPU_S)
    before_bytes = reset_peak() if measure_memory else 0
    start = process_time()
    try:
        open_everything(path)
    except WorkbenchError as error:
        verdict, reason = "refused", f"{type(error).__name__}: {error}"
    # A panic of the tokenizers library is no Exception.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        verdict = "wrong"
        reason = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    else:
        verdict, reason = "accepted", ""
    cpu_s = process_time() - start
    grown = max(0, peak() - before_bytes) if measure_memory else 0
    signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(verdict, reason, cpu_s, grown)


def reset_peak() -> int:
    """Set the peak of memory to what is held now, and return that; 0 where it cannot be had."""
    if sys.platform != "linux":
        return 0
    try:
        _CLEAR.write_text("5")
    except OSError:
        return 0
    return _status("VmHWM")


def peak() -> int:
    """Return the peak of memory since the last reset; 0 where it cannot be had."""
    return _status("VmHWM")


def _status(name: str) -> int:
    if not _STATUS.exists():
        return 0
    found = re.search(rf"{name}:\s*(\d+)", _STATUS.read_text())
    return int(found[1]) << 10 if found else 0
