"""What is asserted in contracts is told in full, as in tests."""

import pytest

pytest.register_assert_rewrite("tests.contracts.int4_contract")
