"""A name finds what is registered, or the names that were probably meant."""

import pytest

from workbench.errors import UsageError
from workbench.tiering.named import pick

KNOWN = {"lru": 1, "lfu": 2, "fifo": 3}


def test_a_known_name_is_picked():
    assert [pick("policy", name, KNOWN) for name in KNOWN] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fifi", "did you mean fifo?"),
        ("lxu", "did you mean lru or lfu?"),
        ("belady", "there are lru, lfu, fifo"),
        ("", "there are lru, lfu, fifo"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(name, hint):
    with pytest.raises(UsageError) as refused:
        pick("eviction policy", name, KNOWN)
    assert refused.value.problems == [f"unknown eviction policy {name!r}; {hint}"]
