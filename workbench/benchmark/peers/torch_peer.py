"""Drive transformers on torch as a peer: weights dequantised to float32 once, BLAS for the rest.

Follows: transformers' own reading of GGUF files, which takes most of a minute.
Leaves out: the engine (torch_worker.py), and saved states, which it has none of.
"""

from __future__ import annotations

from workbench.benchmark.peers.peer import Peer


class TorchPeer(Peer):
    """transformers, float32 weights, activations and KV."""

    name = "transformers"
    worker = "workbench.benchmark.peers.torch_worker"
    package = "torch"
    enable = (
        "make peers PEERS='llama torch' (downloads 0.2 to 3 GB, depending on the package index)"
    )
