"""Let the assertions of the conformance suites explain themselves."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.contracts.engine_contract", "tests.contracts.folder_contract")
