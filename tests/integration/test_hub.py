"""The hub as its clients meet it: real processes, a real Redis, real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import httpx
import jwt
import pytest
import uvicorn
from fastapi import FastAPI
from picows import WSInvalidStatusError, WSMsgType

from serving import problem, security
from serving.errors import HubUnavailable, Unauthorized
from serving.live.client import Change, LiveClient
from serving.live.protocol import Position, Refused
from serving.routes import live
from tests.fixtures.hub import LEAGUE, WAIT_S, Hub, OwnRedis, Teller, eventually, raw

pytestmark = pytest.mark.xdist_group("hub")


@pytest.fixture(scope="module")
def hub(hubs: Callable[..., Hub]) -> Hub:
    """One worker with usual limits, except that it gives up on stuck clients soon."""
    return hubs(limits={"stuck_s": 2.0, "handshake_s": 1.0}, answers="tests.fixtures.echo:echo")


@pytest.fixture(scope="module")
def teller(own_redis: OwnRedis, hub: Hub) -> Teller:
    """The consumer of partition 0."""
    return Teller(own_redis.url)


async def next_change(client: LiveClient) -> Change:
    """The next change, soon."""
    return await asyncio.wait_for(anext(client), WAIT_S)


async def told(hub: Hub, teller: Teller, topic: str, **whole: Any) -> None:
    """Say what `topic` is now; returns once the hub's worker has read it."""
    teller.tell(topic, **whole)
    async with hub.client([topic]) as client:
        while client.whole(topic) != whole:
            await next_change(client)


async def test_a_subscriber_gets_all_then_what_changes(hub: Hub, teller: Teller) -> None:
    await told(hub, teller, "game:first", home_score=1, away_score=2, status="live")
    async with hub.client(["game:first"]) as client:
        first = await next_change(client)
        assert (first.kind, first.data) == ("snapshot", {"home_score": 1, "away_score": 2, "status": "live"})
        teller.tell("game:first", home_score=3, away_score=2, status="live", critical=True)
        second = await next_change(client)
        assert (second.kind, second.data) == ("delta", {"home_score": 3})
        assert client.whole("game:first") == {"home_score": 3, "away_score": 2, "status": "live"}
        teller.tell("game:first", home_score=3, away_score=2)
        assert (await next_change(client)).data == {"status": None}
        assert client.whole("game:first") == {"home_score": 3, "away_score": 2}


async def test_a_topic_nobody_told_of_yet_is_empty_and_then_told_whole(hub: Hub, teller: Teller) -> None:
    async with hub.client(["game:later"]) as client:
        assert (await next_change(client)).whole == {}
        teller.tell("game:later", home_score=0)
        assert (await next_change(client)).whole == {"home_score": 0}
        assert client.stats.gaps == 0


async def test_writers_of_several_partitions_meet_in_one_topic(
    hub: Hub, teller: Teller, own_redis: OwnRedis
) -> None:
    news = Teller(own_redis.url, partition=1, writer="news")
    model = Teller(own_redis.url, writer="model")
    await told(hub, teller, "player:7", line={"pts": 2})
    async with hub.client(["player:7"]) as client:
        await next_change(client)
        news.tell("player:7", news=["out"])
        assert (await next_change(client)).whole == {"line": {"pts": 2}, "news": ["out"]}
        model.tell("player:7", expected=3.5)
        teller.tell("player:7", line={"pts": 4})
        whole = {"line": {"pts": 4}, "news": ["out"], "expected": 3.5}
        while (await next_change(client)).whole != whole:
            pass
        at = client.position("player:7")
        assert at is not None
    await told(hub, news, "player:8", news=["in"])
    news.tell("player:7", news=["in"])
    async with hub.client(["player:7"], since={"player:7": at}) as client:
        change = await next_change(client)
        assert (change.kind, change.data) == ("delta", {"news": ["in"]})
        assert (client.stats.resumed, client.stats.gaps) == (1, 0)


