"""Serving starts while everything is down, says so, recovers by itself, and keeps its champion through anything."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from features.stores.schema import PredictionServed
from features.stores.slates import save_slate
from flows.postgres import ensure_databases, sibling
from flows.services import embedded_services, on_free_ports
from flows.settings import FlowSettings
from tests.fixtures.relay import relayed
from tests.fixtures.serving import Published, eventually, is_problem, publish_features, ready, serving


@pytest.fixture
def api(published: Published) -> Iterator[httpx.Client]:
    """An app of this test's own."""
    published.promote(published.shifted(0))
    with serving(published.settings) as client:
        eventually(lambda: ready(client))
        yield client


def served(client: httpx.Client) -> dict[str, Any]:
    """What /v1/models says of the simulated projection."""
    models: list[dict[str, Any]] = client.get("/v1/models").json()["models"]
    return next(m for m in models if m["name"] == "simulated-projection")


def metric(client: httpx.Client, line: str) -> float:
    """The value of one series."""
    found = [text for text in client.get("/metrics").text.splitlines() if text.startswith(line)]
    return float(found[0].split()[-1]) if found else 0.0


def test_everything_down_then_up(published: Published, tmp_path: Path) -> None:
    own = on_free_ports(FlowSettings(home=tmp_path / "redis"))
    urls = (published.settings.database_url, published.settings.mlflow_tracking_uri)
    with relayed(*urls, opened=False) as (postgres, mlflow):
        settings = published.settings.model_copy(
            update={
                "home": tmp_path / "serving",
                "redis_url": own.redis_url,
                "database_url": postgres.url,
                "mlflow_tracking_uri": mlflow.url,
            }
        )
        with serving(settings) as client:
            assert client.get("/health").json() == {"status": "alive"}
            eventually(lambda: "does not answer" in client.get("/ready").json()["problems"].get("mlflow", ""))
            reply = client.get("/ready")
            assert reply.status_code == 503
            assert reply.headers["retry-after"]
            assert reply.json()["problems"].keys() == {"redis", "postgres", "mlflow"}
            assert all("FANTASY_" in why for why in reply.json()["problems"].values())
            assert metric(client, 'fantasy_ready{dependency="redis"}') == 0
            down = client.get("/v1/slates")
            assert is_problem(down, 503, "StoreUnavailable", "PostgreSQL")
            assert down.json()["retryable"] and int(down.headers["retry-after"]) > 0
            assert client.get("/").status_code == 200
            with embedded_services(own, which=("redis",)):
                publish_features(published, own.redis_url)
                postgres.open()
                mlflow.open()
                eventually(lambda: ready(client), 60)
                assert metric(client, 'fantasy_ready{dependency="redis"}') == 1
                body = client.get("/v1/projections", params={"slate_id": published.day.draftkings.slate_id}).json()
                assert body["model"]["name"] == "simulated-projection"
                assert not body["fallback"]


def test_redis_dies_and_comes_back(published: Published, tmp_path: Path) -> None:
    own = on_free_ports(FlowSettings(home=tmp_path / "redis"))
    settings = published.settings.model_copy(update={"redis_url": own.redis_url})
    params = {"slate_id": published.day.draftkings.slate_id}
    with serving(settings) as client:
        with embedded_services(own, which=("redis",)):
            eventually(lambda: ready(client))
            empty = client.get("/v1/projections", params=params).json()
            assert empty["fallback"]
            assert any("fantasy run" in warning for warning in empty["warnings"])
            assert empty["model"] == {"name": "file_average", "version": ""}
            publish_features(published, own.redis_url)
            assert not client.get("/v1/projections", params=params).json()["fallback"]
        reply = client.get("/v1/projections", params=params)
        assert is_problem(reply, 503, "StoreUnavailable", "Redis")
        assert int(reply.headers["retry-after"]) > 0
        assert not ready(client)
        assert client.get("/v1/slates").status_code == 200
        shutil.rmtree(tmp_path / "redis" / "redis")
        with embedded_services(own, which=("redis",)):
            publish_features(published, own.redis_url)
            eventually(lambda: ready(client), 10)
            assert not client.get("/v1/projections", params=params).json()["fallback"]


def test_champions_serve_on_while_mlflow_is_away(published: Published) -> None:
    with relayed(published.settings.mlflow_tracking_uri) as (mlflow,):
        settings = published.settings.model_copy(update={"mlflow_tracking_uri": mlflow.url})
        with serving(settings) as client:
            eventually(lambda: ready(client))
            version = served(client)["version"]
            mlflow.close()
            eventually(lambda: "MLflow" in (served(client)["error"] or ""))
            assert ready(client)
            params = {"slate_id": published.day.draftkings.slate_id}
            assert client.get("/v1/projections", params=params).json()["model"]["version"] == version
            newer = published.shifted(8)
            published.promote(newer)
            mlflow.open()
            eventually(lambda: served(client)["version"] == newer.version, 30)
            assert served(client)["error"] is None


