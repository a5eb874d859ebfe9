"""The tiers over real ONNX models and a real inference thread: what is answered where, what is marked or refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import InvalidInput, NotMaterialized
from models.bundle import LoadedModel
from models.live_win.rows import FEATURES
from serving.errors import DeadlineTooShort, Late, Overloaded, TooManyQuestions
from serving.settings import ServingSettings
from serving.tiers.answerer import Answerer, answerer
from serving.tiers.costs import Cost, Learned
from serving.tiers.lanes import Lane
from serving.tiers.regional import Regional
from serving.tiers.sessions import Sessions
from tests.unit.serving.tiers_models import VERSION, features_of, inputs_of, rows
from tests.unit.serving.tiers_world import Clock

AT = datetime(2025, 1, 3, 2, 30, tzinfo=UTC)
CLAIMS = {"league": "simulated"}


@dataclass
class Held:
    """Topics held in memory."""

    topics: dict[str, dict[str, Any]] = field(default_factory=dict)

    def whole(self, topic: str) -> Mapping[str, Any] | None:
        return self.topics.get(topic)

    def at_ns(self, topic: str) -> int | None:
        return int(AT.timestamp() * 1e9) if topic in self.topics else None


def live_game(number: int = 4, **changes: Any) -> dict[str, Any]:
    """A game's topic as stream and model tell of it; its state is that of its features."""
    features = features_of(rows(), number)
    left = 2880 * float(features["share_left"] or 0)
    lead = round(features["lead"] or 0)
    return {
        "home_team": "AAA", "away_team": "BBB", "period": 2, "clock_s": 100.0, "elapsed_s": 2880 - left,
        "home_score": 60 + lead, "away_score": 60, "status": "live", "seq": 100, "at_seq": 100,
        "home_win_probability": 0.625, "home_margin": {"mean": 3.0, "q10": -8.0, "q50": 3.0, "q90": 14.0},
        "model": {"name": "simulated-live_win", "version": VERSION}, "fallback": False, "features": features,
    } | changes  # fmt: skip


@pytest.fixture
def held() -> Held:
    player = {
        "game_id": "1", "line": {"pts": 21, "reb": 4}, "fantasy_points": {"draftkings": 30.5}, "name": "A. Player",
        "expected": {
            "draftkings": {"mean": 42.0, "q10": 33.0, "q50": 41.0, "q90": 52.0},
            "pts": {"mean": 27.0, "q10": 22.0, "q50": 27.0, "q90": 33.0},
        },
        "model": {"name": "simulated-live_line", "version": "3"},
    }  # fmt: skip
    slate = {"projections": {"7": {"mean": 31.0}}, "model": {"name": "simulated-projection", "version": "2"}}
    return Held({"game:1": live_game(), "player:7": player, "slate:s": slate})


@pytest.fixture
async def tiers(held: Held, onnx_home: tuple[Path, LoadedModel]) -> AsyncIterator[Answerer]:
    settings = ServingSettings(home=onnx_home[0])
    found = answerer(settings, lambda _league: held)
    found.start()
    yield found
    await found.close()


def slow(**question: Any) -> dict[str, Any]:
    """Options that leave a busy machine time."""
    return {"question": question, "deadline_ms": 30_000, "claims": CLAIMS}


async def test_what_the_model_said_of_a_game_is_the_answer_while_it_is_fresh(tiers: Answerer) -> None:
    said = await tiers.answer(**slow(kind="game", game_id="1"))
    assert (said["tier"], said["degraded"], said["fallback"]) == ("edge", False, False)
    assert said["answer"]["home_win_probability"] == 0.625
    assert said["model"] == {"name": "simulated-live_win", "version": VERSION}
    assert said["data_timestamp"] == AT.isoformat() and said["source"] == "simulated"
    assert said["deadline_ms"] == 30_000 and 0 <= said["latency_ms"] < 30_000


