"""int4 by group: packing by hand, error bound, what is not a number, refusals."""

from __future__ import annotations

from kernels.int4_rows import QUANTIZE, RESTORE
from tests.contracts.int4_contract import Int4Contract


class TestInt4(Int4Contract):
    quantize, restore, axis = QUANTIZE, RESTORE, 1
