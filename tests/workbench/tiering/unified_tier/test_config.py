"""One configuration, from anywhere: all problems at once, nothing secret shown."""

import pytest
from pydantic import ValidationError

from workbench.errors import UsageError
from workbench.tiering.ssd_tier.layout import Layout
from workbench.tiering.unified_tier import UnifiedTierConfig

SECRETS = {"network_url": "valkey://me:" + "hush@cache:6379", "tenant": "hush"}


def problems(**settings):
    with pytest.raises(UsageError) as told:
        UnifiedTierConfig(**settings)
    return told.value.problems


def test_all_problems_are_named_at_once_with_value_and_fix():
    found = problems(
        ram_bytes="lots",
        ssd_bytes=0,
        dtype="int3",
        codec="int3",
        eviction="lur",
        write="sometimes",
        kv_min_frac=0.8,
        kv_max_frac=0.2,
        deadline_s=-1,
        ssd_foldr="x",
        key="k",
        network_ttl_s=0,
        network_url="http://cache",
    )
    starts = (
        *("unknown setting ssd_foldr; did you mean ssd_folder", "ram_bytes='lots': is no size"),
        *("ssd_bytes=0: ", "dtype='int3': ", "deadline_s=-1: ", "kv_min_frac=0.8: at most"),
        *("unknown codec 'int3'", "unknown eviction policy 'lur'; did you mean", "a key seals"),
        *("unknown write policy 'sometimes'", "network tier: ttl_s=0", "network tier: url="),
        "a network tier brings blocks to a folder",
    )
    assert all(any(one.startswith(start) for one in found) for start in starts), found
    assert len(found) == len(starts)


@pytest.mark.parametrize(
    "settings",
    [{"ram_bytes": 1 << 30, "hot_tokens": 5}, {"kv_max_frac": 0}, {"ssd_bytes": (16 << 20) - 1}],
)
def test_what_does_not_go_together_is_refused(settings):
    assert problems(**settings)


def test_some_layers_may_have_another_codec(tmp_path):
    said = "int8,int4-hadamard:12-20,none:0"
    (tmp_path / "tiers.toml").write_text(f'codec = "{said}"\n')
    in_environment = UnifiedTierConfig.from_environment({"WORKBENCH_TIER_CODEC": said})
    assert UnifiedTierConfig.from_toml(tmp_path / "tiers.toml") == in_environment
    assert in_environment.codec == said
    found = problems(codec="int8,int3:1,int4:x", eviction="lur")
    assert [one.split(";")[0] for one in found[:2]] == [
        "unknown codec 'int3'",
        "codec part 'int4:x' cannot be read",
    ]
    assert len(found) == 3


def test_secrets_are_in_no_text(tmp_path):
    config = UnifiedTierConfig(ssd_folder=tmp_path, **SECRETS)
    assert config.network_url == SECRETS["network_url"]
    texts = [repr(config), str(config), *problems(ssd_bytes="x", **SECRETS)]
    texts += problems(**SECRETS | {"network_url": ["valkey://u:" + "hush@h"], "tenant": ["hush"]})
    texts += problems(**SECRETS | {"network_url": "http://me:" + "hush@cache"})
    assert all("hush" not in text for text in texts)


def test_it_does_not_change():
    with pytest.raises(ValidationError):
        UnifiedTierConfig().ram_bytes = 5


def test_code_toml_and_environment_say_the_same(tmp_path):
    (tmp_path / "tiers.toml").write_text(
        'ram_bytes = "2 GiB"\nssd_folder = "store"\nssd_bytes = 100_000_000\ndeadline_s = 0.5\n'
    )
    environ = {
        "WORKBENCH_TIER_RAM_BYTES": "2 GiB",
        "WORKBENCH_TIER_SSD_FOLDER": "store",
        "WORKBENCH_TIER_SSD_BYTES": "100000000",
        "WORKBENCH_TIER_DEADLINE_S": "0.5",
        "WORKBENCH_TIER_CODEC": "",
        "PATH": "/bin",
    }
    in_code = UnifiedTierConfig(
        ram_bytes=2 << 30, ssd_folder="store", ssd_bytes=100_000_000, deadline_s=0.5
    )
    assert UnifiedTierConfig.from_toml(tmp_path / "tiers.toml") == in_code
    assert UnifiedTierConfig.from_environment(environ) == in_code


def test_what_is_nearer_to_the_user_comes_first(tmp_path, monkeypatch):
    path = tmp_path / "tiers.toml"
    path.write_text('dtype = "int8"\ntenant = "file"\n')
    monkeypatch.setenv("WORKBENCH_TIER_DTYPE", "float32")
    monkeypatch.setenv("WORKBENCH_TIER_HOT_TOKENS", "9")
    config = UnifiedTierConfig.gather(path, tenant="option")
    assert (config.dtype, config.tenant, config.hot_tokens) == ("int8", "option", 9)
    assert UnifiedTierConfig.gather().dtype == "float32"


def test_variables_that_mean_nothing_are_refused():
    with pytest.raises(UsageError, match="did you mean ram_bytes"):
        UnifiedTierConfig.from_environment({"WORKBENCH_TIER_RAM_BYTE": "1"})


def test_a_home_folder_is_found():
    assert "~" not in str(UnifiedTierConfig(ssd_folder="~/kv").ssd_folder)


@pytest.mark.parametrize("ssd_bytes", [16 << 20, 100_000_000, 1 << 30, 50 << 30])
def test_a_store_of_any_size_has_segments_enough(ssd_bytes):
    config = UnifiedTierConfig(ssd_bytes=ssd_bytes).ssd_config(1 << 20)
    assert Layout.of(config).limit_bytes <= ssd_bytes
    assert config.segment_bytes <= 64 << 20
