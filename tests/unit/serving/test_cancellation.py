"""Work stops when the client hangs up, on a real server with clients that really do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from features.errors import StoreUnavailable
from models.errors import Cancelled as Stopped
from serving import problem, telemetry
from serving.body_limit import BodyLimit
from serving.cancellation import Cancelled, Wish, until_gone
from serving.progress import Report, Telling
from serving.telemetry import Measure

ROUNDS = 3000  # of 10 ms: far longer than any test waits


class Body(BaseModel):
    """How many rounds of work are wanted, and how they end."""

    rounds: int = ROUNDS
    end: str = "well"


@dataclass
class Site:
    """A server whose work can be watched."""

    executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2))
    closing: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def work(self, body: Body, report: Report, cancelled: Cancelled) -> dict[str, Any]:
        """Rounds of waiting, as the optimizer's between two searches."""
        self.started.set()
        for at in range(body.rounds):
            if cancelled():
                self.stopped.set()
                raise Stopped("stopped")
            report("rounds", at, body.rounds)
            time.sleep(0.01)
        report("rounds", body.rounds, body.rounds)
        if body.end == "away":
            raise StoreUnavailable("Redis is away: start it")
        if body.end == "defect":
            raise KeyError("secret")
        return {"rounds": body.rounds}

    def app(self) -> FastAPI:
        """One route that waits for the answer and one that tells of progress."""
        app = FastAPI()
        problem.install(app)
        app.add_middleware(BodyLimit, limit_bytes=10_000)
        app.add_middleware(Measure)

        @app.post("/wait")
        async def wait(request: Request, body: Body) -> dict[str, Any]:
            def work(cancelled: Cancelled) -> dict[str, Any]:
                return self.work(body, lambda *_: None, cancelled)

            return await until_gone(request, self.executor, Wish(self.closing), work)

        @app.post("/tell")
        async def tell(body: Body) -> Response:
            def work(report: Report, cancelled: Cancelled) -> dict[str, Any]:
                return self.work(body, report, cancelled)

            return Telling(self.executor, Wish(self.closing), "/tell", work, self.ended.set)

        return app


@pytest.fixture
def site() -> Iterator[Site]:
    """The server, running."""
    site = Site()
    server = uvicorn.Server(uvicorn.Config(site.app(), host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    site.port = server.servers[0].sockets[0].getsockname()[1]
    yield site
    site.closing.set()
    server.should_exit = True
    thread.join(20)
    site.executor.shutdown()


def hung_up(site: Site, path: str) -> None:
    """Ask, wait until the work has begun, and close the connection."""
    body = json.dumps({}).encode()
    with socket.create_connection(("127.0.0.1", site.port)) as line:
        head = [
            f"POST {path} HTTP/1.1",
            "host: x",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        line.sendall("\r\n".join([*head, "", ""]).encode() + body)
        assert site.started.wait(20)


def post(site: Site, path: str, **body: Any) -> httpx.Response:
    """Ask and wait for all of the answer."""
    return httpx.post(f"http://127.0.0.1:{site.port}{path}", json=body, timeout=30)


def stopped(route: str) -> float:
    """How often work of a route was stopped so far."""
    return telemetry.STOPPED.labels(route)._value.get()


@pytest.mark.parametrize("path", ["/wait", "/tell"])
def test_work_stops_when_the_client_hangs_up(site: Site, path: str) -> None:
    before = stopped(path)
    hung_up(site, path)
    assert site.stopped.wait(20)
    site.executor.submit(int).result(20)
    deadline = time.monotonic() + 20
    while stopped(path) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stopped(path) == before + 1
    if path == "/tell":
        assert site.ended.wait(20)


def test_work_that_is_waited_for_is_answered(site: Site) -> None:
    assert post(site, "/wait", rounds=5).json() == {"rounds": 5}
    away = post(site, "/wait", rounds=1, end="away")
    assert (away.status_code, away.json()["retryable"]) == (503, True)
    assert not site.stopped.is_set()


def test_progress_is_told_line_by_line_and_ends_with_the_result(site: Site) -> None:
    reply = post(site, "/tell", rounds=40)
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert lines[-1] == {"event": "result", "rounds": 40}
    steps = [(line["done"], line["total"]) for line in lines[1:-1]]
    assert {line["event"] for line in lines[:-1]} == {"progress"}
    assert steps == sorted(steps) and steps[-1] == (40, 40)
    assert 2 <= len(steps) < 40
    assert site.ended.is_set()


def test_an_error_on_the_way_is_the_last_line(site: Site) -> None:
    last = json.loads(post(site, "/tell", rounds=2, end="away").text.splitlines()[-1])
    assert last == {"event": "error", "error": "StoreUnavailable", "message": "Redis is away: start it",
                    "retryable": True}  # fmt: skip


def test_a_defect_is_said_without_what_it_held(site: Site) -> None:
    with httpx.stream("POST", f"http://127.0.0.1:{site.port}/tell", json={"rounds": 1, "end": "defect"}) as reply:
        lines: list[str] = []
        # The connection is closed, since the answer could not be finished.
        with pytest.raises(httpx.RemoteProtocolError):
            for line in reply.iter_lines():
                lines.append(line)
    assert json.loads(lines[-1])["error"] == "InternalError"
    assert "secret" not in "".join(lines)
    assert site.ended.wait(20)


def test_work_stops_when_the_server_shuts_down(site: Site) -> None:
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(post(site, "/wait").status_code))
    thread.start()
    assert site.started.wait(20)
    site.closing.set()
    thread.join(20)
    assert answers == [503]
    assert site.stopped.is_set()