async def test_resume_tells_what_was_missed_or_says_snapshot(hub: Hub, teller: Teller) -> None:
    await told(hub, teller, "game:resume", seq=0)
    async with raw(hub) as client:
        client.say(op="subscribe", id=1, topics=["game:resume"])
        at = await client.hear("snapshot")
    for seq in (1, 2, 3):
        await told(hub, teller, "game:resume", seq=seq)
    since = {"game:resume": {"epoch": at["epoch"], "offset": at["offset"]}}
    async with raw(hub) as client:
        client.say(op="subscribe", id=1, topics=["game:resume"], since=since)
        assert (await client.hear("subscribed"))["topics"] == {"game:resume": "resumed"}
        await client.hear("delta", 3)
        deltas = [m for m in client.messages if m["op"] == "delta"]
        assert [m["data"] for m in deltas] == [{"seq": 1}, {"seq": 2}, {"seq": 3}]
        assert [m["prev"] for m in deltas] == [at["offset"], deltas[0]["offset"], deltas[1]["offset"]]
    for wrong in (
        {"epoch": "0:other", "offset": at["offset"]},
        {"epoch": at["epoch"], "offset": "9999999999999-0"},
        {"epoch": at["epoch"], "offset": "nonsense"},
        {"epoch": at["epoch"], "offset": "1-0+2-0"},
    ):
        async with raw(hub) as client:
            client.say(op="subscribe", id=1, topics=["game:resume"], since={"game:resume": wrong})
            assert (await client.hear("subscribed"))["topics"] == {"game:resume": "snapshot"}
            assert (await client.hear("snapshot"))["data"] == {"seq": 3}


async def test_a_worker_that_has_just_started_resumes_clients_too(
    hub: Hub, hubs: Callable[..., Hub], teller: Teller
) -> None:
    await told(hub, teller, "game:restart", seq=0)
    async with hub.client(["game:restart"]) as client:
        await next_change(client)
        at = client.position("game:restart")
    assert at is not None
    teller.tell("game:restart", seq=1)
    second = hubs()
    async with second.client(["game:restart"], since={"game:restart": at}) as client:
        assert (await next_change(client)).data == {"seq": 1}
        assert (client.stats.resumed, client.stats.snapshots, client.stats.gaps) == (1, 0, 0)
    assert second.stop() == 0


@pytest.mark.parametrize(
    "token",
    [
        "", "nonsense",
        jwt.encode({"sub": "a", "exp": 9e9, "league": LEAGUE, "topics": ["game:*"]}, "another secret" * 4),
        jwt.encode({"sub": "a", "exp": 9e9, "league": LEAGUE, "topics": ["game:*"]}, "", algorithm="none"),
    ],
)  # fmt: skip
async def test_without_a_good_token_there_is_no_handshake(hub: Hub, token: str) -> None:
    with pytest.raises(WSInvalidStatusError) as refused:
        async with raw(hub, token):
            pass
    assert refused.value.response.status == 401
    with pytest.raises(Unauthorized, match="token"):
        async with LiveClient(hub.url, token, ["model"]):
            pass


async def test_expired_tokens_are_refused_and_end_connections(hub: Hub) -> None:
    with pytest.raises(Unauthorized):
        async with LiveClient(hub.url, hub.token(ttl_s=-1), ["model"]):
            pass
    async with raw(hub, hub.token(ttl_s=1)) as client:
        assert await client.closed() == 4001
        assert (await client.hear("bye"))["code"] == 4001


async def test_topics_outside_the_token_or_unknown_are_refused_whole(hub: Hub) -> None:
    async with raw(hub, hub.token(topics=["game:1*", "lineup:mine"])) as client:
        for request, (topics, code, status) in enumerate((
            (["game:12", "lineup:yours"], "forbidden", 4003),
            (["game:2"], "forbidden", 4003),
            (["gamble:1"], "unknown_topic", 404),
            (["game:" + "x" * 100], "unknown_topic", 404),
            ([f"game:1{n}" for n in range(501)], "too_many_topics", 4009),
        )):  # fmt: skip
            client.say(op="subscribe", id=request, topics=topics)
            error = await client.hear("error", request + 1)
            assert (error["id"], error["code"], error["status"]) == (request, code, status)
        client.say(op="subscribe", id="good", topics=["game:12", "lineup:mine"])
        assert list((await client.hear("subscribed"))["topics"]) == ["game:12", "lineup:mine"]


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'{"op":"sing"}', b'{"op":"subscribe","topics":[1]}', b"\xff\xfe", b""]
)
async def test_what_is_no_message_is_answered_and_the_connection_stays(hub: Hub, payload: bytes) -> None:
    async with raw(hub) as client:
        client.transport.send(WSMsgType.TEXT, payload)
        assert (await client.hear("error"))["code"] == "invalid"
        client.say(op="ping", id=3)
        assert (await client.hear("pong"))["id"] == 3


