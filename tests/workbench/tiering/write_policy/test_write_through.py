"""Every block is written at the first moment there is."""

from workbench.tiering.write_policy import WriteThrough


def test_everything_is_written_at_once_and_again_if_that_failed():
    policy = WriteThrough()
    assert [policy.on_use(uses) for uses in range(1, 5)] == [True] * 4
    assert [policy.on_demote(uses) for uses in range(1, 5)] == [True] * 4
