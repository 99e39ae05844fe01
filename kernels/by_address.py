"""Call compiled functions by their address, so that their callers do not contain them.

Follows: C's function pointers. Numba links a callee's code into every caller and compiles it there
anew: seven layers of callers around the matrix products took 12 s more than this does.
Leaves out: results and exceptions; a function called so takes whole numbers and returns nothing.

Under ``NUMBA_DISABLE_JIT=1`` an address is a number under which the Python function is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import cfunc, config, types
from numba.core import cgutils

from kernels.simd import _with_twin

_I64 = ir.IntType(64)
_KEPT: dict[int, Callable[..., None]] = {}


class Entry:
    """A function of whole numbers that is compiled when its address is asked for first."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._compiled: Any = None

    @property
    def address(self) -> int:
        """Return the address, which is good as long as the process lives."""
        if config.DISABLE_JIT:
            _KEPT[id(self._function)] = self._function
            return id(self._function)
        if self._compiled is None:
            n_arguments = self._function.__code__.co_argcount
            kind = types.void(*[types.int64] * n_arguments)
            self._compiled = cfunc(kind, cache=True)(self._function)
        return int(self._compiled.address)


def _call_twin(address: int, arguments: tuple[int, ...]) -> None:
    _KEPT[address](*arguments)


@_with_twin(_call_twin)
def call(typing_context, address, arguments):
    """Call the function at an address with a tuple of whole numbers; it must take as many."""

    def generate(context, builder, signature, values):
        numbers = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [_I64] * len(numbers))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), numbers)
        return context.get_dummy_value()

    wanted = types.UniTuple(types.int64, len(arguments))
    return types.void(types.int64, wanted), generate
