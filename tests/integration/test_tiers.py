"""Questions with deadlines through the whole app: live topics in Redis, heavy work on a real Prefect, ONNX files."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import redis

from features.stores import jobs as stored
from features.stream.announce import announce
from features.stream.deltas import FIELD, decode_entry
from features.stream.directory import partition_of
from features.stream.events import key_of
from features.stream.keys import Keys
from flows.deployments import JOBS
from flows.jobs import jobs
from models.errors import Cancelled
from serving.errors import TooManyQuestions
from serving.tiers import cloud
from serving.tiers.lanes import Lane
from tests.fixtures.schedules import Pool
from tests.fixtures.serving import Published, eventually, is_problem, ready, serving
from tests.unit.serving.test_tiers import live_game

SLOW_MS = 60_000


def heavy(published: Published, **more: Any) -> dict[str, Any]:
    """A portfolio of two lineups."""
    question = {"kind": "portfolio", "slate_id": published.day.draftkings.slate_id, "n": 2}
    return {"league": "simulated", "question": question, "deadline_ms": SLOW_MS, **more}


def ask(api: httpx.Client, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    return api.post("/v1/ask", json=body, headers={"Idempotency-Key": key} if key else {})


@pytest.fixture
def as_flow(published: Published, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Carries a job out in this process, as its flow run would."""
    monkeypatch.setenv("FANTASY_HOME", str(published.settings.home))
    monkeypatch.setenv("FANTASY_DATABASE_URL", published.settings.database_url)
    monkeypatch.setenv("FANTASY_REDIS_URL", published.settings.redis_url)
    return jobs.fn


@pytest.fixture(scope="module")
def no_prefect(published: Published) -> Iterator[httpx.Client]:
    """The app with a Prefect URL at which nothing listens."""
    nowhere = published.settings.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    with serving(nowhere) as client:
        eventually(lambda: ready(client))
        yield client


def told(published: Published, job_id: str) -> list[dict[str, Any]]:
    """What the live hub was told of a job."""
    topic = f"job:{job_id}"
    keys = Keys("simulated", partition_of(key_of(topic), published.settings.stream_partitions))
    client = redis.Redis.from_url(published.settings.redis_url, protocol=2)
    entries: Any = client.xrange(keys.deltas)
    client.close()
    changes = [change for _, fields in entries for change in decode_entry(fields[FIELD])]
    return [change.data for change in changes if change.topic == topic and change.writer == "cloud"]


def test_a_live_game_is_answered_from_the_stream_within_milliseconds(
    api: httpx.Client, published: Published
) -> None:
    game = live_game()
    partitions = published.settings.stream_partitions
    announce(published.settings.redis_url, "simulated", partitions, "game:77", game, writer="state")
    body = {"league": "simulated", "question": {"kind": "game", "game_id": "77"}, "deadline_ms": SLOW_MS}
    eventually(lambda: ask(api, body).status_code == 200, 20)
    said = ask(api, body).json()
    assert (said["tier"], said["degraded"], said["source"]) == ("edge", False, "simulated")
    assert said["answer"]["home_win_probability"] == 0.625 and said["data_timestamp"]
    announce(published.settings.redis_url, "simulated", partitions, "game:77", game | {"seq": 101}, writer="state")
    eventually(lambda: ask(api, body).json()["answer"]["seq"] == 101, 20)
    assert is_problem(ask(api, body | {"question": {"kind": "game", "game_id": "78"}}), 404, "game:78")
    assert is_problem(ask(api, body | {"deadline_ms": 0}), 422, "deadline_ms")
    assert is_problem(ask(api, body | {"question": {"kind": "nobody"}}), 422, "question")
    assert is_problem(ask(api, body | {"league": "wnba"}), 422, "league")


def test_a_slate_is_answered_by_the_champion_then_by_its_onnx(api: httpx.Client, published: Published) -> None:
    slate = published.day.draftkings
    body = {"league": "simulated", "question": {"kind": "projections", "slate_id": slate.slate_id}}
    body["deadline_ms"] = SLOW_MS
    first = ask(api, body).json()
    assert first["tier"] == "regional" and not first["fallback"]
    model = published.registry.alias("simulated-projection")
    assert first["model"] == {"name": "simulated-projection", "version": model.version}
    pointer = published.settings.home / "simulated" / "onnx" / "projection.json"
    eventually(lambda: pointer.is_file() and json.loads(pointer.read_text())["version"] == model.version, 120)
    time.sleep(2.5)  # the sessions look every two seconds
    second = ask(api, body).json()
    assert second["tier"] == "regional" and len(second["answer"]["players"]) == len(slate.players)
    before = {player["site_id"]: player for player in first["answer"]["players"]}
    for player in second["answer"]["players"]:
        for name in ("mean", "q10", "q50", "q90", "p_play"):
            assert player[name] == pytest.approx(before[player["site_id"]][name], abs=1e-3)