def test_a_corrupt_bundle_never_replaces_the_champion(api: httpx.Client, published: Published) -> None:
    params = {"slate_id": published.day.draftkings.slate_id}
    good = served(api)["version"]
    refused = metric(api, 'fantasy_champion_refused_total{model="simulated-projection"}')
    bad = published.shifted(9)
    stored = published.weights(bad)
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-8] + bytes(8))
    published.promote(bad)
    eventually(lambda: "refused" in (served(api)["error"] or ""))
    assert f"version {bad.version}" in served(api)["error"]
    assert served(api)["version"] == good
    assert metric(api, 'fantasy_champion_refused_total{model="simulated-projection"}') > refused
    assert metric(api, 'fantasy_champion_behind{model="simulated-projection"}') == 1
    assert api.get("/v1/projections", params=params).json()["model"]["version"] == good
    assert ready(api)
    stored.write_bytes(whole)  # restored in the artifact store: fetched again without a restart
    eventually(lambda: served(api)["version"] == bad.version, 20)
    assert served(api)["error"] is None
    assert metric(api, 'fantasy_champion_behind{model="simulated-projection"}') == 0


def test_a_bundle_of_other_features_or_another_family_is_refused(api: httpx.Client, published: Published) -> None:
    good = served(api)["version"]
    folder = published.folder / "foreign"
    shutil.copytree(published.bundles["win_probability"], folder)
    foreign = published.registry.register(folder, name="simulated-projection", metrics={}, tags={}, params={})
    published.promote(foreign)
    eventually(lambda: "not simulated-projection" in (served(api)["error"] or ""))
    assert served(api)["version"] == good
    stale = published.restated(view_versions={"player_form": "0"})
    published.promote(stale)
    eventually(lambda: "learned from views" in (served(api)["error"] or ""))
    assert served(api)["version"] == good
    fixed = published.shifted(11)
    published.promote(fixed)
    eventually(lambda: served(api)["version"] == fixed.version, 10)
    assert served(api)["error"] is None


def test_a_champion_that_cannot_be_loaded_at_first_is_a_fallback_not_a_crash(
    published: Published, tmp_path: Path
) -> None:
    bad = published.restated(view_versions={"player_form": "0"})
    published.promote(bad)
    settings = published.settings.model_copy(update={"home": tmp_path})
    with serving(settings) as client:
        eventually(lambda: ready(client))
        assert served(client)["version"] is None
        body = client.get("/v1/projections", params={"slate_id": published.day.draftkings.slate_id}).json()
        assert body["fallback"]
        assert {p["basis"] for p in body["players"]} <= {"file_average", "out"}
        published.promote(published.shifted(0))
        eventually(lambda: served(client)["version"] is not None, 10)


def test_an_empty_database_is_said_to_lack_tables(published: Published) -> None:
    url = sibling(published.settings.database_url, "untouched")
    ensure_databases(published.settings.database_url, ("untouched",))
    with serving(published.settings.model_copy(update={"database_url": url})) as client:
        eventually(lambda: client.get("/ready").json()["problems"].keys() == {"postgres"})
        assert "fantasy run" in client.get("/ready").json()["problems"]["postgres"]
        assert is_problem(client.get("/v1/slates"), 503, "lacks tables")


def test_sigterm_answers_what_is_under_way(published: Published, tmp_path: Path) -> None:
    with relayed(published.settings.redis_url) as (redis,):
        settings = published.settings
        slate = published.day.slates[1]
        save_slate(published.database, slate, "simulated")
        port = on_free_ports(FlowSettings(home=tmp_path)).redis_url.rsplit(":", 1)[1].split("/")[0]
        environment = {
            **os.environ,
            "FANTASY_HOME": str(tmp_path),
            "FANTASY_REDIS_URL": redis.url.replace("/5", "/7"),
            "FANTASY_DATABASE_URL": settings.database_url,
            "FANTASY_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
            "FANTASY_PORT": port,
        }
        publish_features(published, environment["FANTASY_REDIS_URL"])
        process = subprocess.Popen([sys.executable, "-m", "serving"], env=environment)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

                def up() -> bool:
                    try:
                        return ready(client)
                    except httpx.TransportError:
                        return False

                eventually(up, 120)
                redis.delay_s = 0.1
                got: list[int] = []
                asked = threading.Thread(
                    target=lambda: got.append(
                        httpx.get(
                            f"{client.base_url}/v1/projections", params={"slate_id": slate.slate_id}, timeout=60
                        ).status_code
                    )
                )
                asked.start()
                eventually(lambda: metric(client, "fantasy_http_requests_in_flight") >= 2, 10)
                process.send_signal(signal.SIGTERM)
                asked.join(60)
                assert got == [200]
            assert process.wait(timeout=25) in (0, -signal.SIGTERM)
        finally:
            process.kill()
    with published.database.session() as session:
        count = select(func.count()).where(PredictionServed.slate_id == slate.slate_id)
        assert (session.scalar(count) or 0) >= len(slate.players)
