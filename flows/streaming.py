"""Sources of events on their way into the stream: replays, generated load, feeds, Kafka topics, live polling."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import xxhash

from features.errors import InvalidInput, NotMaterialized
from features.fingerprint import file_hash, frame_hash
from features.sources.nba import NbaSource
from features.sources.nba_http import NbaClient
from features.stores.offline import OfflineStore
from features.stream.connections import Servers
from features.stream.directory import Directory
from features.stream.feed import ids_by_name, read_feed
from features.stream.ownership import LEASE_MS
from features.stream.poll import Journal, NbaBoard, Polled, Poller, poll_days
from features.stream.producer import Producer
from features.stream.recordings import Recording, archived, stored
from features.stream.replay import (
    Pace,
    Sent,
    applied_news,
    applied_plays,
    generate,
    generated_events,
    rows_of,
    send_news,
    send_plays,
)
from features.stream.runs import Runs
from features.stream.simulated import Load
from features.workspace import League, Workspace
from flows.programs import Program, Programs
from flows.progress import Step, console, step
from flows.serve import environment
from flows.settings import FlowSettings

#: How long what was sent may take to be applied at the end.
FLUSH_S: Final = 60.0
#: A day's journal is one life.
POLL_LIFE: Final = 1


class Stop:
    """Set by Ctrl-C or SIGTERM; sleeping ends with it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """End what waits and asks."""
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the end."""
        self._event.wait(seconds)

    def pace(self, speed: float | None) -> Pace:
        """Sending at `speed` until the end."""
        return Pace(speed, sleep=self.sleep, stopped=self)


@contextmanager
def until_told() -> Iterator[Stop]:
    """A `Stop` that Ctrl-C and SIGTERM set: what is under way ends properly."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Streams:
    """The league's stream as sources see it; `close` it, or use it as a context manager."""

    def __init__(self, settings: FlowSettings, league: League) -> None:
        self.settings, self.league = settings, league
        self.partitions = settings.stream_partitions
        self._servers = Servers(settings.redis_url)
        self.runs = Runs(settings.redis_url, league, self.partitions)
        self.store = OfflineStore(Workspace(settings.home, league))

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *_: object) -> None:
        self.runs.close()
        self._servers.close()

    def directory(self) -> Directory:
        """Texts and games of the league."""
        return Directory(self._servers.client(), self.league)

    def client(self) -> Any:
        """A client of the state server."""
        return self._servers.client()

    def producer(self, source: str, epoch: int | None, *, from_start: bool = False) -> Producer:
        """A producer of `source`; see `features.stream.producer`."""
        urls = (self.settings.bus_url, self.settings.redis_url)
        return Producer(*urls, self.league, self.partitions, source=source, epoch=epoch, from_start=from_start)

    @contextmanager
    def consumed(self) -> Iterator[None]:
        """Somebody folds the events: a consumer that runs, or else one that is started for this while."""
        if 0 < self.runs.owned() < self.partitions:
            time.sleep(LEASE_MS / 1000)  # a consumer is just taking them over, or has just ended
        if self.runs.owned() == self.partitions:
            yield
            return
        console.print("  no consumer runs: one is started for this while", highlight=False)
        programs = Programs(environment(self.settings), lambda said: console.print(f"  {said}", highlight=False))
        command = (sys.executable, "-m", "features.stream", "consumer", "--league", self.league)
        programs.start(Program("consumer", command))
        try:
            yield
        finally:
            programs.stop()


def recording(league: League, data: Path | None, day: date, game: str | None) -> Recording:
    """The games of `day` (or one): from the folder `data`, or those collected for `league`."""
    if data is not None:
        return archived(data, day, game)
    return stored(OfflineStore(Workspace(FlowSettings().home, league)), day, game)


def replay_games(
    streams: Streams, recording: Recording, day: date, stop: Stop, *, speed: float | None, again: bool
) -> dict[str, Any]:
    """Send recorded games; a run that was stopped goes on. Returns the summary.

    Raises `InvalidInput` when another source has sent one of the games already and `again` is not asked for.
    """
    games = recording.games
    source = f"replay:{day}:{frame_hash(recording.plays)[:12]}"
    with step(f"replay {_count(len(games), 'game')} of {day}") as shown, streams.consumed():
        life = streams.runs.start_over(source, games) if again else streams.runs.life(source)
        if not streams.runs.begun(source, life) and (taken := streams.runs.live(games)):
            ids = [game.game_id for game in taken]
            raise InvalidInput(f"games {ids} are live already, from another source; --again starts them over")
        rows, ends = rows_of(recording.plays, games, streams.directory()), streams.runs.dead_ends()
        with streams.producer(source, life, from_start=True) as producer:
            applied = applied_plays(rows, streams.partitions, producer.resume_from)
            told = _teller(shown, len(rows))
            sent = send_plays(rows, recording.at_ns, producer, stop.pace(speed), applied=applied, on_progress=told)
            producer.flush(FLUSH_S)
            lost = _lost(producer)
        shown.summary = _said(sent, "plays")
    counts = {"plays": sent.events, "games": len(games), "already_applied": int(applied.sum())}
    counts |= {"repeated": recording.repeated, "lost": lost}
    return {"league": streams.league, "life": life, **counts, **_put_aside(streams, ends), **sent.as_json()}