def test_heavy_work_is_accepted_once_per_key_and_handed_to_prefect(
    api: httpx.Client, pool: Pool, published: Published
) -> None:
    ids = pool.register(JOBS)
    key = uuid4().hex
    reply = ask(api, heavy(published, priority="urgent"), key)
    assert reply.status_code == 202, reply.text
    said = reply.json()
    assert said["tier"] == "cloud" and said["answer"]["status"] == "queued"
    assert said["answer"]["topic"] == f"job:{said['answer']['job_id']}"
    again = ask(api, heavy(published, priority="urgent"), key).json()
    assert again["answer"]["job_id"] == said["answer"]["job_id"]
    other = ask(api, heavy(published, question=heavy(published)["question"] | {"n": 3}), key)
    assert is_problem(other, 422, "idempotency_key")
    (run,) = pool.runs(ids["jobs"])
    assert run.parameters == {"job_id": said["answer"]["job_id"]}
    assert (run.work_queue_name, run.work_pool_name) == ("urgent", pool.name)
    queues = pool.client.read_work_queues(work_pool_name=pool.name)
    assert {queue.name: queue.priority for queue in queues if queue.name != "default"} == stored.PRIORITIES
    job = api.get(said["answer"]["result_url"]).json()
    assert (job["status"], job["result"], job["kind"]) == ("queued", None, "portfolio")
    gone = api.delete(said["answer"]["result_url"]).json()
    assert gone["status"] == "cancelled" and gone["ended_at"]
    assert pool.state(run) in {"CANCELLED", "CANCELLING"}
    assert is_problem(api.get(f"/v1/jobs/{uuid4()}"), 404, "job")
    assert is_problem(api.get("/v1/jobs/nonsense"), 422, "job_id")


def test_a_job_is_carried_out_kept_and_told_of(
    api: httpx.Client, pool: Pool, published: Published, as_flow: Callable[[str], Any]
) -> None:
    pool.register(JOBS)
    job_id = ask(api, heavy(published)).json()["answer"]["job_id"]
    assert as_flow(job_id) == {"job_id": job_id, "status": "done"}
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "done" and job["error"] is None and job["started_at"] <= job["ended_at"]
    assert [lineup["gap"] for lineup in job["result"]["lineups"]] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert [each["status"] for each in told(published, job_id)] == ["running", "done"]
    upload = api.get(f"/v1/lineups/{job_id}/upload.csv")
    assert upload.status_code == 200 and len(upload.text.splitlines()) == 3
    assert as_flow(job_id)["status"] == "done"  # a second run of the same job does nothing
    assert len(told(published, job_id)) == 2


def test_work_that_cannot_be_done_says_why(
    api: httpx.Client, pool: Pool, published: Published, as_flow: Callable[[str], Any]
) -> None:
    pool.register(JOBS)
    question = heavy(published)["question"] | {"rules": {"min_salary_usd": 10**6}}
    job_id = ask(api, heavy(published, question=question)).json()["answer"]["job_id"]
    with pytest.raises(Exception, match="salary"):
        as_flow(job_id)
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "failed" and "salary" in job["error"]
    assert told(published, job_id)[-1]["status"] == "failed"


def test_a_cancelled_job_stops_and_keeps_nothing(
    api: httpx.Client,
    pool: Pool,
    published: Published,
    as_flow: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool.register(JOBS)
    job_id = ask(api, heavy(published)).json()["answer"]["job_id"]

    def until_cancelled(*_: Any, cancelled: Callable[[], bool], **__: Any) -> Any:
        assert api.delete(f"/v1/jobs/{job_id}").json()["status"] == "cancelled"
        eventually(cancelled, 20)
        raise Cancelled("nobody waits")

    monkeypatch.setattr("flows.jobs.run_job", until_cancelled)
    assert as_flow(job_id)["status"] == "cancelled"
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["result"]) == ("cancelled", None)


def test_a_job_whose_run_died_is_seen_to_have_failed(api: httpx.Client, pool: Pool, published: Published) -> None:
    from prefect.states import Crashed

    ids = pool.register(JOBS)
    job_id = ask(api, heavy(published)).json()["answer"]["job_id"]
    (run,) = pool.runs(ids["jobs"])
    pool.client.set_flow_run_state(run.id, Crashed(), force=True)
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "failed" and "CRASHED" in job["error"]


