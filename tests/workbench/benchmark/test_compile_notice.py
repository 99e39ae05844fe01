"""compile_notice(): a first start says that it compiles; a later one says nothing."""

from __future__ import annotations

import numba

from workbench.benchmark.compile_notice import compile_notice


def compiled():
    """Return a function that is compiled when it is first called, and its inlined callee too."""

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * 2

    return outer


def test_compiling_is_announced_once_and_counted(capsys, monkeypatch):
    monkeypatch.setattr("workbench.benchmark.compile_notice._UNNOTICED_S", 0.0)
    with compile_notice():
        assert compiled()(1) == 4
        assert capsys.readouterr().err == "compiling kernels, once per checkout ...\n"
        assert compiled()(2) == 6
        assert capsys.readouterr().err == ""
    out, err = capsys.readouterr()
    assert err.startswith("compiled 4 kernels in ")
    assert out == ""


def test_what_is_compiled_already_is_not_mentioned(capsys):
    function = compiled()
    function(1)
    with compile_notice():
        function(2)
    assert capsys.readouterr().err == ""


def test_nothing_is_listened_to_afterwards(capsys):
    with compile_notice():
        pass
    compiled()(1)
    assert capsys.readouterr().err == ""
