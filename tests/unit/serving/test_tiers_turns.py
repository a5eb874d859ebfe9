"""Questions over sockets in virtual time: the newest first, the late refused cheaply, the refused not read."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from features.errors import InvalidInput
from serving.live.protocol import Ask
from serving.tiers import turns
from serving.tiers.turns import Turns
from tests.unit.serving.tiers_world import Clock

GAME = {"kind": "game", "game_id": "1"}
WHAT_IF = {"kind": "what_if", "game_id": "1", "changes": [{"lead": 1}]}


@dataclass(frozen=True)
class Claims:
    league: str = "simulated"


@dataclass(eq=False)
class Socket:
    """A client that keeps what it is told."""

    claims: Any = field(default_factory=Claims)
    closed: bool = False
    listens: bool = True
    under_way: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)

    def answered(self, frame: bytes) -> None:
        self.under_way -= 1
        self.tell(frame)

    def tell(self, frames: bytes) -> None:
        while frames:
            size, head = frames[1], 2
            if size == 126:
                size, head = int.from_bytes(frames[2:4], "big"), 4
            self.heard.append(json.loads(frames[head : head + size]))
            frames = frames[head + size :]

    def listen(self, wanted: bool) -> None:
        self.listens = wanted


class Tiers:
    """Answers at once, or later for a what-if, each in `took_s` of the clock; keeps the ids in the order of work."""

    def __init__(self, clock: Clock, took_s: float) -> None:
        self.clock, self.took_s, self.worked = clock, took_s, 0

    def begin(self, question: dict[str, Any], deadline_ms: float | None, league: str, *, arrived: float) -> Any:
        self.clock.now += self.took_s
        self.worked += 1
        if question["kind"] == "line":
            raise InvalidInput("line is wrong")
        if question["kind"] == "what_if":
            return self._later()
        return {"kind": question["kind"], "league": league}

    async def _later(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"kind": "what_if"}


def world(took_s: float) -> tuple[Clock, Tiers, Turns, Socket]:
    clock = Clock(100.0)
    tiers = Tiers(clock, took_s)
    return clock, tiers, Turns(tiers, clock), Socket()  # type: ignore[arg-type]


def put(questions: Turns, socket: Socket, number: int | None, question: dict[str, Any] = GAME) -> None:
    socket.under_way += 1
    questions.put(socket, Ask(question=question, id=number))


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_all_are_answered_while_there_is_time() -> None:
    _, _, questions, socket = world(50e-6)
    for number in range(20):
        put(questions, socket, number, WHAT_IF if number % 5 == 0 else GAME)
    await settle()
    assert sorted(each["id"] for each in socket.heard) == list(range(20))
    assert {each["op"] for each in socket.heard} == {"answer"} and socket.under_way == 0


async def test_the_newest_are_answered_and_the_oldest_refused_with_when_to_come_back() -> None:
    _, tiers, questions, socket = world(200e-6)
    for number in range(100):
        put(questions, socket, number)
    await settle()
    answered = [each["id"] for each in socket.heard if each["op"] == "answer"]
    refused = {each["id"]: each for each in socket.heard if each["op"] == "error"}
    assert len(answered) + len(refused) == 100 and socket.under_way == 0
    assert answered == sorted(answered, reverse=True) and answered[0] == 99
    assert min(answered) > max(refused)
    assert len(answered) == tiers.worked  # what was refused cost no work
    first = refused[0]
    assert (first["code"], first["status"]) == ("Overloaded", 503) and first["retry_after_s"] > 0


async def test_questions_with_more_time_get_their_part_of_every_turn() -> None:
    _, _, questions, socket = world(200e-6)
    for number in range(30):
        put(questions, socket, number, WHAT_IF)
    for number in range(100, 400):
        put(questions, socket, number)
    await settle()
    answered = [each["id"] for each in socket.heard if each["op"] == "answer"]
    assert any(number < 30 for number in answered) and any(number >= 100 for number in answered)


async def test_errors_are_told_to_whoever_asked_and_those_who_left_cost_nothing() -> None:
    _, tiers, questions, socket = world(50e-6)
    gone = Socket(closed=True)
    put(questions, gone, 1)
    put(questions, socket, 2, {"kind": "line"})
    put(questions, socket, None)
    await settle()
    assert tiers.worked == 2 and gone.under_way == 0
    errors = [each for each in socket.heard if each["op"] == "error"]
    assert errors[0]["id"] == 2 and errors[0]["code"] == "InvalidInput" and len(socket.heard) == 2


async def test_what_came_while_the_loop_was_busy_is_as_old_as_that() -> None:
    clock, tiers, questions, socket = world(50e-6)
    put(questions, socket, 1)
    clock.now += 0.009  # the loop was held up after it was read
    await settle()
    put(questions, socket, 2)
    await settle()
    assert tiers.worked == 0
    assert [each["code"] for each in socket.heard] == ["Overloaded", "Overloaded"]
    clock.now += 1.0  # idle
    put(questions, socket, 3)
    await settle()
    assert socket.heard[-1]["op"] == "answer"


async def test_under_lasting_overload_the_refused_are_not_read_and_come_back(monkeypatch: Any) -> None:
    monkeypatch.setattr(turns, "MOST_AWAY_S", 0.05)
    clock, _, questions, _ = world(200e-6)
    sockets = [Socket() for _ in range(100)]
    for _ in range(40):
        clock.now += 0.01
        for number, socket in enumerate(sockets):
            if socket.listens:
                put(questions, socket, number)
        await settle()
    away = [socket for socket in sockets if not socket.listens]
    assert len(away) > 30
    questions.stop()
    assert all(socket.listens for socket in sockets) and all(socket.under_way == 0 for socket in sockets)
    put(questions, away[0], 7)  # what lay in the kernel meanwhile is as old as his absence
    clock.now += 0.02
    await settle()
    assert away[0].heard[-1]["id"] == 7 and away[0].heard[-1]["op"] == "error"


@pytest.mark.parametrize("kind", [["list"], {"a": 1}, None, 7, "nobody"])
async def test_a_question_of_no_known_kind_reaches_the_tiers(kind: Any) -> None:
    _, tiers, questions, socket = world(50e-6)
    put(questions, socket, 1, {"kind": kind})
    await settle()
    assert tiers.worked == 1