async def test_a_game_that_moved_on_is_asked_of_the_champion_anew(
    tiers: Answerer, held: Held, onnx_home: tuple[Path, LoadedModel]
) -> None:
    held.topics["game:1"] |= {"seq": 140}
    said = await tiers.answer(**slow(kind="game", game_id="1"))
    assert (said["tier"], said["degraded"]) == ("regional", False)
    own = onnx_home[1].outputs(rows())["home_win_probability"][4]
    assert said["answer"]["home_win_probability"] == pytest.approx(own, abs=2e-3)
    assert said["model"]["version"] == VERSION


async def test_without_a_model_the_brownian_margin_answers_and_says_so(tiers: Answerer, held: Held) -> None:
    held.topics["game:2"] = live_game(game_id="2")
    for name in ("home_win_probability", "at_seq", "features", "model"):
        del held.topics["game:2"][name]
    tiers.models._found.clear()  # as before the first champion
    said = await tiers.answer(**slow(kind="game", game_id="2"))
    assert (said["tier"], said["degraded"], said["fallback"]) == ("edge", False, True)
    assert said["model"]["name"] == "baseline-brownian" and said["warnings"]
    assert 0 < said["answer"]["home_win_probability"] < 1


async def test_a_finished_game_is_answered_with_its_result(tiers: Answerer, held: Held) -> None:
    held.topics["game:1"] |= {"status": "final", "home_score": 99, "away_score": 101}
    said = await tiers.answer(**slow(kind="game", game_id="1"))
    assert said["answer"]["home_win_probability"] == 0.0 and said["answer"]["home_margin"]["q90"] == -2
    with pytest.raises(InvalidInput, match="over"):
        await tiers.answer(**slow(kind="what_if", game_id="1", changes=[{"lead": 1}]))


async def test_what_ifs_are_the_champions_own_answers_in_one_batch(
    tiers: Answerer, onnx_home: tuple[Path, LoadedModel]
) -> None:
    changes = [{"lead": lead, "left_s": 600} for lead in range(-20, 21)]
    said = await tiers.answer(**slow(kind="what_if", game_id="1", changes=changes))
    assert (said["tier"], said["degraded"], said["fallback"]) == ("regional", False, False)
    chances = [each["home_win_probability"] for each in said["answer"]["answers"]]
    frame = rows(left_s=600.0)
    own = []
    for lead in range(-20, 21):
        # Only the state's own numbers change, so the rows of game 4 with this lead are what is asked.
        own.append(onnx_home[1].outputs(rows(left_s=600.0, margin=lead))["home_win_probability"][4])
    assert frame.height and chances == pytest.approx(own, abs=1e-3)


