"""Look at the installation: interpreter, packages, charts, import names, kernel, compiler.

Follows: pyproject.toml's exact pins; what differs from them was not tested together.
Leaves out: programs from outside Python (programs.py).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workbench import paths
from workbench.runs.doctor.finding import Checks, Finding, fail, ok, warn

OLDEST, NEWEST = (3, 11), (3, 14)  # the newest that every pinned package has wheels for
SETUP = "make setup"


def python(found: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Check the interpreter's version."""
    text = ".".join(map(str, found))
    if found[:2] < OLDEST:
        return fail(f"{text}, older than 3.11", "make setup PYTHON=python3.12")
    if found[:2] > NEWEST:
        return warn(f"{text}, newer than tested", "make setup PYTHON=python3.13")
    return ok(text)


def pins() -> dict[str, str]:
    """Return the exact version that pyproject.toml names for each package the workbench runs on."""
    project = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))
    pairs = (line.split("==") for line in project["project"]["dependencies"])
    return {name.strip(): pinned.strip() for name, pinned in pairs}


def packages() -> Finding:
    """Check that every package is there in the pinned version."""
    wanted = pins()
    missing, other = [], []
    for name, pinned in wanted.items():
        try:
            if version(name) != pinned:
                other.append(f"{name} {version(name)} (pinned {pinned})")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail(f"missing: {', '.join(missing)}", SETUP)
    if other:
        return warn(", ".join(other), SETUP)
    return ok(f"{len(wanted)} of {len(wanted)} as pinned")


def charts() -> Finding:
    """Check that vl-convert can draw the Vega-Lite that Altair writes."""
    import altair
    import vl_convert

    written = altair.SCHEMA_VERSION.removeprefix("v")
    drawn = vl_convert.get_vegalite_versions()
    major = written.partition(".")[0]
    found = f"Altair writes Vega-Lite {written}, vl-convert draws up to {drawn[-1]}"
    if not any(one.partition(".")[0] == major for one in drawn):
        return fail(found, SETUP)
    return ok(found)


def import_names() -> Finding:
    """Check that `kernels` and `workbench` are ours: other packages have these names too."""
    foreign = []
    for name in ("kernels", "workbench"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or not origin.is_relative_to(paths.root().resolve()):
            foreign.append(name)
    if foreign:
        found = f"{' and '.join(foreign)} come from elsewhere"
        return fail(found, f"pip uninstall {' '.join(foreign)}, then {SETUP}")
    return ok("kernels and workbench are this checkout")


def kernelspec() -> Finding:
    """Check that the notebook kernel `python3`, which JupyterLab starts, is this interpreter."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return fail("there is no kernel named python3", SETUP)
    # jupyter_client replaces these names by the interpreter it runs on.
    ours = {"python", "python3", f"python3.{sys.version_info.minor}", sys.executable}
    if program not in ours:
        fix = "jupyter kernelspec list, then jupyter kernelspec remove the foreign python3"
        return fail("python3 is another interpreter", fix)
    return ok("python3 is this interpreter")


def numba() -> Finding:
    """Check that compiled kernels get every CPU and are kept between runs."""
    import numba as module

    n_threads, n_cpu = module.get_num_threads(), len(os_cpus())
    if not (cache := numba_cache()):
        fix = "make the checkout writable, or set NUMBA_CACHE_DIR to a folder that is"
        return warn("the cache folder cannot be written: every start compiles again", fix)
    if n_threads < n_cpu:
        return warn(f"{n_threads} threads on {n_cpu} CPUs", "unset NUMBA_NUM_THREADS")
    return ok(f"{n_threads} threads, cache in {cache}")


def os_cpus() -> set[int]:
    """Return the CPUs this process may use, which a container can make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def numba_cache() -> str:
    """Return where Numba keeps compiled kernels, to be shown; "" if that cannot be written."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else paths.root() / "kernels" / "__pycache__"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return paths.shown(folder)
    except OSError:
        return ""


CHECKS: Checks = {
    "python": python,
    "packages": packages,
    "charts": charts,
    "import names": import_names,
    "kernelspec": kernelspec,
    "numba": numba,
}
