"""Everything on an event's way is killed under load, and every event counts exactly once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from features.stream.directory import Directory
from features.stream.events import Flag
from features.stream.reader import LiveState
from tests.fixtures.stream import (
    LEAGUE,
    PARTITIONS,
    Process,
    Server,
    consumer_process,
    ground_truth,
    some_games,
    until,
)
from tests.fixtures.stream_source import NEWS, everything, news

LEASE_MS = 400
#: A Python process that starts on a busy machine takes its time; nothing here depends on how long.
START_S = 120.0
VICTIMS = ("producer", "consumer", "bus", "state")


class Line:
    """A source, two consumers (one standing by) and two servers, each of which may be killed and started again."""

    def __init__(self, bus: Server, state: Server, rows: int, rate: float) -> None:
        self.bus, self.state = bus, state
        lease = ("--lease-ms", str(LEASE_MS))
        self.live = LiveState(state.url, LEAGUE, PARTITIONS)
        self.consumers = [consumer_process(bus, state, *lease), consumer_process(bus, state, *lease)]
        source = ("-m", "tests.fixtures.stream_source", bus.url, state.url, str(rows), str(rate))
        self.producer = Process(source)

    def kill(self, victim: str, away_s: float) -> None:
        """Kill one, and start it again after `away_s`."""
        killed: Process | Server
        match victim:
            case "producer":
                killed = self.producer
            case "consumer":
                killed = self.consumers[0]
                self.consumers.reverse()  # the other one owns everything now: it is next
            case "bus":
                killed = self.bus
            case _:
                killed = self.state
        killed.kill()
        time.sleep(away_s)
        killed.start()

    def applied(self) -> int:
        """Rows applied so far."""
        return sum(game.events for game in self.live.games().values())

    def moves_on(self) -> None:
        """Wait until more is applied than now."""
        now = self.applied()
        until(lambda: self.applied() > now or self.producer.process.poll() == 0, START_S)

    def finish(self) -> None:
        """Wait for the source's end: all it sent is applied."""
        assert self.producer.process.wait(300) == 0

    def stop(self) -> None:
        self.live.close()
        for each in (self.producer, *self.consumers):
            each.kill()


def drill(bus: Server, state: Server, rows: int, rate: float, kills: Callable[[Line], int]) -> int:
    """Run a line under `kills`; returns how many there were, having checked what is left in the end."""
    directory = Directory(state.client, LEAGUE)
    games = some_games()
    for game in games:
        directory.register_game(game)
    line = Line(bus, state, rows, rate)
    try:
        line.moves_on()
        n = kills(line)
        line.finish()
        live = line.live
        bulk, critical = everything(rows)
        assert sum(game.events for game in live.games().values()) == rows + len(critical)
        assert live.checksum() == ground_truth(games, bulk, critical)
        kept = bulk[bulk["flags"] & Flag.keep != 0]
        for game in games:
            expected = sum(int((part["game"] == game.key).sum()) for part in (kept, critical))
            assert len(live.rows(game.game_id)) == expected
        newest = {each.subject: each for each in map(news, range(rows // NEWS))}
        assert {each.subject: each for each in live.news()} == newest
        metrics = live.metrics().values()
        assert all(each["dead"] == each["rejected"] == each["lost"] == 0 for each in metrics)
        return n
    finally:
        line.stop()


def test_each_is_killed_once(stream_servers: tuple[Server, Server]) -> None:
    def kills(line: Line) -> int:
        for victim in VICTIMS:
            line.kill(victim, 0.1)
            line.moves_on()
        assert line.producer.process.poll() is None, "the source ended before the last kill: send more rows"
        return len(VICTIMS)

    assert drill(*stream_servers, rows=120_000, rate=10_000, kills=kills) == 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_twenty_four_kills_at_random(stream_servers: tuple[Server, Server], seed: int) -> None:
    dice = random.Random(seed)

    def kills(line: Line) -> int:
        n = 0
        for _ in range(24):
            if line.producer.process.poll() is not None:
                break
            line.kill(dice.choice(VICTIMS), dice.uniform(0, 0.5))
            n += 1
            if dice.random() < 0.5:
                line.moves_on()  # else two are away at once
            else:
                time.sleep(dice.uniform(0, 0.5))
        return n

    assert drill(*stream_servers, rows=1_500_000, rate=15_000, kills=kills) >= 20
