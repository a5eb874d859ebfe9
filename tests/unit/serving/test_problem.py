"""Errors leave in one shape, whatever raised them; bodies that are too long are refused while they arrive."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import FastAPI, File, UploadFile
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from features.errors import StoreUnavailable
from models.errors import Infeasible, NoChampion
from serving import problem
from serving.body_limit import BodyLimit

LIMIT = 1000


class Body(BaseModel):
    """A body with one bounded field."""

    n: int = Field(ge=1, le=5)


@pytest.fixture(scope="module")
def client() -> TestClient:
    """An app whose routes raise what they are named after."""
    app = FastAPI()
    problem.install(app)
    app.add_middleware(BodyLimit, limit_bytes=LIMIT)

    @app.post("/n")
    def take(body: Body) -> int:
        return body.n

    @app.post("/file")
    async def read(file: Annotated[UploadFile, File()]) -> int:
        return len(await file.read())

    @app.get("/{name}")
    def fail(name: str) -> None:
        errors = {
            "store": StoreUnavailable("Redis is away: start it"),
            "champion": NoChampion("none yet: run it"),
            "rules": Infeasible("locks clash: unlock", ("salary cap", "lock A")),
            "defect": KeyError("secret"),
        }
        raise errors[name]

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "status", "retryable"),
    [("store", 503, True), ("champion", 503, False), ("rules", 422, False), ("defect", 500, False)],
)
def test_raised_errors(client: TestClient, path: str, status: int, retryable: bool) -> None:
    reply = client.get(f"/{path}")
    assert (reply.status_code, reply.json()["retryable"]) == (status, retryable)
    assert ("retry-after" in reply.headers) == retryable
    assert reply.json().get("rules") == (["salary cap", "lock A"] if path == "rules" else None)
    assert "secret" not in reply.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"n": 9}, ("n is 9", "less than or equal to 5")),
        ({}, ("n: Field required",)),
        ({"n": "x" * 500}, ("n is 'xxx", "…")),
        ({"n": "\ud800"}, ("n is",)),
    ],
)
def test_invalid_fields_name_field_value_and_fix(
    client: TestClient, body: dict[str, object], words: tuple[str, ...]
) -> None:
    import json

    reply = client.post("/n", content=json.dumps(body), headers={"content-type": "application/json"})
    said = reply.json()
    assert reply.status_code == 422
    assert said.keys() == {"error", "message", "retryable"}
    assert all(word in said["message"] for word in words), said
    assert len(said["message"]) < 400


def test_long_bodies_are_refused_and_short_ones_read(client: TestClient) -> None:
    assert client.post("/file", files={"file": b"x" * 500}).json() == 500
    for size in (2 * LIMIT, 500 * LIMIT):
        reply = client.post("/file", files={"file": b"x" * size})
        assert (reply.status_code, reply.json()["error"]) == (413, "UploadTooLarge")
        assert "1,000 bytes" in reply.json()["message"]
    reply = client.post("/n", content=b" " * 2 * LIMIT, headers={"content-type": "application/json"})
    assert reply.status_code == 413


def test_unknown_paths_and_methods_are_typed(client: TestClient) -> None:
    reply = client.put("/n")
    assert (reply.status_code, reply.json()["error"]) == (405, "MethodNotAllowed")
    assert "POST" in reply.headers["allow"] or "GET" in reply.headers["allow"]
    assert client.get("/a/b").json()["error"] == "NotFound"