def test_without_prefect_heavy_work_is_refused_and_the_same_key_can_be_used_again(
    no_prefect: httpx.Client, api: httpx.Client, pool: Pool, published: Published
) -> None:
    key = uuid4().hex
    reply = ask(no_prefect, heavy(published), key)
    assert is_problem(reply, 503, "FANTASY_PREFECT_API_URL") and reply.headers["Retry-After"]
    reply = ask(api, heavy(published), key)
    assert is_problem(reply, 503, "fantasy deploy")
    pool.register(JOBS)
    said = ask(api, heavy(published), key).json()
    job = stored.get_job(published.database, UUID(said["answer"]["job_id"]))
    assert job.status == "queued" and job.flow_run_id is not None and job.error is None


async def test_a_job_is_accepted_with_its_row_and_handed_over_when_prefect_gets_to_it(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "MOST_HANDING", 1)
    go, run_id = asyncio.Event(), uuid4()

    async def prefect(request: httpx.Request) -> httpx.Response:
        await go.wait()
        return httpx.Response(200, json={"id": str(run_id)})

    lane = Lane("cloud", time.monotonic, most=8, servers=4)
    slow = cloud.Cloud(
        "http://prefect/api", published.database, lane, lambda: datetime.now(UTC),
        transport=httpx.MockTransport(prefect),
    )  # fmt: skip
    question = heavy(published)["question"]
    job = await slow.accept(question, "simulated", lane.admit("portfolio", 1, time.monotonic() + 5))
    assert job.status == "queued" and job.flow_run_id is None
    with pytest.raises(TooManyQuestions, match="ask again"):
        await slow.accept(question, "simulated", lane.admit("portfolio", 1, time.monotonic() + 5))
    assert lane.waiting == 0
    go.set()
    await slow.close()
    assert stored.get_job(published.database, job.job_id).flow_run_id == run_id


async def test_an_accepted_job_that_nobody_handed_over_is_handed_over_when_asked_about(
    published: Published,
) -> None:
    async def prefect(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": str(run_id)})

    run_id, asked_at = uuid4(), datetime.now(UTC) - 2 * cloud.LOST
    job = stored.add_job(
        published.database, league="simulated", kind="portfolio", question=heavy(published)["question"],
        asked_at=asked_at,
    )  # fmt: skip
    lane = Lane("cloud", time.monotonic, most=8, servers=4)
    found = cloud.Cloud(
        "http://prefect/api", published.database, lane, lambda: datetime.now(UTC),
        transport=httpx.MockTransport(prefect),
    )  # fmt: skip
    assert (await found.job(job.job_id)).flow_run_id is None
    await found.close()
    assert stored.get_job(published.database, job.job_id).flow_run_id == run_id


def test_the_browser_gets_the_champion_as_onnx(live_api: httpx.Client, published: Published) -> None:
    def described() -> httpx.Response:
        return live_api.get("/v1/models/live_win/what_if", params={"league": "simulated"})

    eventually(lambda: described().status_code == 200, 180)
    model = described().json()
    assert model["name"] == "simulated-live_win" and len(model["features"]) > 20 and model["constants"]["buckets"]
    file = live_api.get(model["onnx_url"])
    assert file.status_code == 200 and model["version"] in file.headers["etag"] and len(file.content) > 1000
    missing = live_api.get("/v1/models/live_win/onnx", params={"league": "simulated", "version": "999"})
    assert is_problem(missing, 404, "999")
    assert is_problem(live_api.get("/v1/models/live_win/what_if", params={"league": "nba"}), 404, "nba")
    features = live_game()["features"]
    question = {"kind": "what_if", "game_id": "x", "features": features, "changes": [{"lead": -8}, {"lead": 8}]}
    said = ask(live_api, {"league": "simulated", "question": question, "deadline_ms": SLOW_MS}).json()
    assert said["tier"] == "regional" and said["model"]["version"] == model["version"]
    low, high = (each["home_win_probability"] for each in said["answer"]["answers"])
    assert low < high


@pytest.mark.slow
def test_a_worker_carries_a_simulation_out(
    api: httpx.Client, pool: Pool, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pool.settings.model_copy(
        update={
            "home": published.settings.home, "database_url": published.settings.database_url,
            "redis_url": published.settings.redis_url,
        }
    )  # fmt: skip
    mine = Pool(pool.name, settings, pool.client)
    mine.register(JOBS)
    question = {
        "kind": "simulation", "slate_id": published.day.draftkings.slate_id, "entries": 5, "scenarios": 200,
        "field_size": 200, "candidates": 50,
    }  # fmt: skip
    job_id = ask(api, heavy(published, question=question)).json()["answer"]["job_id"]
    with mine.worker():
        done = pool.until(lambda: api.get(f"/v1/jobs/{job_id}").json()["status"] in {"done", "failed"}, 300)
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert done and job["status"] == "done", job["error"]
    assert len(job["result"]["lineups"]) == 5 and job["result"]["portfolio"]
    assert told(published, job_id)[-1]["status"] == "done"
