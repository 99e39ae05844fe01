"""int4 by channel: packing by hand, error bound, what is not a number, refusals."""

from __future__ import annotations

from kernels.int4_channels import QUANTIZE, RESTORE
from tests.contracts.int4_contract import Int4Contract


class TestInt4(Int4Contract):
    quantize, restore, axis = QUANTIZE, RESTORE, 0
