"""Drive llama.cpp, by its Python binding, as a peer.

Follows: llama.cpp's own state files, which hold a whole sequence without a checksum.
Leaves out: the engine (llama_cpp_worker.py).
"""

from __future__ import annotations

from pathlib import Path

from workbench.benchmark.peers.peer import Peer, folder


class LlamaCppPeer(Peer):
    """llama.cpp, built for this CPU."""

    name = "llama.cpp"
    worker = "workbench.benchmark.peers.llama_cpp_worker"
    package = "llama"
    enable = "make peers (builds llama.cpp for this CPU: 5 to 12 minutes a core)"

    def save_state_seconds(self, path: Path, *, sync: bool = True) -> float:
        """Write the context's KV state to a file and return the seconds.

        Parameters
        ----------
        path : Path
        sync : bool    have it on the device before the clock stops, which llama.cpp does not ask
        """
        return self._seconds("save_state", path=str(path.absolute()), sync=sync)

    def load_state_seconds(self, path: Path) -> float:
        """Put a saved state in the place of the context and return the seconds.

        The next token needs `decode` with ``first_id``: a state holds no logits.
        """
        return self._seconds("load_state", path=str(path.absolute()))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Return the ids that llama.cpp gives a text."""
        ids = self._call(
            "tokenize", text=text, add_special=add_special, parse_special=parse_special
        )
        assert isinstance(ids, list)
        return ids

    def _environment(self) -> dict[str, str]:
        # A failed assertion would attach a debugger to itself and print for seconds.
        return {"LLAMA_CPP_LIB_PATH": str(folder() / "lib"), "GGML_NO_BACKTRACE": "1"}
