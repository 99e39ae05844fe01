"""Every block is written at the first moment there is."""

from workbench.tiering.write_policy import WriteThrough

KEY = bytes(32)


def test_everything_is_written_at_once_and_again_if_that_failed():
    policy = WriteThrough()
    assert [policy.on_seal(KEY, uses) for uses in range(1, 5)] == [True] * 4
    assert [policy.on_demote(KEY, uses) for uses in range(1, 5)] == [True] * 4
