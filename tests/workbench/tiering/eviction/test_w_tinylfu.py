"""A block enters the main part only if it was used more often than what goes."""

import os
import subprocess
import sys

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from tests.workbench.tiering.eviction.naive import NaiveCounts
from workbench import paths
from workbench.tiering.eviction.w_tinylfu import WTinyLfu


class TestWTinyLfu(PolicyContract):
    def make(self, capacity_blocks):
        return WTinyLfu(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    def with_exact_counts(capacity_blocks):
        policy = WTinyLfu(capacity_blocks)
        policy._sketch = NaiveCounts(capacity_blocks)
        return policy

    assert_same_victims("w_tinylfu", with_exact_counts)


def test_a_scan_does_not_displace_what_is_popular():
    policy = WTinyLfu(100)
    for key in [*range(99)] * 5:
        use(policy, key)
    for key in range(1000, 1400):
        use(policy, key)
    assert sum(key in policy for key in range(99)) > 80  # LRU would keep none


def test_a_newcomer_that_is_more_popular_displaces_one_that_is_less():
    policy = WTinyLfu(3)
    for key in (1, 2, 3, 3, 3):  # window: 3; main: 1, 2
        use(policy, key)
    assert use(policy, 4) == 1
    assert 3 in policy


def test_the_same_digests_give_the_same_victims_in_every_process():
    script = (
        "from workbench.tiering.eviction.w_tinylfu import WTinyLfu\n"
        "policy = WTinyLfu(7)\n"
        "for n in range(300):\n"
        "    key = (n * n % 40).to_bytes(8, 'big') * 4\n"
        "    if key in policy: policy.touch(key); continue\n"
        "    if len(policy) == 7: print(policy.evict())\n"
        "    policy.insert(key)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            cwd=paths.root(),
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert said.pop().count("\n") > 50
