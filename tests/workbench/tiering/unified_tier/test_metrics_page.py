"""Two pages over HTTP, from a server that goes away when it is closed."""

import json
import urllib.error
import urllib.request

import pytest

from tests.workbench.tiering.unified_tier.opened import on_disk
from workbench.errors import UsageError
from workbench.tiering.unified_tier import UnifiedTier, UnifiedTierConfig


def fetched(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_metrics_and_health_are_served_until_it_is_closed(tmp_path):
    with UnifiedTier(UnifiedTierConfig(**on_disk(tmp_path))) as tiers:
        with tiers.serve_metrics() as server:
            code, kind, text = fetched(f"{server.url}/metrics")
            assert (code, kind[:10]) == (200, "text/plain")
            assert "ssd_tier_lookups_total 0" in text
            assert 'unified_tier_health{tier="ssd",health="healthy"} 1' in text
            types = [line for line in text.splitlines() if line.startswith("#")]
            assert len(types) == len(set(types))
            code, kind, text = fetched(f"{server.url}/health?verbose=1")
            assert (code, kind) == (200, "application/json")
            assert json.loads(text)["health"] == "healthy"
            with pytest.raises(urllib.error.HTTPError, match="404") as told:
                fetched(f"{server.url}/secrets")
            told.value.close()
        with pytest.raises(urllib.error.URLError):
            fetched(f"{server.url}/metrics")
        other = tiers.serve_metrics()
        assert other.answer("/health").code == 200
    assert other.answer("/health").code == 503
    assert other.answer("/metrics").code == 503
    with pytest.raises(UsageError, match="closed"):
        tiers.serve_metrics()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("203.0.113.1", 0)])
def test_a_place_that_cannot_be_had_is_refused(host, port):
    with UnifiedTier(UnifiedTierConfig()) as tiers, pytest.raises(UsageError, match="another port"):
        tiers.serve_metrics(host, port)


def test_a_taken_port_is_refused():
    with UnifiedTier(UnifiedTierConfig()) as tiers:
        taken = tiers.serve_metrics().port
        with pytest.raises(UsageError, match=str(taken)):
            tiers.serve_metrics(port=taken)