async def test_a_frame_of_a_megabyte_closes_with_1009(hub: Hub) -> None:
    async with raw(hub) as client:
        client.transport.send(WSMsgType.TEXT, b"x" * (1 << 20))
        assert await client.closed() in {1009, None}
    eventually(lambda: any(state.closed.get("1009") for state in hub.states()))
    async with raw(hub) as client:
        for _ in range(20):
            client.transport.send(WSMsgType.TEXT, b"x" * 8000, fin=False)
            client.transport.send(WSMsgType.CONTINUATION, b"x" * 8000, fin=False)
        assert await client.closed() in {1002, 1009}


async def test_fragments_make_one_message(hub: Hub) -> None:
    async with raw(hub) as client:
        client.transport.send(WSMsgType.TEXT, b'{"op":"pi', fin=False)
        client.transport.send(WSMsgType.CONTINUATION, b'ng","id":5}')
        assert (await client.hear("pong"))["id"] == 5


async def test_a_flood_of_messages_is_refused_then_closed(hub: Hub) -> None:
    async with raw(hub) as client:
        for _ in range(100):
            client.say(op="subscribe", id=1, topics=["game:1"])
        assert (await client.hear("error"))["code"] == "too_fast"
        for _ in range(200):
            client.say(op="subscribe", id=1, topics=["game:1"])
        assert await client.closed() == 4009


async def test_a_handshake_that_never_ends_is_ended(hub: Hub) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", hub.port)) as slow:
        slow.setblocking(False)
        await loop.sock_sendall(slow, b"GET /v1/live HTTP/1.1\r\nHost: x\r\n")
        assert await asyncio.wait_for(loop.sock_recv(slow, 100), WAIT_S) == b""


async def test_too_many_connections_and_silent_ones_are_closed(hubs: Callable[..., Hub]) -> None:
    strict = hubs(limits={"per_subject": 2, "heartbeat_s": 1})
    token = strict.token(subject="greedy")
    async with raw(strict, token), raw(strict, token):
        async with raw(strict, token) as third:
            assert await third.closed() == 4009
        async with raw(strict, strict.token()) as other:
            await other.hear("welcome")
    async with raw(strict, token, enable_auto_pong=False) as silent:
        assert await silent.closed() == 4010
    async with raw(strict, token) as answering:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answering.ended.wait(), 4.0)


async def test_a_stuck_client_is_closed_and_resumes_with_every_critical_update(hub: Hub, teller: Teller) -> None:
    padding = "x" * 2_000
    await told(hub, teller, "game:stuck", seq=0)
    async with hub.client(["game:stuck"]) as brisk, raw(hub) as stuck:
        stuck.say(op="subscribe", id=1, topics=["game:stuck"])
        at = await stuck.hear("snapshot")
        stuck.transport.underlying_transport.pause_reading()
        before = hub.total("conflated")
        critical = []
        for seq in range(1, 401):
            # Each critical one is worth a write; together they are more than kernel and hub buffer for a client.
            teller.tell("game:stuck", seq=seq, critical=seq % 2 == 0, padding=padding)
            teller.tell("game:stuck", seq=-seq, padding=padding + str(seq))
            critical += [seq] if seq % 2 == 0 else []
        while brisk.whole("game:stuck").get("seq") != -400:
            await next_change(brisk)
        assert brisk.stats.gaps == 0
        await asyncio.to_thread(eventually, lambda: any(s.closed.get("4008") for s in hub.states()))
        assert hub.total("conflated") >= before
    async with raw(hub) as again:
        since = {"game:stuck": {"epoch": at["epoch"], "offset": at["offset"]}}
        again.say(op="subscribe", id=1, topics=["game:stuck"], since=since)
        assert (await again.hear("subscribed"))["topics"]["game:stuck"] == "resumed"
        async with asyncio.timeout(WAIT_S):
            while again.messages[-1].get("data", {}).get("seq") != -400:
                await asyncio.sleep(0.01)
        deltas = [m for m in again.messages if m["op"] == "delta"]
        offset = at["offset"]
        for delta in deltas:
            assert delta["prev"] == offset
            offset = delta["offset"]
        heard = [m["data"].get("seq") for m in deltas]
        assert [seq for seq in heard if seq in set(critical)] == critical


