"""Let one process's prefill warm another one: two commands, two folders, one server.

Follows: `workbench generate --cache FOLDER --network URL`, as a person would type it; each process
has a new folder, so that what the second one is spared came over the network.
Leaves out: starting Python and loading the model, which both processes do before the clock runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
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

    Cost    two processes a pair, 4 s together once Numba has compiled.
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
            options = _options(model, plan.answer_tokens, server.url)
            first, second = answers(prompt, [[*options, str(folder / str(n))] for n in (1, 2)])
            for n in (1, 2):
                shutil.rmtree(folder / str(n), ignore_errors=True)
            if first.token_ids != second.token_ids:
                raise MediumError("two processes continued a text differently; check the memory")
            pairs.append((first, second))
            on_pair(number + 1)
    return Processes(tuple(pairs))


def _options(model: str, n_tokens: int, url: str) -> list[str]:
    asked = ["--model", model, "--prompt", "-", "--tokens", str(n_tokens), "--json"]
    return ["generate", *asked, "--network", url, "--cache"]


def answers(prompt: str, commands: Sequence[Sequence[str]]) -> list[Told]:
    """Start several `workbench` at once, and give each the prompt once the one before has ended.

    Until then a process has imported what it needs and waits for its standard input.

    Raises
    ------
    MediumError   if one failed, with what it said last
    """
    with contextlib.ExitStack() as stack:
        started = [_started(stack, command) for command in commands]
        return [_told(process, prompt) for process in started]


def _started(stack: contextlib.ExitStack, command: Sequence[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WORKBENCH_PROGRESS": "none"},
    )
    stack.enter_context(process)
    # Whatever happens to the others: nobody waits for a prompt for ever.
    stack.callback(process.kill)
    return process


def _told(process: subprocess.Popen[str], prompt: str) -> Told:
    out, complaints = process.communicate(prompt, timeout=_LIMIT_S)
    if process.returncode:
        said = (complaints or out).strip()[-_SHOWN_ERROR_CHARS:]
        raise MediumError(f"`workbench generate` ended with {process.returncode}: {said}")
    told = json.loads(out)
    return Told(
        told["ttft_ms"], told["prompt_tokens"], told["resumed_tokens"], tuple(told["token_ids"])
    )
