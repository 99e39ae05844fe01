"""Tests of other engines run where `make peers` has been; elsewhere they are left out, not skipped.

Building an engine takes minutes, which continuous integration does not have.
"""

from __future__ import annotations

import pytest

from workbench.benchmark.peers.llama_cpp_peer import LlamaCppPeer
from workbench.benchmark.peers.torch_peer import TorchPeer

PEERS = {"llama_cpp": LlamaCppPeer, "torch": TorchPeer}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = {name for name, peer in PEERS.items() if not peer.available()}
    left_out = [
        item
        for item in items
        for marker in item.iter_markers("peer")
        if not absent.isdisjoint(marker.args)
    ]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