async def test_a_client_that_lags_gets_the_newest_and_every_critical_update(hub: Hub, teller: Teller) -> None:
    padding = "x" * 100_000
    await told(hub, teller, "game:lags", seq=0)
    async with raw(hub) as brisk, raw(hub) as lagging:
        for client in (brisk, lagging):
            client.say(op="subscribe", id=1, topics=["game:lags"])
            await client.hear("snapshot")
        under = lagging.transport.underlying_transport
        under.pause_reading()
        for seq in range(1, 21):
            teller.tell("game:lags", seq=seq, critical=seq % 5 == 0, padding=padding + str(seq))
            await brisk.hear("delta", seq)
        assert len([m for m in lagging.messages if m["op"] == "delta"]) < 20
        under.resume_reading()
        async with asyncio.timeout(WAIT_S):
            while lagging.messages[-1]["data"].get("seq") != 20:
                await asyncio.sleep(0.01)
        deltas = [m for m in lagging.messages if m["op"] == "delta"]
        offset = (await lagging.hear("snapshot"))["offset"]
        for delta in deltas:
            assert delta["prev"] == offset
            offset = delta["offset"]
        heard = [m["data"]["seq"] for m in deltas]
        assert len(heard) < 20
        assert [seq for seq in heard if seq % 5 == 0] == [5, 10, 15, 20]
        teller.tell("game:lags", seq=21)
        assert (await lagging.hear("delta", len(heard) + 1))["prev"] == offset


async def test_questions_are_answered_or_refused(hub: Hub) -> None:
    async with hub.client([]) as client:
        answer = await client.ask({"kind": "win"}, deadline_ms=50)
        assert answer == {"question": {"kind": "win"}, "deadline_ms": 50, "league": LEAGUE, "served": [LEAGUE]}
        with pytest.raises(Refused, match="question: wrong") as refused:
            await client.ask({"wrong": 1})
        assert (refused.value.code, refused.value.status) == ("HubUnavailable", 503)
        with pytest.raises(Refused, match="ZeroDivisionError"):
            await client.ask({"broken": 1})


async def test_draining_sends_clients_elsewhere_and_they_resume(hubs: Callable[..., Hub], teller: Teller) -> None:
    teller.tell("game:drain", seq=0)
    two = hubs(workers=2)
    async with two.client(["game:drain"]) as client, raw(two) as watcher:
        await next_change(client)
        watcher.say(op="subscribe", id=1, topics=["game:drain"])
        session = (await watcher.hear("welcome"))["session"]
        pid = next(s.pid for s in two.states() if session.startswith(f"{s.worker}-"))
        os.kill(pid, signal.SIGTERM)
        assert await watcher.closed() == 4000
        assert 0 <= (await watcher.hear("bye"))["reconnect_s"] < 2
        teller.tell("game:drain", seq=1)
        while client.whole("game:drain") != {"seq": 1}:
            await next_change(client)
        assert (client.stats.gaps, client.stats.snapshots) == (0, 1)
        await asyncio.to_thread(eventually, lambda: len({s.pid for s in two.states()} - {pid}) == 2)
    assert two.stop() == 0


async def test_a_redis_that_lost_everything_means_a_snapshot_of_another_epoch(
    hub: Hub, teller: Teller, own_redis: OwnRedis
) -> None:
    await told(hub, teller, "game:lost", seq=1)
    async with hub.client(["game:lost"]) as client:
        before = await next_change(client)
        own_redis.client.flushall()
        teller.again()
        teller.tell("game:lost", seq=2)
        while (change := await next_change(client)).whole != {"seq": 2}:
            pass
        assert change.epoch != before.epoch
        assert client.stats.gaps == 0


async def test_while_redis_is_away_clients_stay_and_then_hear_what_they_missed(
    hub: Hub, teller: Teller, own_redis: OwnRedis
) -> None:
    await told(hub, teller, "game:away", seq=1)
    async with hub.client(["game:away"]) as client:
        await next_change(client)
        own_redis.kill()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(client), 0.5)
        own_redis.start()
        teller.tell("game:away", seq=2)
        assert (await next_change(client)).whole == {"seq": 2}
        assert (client.stats.connects, client.stats.gaps) == (1, 0)


