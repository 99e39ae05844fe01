"""Torn writes keep whole sectors of the disk; names follow the changes that arrived."""

import numpy as np
import pytest

from workbench.tiering.async_io import crash_states
from workbench.tiering.async_io.crash_states import (
    Created,
    Origin,
    Removed,
    Replaced,
    State,
    Synced,
    Wrote,
    all_states,
    put,
    sampled_states,
)

EMPTY = State({}, {}, Origin(0))


@pytest.mark.parametrize(
    ("offset", "n_bytes", "lengths"),
    [
        (0, 1024, [512, 512]),
        (0, 512, [512]),
        (100, 1024, [412, 512, 100]),
        (512, 100, [100]),
        (511, 2, [1, 1]),
    ],
)
def test_sectors_are_the_disks_not_the_writes(offset, n_bytes, lengths):
    parts = crash_states._sectors(Wrote(1, offset, bytes(n_bytes)))
    assert [part.stop - part.start for part in parts] == lengths
    assert parts[0].start == 0
    assert parts[-1].stop == n_bytes


def test_tears_keep_front_back_middle_and_scattered_sectors():
    rng = np.random.default_rng(0)
    write = Wrote(1, 0, bytes(8 * 512))
    kinds = set()
    for _ in range(400):
        parts = crash_states._tear(write, rng)
        kept = [n for part in parts for n in range(part.start // 512, part.stop // 512)]
        gaps = np.diff(kept)
        if not kept or len(kept) == 8:
            continue
        if (gaps > 1).any():
            kinds.add("scattered")
        else:
            kinds.add(("front" if kept[0] == 0 else "middle") if kept[-1] < 7 else "back")
    assert kinds == {"front", "back", "middle", "scattered"}


def test_a_write_beyond_the_end_leaves_zeros_before_it():
    content = bytearray(b"ab")
    put(content, 4, b"xy")
    assert content == b"ab\0\0xy"
    put(content, 1, b"!")
    assert content == b"a!\0\0xy"


def test_a_name_that_was_given_away_is_not_taken_from_its_new_owner():
    names = {}
    changes = [Created("tmp", 1, 0), Replaced("tmp", "index", 1), Created("tmp", 2, 0)]
    # The first creation never arrived; the second one did before the first replacement.
    for change in (changes[2], changes[1]):
        crash_states._rename(names, change)
    assert names == {"tmp": 2, "index": 1}
    crash_states._rename(names, Removed("absent"))
    assert names == {"tmp": 2, "index": 1}


def test_a_later_write_over_the_same_sector_wins_when_both_arrive():
    log = (Created("f", 1, 512), Wrote(1, 0, b"1" * 512), Wrote(1, 0, b"2" * 512), Synced(1, 3))
    (state,) = {
        state.contents[1]
        for state in sampled_states(EMPTY, log, np.random.default_rng(0), 50, since=4)
        if state.names
    }
    assert state == b"2" * 512


def test_enumeration_is_complete_for_a_small_log():
    log = (Created("f", 1, 512), Wrote(1, 0, b"1" * 512))
    states = [
        (tuple(state.names), state.contents.get(1))
        for state in all_states(EMPTY, log, np.random.default_rng(0), limit=10, samples=0)
    ]
    assert set(states) == {
        ((), None),
        (("f",), b""),
        (("f",), bytes(512)),
        (("f",), b"1" * 512),
    }
