"""Keep a crash from writing the process's memory, keys included, to disk.

Follows: RLIMIT_CORE 0, which children inherit.
Leaves out: core_pattern pipes that ignore the limit, swap, hibernation, other users' debuggers.
"""

from __future__ import annotations

import resource


def forbid_core_dumps() -> None:
    """Let no core file be written from now on; only root could allow it again."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
