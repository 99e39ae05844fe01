"""No key meets a nonce twice: over restarts, crashes, forks, threads and rolled lanes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from tests.workbench.tiering.encryption.sealed_stores import header_of, new_disk, open_sealed
from workbench.tiering.encryption import lanes as lanes_module
from workbench.tiering.encryption import sealing as sealing_module
from workbench.tiering.encryption.lanes import Lanes, Use, nonce_of
from workbench.tiering.encryption.secret import Secret

TENANT_KEY = Secret(b"t" * 32)
Pair = tuple[bytes, bytes]


def pair(use: Use) -> Pair:
    return use.key.reveal(), nonce_of(use.counter)


def pairs(lanes: Lanes, numbers: Iterable[int]) -> list[Pair]:
    return [pair(lanes.take(TENANT_KEY, header_of(number))) for number in numbers]


def test_nonces_count_up_under_one_key_for_each_life_of_a_segment():
    lanes = Lanes()
    uses = [lanes.take(TENANT_KEY, header_of(1)) for _ in range(3)]
    assert [use.counter for use in uses] == [0, 1, 2]
    assert len({use.salt for use in uses}) == 1
    other = lanes.take(TENANT_KEY, header_of(1, epoch=7))
    assert other.counter == 0
    assert other.salt != uses[0].salt
    assert nonce_of(258) == bytes(10) + b"\x01\x02"


def test_ten_thousand_restarts_crashes_and_forks_repeat_nothing():
    seen: set[Pair] = set()
    n_taken = 0
    lanes = Lanes()
    for cycle in range(10_000):
        # A restart and a crash are the same here: nothing of the lanes is ever on disk.
        if cycle % 3 == 0:
            lanes = Lanes()
        elif cycle % 3 == 1:
            lanes.clear()
        else:
            # What the fork's hook does, in the child.
            lanes_module._forget_in_child()
        taken = pairs(lanes, (1, 1, 9))
        seen.update(taken)
        n_taken += len(taken)
    assert len(seen) == n_taken == 30_000


def test_parents_and_forked_children_repeat_nothing():
    lanes = Lanes()
    seen = pairs(lanes, [1] * 3)
    for _ in range(30):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            for key, nonce in pairs(lanes, [1] * 3):
                os.write(writing, key + nonce)
            os._exit(0)
        os.close(writing)
        seen += pairs(lanes, [1] * 3)
        with os.fdopen(reading, "rb") as pipe:
            raw = pipe.read()
        os.waitpid(child, 0)
        told = [(raw[at : at + 32], raw[at + 32 : at + 44]) for at in range(0, len(raw), 44)]
        assert len(told) == 3
        seen += told
    assert len(set(seen)) == len(seen) == 183


def test_a_fork_while_another_thread_holds_the_lock_leaves_the_child_able():
    lanes = Lanes()
    with lanes._lock:
        child = os.fork()
        if child == 0:
            lanes.take(TENANT_KEY, header_of())
            os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_used_up_lane_is_followed_by_another():
    lanes = Lanes(max_uses=3)
    uses = [lanes.take(TENANT_KEY, header_of()) for _ in range(10)]
    assert [use.counter for use in uses] == [0, 1, 2] * 3 + [0]
    assert len({use.salt for use in uses}) == 4
    assert lanes_module.MAX_USES < 1 << 32


def test_lanes_are_bounded_and_those_that_were_given_up_begin_anew(monkeypatch):
    monkeypatch.setattr(lanes_module, "_MAX_LANES", 4)
    lanes = Lanes()
    taken = []
    for epoch in [*range(10), *range(10)]:
        taken.append(pair(lanes.take(TENANT_KEY, header_of(epoch=epoch))))
        assert len(lanes._lanes) <= 4
    assert len(set(taken)) == 20


def test_threads_share_a_lane():
    lanes, taken = Lanes(), [[] for _ in range(4)]

    def work(mine):
        mine += pairs(lanes, [1] * 500)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for mine in taken for one in mine}) == 2000


def test_a_real_store_repeats_nothing_over_reopenings_crashes_and_moved_blocks(monkeypatch):
    seen: list[Pair] = []
    real = sealing_module.encrypt

    def spy(key, nonce, *rest):
        seen.append((key.reveal(), nonce))
        return real(key, nonce, *rest)

    monkeypatch.setattr(sealing_module, "encrypt", spy)
    disk = new_disk()
    for cycle in range(60):
        tier, _ = open_sealed(disk)
        for number in range(4):
            assert tier.put(bytes([number]) * 32, bytes([cycle]) * 6000)
        if cycle % 2:
            tier.close()
        else:
            tier.flush()
            disk = disk.reopened()
    assert len(seen) >= 240
    assert len(set(seen)) == len(seen)
