"""A process that has a key writes no core file."""

import subprocess
import sys

CODE = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (4096, resource.getrlimit(resource.RLIMIT_CORE)[1]))
from workbench.tiering.encryption.master_key import MasterKey
MasterKey.parse(bytes(range(32)), "here")
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_the_limit_is_zero_once_there_is_a_key():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 0)\n"
