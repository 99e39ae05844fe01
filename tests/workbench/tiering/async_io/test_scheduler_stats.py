"""What waits is what was asked for and has not ended."""

from workbench.tiering.async_io.scheduler_stats import ClassStats


def test_waiting_is_the_rest():
    stats = ClassStats(requests=10, done=4, failed=1, dropped=2)
    assert stats.waiting == 3