async def test_players_lines_and_slates_come_from_memory(tiers: Answerer) -> None:
    said = await tiers.answer(**slow(kind="players", player_ids=[7, 8]))
    assert said["tier"] == "edge" and said["answer"]["unknown"] == [8]
    assert said["answer"]["players"]["7"]["line"]["pts"] == 21
    chances = []
    for line in (20.5, 22, 27, 33, 60):
        said = await tiers.answer(**slow(kind="line", player_id=7, stat="pts", line=line))
        chances.append(said["answer"]["probability"])
    assert chances[0] == 1.0  # he has 21 already
    assert chances == sorted(chances, reverse=True)
    assert chances[1:4] == pytest.approx([0.9, 0.5, 0.1], abs=1e-6)
    said = await tiers.answer(**slow(kind="projections", slate_id="s"))
    assert said["tier"] == "edge" and said["answer"]["players"]["7"]["mean"] == 31.0


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ({"kind": "game", "game_id": "9"}, NotMaterialized, "game:9"),
        ({"kind": "players", "player_ids": [9]}, NotMaterialized, "9"),
        ({"kind": "line", "player_id": 7, "stat": "height", "line": 1}, InvalidInput, "height"),
        ({"kind": "line", "player_id": 7, "line": float("nan")}, InvalidInput, "line"),
        ({"kind": "projections", "slate_id": "unknown"}, NotMaterialized, "unknown"),
        ({"kind": "what_if", "game_id": "1", "changes": [{"weather": 1}]}, InvalidInput, "weather"),
        ({"kind": "what_if", "game_id": "1", "changes": []}, InvalidInput, "changes"),
        ({"kind": "portfolio", "slate_id": "s", "n": 151}, InvalidInput, "n is '151'"),
        ({"kind": "portfolio", "slate_id": "s", "rules": {"nope": 1}}, InvalidInput, "nope"),
        ({"kind": "simulation", "slate_id": "s", "entries": 10, "field_size": 10}, InvalidInput, "field_size"),
        ({"kind": "who"}, InvalidInput, "kind"),
        ({}, InvalidInput, "kind"),
        ([], InvalidInput, "question"),
    ],
)  # fmt: skip
async def test_what_cannot_be_answered_is_named(
    tiers: Answerer, question: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        await tiers.answer(question, 30_000, CLAIMS)
    assert words in str(caught.value)


async def test_deadlines_leagues_and_priorities_are_checked(tiers: Answerer) -> None:
    question = {"kind": "game", "game_id": "1"}
    for deadline_ms in (0, -1, 1e9, float("nan")):
        with pytest.raises(InvalidInput, match="deadline_ms"):
            await tiers.answer(question, deadline_ms, CLAIMS)
    with pytest.raises(InvalidInput, match="league 'wnba'"):
        await tiers.answer(question, 100, {"league": "wnba"})
    with pytest.raises(InvalidInput, match="priority 'now'"):
        await tiers.answer(question, 100, CLAIMS, priority="now")


async def test_a_question_that_arrived_too_long_ago_costs_nothing(tiers: Answerer) -> None:
    now = asyncio.get_running_loop().time()
    with pytest.raises(Late, match="the deadline passed"):
        await tiers.answer({"kind": "game", "game_id": "1"}, 10, CLAIMS, arrived=now - 1)


async def test_a_deadline_nobody_could_meet_is_the_askers_mistake_however_late_it_is_seen(tiers: Answerer) -> None:
    with pytest.raises(DeadlineTooShort, match="give it more time"):
        await tiers.answer({"kind": "game", "game_id": "1"}, 5e-324, CLAIMS)


class Slow:
    """A model that is held up until told to go on."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.batches: list[int] = []

    def run(self, inputs: Any) -> dict[str, Any]:
        self.batches.append(len(inputs))
        self.begun.set()
        assert self.go.wait(30)
        return {"row": inputs[:, 0].copy()}


async def test_what_waits_is_one_batch_and_everyone_gets_his_own_rows() -> None:
    clock, model = Clock(), Slow()
    lane = Lane("regional", clock, most=100, batch_rows=64)
    tier = Regional(lane)
    tier.start()
    ask = [asyncio.ensure_future(tier.ask(model, _rows(1, 0), lane.admit("what_if", 1, 60.0)))]
    await asyncio.to_thread(model.begun.wait, 30)
    ask += [
        asyncio.ensure_future(tier.ask(model, _rows(n, n), lane.admit("what_if", n, 60.0))) for n in (3, 5, 60)
    ]
    await asyncio.sleep(0)
    assert lane.waiting == 3
    model.go.set()
    found = await asyncio.gather(*ask)
    assert model.batches == [1, 8, 60]  # 60 more would be over the 64 of a batch
    for first, given in zip((0, 3, 5, 60), found, strict=True):
        assert given["row"].tolist() == [float(first)] * max(first, 1)
    assert lane.waiting == 0
    await asyncio.to_thread(tier.stop)


async def test_what_became_late_in_the_queue_is_dropped_before_it_costs() -> None:
    clock, model = Clock(), Slow()
    lane = Lane("regional", clock, most=100, batch_rows=64)
    tier = Regional(lane)
    tier.start()
    first = asyncio.ensure_future(tier.ask(model, _rows(1, 1), lane.admit("what_if", 1, 9.0)))
    await asyncio.to_thread(model.begun.wait, 30)
    late = asyncio.ensure_future(tier.ask(model, _rows(2, 2), lane.admit("what_if", 2, 1.0)))
    gone = asyncio.ensure_future(tier.ask(model, _rows(3, 3), lane.admit("what_if", 3, 9.0)))
    await asyncio.sleep(0)
    gone.cancel()
    clock.now = 2.0
    model.go.set()
    await first
    with pytest.raises(Late):
        await late
    await asyncio.to_thread(tier.stop)
    assert model.batches == [1] and lane.waiting == 0


async def test_a_model_that_fails_fails_its_questions_only() -> None:
    class Broken:
        def run(self, inputs: Any) -> dict[str, Any]:
            raise RuntimeError("out of memory")

    clock, model = Clock(), Slow()
    model.go.set()
    lane = Lane("regional", clock, most=100, batch_rows=64)
    tier = Regional(lane)
    tier.start()
    with pytest.raises(RuntimeError, match="out of memory"):
        await tier.ask(Broken(), _rows(1, 1), lane.admit("what_if", 1, 9.0))
    assert (await tier.ask(model, _rows(1, 4), lane.admit("what_if", 1, 9.0)))["row"] == [4.0]
    await asyncio.to_thread(tier.stop)


async def test_when_the_models_are_busy_the_edge_answers_roughly(tiers: Answerer) -> None:
    lane = tiers.regional.lane
    tickets = [lane.admit("what_if", 50, 1e9) for _ in range(lane.most)]
    said = await tiers.answer(**slow(kind="what_if", game_id="1", changes=[{"lead": 3}]))
    assert (said["tier"], said["degraded"], said["fallback"]) == ("edge", True, True)
    assert said["model"]["name"] == "baseline-brownian"
    for ticket in tickets:
        lane.drop(ticket)
    said = await tiers.answer(**slow(kind="what_if", game_id="1", changes=[{"lead": 3}]))
    assert (said["tier"], said["degraded"]) == ("regional", False)


async def test_heavy_work_is_refused_with_the_time_to_come_back(tiers: Answerer) -> None:
    lane, question = tiers.cloud.lane, {"kind": "portfolio", "slate_id": "s"}
    with pytest.raises(DeadlineTooShort, match="even when nothing waits"):
        await tiers.answer(question, 1.0, CLAIMS)
    tickets = [lane.admit("portfolio", 1, 1e9) for _ in range(lane.most - 1)]
    with pytest.raises(Overloaded) as caught:
        await tiers.answer(question, 300.0, CLAIMS)
    assert caught.value.http_status == 503 and caught.value.retry_after_s > 0
    tickets.append(lane.admit("portfolio", 1, 1e9))
    with pytest.raises(TooManyQuestions) as full:
        await tiers.answer(question, 30_000.0, CLAIMS)
    assert full.value.http_status == 429 and full.value.retry_after_s > 0


def test_learning_finds_base_and_rows_and_forgets() -> None:
    clock = Clock()
    learned = Learned(Cost(1e-3, 1e-6), clock)
    rng = np.random.default_rng(0)
    for size in rng.integers(1, 500, 200):
        clock.now += 0.01
        learned.note(int(size), 5e-3 + 40e-6 * int(size))
    cost, spread = learned.now()
    assert cost.of(100) == pytest.approx(9e-3, rel=0.1) and cost.of(1000) == pytest.approx(45e-3, rel=0.1)
    assert spread < 0.3
    clock.now += 60.0
    cost, _ = learned.now()
    assert cost.of(100) == pytest.approx(1.1e-3, rel=0.01)


def test_onnx_files_are_taken_up_when_they_change(onnx_home: tuple[Path, LoadedModel]) -> None:
    home, _ = onnx_home
    models = Sessions(home)
    assert models.get("simulated", "live_win") is None
    models.refresh()
    session = models.get("simulated", "live_win")
    assert session is not None and (session.version, session.features) == (VERSION, FEATURES)
    models.refresh()
    assert models.get("simulated", "live_win") is session
    raw = session.run(inputs_of(rows()))
    assert raw["raw_logit"].shape == (rows().height,)
    pointer = home / "simulated" / "onnx" / "live_win.json"
    kept = pointer.read_text()
    pointer.write_text("{broken")
    models.refresh()
    assert models.get("simulated", "live_win") is session
    pointer.write_text(kept)
    models.refresh()
    assert models.get("simulated", "live_win") is not session


def _rows(count: int, value: float) -> Any:
    return np.full((count, 2), value, dtype=np.float32)
