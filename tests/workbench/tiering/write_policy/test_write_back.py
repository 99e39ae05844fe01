"""A block is written when it leaves memory, and not before."""

from workbench.tiering.write_policy import WriteBack

KEY = bytes(32)


def test_nothing_is_written_before_it_leaves():
    policy = WriteBack()
    assert [policy.on_seal(KEY, uses) for uses in range(1, 100)] == [False] * 99
    assert [policy.on_demote(KEY, uses) for uses in range(1, 100)] == [True] * 99
