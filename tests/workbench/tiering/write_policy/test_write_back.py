"""A block is written when it leaves memory, and not before."""

from workbench.tiering.write_policy import WriteBack


def test_nothing_is_written_before_it_leaves():
    policy = WriteBack()
    assert [policy.on_use(uses) for uses in range(1, 100)] == [False] * 99
    assert [policy.on_demote(uses) for uses in range(1, 100)] == [True] * 99
