"""Strays are found by key, by state and by segment, until they are dead."""

from workbench.tiering.ssd_tier.index import Entry
from workbench.tiering.ssd_tier.strays import Stray, Strays

KEY, OTHER = b"k" * 32, b"o" * 32
ENTRY = Entry(2, 5, 100, 0, 9, bytes(16), 0)


def test_condemned_frames_wait_until_they_are_absolved() -> None:
    strays = Strays()
    stray = Stray(KEY, 1, 3, 7, 8, 100)
    strays.condemn(stray)
    assert strays.pending() == [stray]
    assert strays.concerns(KEY)
    assert not strays.concerns(OTHER)
    strays.absolve([stray])
    assert len(strays) == 0


def test_stuck_frames_are_told_apart() -> None:
    strays = Strays()
    strays.condemn(Stray(KEY, 1, 3, 7, 8, 100, stuck=True))
    strays.condemn(Stray(OTHER, 1, 6, 7, 9, 100))
    assert [stray.key for stray in strays.stuck()] == [KEY]
    assert [stray.key for stray in strays.pending()] == [OTHER]


def test_what_was_set_aside_is_taken_once() -> None:
    strays = Strays()
    strays.set_aside(KEY, ENTRY)
    assert strays.concerns(KEY)
    assert strays.segments_set_aside() == {2}
    assert strays.take_aside(KEY) == ENTRY
    assert strays.take_aside(KEY) is None


def test_a_segments_new_life_ends_all_of_them() -> None:
    strays = Strays()
    strays.condemn(Stray(KEY, 2, 3, 7, 8, 100))
    strays.condemn(Stray(KEY, 1, 3, 7, 8, 100))
    strays.set_aside(OTHER, ENTRY)
    strays.forget_segment(2)
    assert len(strays) == 1
    assert not strays.concerns(OTHER)
