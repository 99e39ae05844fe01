"""Reading ahead is paused where it does not pay, tried again, and kept where it does."""

from workbench.tiering.async_io.gain import Gain


def judged(direct_ns, ahead_ns, n=8):
    gain = Gain()
    gain.note_direct(direct_ns, 1)
    for _ in range(n):
        gain.note_ahead(ahead_ns, 1)
    return gain


def rest_of(gain):
    n = 0
    while gain.resting:
        gain.rest()
        n += 1
    return n


def test_what_pays_is_kept():
    assert not judged(1.0, 0.5, 100).resting


def test_what_does_not_pay_rests_longer_each_time():
    gain = judged(1.0, 0.95)
    rests = []
    for _ in range(9):
        rests.append(rest_of(gain))
        assert not gain.resting
        for _ in range(8):
            gain.note_ahead(2.0, 1)
    assert rests == [64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096]


def test_one_slow_batch_is_no_verdict():
    gain = judged(1.0, 5.0, 7)
    assert not gain.resting
    assert not judged(1.0, 0.4, 50).resting


def test_nothing_is_judged_without_something_to_compare_with():
    gain = Gain()
    for _ in range(50):
        gain.note_ahead(1.0, 1)
    assert not gain.resting


def test_after_it_has_paid_a_rest_is_short_again():
    gain = judged(1.0, 2.0)
    rest_of(gain)
    for _ in range(8):
        gain.note_ahead(0.1, 1)
    for _ in range(40):
        gain.note_ahead(3.0, 1)
        if gain.resting:
            break
    assert rest_of(gain) == 64


def test_reads_from_memory_count_with_the_batch_after_them():
    gain = judged(1.0, 0.5)
    for _ in range(7):
        gain.note_memory(0, 100)
    gain.note_ahead(0, 100)
    assert gain.ahead_ns == 0.5 * 7 / 8
    gain.note_ahead(4, 1)
    assert gain.ahead_ns > 0.5 * 7 / 8


def test_an_outlier_carries_nothing_away():
    gain = judged(1.0, 0.5, 20)
    gain.note_ahead(1e9, 1)
    assert not gain.resting
