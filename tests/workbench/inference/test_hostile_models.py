"""Hostile model files, one for every row of the checklist, against all that opening a model does.

The corpus and the mutations are tests/torture/gguf; a million of them: `python -m
tests.torture.gguf`.
"""

from __future__ import annotations

import json
import subprocess
import sys

import gguf
import pytest

from tests.torture.gguf import series
from tests.torture.gguf.corpus import CASES, Case
from tests.torture.gguf.limits import MAX_BYTES, MAX_SECONDS
from tests.torture.gguf.models import valid_files
from tests.torture.gguf.opening import open_everything
from tests.torture.gguf.worker import Files
from workbench import paths
from workbench.errors import WorkbenchError
from workbench.tiering.mmap_gguf import GGUFError, open_model

N_MUTATIONS = 2_000
N_CUTS = 300
# Of the checklist, section 5; "counts" is its row of n_tensors and n_kv, "ranges" is of type ids.
ROWS = {
    "magic, version",
    "counts",
    "key",
    "string",
    "array",
    "type ids",
    "ranges",
    "alignment",
    "tensor",
    "offset",
    "file",
    "split",
}


def test_every_row_of_the_checklist_has_its_files() -> None:
    assert {case.row for case in CASES} == ROWS
    assert len({(case.row, case.name) for case in CASES}) == len(CASES) > 80


def test_the_models_that_hostile_ones_are_made_from_are_opened(tmp_path) -> None:
    for file in valid_files():
        path = tmp_path / "m.gguf"
        path.write_bytes(file)
        open_everything(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}: {case.name}")
def test_a_hostile_file_is_refused_with_a_place_and_a_reason(tmp_path, case: Case) -> None:
    path = case.write(tmp_path)
    with pytest.raises(GGUFError, match=case.reason) as caught:
        open_everything(path)
    error = caught.value
    largest = max(file.stat().st_size for file in tmp_path.iterdir() if file.is_file())
    assert 0 <= error.offset <= largest
    assert error.reason.isprintable()
    assert len(str(error)) < 500
    assert str(error).endswith(f"byte {error.offset}: {error.reason}")


def test_a_model_cut_anywhere_is_refused(tmp_path) -> None:
    path = tmp_path / "m.gguf"
    for file in valid_files():
        for step in range(N_CUTS):
            path.write_bytes(file[: len(file) * step // N_CUTS])
            with pytest.raises(GGUFError):
                open_everything(path)


_CORPUS = """
import json, sys
from pathlib import Path
from tests.torture.gguf import limits
from tests.torture.gguf.corpus import CASES
from tests.torture.gguf.models import valid_files

folder = Path(sys.argv[1])
for number, file in enumerate(valid_files()):
    path = folder / f"valid-{number}.gguf"
    path.write_bytes(file)
    assert limits.outcome(path).verdict == "accepted"
limits.prepare()
for number, case in enumerate(CASES):
    place = folder / str(number)
    place.mkdir()
    found = limits.outcome(case.write(place))
    print(json.dumps([case.name, found.verdict, found.reason, found.cpu_s, found.grown_bytes]))
"""


def test_every_refusal_keeps_to_its_time_and_memory(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CORPUS, tmp_path],
        cwd=paths.root(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(CASES)
    for name, verdict, reason, cpu_s, grown_bytes in outcomes:
        assert verdict == "refused", f"{name}: {reason}"
        assert cpu_s < MAX_SECONDS, name
        assert grown_bytes < MAX_BYTES, name


def test_changed_files_are_refused_or_opened_and_nothing_else() -> None:
    tally = series.run(N_MUTATIONS, seed=20, workers=1)
    assert tally.problems == []
    assert (tally.wrong, tally.killed, tally.slow) == (0, 0, 0)
    assert tally.grown_bytes < MAX_BYTES
    # Both happen: the changes neither break everything nor miss the header.
    assert tally.refused + tally.accepted == N_MUTATIONS
    assert tally.accepted > N_MUTATIONS // 100
    assert tally.refused > N_MUTATIONS // 2


def test_what_is_accepted_is_what_the_gguf_package_reads(tmp_path) -> None:
    path, agreed = tmp_path / "m.gguf", 0
    files = Files(21, tmp_path)
    for number in range(600):
        path.write_bytes(files.content(number))
        try:
            open_everything(path)
        except WorkbenchError:
            continue
        theirs = {each.name: each for each in gguf.GGUFReader(path).tensors}
        with open_model(path) as model:
            for info in model.header.tensors:
                other = theirs[info.name]
                assert (other.data_offset, other.n_bytes) == (info.offset, info.n_bytes)
                assert tuple(map(int, other.shape)) == info.shape
        agreed += 1
    assert agreed >= 10


def test_the_same_number_is_the_same_file(tmp_path) -> None:
    one, other = Files(3, tmp_path), Files(3, tmp_path)
    contents = [one.content(number) for number in range(30)]
    assert contents == [other.content(number) for number in reversed(range(30))][::-1]
    # Now and then a change puts back what was there.
    assert len(set(contents) - set(valid_files())) > 25
