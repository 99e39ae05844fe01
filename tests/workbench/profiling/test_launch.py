"""The launcher: exit code, time and output of what it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from workbench.profiling import launch


def test_what_became_of_a_command_is_left_in_a_file(tmp_path: Path) -> None:
    program = "import os, sys; print('unseen'); print(os.getpid(), file=sys.stderr); sys.exit(7)"
    output = os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY)
    command = [sys.executable, "-S", launch.__file__, str(tmp_path / "answer"), str(output)]
    subprocess.run([*command, sys.executable, "-c", program], pass_fds=(output,), check=True)
    os.close(output)
    told = json.loads((tmp_path / "answer").read_bytes())
    assert told["exit_code"] == 7
    assert told["wall_s"] > 0
    assert told["pid"] == int((tmp_path / "output").read_text())
    assert told["launcher"] != told["pid"]
