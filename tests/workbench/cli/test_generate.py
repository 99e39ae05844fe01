"""`workbench generate` as a person and as a program call it; a session survives the process."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tests.workbench.inference.stories import write_stories
from workbench import cli, datasets
from workbench.cli import generate
from workbench.errors import DataError, UsageError
from workbench.inference.weights import WeightsStats


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    try:
        datasets.get("stories260k")
    except DataError as error:
        pytest.skip(f"needs the data set stories260k, which could not be fetched: {error}")
    return write_stories(tmp_path_factory.mktemp("stories"))


PROMPT = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high. "
    "Lily's mom said, "
)


def test_people_see_the_text_and_then_the_figures(stories):
    call = ["generate", "--model", str(stories), "--prompt", "Once upon a time", "-n", "12"]
    done = CliRunner().invoke(cli.app, [*call, "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(", there was a little girl")
    assert "tokens/s" in done.stdout
    assert "no --cache" in done.stdout


def test_a_budget_for_weights_is_kept_to_and_told(stories):
    call = ["generate", "--model", str(stories), "--prompt", "Once upon a time", "-n", "3"]
    done = CliRunner().invoke(cli.app, [*call, "--threads", "1", "--weights-budget-mib", "4"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(", there was")
    assert "1 MiB in memory" in done.stdout
    record = CliRunner().invoke(cli.app, [*call, "--weights-budget-mib", "4", "--json"])
    weights = json.loads(record.output)["weights"]
    assert weights["budget_bytes"] == 4 << 20
    assert weights["passing_layers"] == weights["read_bytes"] == 0
    refused = CliRunner().invoke(cli.app, [*call, "--weights-budget-mib", "0"])
    assert isinstance(refused.exception, UsageError)
    assert "too small for this model" in str(refused.exception)


def test_what_streams_is_told():
    weights = WeightsStats(96 << 20, 48 << 20, 47 << 20, 30, 26, 512 << 20, 0.25)
    assert generate._weights(weights) == [
        ("weights", "47 of 96 MiB in memory, 26 of 30 layers pass"),
        ("weights streamed", "512 MiB read, 0.25 s waited"),
    ]


def test_the_prompt_may_come_from_standard_input(stories):
    call = ["generate", "--model", str(stories), "-n", "3", "--threads", "1", "--json"]
    done = CliRunner().invoke(cli.app, call, input="Once upon a time")
    assert json.loads(done.stdout)["text"] == ", there was"


def test_a_session_survives_the_process(stories, tmp_path):
    """Two processes, one folder: the second resumes what the first computed and goes on."""
    command = [
        sys.executable,
        "-c",
        "from workbench.cli import main; main()",
        *("generate", "--model", str(stories), "--prompt", PROMPT, "-n", "40", "--json"),
        *("--threads", "1", "--cache", str(tmp_path / "cache")),
    ]
    answers = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    first, second = answers
    assert first["resumed_tokens"] == 0
    assert first["cache"]["cold_blocks"] > 0
    assert second["resumed_tokens"] == second["prompt_tokens"] // 64 * 64 > 0
    assert second["cache"]["ssd_read_bytes"] > 0
    assert second["text"] == first["text"]
    assert second["token_ids"] == first["token_ids"]


def test_a_sealed_session_survives_the_process_and_says_nothing_on_disk(
    stories, tmp_path, monkeypatch
):
    monkeypatch.delenv("WORKBENCH_KEY_FILE", raising=False)
    key = tmp_path / "key"
    assert CliRunner().invoke(cli.app, ["key", "new", str(key)]).exit_code == 0
    call = ["generate", "--model", str(stories), "--prompt", PROMPT, "-n", "4", "--json"]
    call += ["--threads", "1", "--cache", str(tmp_path / "cache"), "--key-file", str(key)]
    resumed = []
    for words in (call, call, [*call, "--tenant", "another"]):
        done = CliRunner().invoke(cli.app, words)
        assert done.exit_code == 0, done.output
        resumed.append(json.loads(done.stdout)["resumed_tokens"])
        assert key.read_text().strip() not in done.output
    assert resumed[0] == resumed[2] == 0
    assert resumed[1] > 32


def test_a_file_configures_the_tiers_and_options_come_before_it(stories, tmp_path):
    (tmp_path / "tiers.toml").write_text(
        f'ssd_folder = "{(tmp_path / "store").as_posix()}"\nssd_bytes = "256 MiB"\ncodec = "int9"\n'
    )
    call = ["generate", "--model", str(stories), "--prompt", PROMPT, "-n", "4", "--json"]
    call += ["--threads", "1", "--config", str(tmp_path / "tiers.toml")]
    done = CliRunner().invoke(cli.app, call)
    assert done.exit_code != 0
    assert "int9" in str(done.exception)
    done = CliRunner().invoke(cli.app, [*call, "--codec", "int8"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["cache"]["ssd_written_bytes"] > 0


def test_metrics_are_served_where_asked_for(stories):
    call = ["generate", "--model", str(stories), "--prompt", PROMPT, "-n", "2", "--json"]
    done = CliRunner().invoke(cli.app, [*call, "--threads", "1", "--metrics-port", "0"])
    assert done.exit_code == 0, done.output
    (url,) = [line for line in done.stderr.splitlines() if line.startswith("http://127.0.0.1:")]
    assert url.endswith("/metrics")
