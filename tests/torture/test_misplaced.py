"""Blocks that lie in each other's place are misses, on plain and on sealed stores."""

from __future__ import annotations

import pytest

from tests.torture import misplaced
from tests.torture.ledger import Count
from tests.torture.stores import open_sealed, open_small
from workbench.tiering.encryption import sealing
from workbench.tiering.ssd_tier import reading
from workbench.tiering.ssd_tier.reading import Frame

N_BLOCKS = 16
N_PAIRS = N_BLOCKS * (N_BLOCKS - 1)


@pytest.mark.parametrize("open_store", [open_small, open_sealed])
def test_every_block_in_the_place_of_every_other_is_a_miss(open_store: misplaced.Open) -> None:
    count = Count.of(misplaced.swapped(N_BLOCKS, open_store))
    assert count == Count(N_PAIRS, N_PAIRS, N_PAIRS)


def test_sealed_bytes_under_any_other_header_are_refused_by_their_seal() -> None:
    count = Count.of(misplaced.forged(N_BLOCKS))
    assert count == Count(N_PAIRS, N_PAIRS, N_PAIRS)


def test_they_are_refused_when_a_store_without_an_index_finds_them() -> None:
    count = Count.of(misplaced.forged_reopened(N_BLOCKS))
    assert count == Count(2 * (N_BLOCKS - 1))


# What a store would answer that trusted less than all of it


def test_without_headers_swapped_blocks_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(store: bytes, key: bytes, entry: object, landing: reading.Landing) -> Frame:
        return Frame(reading.unpack(landing.pages), landing.pages, landing.payload)

    monkeypatch.setattr(reading, "identify", trusting)
    monkeypatch.setattr(reading, "payload_sum", _Anything)
    assert Count.of(misplaced.swapped(4)).wrong == 12
    # Each opens under its own header: the seal does not know where it was looked for.
    assert Count.of(misplaced.swapped(4, open_sealed)).wrong == 12


class _Anything:
    """Equals whatever it is compared with."""

    def __init__(self, payload: memoryview) -> None: ...

    def __ne__(self, other: object) -> bool:
        return False


def test_seals_that_are_bound_to_nothing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_bound", lambda header, salt, counter: b"")
    # Of a segment's blocks every third is of one tenant, and so under one key.
    assert Count.of(misplaced.forged(N_BLOCKS)).wrong > N_BLOCKS
    assert Count.of(misplaced.forged_reopened(N_BLOCKS)).wrong > N_BLOCKS
