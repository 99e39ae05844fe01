"""What a store asks of a sealing, seen with the real one; a plain store writes zeros instead."""

import pytest

from tests.torture.model import key_of
from tests.torture.power_loss import each
from tests.torture.stores import SMALL, TIGHT, open_sealed, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import new_disk
from workbench.tiering.async_io.engine import PAGE_BYTES, StorageError
from workbench.tiering.ssd_tier.frame import NO_CONTENT, NO_SEAL
from workbench.tiering.ssd_tier.layout import segment_name
from workbench.tiering.ssd_tier.sealing import SealError
from workbench.tiering.ssd_tier.segment_header import NOT_SEALED, unpack


def test_a_seal_that_does_not_open_is_a_failure_of_storage():
    assert issubclass(SealError, StorageError)


@pytest.mark.parametrize("opens", [open_small, open_sealed])
def test_headers_say_how_they_are_sealed(opens):
    disk = new_disk()
    tier = opens(disk, disk, SMALL)
    tier.put(key_of(1), b"value")
    (frame,) = tier.get_frames([key_of(1)])
    header, is_sealed = frame.header, opens is open_sealed
    assert (header.content != NO_CONTENT) == (header.seal != NO_SEAL) == is_sealed
    for number in range(len(tier._core.table.segments)):
        raw = disk.content(segment_name(number))[:PAGE_BYTES]
        assert (unpack(raw, "segment").sealed_as != NOT_SEALED) == is_sealed


def test_an_opened_frame_is_not_what_lies_on_disk():
    disk = new_disk()
    tier = open_sealed(disk, disk, SMALL)
    tier.put(key_of(1), b"value")
    (frame,) = tier.get_frames([key_of(1)])
    with pytest.raises(SealError, match="lies on disk sealed"):
        frame.wire()


@pytest.mark.parametrize("config", [SMALL, TIGHT])
def test_power_loss_takes_nothing_of_a_sealed_store_that_was_flushed(config):
    expected = found = 0
    for verdict in each(5, 30, 40, config, open_sealed):
        assert verdict.wrong == []
        expected += verdict.expected
        found += verdict.found
    assert found == expected
    assert expected > 0 or config is TIGHT
