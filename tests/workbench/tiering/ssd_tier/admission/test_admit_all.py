"""Everything is admitted, always, and so reaches a store."""

from dataclasses import replace

from tests.torture.stores import SMALL, open_small
from tests.workbench.tiering.ssd_tier.bare_cores import key_of, new_disk
from workbench.tiering.ssd_tier.admission.admit_all import AdmitAll


def test_any_block_is_admitted_the_first_time_and_ever_after():
    policy = AdmitAll()
    for number in range(100):
        assert policy.admits(key_of(number % 10), number << 40)


def test_a_store_with_it_writes_the_first_offer():
    disk = new_disk()
    with open_small(disk, disk, replace(SMALL, admission=AdmitAll)) as tier:
        assert tier.put(key_of(1), b"one")
        assert tier.get(key_of(1)) == b"one"
        assert tier.stats().counts.puts_not_admitted == 0


def test_it_is_what_a_store_does_unless_told_otherwise():
    assert SMALL.admission is AdmitAll
