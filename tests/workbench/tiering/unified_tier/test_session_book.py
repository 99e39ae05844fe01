"""Records of named sessions: found again, or forgotten and counted."""

import numpy as np

from tests.workbench.tiering.ssd_tier.store_helpers import sim_disk
from tests.workbench.tiering.tiered_kv_cache.caches import ssd_on
from workbench.tiering.async_io.engine import StorageError
from workbench.tiering.async_io.faults import Fault
from workbench.tiering.ssd_tier import SsdTier
from workbench.tiering.unified_tier.session_book import SessionBook, _unpacked


def test_tokens_survive_a_restart_and_are_replaced_whole():
    disk = sim_disk()
    with ssd_on(disk) as (ssd, _):
        book = SessionBook(ssd, b"model", b"me")
        assert book.read("a") is None
        assert book.write("a", [1, 2, 3])
        assert book.write("a", [4_000_000_000])
        assert book.write("é", [])
    with ssd_on(disk) as (ssd, _):
        book = SessionBook(ssd, b"model", b"me")
        assert book.read("a") == [4_000_000_000]
        assert book.read("é") == []
        for other in (SessionBook(ssd, b"other", b"me"), SessionBook(ssd, b"model", b"you")):
            assert other.read("a") is None
            assert other.n_forgotten == 0
        assert book.forget("a")
        assert book.read("a") is None
        assert book.n_forgotten == 0


def test_a_record_that_cannot_be_read_is_a_session_forgotten():
    with ssd_on(sim_disk()) as (ssd, faults):
        book = SessionBook(ssd, b"model", b"me")
        assert book.write("a", [1, 2, 3])
        faults.add(Fault("error", "read", nth=1, times=10**6))
        assert book.read("a") is None
        assert book.n_forgotten == 1
        assert book.read("a") is None
        assert book.n_forgotten == 1


def test_a_device_that_fails_keeps_nothing_and_raises_nothing(monkeypatch):
    with ssd_on(sim_disk()) as (ssd, faults):
        book = SessionBook(ssd, b"model", b"me")
        faults.add(Fault("error", "write", nth=1, times=10**6))
        assert not book.write("a", [1])
    with ssd_on(sim_disk()) as (ssd, _):
        book = SessionBook(ssd, b"model", b"me")

        def fails(*_):
            raise StorageError("forked")

        for name in ("put", "get_many", "delete"):
            monkeypatch.setattr(SsdTier, name, fails)
        assert (book.write("a", [1]), book.read("a"), book.forget("a")) == (False, None, False)
        assert book.n_forgotten == 1


def test_what_is_no_record_is_recognised():
    sound = b"text" + (1).to_bytes(4, "little") + (1).to_bytes(8, "little") + bytes(4)
    assert _unpacked(memoryview(sound)) == [0]
    for damaged in (sound[:-1], b"", sound + b"x", b"tesx" + sound[4:]):
        assert _unpacked(memoryview(damaged)) is None
    assert isinstance(_unpacked(memoryview(sound))[0], int)
    assert not isinstance(_unpacked(memoryview(sound))[0], np.integer)
