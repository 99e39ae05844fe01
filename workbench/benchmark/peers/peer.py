"""Say what every peer can be asked: load, prefill, decode, cut back, and how long each took.

Follows: seconds are taken inside the worker, around the engine's own calls, so that neither the
pipe nor JSON counts.
Leaves out: how an engine does it (the workers), and the bars (the benchmarks that call this).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, cast

import numpy as np
import numpy.typing as npt

from workbench import paths
from workbench.benchmark.peers.process import PeerError, PeerProcess

# The worker finds this package, but not what else lies in the checkout: transformers would take our
# `kernels` for Hugging Face's. Arguments: the checkout, and the worker's module.
START = (
    "import runpy, sys; root, worker = sys.argv[1:]; sys.path.insert(0, root); "
    "import workbench.benchmark.peers; sys.path.remove(root); "
    "runpy.run_module(worker, run_name='__main__')"
)
# What one call may take: torch dequantises a model in 50 s, and 8,000 tokens take minutes.
_CALL_S = 900.0


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """What an engine is loaded with.

    Attributes
    ----------
    model : Path             a GGUF file
    context_tokens : int     room for tokens
    threads : int            for prefill and decode alike
    flash_attention : bool   llama.cpp: off decodes long float16 contexts faster on CPUs
    kv_dtype : str           llama.cpp: float32, float16, q8_0 or q4_0
    """

    model: Path
    context_tokens: int
    threads: int = 1
    flash_attention: bool = False
    kv_dtype: str = "float16"


@dataclass(frozen=True, slots=True)
class Memory:
    """A peer's memory, bytes: resident now, the anonymous part of it, and the most ever."""

    resident_bytes: int
    anonymous_bytes: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """What greedy decoding gave: ids, and the seconds of each token, float64[n_tokens]."""

    ids: list[int]
    seconds: npt.NDArray[np.float64]


def folder() -> Path:
    """Return the folder that `make peers` fills; WORKBENCH_PEERS names another."""
    return Path(os.environ.get("WORKBENCH_PEERS") or paths.root() / ".peers").absolute()


class Peer:
    """Another engine with one model in it, in a process of its own; use it as a context.

    The context grows by `prefill_seconds` and `decode`, and shrinks by `truncate` and `reset`.
    """

    name: ClassVar[str]
    worker: ClassVar[str]
    package: ClassVar[str]
    enable: ClassVar[str]

    def __init__(self, settings: PeerSettings) -> None:
        """Start the engine and load the model.

        Raises
        ------
        PeerError   if the engine is not installed, or cannot load the model
        """
        if not self.available():
            raise PeerError(f"{self.name} is not installed here; to enable: {self.enable}")
        self._process = PeerProcess(self._command(), self._environment())
        try:
            self.load_seconds(settings)
        except BaseException:
            self._process.close()
            raise

    @classmethod
    def available(cls) -> bool:
        """Return whether `make peers` has installed this engine."""
        return (folder() / f".{cls.package}").exists()

    def load_seconds(self, settings: PeerSettings) -> float:
        """Load a model in place of the one before, and return the seconds it took."""
        fields = {**asdict(settings), "model": str(settings.model.absolute())}
        return self._seconds("load", **fields)

    def prefill_seconds(self, ids: Sequence[int]) -> float:
        """Append tokens to the context, in batches of 512; return the seconds to the last logits.

        Raises
        ------
        PeerError   if the context has no room for them
        """
        return self._seconds("prefill", ids=[*ids])

    def decode(self, n_tokens: int, first_id: int | None = None) -> Decoded:
        """Append tokens one by one, each the best after the one before.

        Parameters
        ----------
        n_tokens : int         how many the context grows by, at least 1
        first_id : int         appended first; by default the best after the context's last

        Returns
        -------
        decoded : Decoded      ids of the best token after each
        """
        answer = cast(
            dict[str, list[float]], self._call("decode", n_tokens=n_tokens, first_id=first_id)
        )
        return Decoded([int(one) for one in answer["ids"]], np.array(answer["seconds"]))

    def decode_seconds(self, n_tokens: int, first_id: int | None = None) -> float:
        """Append tokens as `decode` does and return the seconds of them all."""
        return float(self.decode(n_tokens, first_id).seconds.sum())

    def logits(self) -> npt.NDArray[np.float32]:
        """Return the logits after the context's last token, float32[vocabulary]."""
        return np.array(self._call("logits"), np.float32)

    def truncate(self, n_tokens: int) -> None:
        """Forget all but the first tokens of the context."""
        self._call("truncate", n_tokens=n_tokens)

    def reset(self) -> None:
        """Forget the context."""
        self.truncate(0)

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        self._call("use_threads", threads=threads)

    def memory(self) -> Memory:
        """Return the engine's memory, its interpreter's included."""
        return Memory(**cast(dict[str, int], self._call("memory")))

    def close(self) -> None:
        """End the engine."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _command(self) -> list[str]:
        """Return the program that runs the engine, and its arguments."""
        python = str(folder() / "venv/bin/python")
        return [python, "-I", "-c", START, str(paths.root()), self.worker]

    def _environment(self) -> dict[str, str]:
        """Return what the worker's environment has beyond this process's."""
        return {}

    def _seconds(self, name: str, **arguments: object) -> float:
        return cast(float, self._call(name, **arguments))

    def _call(self, name: str, **arguments: object) -> object:
        return self._process.call(name, _CALL_S, **arguments)
