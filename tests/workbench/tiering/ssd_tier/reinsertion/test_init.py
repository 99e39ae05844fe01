"""Policies see the entry, and nothing else."""

from workbench.tiering.ssd_tier.index import ACCESSED, Entry
from workbench.tiering.ssd_tier.reinsertion import Reinsertion
from workbench.tiering.ssd_tier.reinsertion.keep_accessed import KeepAccessed
from workbench.tiering.ssd_tier.reinsertion.keep_none import KeepNone


def test_every_policy_answers() -> None:
    policies: list[Reinsertion] = [KeepAccessed(), KeepNone()]
    entry = Entry(0, 1, 100, ACCESSED, 1, bytes(16), 0)
    assert [policy.keeps(entry) for policy in policies] == [True, False]
