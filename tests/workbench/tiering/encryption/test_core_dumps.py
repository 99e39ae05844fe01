"""A process that has a key writes no core file."""

import resource

import pytest

from workbench.tiering.encryption import core_dumps
from workbench.tiering.encryption.master_key import MasterKey


def test_the_limit_is_zero_once_there_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = resource.setrlimit, []

    def spy(*limits: object) -> None:
        calls.append(limits)
        real(*limits)  # type: ignore[arg-type]

    monkeypatch.setattr(core_dumps.resource, "setrlimit", spy)
    MasterKey.parse(bytes(range(32)), "here")
    # Other tests of this process had keys before: the call is what can be seen here.
    assert calls == [(resource.RLIMIT_CORE, (0, 0))]
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
