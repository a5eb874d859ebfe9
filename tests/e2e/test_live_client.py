"""The page's client of the live hub against a scripted one: gaps, doubles, broken lines, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serving.app import WEB

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route, WebSocketRoute

ORIGIN = "http://127.0.0.1:9"
START = """async () => {
    const { LiveClient } = await import("/web/live_client.js");
    window.heard = []; window.states = []; window.refusals = []; window.grants = 0;
    const grant = async () => {
        window.grants += 1;
        return { token: `t${window.grants}`, url: "ws://127.0.0.1:9/v1/live", expires_at: "2099-01-01T00:00:00Z" };
    };
    window.client = new LiveClient(grant, {
        update: (topic, whole, how) => window.heard.push([topic, structuredClone(whole), how.snapshot]),
        state: (told) => window.states.push(told),
        refused: (told) => window.refusals.push(told),
    });
    window.client.subscribe(["game:1", "game:2"]);
}"""


class Hub:
    """What the client said, per connection, and a hand to answer with."""

    def __init__(self) -> None:
        self.sockets: list[WebSocketRoute] = []
        self.said: list[list[dict[str, Any]]] = []
        self.refuse: Callable[[dict[str, Any]], bool] = lambda message: False

    def accept(self, socket: WebSocketRoute) -> None:
        said: list[dict[str, Any]] = []
        self.sockets.append(socket)
        self.said.append(said)

        def hear(payload: str | bytes) -> None:
            message = json.loads(payload)
            said.append(message)
            if self.refuse(message):
                self.tell(op="error", id=message["id"], code="forbidden", message="not yours")

        socket.on_message(hear)
        self.tell(op="welcome", session="s", heartbeat_s=25, limits={})

    def tell(self, **message: Any) -> None:
        self.sockets[-1].send(json.dumps(message))

    def snapshot(self, topic: str, offset: str, data: dict[str, Any], epoch: str = "0:a") -> None:
        self.tell(op="snapshot", topic=topic, epoch=epoch, offset=offset, data=data)

    def delta(self, topic: str, prev: str, offset: str, data: dict[str, Any], epoch: str = "0:a") -> None:
        at = 1_700_000_000_000_000_000
        self.tell(op="delta", topic=topic, epoch=epoch, offset=offset, prev=prev, at=at, data=data)

    @property
    def wishes(self) -> list[dict[str, Any]]:
        """Subscriptions of the newest connection."""
        return [message for message in self.said[-1] if message["op"] == "subscribe"]


@pytest.fixture
def hub() -> Hub:
    """A hub that says nothing by itself but welcome."""
    return Hub()


@pytest.fixture
def page(browser: Browser, hub: Hub) -> Iterator[Page]:
    """A blank page with a client of `hub` that wants two games."""
    page = browser.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path.startswith("/web/"):
            text = (Path(WEB) / path.removeprefix("/web/")).read_text()
            route.fulfill(status=200, content_type="text/javascript", body=text)
        else:
            route.fulfill(status=200, content_type="text/html", body="<!doctype html><title>client</title>")

    page.route(f"{ORIGIN}/**", answer)
    page.route_web_socket("ws://127.0.0.1:9/v1/live*", hub.accept)
    page.goto(f"{ORIGIN}/")
    page.evaluate(START)
    page.wait_for_function("window.states.some((told) => told.name === 'connected')")
    until(page, lambda: bool(hub.wishes))
    yield page
    assert broken == []
    page.close()


def until(page: Page, true: Callable[[], bool]) -> None:
    """Wait while the browser goes on."""
    for _ in range(600):
        if true():
            return
        page.wait_for_timeout(10)
    raise AssertionError("did not happen in time")


def heard(page: Page, count: int) -> list[Any]:
    """The first `count` updates, once so many came."""
    page.wait_for_function("(count) => window.heard.length >= count", arg=count)
    return list(page.evaluate("window.heard"))


def test_deltas_are_put_on_the_snapshot_and_a_null_takes_away(page: Page, hub: Hub) -> None:
    assert hub.wishes[0]["topics"] == ["game:1", "game:2"] and hub.wishes[0]["since"] == {}
    hub.snapshot("game:1", "5-0", {"home_score": 2, "run": "BOS"})
    hub.delta("game:1", "5-0", "6-0", {"home_score": 4})
    hub.delta("game:1", "6-0", "6-1", {"run": None})
    assert heard(page, 3) == [
        ["game:1", {"home_score": 2, "run": "BOS"}, True],
        ["game:1", {"home_score": 4, "run": "BOS"}, False],
        ["game:1", {"home_score": 4}, False],
    ]


def test_what_was_heard_before_changes_nothing(page: Page, hub: Hub) -> None:
    hub.snapshot("game:1", "5-0", {"n": 1})
    hub.delta("game:1", "5-0", "6-0", {"n": 2})
    hub.delta("game:1", "5-0", "6-0", {"n": 2})
    hub.delta("game:1", "4-0", "5-0", {"n": 1})
    hub.delta("game:1", "6-0", "7-0", {"n": 3})
    assert [whole["n"] for _, whole, _ in heard(page, 3)] == [1, 2, 3]
    assert len(hub.wishes) == 1


def test_a_gap_is_asked_for_from_where_the_client_stands(page: Page, hub: Hub) -> None:
    hub.snapshot("game:1", "5-0", {"n": 1})
    hub.delta("game:1", "6-0", "7-0", {"n": 3})  # 5-0 to 6-0 is missing
    hub.delta("game:1", "7-0", "8-0", {"n": 4})
    until(page, lambda: len(hub.wishes) == 2)
    assert hub.wishes[1]["topics"] == ["game:1"]
    assert hub.wishes[1]["since"] == {"game:1": {"epoch": "0:a", "offset": "5-0"}}
    assert page.evaluate("window.heard.length") == 1
    hub.tell(op="subscribed", id=hub.wishes[1]["id"], topics={"game:1": "resumed"})
    hub.delta("game:1", "5-0", "8-0", {"n": 4, "m": 1})
    assert heard(page, 2)[-1] == ["game:1", {"n": 4, "m": 1}, False]


def test_another_epoch_is_asked_for_whole(page: Page, hub: Hub) -> None:
    hub.snapshot("game:1", "5-0", {"n": 1, "old": True})
    hub.delta("game:1", "1-0", "2-0", {"n": 9}, epoch="0:b")
    until(page, lambda: len(hub.wishes) == 2)
    assert hub.wishes[1]["since"] == {}
    hub.snapshot("game:1", "2-0", {"n": 9}, epoch="0:b")
    assert heard(page, 2)[-1] == ["game:1", {"n": 9}, True]


def test_offsets_of_several_streams_are_compared_part_by_part(page: Page, hub: Hub) -> None:
    hub.snapshot("game:1", "5-0+9-0", {"n": 1}, epoch="0:a+1:b")
    hub.delta("game:1", "5-0+8-0", "5-0+9-0", {"n": 0}, epoch="0:a+1:b")
    hub.delta("game:1", "5-0+9-0", "5-0+10-0", {"n": 2}, epoch="0:a+1:b")
    assert [whole["n"] for _, whole, _ in heard(page, 2)] == [1, 2]
    assert len(hub.wishes) == 1


def test_a_broken_line_is_mended_and_goes_on_from_the_offset(page: Page, hub: Hub) -> None:
    hub.snapshot("game:1", "5-0", {"n": 1})
    heard(page, 1)
    hub.sockets[-1].close(code=1011)
    until(page, lambda: len(hub.sockets) == 2 and bool(hub.wishes))
    assert hub.wishes[0]["topics"] == ["game:1", "game:2"]
    assert hub.wishes[0]["since"] == {"game:1": {"epoch": "0:a", "offset": "5-0"}}
    hub.tell(op="subscribed", id=hub.wishes[0]["id"], topics={"game:1": "resumed", "game:2": "snapshot"})
    hub.delta("game:1", "5-0", "6-0", {"n": 2})
    assert heard(page, 2)[-1] == ["game:1", {"n": 2}, False]
    assert "waiting" in page.evaluate("window.states.map((told) => told.name)")
    assert page.evaluate("window.states.at(-1)") | {"message": ""} == {
        "name": "connected", "transport": "socket", "retry_ms": None, "message": "", "resumed": 1, "snapshots": 1,
    }  # fmt: skip
    assert page.evaluate("window.grants") == 1


def test_an_expired_token_is_asked_for_anew(page: Page, hub: Hub) -> None:
    hub.tell(op="bye", code=4001, reconnect_s=0)
    hub.sockets[-1].close(code=4001)
    until(page, lambda: len(hub.sockets) == 2)
    assert page.evaluate("window.grants") == 2
    assert "token=t2" in hub.sockets[-1].url


def test_a_draining_hub_says_when_to_come_back(page: Page, hub: Hub) -> None:
    hub.tell(op="bye", code=4000, reconnect_s=0.01)
    hub.sockets[-1].close(code=4000)
    until(page, lambda: len(hub.sockets) == 2)
    waits = page.evaluate("window.states.filter((told) => told.name === 'waiting').map((told) => told.retry_ms)")
    assert waits == [10]


def test_one_refused_topic_does_not_take_the_others_along(page: Page, hub: Hub) -> None:
    hub.refuse = lambda message: "lineup:x" in message.get("topics", [])
    page.evaluate("window.client.subscribe(['player:1', 'lineup:x', 'player:2', 'player:3'])")
    page.wait_for_function("window.refusals.length === 1")
    assert page.evaluate("window.refusals[0].topics") == ["lineup:x"]
    until(page, lambda: {"player:1", "player:2", "player:3"} <= accepted(hub))
    assert page.evaluate("window.client.topics") == ["game:1", "game:2", "player:1", "player:2", "player:3"]


def accepted(hub: Hub) -> set[str]:
    """Topics of subscriptions that were not refused."""
    return {topic for wish in hub.wishes if not hub.refuse(wish) for topic in wish["topics"]}


def test_an_answer_finds_its_question(page: Page, hub: Hub) -> None:
    page.evaluate("void window.client.ask({ kind: 'game' }, 50).then((told) => { window.answer = told; })")
    until(page, lambda: hub.said[-1][-1]["op"] == "ask")
    asked = hub.said[-1][-1]
    assert asked["question"] == {"kind": "game"} and asked["deadline_ms"] == 50
    hub.tell(op="answer", id=asked["id"], answer=7)
    page.wait_for_function("window.answer?.answer === 7")
    page.evaluate("void window.client.ask({ kind: 'game' }, 50).catch((e) => { window.lost = e.message; })")
    until(page, lambda: len([m for m in hub.said[-1] if m["op"] == "ask"]) == 2)
    hub.sockets[-1].close(code=1011)
    page.wait_for_function("window.lost === 'the connection broke'")


def test_a_topic_no_longer_wanted_is_given_up(page: Page, hub: Hub) -> None:
    page.evaluate("window.client.unsubscribe(['game:2', 'player:9'])")
    until(page, lambda: hub.said[-1][-1]["op"] == "unsubscribe")
    assert hub.said[-1][-1]["topics"] == ["game:2"]
    hub.snapshot("game:2", "5-0", {"n": 1})
    hub.snapshot("game:1", "5-0", {"n": 2})
    assert heard(page, 1) == [["game:1", {"n": 2}, True]]