async def test_an_entry_that_cannot_be_read_does_not_end_the_hub(hub: Hub, teller: Teller) -> None:
    await told(hub, teller, "game:odd", seq=1)
    async with hub.client(["game:odd"]) as client:
        await next_change(client)
        teller.client.xadd(teller.writer.keys.deltas, {"u": b"{not a list"})
        teller.tell("game:odd", seq=2)
        while client.whole("game:odd") != {"seq": 2}:
            await next_change(client)
        assert client.stats.gaps == 0


async def test_a_client_that_finds_a_gap_asks_for_all(hub: Hub, teller: Teller) -> None:
    await told(hub, teller, "game:gap", seq=1)
    async with hub.client(["game:gap"]) as client:
        change = await next_change(client)
        client._known["game:gap"].since = Position(change.epoch, "1-1")
        teller.tell("game:gap", seq=2)
        assert (await next_change(client)).kind == "snapshot"
        teller.tell("game:gap", seq=3)
        assert (await next_change(client)).data == {"seq": 3}
        assert client.stats.gaps == 1


@pytest.fixture
def api(hub: Hub) -> Iterator[str]:
    """The live routes behind a real HTTP server; its base URL."""
    app = FastAPI()
    app.state.context = SimpleNamespace(settings=hub.settings)
    app.include_router(live.router)
    problem.install(app)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(timeout=WAIT_S)
    assert not thread.is_alive()


def events(lines: Iterator[str], count: int) -> list[dict[str, str]]:
    """The next `count` server-sent events."""
    found: list[dict[str, str]] = []
    now: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            now[name] = value
        elif now:
            found.append(now)
            now = {}
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {found}")


def test_tokens_status_and_metrics_over_http(api: str, hub: Hub) -> None:
    given = httpx.post(f"{api}/live/token", json={"league": LEAGUE}).json()
    assert given["url"] == hub.url
    claims = security.verify(security.secret(hub.settings), given["token"])
    assert claims.allows("game:1") and not claims.allows("lineup:abc")
    key = security.lineup_key(hub.settings, "abc")
    lineups = [{"lineup_id": "abc", "key": key}]
    given = httpx.post(f"{api}/live/token", json={"league": LEAGUE, "lineups": lineups}).json()
    claims = security.verify(security.secret(hub.settings), given["token"])
    assert claims.allows("lineup:abc") and not claims.allows("lineup:abcd")
    refused = httpx.post(f"{api}/live/token", json={"lineups": [{"lineup_id": "abd", "key": key}]})
    assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
    eventually(hub.states)
    status = httpx.get(f"{api}/live/status").json()
    assert status["running"] and hub.port in {worker["port"] for worker in status["workers"]}
    with urlopen(f"http://127.0.0.1:{hub.port}/metrics") as answer:
        text = answer.read().decode()
    assert f'fantasy_live_connections{{worker="{hub.port}-0"}}' in text


def test_events_over_http_resume_after_the_last_id(api: str, hub: Hub, teller: Teller) -> None:
    asyncio.run(told(hub, teller, "game:sse", seq=1))
    given = {"topics": "game:sse,game:sse2", "token": hub.token()}
    with httpx.stream("GET", f"{api}/live/events", params=given, timeout=WAIT_S) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        first = events(lines, 2)
        assert [e["event"] for e in first] == ["snapshot", "snapshot"]
        teller.tell("game:sse", seq=2)
        (delta,) = events(lines, 1)
        assert delta["event"] == "delta"
        assert '"data":{"seq":2}' in delta["data"]
    asyncio.run(told(hub, teller, "game:sse", seq=3))
    headers = {"Last-Event-ID": delta["id"]}
    with httpx.stream("GET", f"{api}/live/events", params=given, headers=headers, timeout=WAIT_S) as stream:
        assert '"data":{"seq":3}' in events(stream.iter_lines(), 1)[0]["data"]
    for wrong, code in (
        ({**given, "token": "forged"}, 401), ({**given, "topics": "lineup:x"}, 403), ({**given, "topics": "x"}, 422),
        ({**given, "topics": ""}, 422), ({**given, "topics": ",".join(f"game:{n}" for n in range(30))}, 422),
    ):  # fmt: skip
        assert httpx.get(f"{api}/live/events", params=wrong).status_code == code


async def test_a_hub_that_is_not_there_is_told_of() -> None:
    with pytest.raises(HubUnavailable, match="start it with"):
        async with LiveClient("ws://127.0.0.1:1/v1/live", "x", [], connect_s=0.1):
            pass
