"""What a kernel compiles to: its assembly here, and IR's on other machines."""

from __future__ import annotations

import platform
from collections.abc import Callable

import pytest
from llvmlite import binding, ir
from numba import config, njit

compiled = pytest.mark.skipif(
    config.DISABLE_JIT, reason="NUMBA_DISABLE_JIT is set: nothing is compiled, twins run instead"
)
x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="looks at x86 assembly"
)


def assembly(kernel, *arguments) -> str:
    """Return a kernel's assembly for arguments of these types."""
    # Compiled anew: Numba cannot show the assembly of code that came from its cache.
    fresh = njit(kernel.py_func)
    fresh(*arguments)
    return "\n".join(fresh.inspect_asm().values())


def compile_for(
    triple: str, features: str, pointees: list[ir.Type], body: Callable[..., None]
) -> str:
    """Return what ``body(builder, *pointers)`` becomes on the plainest processor of a triple."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = ir.Module()
    module.triple = triple
    pointers = [pointee.as_pointer() for pointee in pointees]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), pointers), "kernel")
    builder = ir.IRBuilder(function.append_basic_block())
    body(builder, *function.args)
    builder.ret_void()
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(opt=2, features=features)
    return machine.emit_assembly(binding.parse_assembly(str(module)))