def replay_feed(streams: Streams, path: Path, stop: Stop, *, speed: float | None, again: bool) -> dict[str, Any]:
    """Send the changes in a recorded DFS feed as news; players who were collected are known by id."""
    with step(f"replay the feed {path.name}") as shown, streams.consumed():
        feed = read_feed(path, _ids(streams.store))
        # Who is known by id decides the news' partitions, and so their numbers: it belongs to the source's name.
        named = xxhash.xxh3_64_hexdigest("|".join(news.subject for news in feed.news).encode())
        source, ends = f"feed:{file_hash(path)[:12]}:{named[:8]}", streams.runs.dead_ends()
        life = streams.runs.start_over(source, ()) if again else streams.runs.life(source)
        with streams.producer(source, life, from_start=True) as producer:
            applied = applied_news(feed.news, streams.partitions, producer.resume_from)
            told = _teller(shown, len(feed.news))
            sent = send_news(feed.news, feed.at_ns, producer, stop.pace(speed), applied=applied, on_progress=told)
            producer.flush(FLUSH_S)
            lost = _lost(producer)
        shown.summary = _said(sent, "news")
    counts = {"news": sent.events, "already_applied": int(applied.sum()), "lost": lost}
    return {"league": streams.league, "life": life, **counts, **_put_aside(streams, ends), **sent.as_json()}


def generate_load(streams: Streams, stop: Stop, *, rate: float, seconds: float, games: int) -> dict[str, Any]:
    """Send made-up events at `rate` a second."""
    load, events = Load(games=games), generated_events(rate, seconds)
    with step(f"generate {rate:g} events/s for {seconds:g} s") as shown, streams.consumed():
        directory = streams.directory()
        for game in load.games:
            directory.register_game(game)
        with streams.producer("load", None) as producer:
            told = _teller(shown, events)
            sent = generate(load, producer, stop.pace(None), rate=rate, seconds=seconds, on_progress=told)
            producer.flush(FLUSH_S)
            stats, lost = producer.stats(), _lost(producer)
        shown.summary = _said(sent, "events")
    producer_stats = {name: stats[name] for name in ("applied", "resent_batches", "blocked", "blocked_s")}
    return {
        "league": streams.league,
        "plays": sent.events,
        "games": games,
        "lost": lost,
        **sent.as_json(),
        **producer_stats,
    }


def read_topic(
    streams: Streams, brokers: str, topic: str, stop: Stop, *, group: str, idle_s: float | None
) -> dict[str, Any]:
    """Bring the plays of a Kafka topic into the stream until told to stop, or until `idle_s` without a message."""
    from features.stream.kafka import EPOCH, Checkpoints, KafkaSource

    with step(f"read topic {topic} at {brokers}") as shown, streams.consumed():
        source = KafkaSource(
            brokers,
            topic,
            directory=streams.directory(),
            checkpoints=Checkpoints(streams.client(), streams.league, group, topic),
            runs=streams.runs,
            open_producer=lambda name: streams.producer(name, EPOCH),
            group=group,
        )
        with source:
            taken = source.run(
                stopped=stop, idle_s=idle_s, on_progress=lambda so_far: shown.update(f"{so_far.plays} plays")
            )
        shown.summary = f"{taken.plays} plays of {taken.messages} messages"
    counts = {"plays": taken.plays, "messages": taken.messages, "rejected": taken.rejected}
    return {"league": streams.league, **counts, "committed": taken.committed}


def poll_nba(streams: Streams, stop: Stop, *, every_s: float, client: NbaClient | None = None) -> dict[str, Any]:
    """Poll NBA.com's live feed until told to stop."""
    client = client or NbaClient()

    @contextmanager
    def open_day(day: date) -> Iterator[Poller]:
        with (
            Journal(streams.store.workspace.live / f"nba-{day}.jsonl") as journal,
            streams.producer(f"poll:nba:{day}", POLL_LIFE, from_start=True) as producer,
        ):
            yield Poller(NbaSource(client), NbaBoard(client), streams.directory(), producer, journal)

    with step("poll NBA.com") as shown, streams.consumed():

        def told(polled: Polled) -> None:
            shown.update(f"{polled.live_games} games live, {polled.plays} new plays, {polled.corrected} corrected")

        total = poll_days(
            NbaBoard(client), open_day, every_s=every_s, stopped=stop, sleep=stop.sleep, on_round=told
        )
        shown.summary = f"{total.plays} plays"
    return {"league": streams.league, "plays": total.plays, "corrected": total.corrected}


def _lost(producer: Producer) -> int:
    """Rows that were sent and are not applied."""
    stats = producer.stats()
    return int(stats["rows"] - stats["applied"])


def _put_aside(streams: Streams, ends: list[bytes]) -> dict[str, Any]:
    """What the consumers refused since `ends`, by reason; said on stderr, too, when there is any."""
    reasons = streams.runs.dead_since(ends)
    for reason, rows in reasons.items():
        console.print(f"  put aside, {reason}: {rows}", style="yellow", markup=False, highlight=False)
    return {"put_aside": sum(reasons.values()), "reasons": reasons}


def _ids(store: OfflineStore) -> dict[str, int]:
    """Ids of the players who were collected, by name; none before the first collect."""
    try:
        return ids_by_name(store.read("box", columns=["player_id", "player_name"]))
    except NotMaterialized:
        return {}


def _teller(shown: Step, total: int) -> Callable[[int], None]:
    return lambda done: shown.update(f"{done} of {total}", done, total)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _said(sent: Sent, what: str) -> str:
    numbers = sent.as_json()
    return f"{sent.events} {what}, {numbers['events_per_s']:.0f}/s, lag p99 {numbers['lag_p99_ms']:.1f} ms"
