"""Finding a wheel: against an index of our own on 127.0.0.1, as a user's pip settings name it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator

import pytest

from workbench import datasets
from workbench.datasets.package_index import credentials, find_wheel, pip_settings
from workbench.errors import DataError

from .conftest import facts

WHEEL = "toy_model-1.0-py3-none-any.whl"


def toy_wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr("toy_model/model.bin", b"weights" * 1000)
        wheel.writestr(
            "toy_model-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n",
        )
        wheel.writestr(
            "toy_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("toy_model-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


@pytest.fixture
def index(server, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """Serve an index with one wheel and make it pip's only one; return the wheel."""
    wheel = toy_wheel()
    digest = hashlib.sha256(wheel).hexdigest()
    link = f'<a href="/files/{WHEEL}#sha256={digest}">{WHEEL}</a>'
    server.files = {"/simple/toy-model/": link.encode(), f"/files/{WHEEL}": wheel}
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    pip_settings.cache_clear()
    yield wheel
    pip_settings.cache_clear()


def test_a_wheel_is_found_through_the_users_index(server, index: bytes) -> None:
    wheel = find_wheel("toy-model", "1.0")
    assert wheel.url == f"{server.url}/files/{WHEEL}"
    assert wheel.sha256 == hashlib.sha256(index).hexdigest()


def test_a_version_that_is_not_there_is_refused_with_pips_reason(index: bytes) -> None:
    with pytest.raises(DataError, match=r"no wheel of toy-model==2\.0: .*toy-model==2\.0"):
        find_wheel("toy-model", "2.0")


def package_manifest(wheel: bytes, member_bytes: bytes = b"weights" * 1000) -> str:
    return (
        '[toy]\nabout = "toy"\nlicence = "MIT"\n[toy.source]\nkind = "package"\n'
        f'package = "toy-model"\nversion = "1.0"\n{facts(wheel)}\n[[toy.files]]\n'
        f'path = "models/toy.bin"\nmember = "toy_model/model.bin"\n{facts(member_bytes)}\n'
    )


def test_a_model_in_a_wheel_is_fetched_whole_and_the_wheel_removed(
    index: bytes, use_manifest: Callable[[str], None], data
) -> None:
    use_manifest(package_manifest(index))
    (model,) = datasets.get("toy")
    assert model.read_bytes() == b"weights" * 1000
    assert not list((data / ".incoming").glob("*.part"))


def test_an_index_that_offers_another_wheel_is_refused_before_the_download(
    server, index: bytes, use_manifest: Callable[[str], None], data
) -> None:
    use_manifest(package_manifest(index + b"x"))
    with pytest.raises(DataError, match="index offers sha256"):
        datasets.get("toy")
    assert not list(data.rglob("*.bin"))


def test_a_member_that_differs_leaves_nothing(
    index: bytes, use_manifest: Callable[[str], None], data
) -> None:
    use_manifest(package_manifest(index, b"WEIGHTS" * 1000))
    with pytest.raises(DataError, match="not what the manifest names"):
        datasets.get("toy")
    assert not [path for path in data.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_password_in_the_index_address_is_used_for_the_download_and_never_shown(
    server, index: bytes, use_manifest: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//ann:s3cret@") + "/simple/")
    pip_settings.cache_clear()
    use_manifest(package_manifest(index))
    datasets.get("toy")
    assert server.authorised[-1] == "Basic " + base64.b64encode(b"ann:s3cret").decode()
    with pytest.raises(DataError) as refused:
        find_wheel("toy-model", "2.0")
    assert "s3cret" not in str(refused.value)


def test_settings_come_by_plain_name_and_the_environment_wins(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\ncert = /from/file\nproxy = http://127.0.0.1:1\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_CERT", "/from/environment")
    pip_settings.cache_clear()
    settings = pip_settings()
    pip_settings.cache_clear()
    assert settings["cert"] == "/from/environment"
    assert settings["proxy"] == "http://127.0.0.1:1"


def test_credentials_belong_to_their_host_alone() -> None:
    settings = {
        "index-url": "http://ann:a%40b@127.0.0.1:9/simple",
        "extra-index-url": "http://localhost/x",
    }
    assert credentials("http://127.0.0.1:9/files/x.whl", settings) == ("ann", "a@b")
    assert credentials("http://localhost/files/x.whl", settings) is None
    assert credentials("file:///x.whl", settings) is None
