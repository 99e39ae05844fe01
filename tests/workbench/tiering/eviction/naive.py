"""Every policy once more, slow and obvious: lists that are searched, scores that are computed anew.

Follows: the same papers, read again; nothing of workbench/tiering/eviction is used.
Leaves out: pinning and removing, which the contract tests.
"""

from __future__ import annotations

import math
from typing import Any


class Naive:
    """Blocks in a list, in the order in which they came; a subclass says which one goes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.blocks: list[Any] = []
        self.start()

    def start(self) -> None:
        """Prepare what the policy remembers beside the blocks."""

    def use(self, key: Any) -> Any:
        """Serve one reference; return the victim, if one had to go."""
        victim = None
        if key in self.blocks:
            self.hit(key)
        else:
            if len(self.blocks) == self.capacity:
                victim = self.victim()
                self.blocks.remove(victim)
            self.blocks.append(key)
            self.miss(key)
        return victim

    def hit(self, key: Any) -> None:
        """Note a use."""

    def miss(self, key: Any) -> None:
        """Note a block that came."""

    def victim(self) -> Any:
        """Say which block goes."""
        return self.blocks[0]


class NaiveFifo(Naive):
    """The first that came."""


class NaiveLru(Naive):
    """The first after every use has moved its block to the end."""

    def hit(self, key: Any) -> None:
        self.blocks.remove(key)
        self.blocks.append(key)


class NaiveHistory(Naive):
    """Remembers when each block that is held was used."""

    def start(self) -> None:
        self.now = 0
        self.used: dict[Any, list[int]] = {}

    def hit(self, key: Any) -> None:
        self.now += 1
        self.used[key].append(self.now)

    def miss(self, key: Any) -> None:
        self.now += 1
        self.used[key] = [self.now]


class NaiveLfu(NaiveHistory):
    """Fewest uses, then the longest ago."""

    def victim(self) -> Any:
        return min(self.blocks, key=lambda key: (len(self.used[key]), self.used[key][-1]))


class NaiveRecencyFrequency(NaiveHistory):
    """The lowest sum of last use and capacity times the whole part of the logarithm of uses."""

    def victim(self) -> Any:
        def score(key: Any) -> int:
            uses = min(len(self.used[key]), 16)
            return self.used[key][-1] + self.capacity * math.floor(math.log2(uses))

        # Equal scores: the rank with fewer uses first.
        return min(self.blocks, key=lambda key: (score(key), len(self.used[key])))


class NaiveArc(Naive):
    """Figure 4 of the paper, but room is made before the target moves."""

    def start(self) -> None:
        self.t1: list[Any] = []
        self.t2: list[Any] = []
        self.b1: list[Any] = []
        self.b2: list[Any] = []
        self.p = 0.0

    def hit(self, key: Any) -> None:
        (self.t1 if key in self.t1 else self.t2).remove(key)
        self.t2.append(key)

    def victim(self) -> Any:
        from_t1 = bool(self.t1) and (len(self.t1) > self.p or not self.t2)
        victim = (self.t1 if from_t1 else self.t2).pop(0)
        (self.b1 if from_t1 else self.b2).append(victim)
        self.trim()
        return victim

    def miss(self, key: Any) -> None:
        if key in self.b1:
            self.p = min(self.capacity, self.p + max(1, len(self.b2) / len(self.b1)))
            self.b1.remove(key)
            self.t2.append(key)
        elif key in self.b2:
            self.p = max(0, self.p - max(1, len(self.b1) / len(self.b2)))
            self.b2.remove(key)
            self.t2.append(key)
        else:
            self.t1.append(key)
        self.trim()

    def trim(self) -> None:
        del self.b1[: max(0, len(self.t1) + len(self.b1) - self.capacity)]
        del self.b2[: max(0, len(self.b1) + len(self.b2) - self.capacity)]


class NaiveS3Fifo(Naive):
    """Algorithm 1 of the paper."""

    def start(self) -> None:
        self.small: list[Any] = []
        self.main: list[Any] = []
        self.ghosts: list[Any] = []
        self.freq: dict[Any, int] = {}
        self.main_size = self.capacity - max(1, self.capacity // 10)

    def hit(self, key: Any) -> None:
        self.freq[key] = min(3, self.freq[key] + 1)

    def miss(self, key: Any) -> None:
        self.freq[key] = 0
        if key in self.ghosts:
            self.ghosts.remove(key)
            self.main.append(key)
        else:
            self.small.append(key)

    def victim(self) -> Any:
        while True:
            if len(self.main) > self.main_size or not self.small:
                key = self.main.pop(0)
                if self.freq[key] == 0:
                    return key
                self.freq[key] -= 1
                self.main.append(key)
            else:
                key = self.small.pop(0)
                if self.freq[key] < 2:
                    self.ghosts = [*self.ghosts, key][-self.main_size :] if self.main_size else []
                    return key
                self.freq[key] = 0
                self.main.append(key)


class NaiveCounts:
    """What the sketch estimates, counted exactly."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.counts: dict[Any, int] = {}
        self.seen = 0

    def add(self, key: Any) -> None:
        self.counts[key] = min(15, self.estimate(key) + 1)
        self.seen += 1
        if self.seen >= 10 * self.capacity:
            self.counts = {key: count // 2 for key, count in self.counts.items()}
            self.seen //= 2

    def estimate(self, key: Any) -> int:
        return self.counts.get(key, 0)


class NaiveWTinyLfu(Naive):
    """Window and two segments; frequencies are counted exactly."""

    def start(self) -> None:
        self.window: list[Any] = []
        self.probation: list[Any] = []
        self.protected: list[Any] = []
        self.counts = NaiveCounts(self.capacity)
        self.window_size = max(1, self.capacity // 100)
        self.protected_size = int((self.capacity - self.window_size) * 0.8)

    def hit(self, key: Any) -> None:
        self.counts.add(key)
        if key in self.window:
            self.window.remove(key)
            self.window.append(key)
            return
        (self.probation if key in self.probation else self.protected).remove(key)
        self.protected.append(key)
        if len(self.protected) > self.protected_size:
            self.probation.append(self.protected.pop(0))

    def miss(self, key: Any) -> None:
        self.counts.add(key)
        self.window.append(key)
        if len(self.window) > self.window_size:
            self.probation.append(self.window.pop(0))

    def victim(self) -> Any:
        main = [*self.probation, *self.protected]
        candidates = self.window if len(self.window) == self.window_size or not main else []
        if candidates and not (
            main and self.counts.estimate(candidates[0]) > self.counts.estimate(main[0])
        ):
            return self.window.pop(0)
        return (self.probation or self.protected).pop(0)


class NaiveMin(Naive):
    """Needed again the latest; used the longest ago of those that are never needed again."""

    def __init__(self, capacity: int, next_uses: list[int]) -> None:
        super().__init__(capacity)
        self.future = list(next_uses)
        self.next_use: dict[Any, int] = {}

    def hit(self, key: Any) -> None:
        self.blocks.remove(key)
        self.blocks.append(key)
        self.miss(key)

    def miss(self, key: Any) -> None:
        self.next_use[key] = self.future.pop(0)

    def victim(self) -> Any:
        return max(self.blocks, key=lambda key: self.next_use[key])


NAIVE: dict[str, type[Naive]] = {
    "fifo": NaiveFifo,
    "lru": NaiveLru,
    "lfu": NaiveLfu,
    "recency_frequency": NaiveRecencyFrequency,
    "arc": NaiveArc,
    "s3_fifo": NaiveS3Fifo,
    "w_tinylfu": NaiveWTinyLfu,
}
