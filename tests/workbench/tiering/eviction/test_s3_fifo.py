"""Most blocks pass through the small queue; those used there twice move on."""

from tests.contracts.policy_contract import PolicyContract, use
from tests.workbench.tiering.eviction.agreement import assert_same_victims
from tests.workbench.tiering.eviction.libcachesim import LIBCACHESIM, object_hits
from workbench.tiering.eviction.s3_fifo import S3Fifo


class TestS3Fifo(PolicyContract):
    def make(self, capacity_blocks):
        return S3Fifo(capacity_blocks)


def test_it_agrees_with_the_naive_one():
    assert_same_victims("s3_fifo", S3Fifo)


def test_a_block_used_twice_in_the_small_queue_outlives_a_scan():
    policy = S3Fifo(10)
    for key in (1, 1, 1, 2, 2):  # two more uses for 1, one for 2
        use(policy, key)
    for key in range(100, 120):
        use(policy, key)
    assert 1 in policy
    assert 2 not in policy


def test_a_ghost_that_comes_back_joins_the_main_queue():
    policy = S3Fifo(10)
    for key in range(11):
        use(policy, key)
    assert 0 not in policy
    use(policy, 0)
    for key in range(100, 108):
        use(policy, key)
    assert 0 in policy


def test_when_the_main_queue_is_pinned_the_small_one_gives_even_what_was_used():
    policy = S3Fifo(3)
    for key in (1, 1, 1, 2, 2, 2, 3, 3, 3):
        use(policy, key)
    assert policy.evict(lambda key: key != 3) == 3
    policy.check()


# Algorithm 1 as its authors run it: until the first eviction the main queue takes what the full
# small one cannot.
class S3FifoOfLibCacheSim(S3Fifo):
    evicted = False

    def evict(self, *is_pinned):
        self.evicted = True
        return super().evict(*is_pinned)

    def insert(self, key):
        if self.evicted or len(self._small) < self.capacity_blocks - self._main_blocks:
            super().insert(key)
        else:
            self._main.numbers[key] = 0


def test_it_hits_as_often_as_its_authors_own(conversation):
    for capacity, hits in LIBCACHESIM["s3_fifo"].items():
        assert object_hits(S3FifoOfLibCacheSim(capacity), conversation) == hits
