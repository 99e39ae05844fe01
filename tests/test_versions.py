"""pyproject.toml, environment.yml and requirements.lock agree; the lock is hashed."""

from __future__ import annotations

import re
import tomllib

import yaml

from workbench import paths

ROOT = paths.root()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lines: list[str], sign: str) -> dict[str, str]:
    pairs = (line.split(sign) for line in lines)
    return {canonical(name): version for name, version in pairs}


def project() -> dict[str, str]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return pinned(table["dependencies"] + table["optional-dependencies"]["dev"], "==")


def locked() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", lock_text(), re.MULTILINE):
        found.setdefault(canonical(name), set()).add(version)
    return found


def lock_text() -> str:
    return (ROOT / "requirements.lock").read_text()


def test_every_version_in_pyproject_is_exact() -> None:
    assert all(re.fullmatch(r"\d[\w.]*", version) for version in project().values())


def test_the_peers_are_of_the_extras_versions() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = (ROOT / ".ci/peers").read_text().split('torch_packages="')[1].split('"')[0].split()
    assert set(table["optional-dependencies"]["transformers"]) <= set(words)


def test_conda_users_get_the_same_versions() -> None:
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python, *packages = conda
    named = pinned(packages, "=")
    named |= pinned([line for line in pip["pip"] if not line.startswith("-")], "==")
    assert named == project()
    assert python == "python>=3.11,<3.15"
    assert pip["pip"][-1] == "--editable ."


def test_the_lock_holds_one_version_of_each_named_package_for_every_python() -> None:
    found = locked()
    assert {name: found[name] for name in project()} == {
        name: {version} for name, version in project().items()
    }


def test_the_build_backend_is_the_locked_one() -> None:
    (backend,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert backend == f"setuptools=={project()['setuptools']}"


def test_every_locked_package_has_hashes() -> None:
    requirements = re.split(r"^(?=[\w.-]+==)", lock_text(), flags=re.MULTILINE)[1:]
    hashed = re.compile("--hash=sha256:[0-9a-f]{64}")
    bare = [text.split()[0] for text in requirements if not hashed.search(text)]
    assert len(requirements) > 100
    assert bare == []


def test_the_lock_names_no_address_and_no_machine() -> None:
    text = lock_text()
    for trace in ("://", "--index-url", "--extra-index-url", "--find-links", "/home", "@ file"):
        assert trace not in text
    assert text.splitlines()[1] == "#    make lock"
