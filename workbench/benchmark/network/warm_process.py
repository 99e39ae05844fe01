"""Let one process's prefill warm another one: two runs of the command line, two folders, one server.

Follows: `workbench generate --cache FOLDER --network URL`, as a person would type it; each process
has a new folder, so that what the second one is spared came over the network.
Leaves out: starting Python and loading the model, which both processes do before the clock runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workbench.benchmark import metrics
from workbench.benchmark.progress import meter
from workbench.benchmark.scratch_files import MediumError, scratch_folder
from workbench.datasets.text import embedded_text
from workbench.tiering.distributed_tier import EmbeddedServer
from workbench.tiering.memory import MIB

FIRST, SECOND = "first process", "second process"
METRIC = "process_ttft"
_FOLDER_BYTES = 1 << 30
_LIMIT_S = 120.0
_SHOWN_ERROR_CHARS = 400


@dataclass(frozen=True, slots=True)
class ProcessesPlan:
    """Pairs of processes, each with a text of its own; its characters; tokens of each answer."""

    pairs: int
    prompt_chars: int
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a process said of itself."""

    ttft_ms: float
    prompt_tokens: int
    resumed_tokens: int
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Processes:
    """What `measure` found: each pair's first and second process."""

    pairs: tuple[tuple[Told, Told], ...]

    @property
    def metrics(self) -> pl.DataFrame:
        """Return rows process_ttft, in ms."""
        return pl.concat(
            metrics.rows(METRIC, "ms", [told.ttft_ms for told in some], variant=name)
            for name, some in zip((FIRST, SECOND), zip(*self.pairs, strict=True), strict=True)
        )

    @property
    def table(self) -> pl.DataFrame:
        """Return a line a process."""
        return pl.DataFrame(
            [
                {
                    "text": number,
                    "process": name,
                    "prompt, tokens": told.prompt_tokens,
                    "from the network, tokens": told.resumed_tokens,
                    "first token, ms": told.ttft_ms,
                    "continuation": "same" if told.token_ids == pair[0].token_ids else "another",
                }
                for number, pair in enumerate(self.pairs, 1)
                for name, told in zip((FIRST, SECOND), pair, strict=True)
            ]
        )


def measure(model: str, store: Path, plan: ProcessesPlan) -> Processes:
    """Start the processes of each pair one after the other.

    Raises
    ------
    MediumError   if a process failed, or the two continue a text differently

    Cost    two processes a pair, 2 s each once Numba has compiled.
    """
    text = embedded_text()
    pairs = []
    with (
        scratch_folder(store, "processes", 2 * plan.pairs * 64 * MIB) as folder,
        EmbeddedServer(_FOLDER_BYTES) as server,
        meter("pairs of processes", plan.pairs) as on_pair,
    ):
        for number in range(plan.pairs):
            start = number * len(text) // plan.pairs
            prompt = text[start : start + plan.prompt_chars]
            homes = [folder / f"{number}-{name}" for name in ("first", "second")]
            first, second = (
                run(model, prompt, plan.answer_tokens, home, server.url) for home in homes
            )
            if first.token_ids != second.token_ids:
                raise MediumError("two processes continued a text differently; check the memory")
            pairs.append((first, second))
            on_pair(number + 1)
    return Processes(tuple(pairs))


def run(model: str, prompt: str, n_tokens: int, home: Path, url: str) -> Told:
    """Run one process to its end.

    Raises
    ------
    MediumError   if it failed, with what it said last
    """
    options = ["--model", model, "--prompt", "-", "--tokens", str(n_tokens), "--json"]
    command = [sys.executable, "-m", "workbench", "generate", *options]
    done = subprocess.run(
        [*command, "--cache", str(home), "--network", url],
        input=prompt,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        env={**os.environ, "WORKBENCH_PROGRESS": "none"},
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-_SHOWN_ERROR_CHARS:]
        raise MediumError(f"`workbench generate` ended with {done.returncode}: {said}")
    told = json.loads(done.stdout)
    return Told(
        told["ttft_ms"], told["prompt_tokens"], told["resumed_tokens"], tuple(told["token_ids"])
    )
