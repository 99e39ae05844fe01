"""Count what a store did, so that the sums always agree.

Follows: lookups == hits + misses; puts == their outcomes; errors == requests that failed.
Leaves out: sizes and states of the moment (stats.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.tiering.counting import Counting


@dataclass(slots=True)
class Counts:
    """Counters since the store was opened.

    Attributes
    ----------
    lookups, hits, misses                    blocks asked for; ``lookups == hits + misses``
    misses_absent                            not in the index
    misses_damaged                           frame or sum wrong: never returned, forgotten
    misses_failed                            the device answered with an error: forgotten
    misses_late                              no answer by the deadline: forgotten
    misses_refused                           the store was closed, or there was no memory
    misses_foreign                           stored with other attributes than asked for
    misses_sealed                            did not open, by a wrong byte or for want of its
                                             tenant's key: never returned, forgotten
    puts                                     blocks offered; the sum of the next six
    puts_written, puts_unchanged             stored now; stored already, byte for byte
    puts_not_admitted, puts_too_large        refused by policy; by size
    puts_failed, puts_refused                not written: an error or no room; closed or read-only
    deletes                                  blocks deleted
    flushes, flushes_failed                  calls that made everything durable, or did not
    put_bytes                                stored bytes of blocks written for callers
    written_bytes                            bytes sent to the device, everything counted
    hit_bytes                                stored bytes of hits
    blocks_evicted                           given up to make room
    blocks_evicted_unread                    among them: written and never read back
    blocks_reinserted                        written again to outlive their segment
    blocks_forgotten                         found damaged, unreadable or late by a read
    blocks_dropped                           written, then lost to a failed sync
    segments_reclaimed                       emptied for new blocks
    segments_lost                            found without a readable header, and made anew
    read_errors, write_errors, sync_errors   requests that failed, deadlines included
    folder_errors                            creations, renames, removals, folder syncs that failed
    late_requests                            among the errors: no answer by the deadline
    snapshots, snapshots_failed              index snapshots published, or not
    headers_scanned, blocks_recovered        at the last opening
    """

    lookups: int = 0
    hits: int = 0
    misses: int = 0
    misses_absent: int = 0
    misses_damaged: int = 0
    misses_failed: int = 0
    misses_late: int = 0
    misses_refused: int = 0
    misses_foreign: int = 0
    misses_sealed: int = 0
    puts: int = 0
    puts_written: int = 0
    puts_unchanged: int = 0
    puts_not_admitted: int = 0
    puts_too_large: int = 0
    puts_failed: int = 0
    puts_refused: int = 0
    deletes: int = 0
    flushes: int = 0
    flushes_failed: int = 0
    put_bytes: int = 0
    written_bytes: int = 0
    hit_bytes: int = 0
    blocks_evicted: int = 0
    blocks_evicted_unread: int = 0
    blocks_reinserted: int = 0
    blocks_forgotten: int = 0
    blocks_dropped: int = 0
    segments_reclaimed: int = 0
    segments_lost: int = 0
    read_errors: int = 0
    write_errors: int = 0
    sync_errors: int = 0
    folder_errors: int = 0
    late_requests: int = 0
    snapshots: int = 0
    snapshots_failed: int = 0
    headers_scanned: int = 0
    blocks_recovered: int = 0


class Counters(Counting[Counts]):
    """The counters of one store; safe to use from several threads."""

    def __init__(self) -> None:
        super().__init__(Counts())
