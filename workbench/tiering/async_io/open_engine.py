"""Open the best engine that this system offers, and say why it is not a better one.

Follows: LMCache #4386: a tier that silently does not work is worse than none.
Leaves out: choosing depth and block size (block_size.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.io_uring import UringEngine
from workbench.tiering.async_io.real_files import RealFiles
from workbench.tiering.async_io.ring import RingRefusedError
from workbench.tiering.async_io.synchronous import SynchronousEngine
from workbench.tiering.async_io.threads import ThreadEngine

Kind = Literal["auto", "io_uring", "threads", "synchronous"]
KINDS: tuple[Kind, ...] = ("auto", "io_uring", "threads", "synchronous")


def open_engine(
    kind: Kind = "auto",
    *,
    depth: int = 32,
    direct: bool = True,
    write_through: bool = False,
    fixed: Sequence[memoryview] = (),
) -> RealFiles:
    """Open an engine on real files.

    Parameters
    ----------
    kind : str                       "auto" takes io_uring where it works, else threads, once and
                                     for good; the stats then say why
    depth : int                      requests in flight at most
    direct : bool                    bypass the page cache where the file system allows it
    write_through : bool             every write reaches the device before it completes
    fixed : sequence of memoryview   buffers to register with io_uring; the others ignore them

    Raises
    ------
    RingRefusedError   if "io_uring" was asked for by name and is refused
    StorageError       if ``kind`` is unknown or ``depth`` out of range
    """
    if kind == "synchronous":
        return SynchronousEngine(direct=direct, write_through=write_through)
    if kind == "threads":
        return ThreadEngine(depth=depth, direct=direct, write_through=write_through)
    if kind not in KINDS:
        raise StorageError(f"no engine is called {kind!r}; there are {', '.join(KINDS)}")
    try:
        return UringEngine(depth=depth, direct=direct, write_through=write_through, fixed=fixed)
    except RingRefusedError as error:
        if kind == "io_uring":
            raise
        return ThreadEngine(
            depth=depth, direct=direct, write_through=write_through, reason=str(error)
        )
