"""Nothing is kept."""

from workbench.tiering.ssd_tier.index import ACCESSED, Entry
from workbench.tiering.ssd_tier.reinsertion.keep_none import KeepNone


def test_nothing_is_kept() -> None:
    assert not KeepNone().keeps(Entry(0, 1, 100, ACCESSED, 1, bytes(16), 0))
