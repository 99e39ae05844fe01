"""Ordered loads and stores, and system calls: compiled and as twins, for both processors."""

import errno
import os
import platform
import re

import numpy as np
import pytest
from llvmlite import binding, ir
from numba import config, njit

from kernels import atomics

linux_only = pytest.mark.skipif(
    bool(atomics.refused()), reason=f"system calls cannot be made: {atomics.refused()}"
)
GETPID = {"x86_64": 39, "aarch64": 172}.get(platform.machine(), 0)
GETPPID = {"x86_64": 110, "aarch64": 173}.get(platform.machine(), 0)
CLOSE = {"x86_64": 3, "aarch64": 57}.get(platform.machine(), 0)


@njit
def round_trip(words, value):
    address = words.ctypes.data
    atomics.store_int64(address + 8, value)
    atomics.store_release(address + 16, np.uint32(value & 0xFFFFFFFF))
    return (
        atomics.load_int64(address + 8),
        atomics.load_int32(address + 16),
        atomics.load_acquire(address + 16),
    )


@njit
def call(number, argument):
    return atomics.system_call(number, argument, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("value", [0, 1, -1, 0x7FFFFFFF, 0x80000000, 1 << 62, -(1 << 63)])
def test_numbers_come_back_with_their_sign_and_touch_nothing_else(value):
    words = np.full(4, 7, dtype=np.int64)
    wide, signed, unsigned = round_trip(words, value)
    assert wide == value == words[1]
    assert unsigned == value & 0xFFFFFFFF
    assert signed == np.uint32(value & 0xFFFFFFFF).view(np.int32)
    assert words[0] == words[3] == 7
    # The upper half of the word that took 32 bits is as it was.
    assert words[2] >> 32 == 0


@linux_only
def test_calls_answer_what_the_system_says():
    assert call(GETPID, 0) == os.getpid() == atomics.system_call_twin(GETPID, 0, 0, 0, 0, 0, 0)
    assert call(GETPPID, 0) == os.getppid()


@linux_only
def test_errors_are_negative_numbers():
    assert call(CLOSE, -1) == -errno.EBADF
    assert atomics.system_call_twin(CLOSE, -1, 0, 0, 0, 0, 0) == -errno.EBADF
    assert call(1_000_000, 0) == -errno.ENOSYS


def test_other_systems_are_told_why_not(monkeypatch):
    monkeypatch.setattr(atomics.sys, "platform", "darwin")
    assert "darwin" in atomics.refused()
    monkeypatch.setattr(atomics.sys, "platform", "linux")
    monkeypatch.setattr(atomics.platform, "machine", lambda: "riscv64")
    assert "riscv64" in atomics.refused()


def module_for(machine: str, body) -> ir.Module:
    module = ir.Module()
    module.triple = f"{machine}-unknown-linux-gnu"
    word = ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(word, [word] * 7), "call")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(body(builder, function.args))
    return module


@pytest.mark.parametrize(("machine", "instruction"), [("x86_64", "syscall"), ("aarch64", "svc #0")])
def test_each_processor_gets_its_own_system_call(machine, instruction):
    def body(builder, arguments):
        return builder.call(atomics.system_call_assembly(machine), arguments)

    # Only this machine's own assembler is built in, so the text is checked, and that LLVM takes the
    # registers; it would refuse constraints that do not match the arguments.
    text = str(binding.parse_assembly(str(module_for(machine, body))))
    assert f'asm sideeffect "{instruction}"' in text


@pytest.mark.parametrize(
    ("machine", "acquire", "release"),
    [("x86_64", r"\bmovl\b", r"\bmovl\b"), ("aarch64", r"\bldap?r\b", r"\bstlr\b")],
)
def test_each_processor_orders_its_accesses(machine, acquire, release):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()

    def body(builder, arguments):
        place = atomics._pointer(builder, arguments[1], ir.IntType(32))
        loaded = builder.load_atomic(place, "acquire", 4)
        builder.store_atomic(
            loaded, atomics._pointer(builder, arguments[2], ir.IntType(32)), "release", 4
        )
        return builder.zext(loaded, ir.IntType(64))

    module = module_for(machine, body)
    target = binding.Target.from_triple(module.triple).create_target_machine(opt=2)
    text = target.emit_assembly(binding.parse_assembly(str(module)))
    assert re.search(acquire, text)
    assert re.search(release, text)


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled, twins run instead")
@linux_only
def test_the_compiled_call_is_an_instruction_and_no_function():
    fresh = njit(call.py_func)
    fresh(GETPID, 0)
    text = "\n".join(fresh.inspect_asm().values())
    assert re.search(r"\bsyscall\b|\bsvc\b", text)
