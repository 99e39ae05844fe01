"""Errors of the start name the server, what it said and the fix."""

import pytest

from workbench.errors import WorkbenchError
from workbench.tiering.distributed_tier import errors

CASES = [
    (errors.WrongPasswordError("h:1", "WRONGPASS no"), ("h:1", "WRONGPASS no", "password_file")),
    (errors.AccessDeniedError("h:1", "NOPERM get", "kv:*"), ("h:1", "NOPERM get", "~kv:*", "+get")),
    (errors.CertificateError("h:1", "expired"), ("h:1", "expired", "ca_file")),
    (errors.UnreachableError("h:1", "refused"), ("h:1", "refused", "required=True")),
]


@pytest.mark.parametrize(("error", "parts"), CASES)
def test_a_message_names_the_server_what_it_said_and_the_fix(error, parts):
    assert isinstance(error, errors.NetworkTierError)
    assert isinstance(error, WorkbenchError)
    assert all(part in str(error) for part in parts)
