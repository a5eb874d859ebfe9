"""A promoted version is served within seconds, and nobody asking meanwhile notices more than its version."""

from __future__ import annotations

import threading
import time
from collections import Counter

import httpx
import psutil
import pytest

from models.bundle import load_bundle
from serving.champion import Champions
from tests.fixtures.serving import Published, eventually, ready, serving

ASKERS = 24


class Askers:
    """Threads that ask for projections without a pause and keep what they are told."""

    def __init__(self, base_url: str, slate_id: str, expected: dict[str, dict[str, float]]) -> None:
        self.served: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._url, self._params, self._expected = f"{base_url}/v1/projections", {"slate_id": slate_id}, expected
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS)]

    def __enter__(self) -> Askers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._stop.is_set():
                try:
                    reply = client.get(self._url, params=self._params)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                    continue
                if reply.status_code != 200:
                    self.wrong.append(reply.text)
                    continue
                body = reply.json()
                version = body["model"]["version"]
                if {p["id"]: p["mean"] for p in body["players"]} != self._expected[version]:
                    self.wrong.append(f"numbers are not those of version {version}")
                self.served[version] += 1


def test_a_swap_under_load_drops_and_mixes_nothing(published: Published) -> None:
    slate = published.day.draftkings
    versions = [published.shifted(k) for k in (1, 2, 3)]
    expected = {
        version.version: published.means(load_bundle(published.shifted_bundle(k)), slate)
        for k, version in enumerate(versions, start=1)
    }
    assert len({tuple(means.values()) for means in expected.values()}) == 3
    published.promote(versions[0])
    # 2 s is what the server ships with.
    settings = published.settings.model_copy(update={"champion_poll_s": 2.0})
    with serving(settings) as client:
        eventually(lambda: ready(client))
        with Askers(str(client.base_url).rstrip("/"), slate.slate_id, expected) as askers:
            for version in versions[1:]:
                eventually(lambda: sum(askers.served.values()) > ASKERS)
                published.promote(version)
                took = eventually(lambda v=version: askers.served[v.version] > 0)
                assert took < 10.0
        assert askers.wrong == []
        assert set(askers.served) == set(expected)
        # Whoever asks after the swap gets the new version.
        body = client.get("/v1/projections", params={"slate_id": slate.slate_id}).json()
        assert body["model"]["version"] == versions[-1].version


def test_a_rollback_is_followed_too(published: Published) -> None:
    one, two = published.shifted(4), published.shifted(5)
    published.promote(one)
    published.promote(two)

    def version(client: httpx.Client) -> str | None:
        models = client.get("/v1/models").json()["models"]
        return next(m["version"] for m in models if m["name"] == "simulated-projection")

    with serving(published.settings) as client:
        eventually(lambda: version(client) == two.version)
        published.registry.rollback("simulated-projection", "test")
        eventually(lambda: version(client) == one.version, 10)


@pytest.mark.slow
def test_two_hundred_swaps_leak_nothing(published: Published) -> None:
    from mlflow import MlflowClient

    versions = [published.shifted(k) for k in (6, 7)]
    client = MlflowClient(published.settings.mlflow_tracking_uri)
    champions = Champions(published.settings, published.registry)
    process = psutil.Process()
    after_warm_up = 0
    for swap in range(200):
        wanted = versions[swap % 2].version
        client.set_registered_model_alias("simulated-projection", "champion", wanted)
        champions.refresh()
        model = champions.get("simulated", "projection")
        assert model is not None and model.version == wanted
        if swap == 20:
            after_warm_up = process.memory_info().rss
    grown = (process.memory_info().rss - after_warm_up) / 1e6
    assert grown < 60, f"{grown:.0f} MB after {time.process_time():.0f} CPU s"
