"""A thing that closes is closed at the end of its block, however that ends."""

from __future__ import annotations

import pytest

from workbench.tiering.closing import Closing


class Door(Closing):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_the_block_gets_the_thing_and_closes_it() -> None:
    door = Door()
    with door as inside:
        assert inside is door
        assert door.closed == 0
    assert door.closed == 1


def test_an_error_closes_it_too_and_goes_on() -> None:
    door = Door()
    with pytest.raises(ZeroDivisionError), door:
        raise ZeroDivisionError
    assert door.closed == 1
