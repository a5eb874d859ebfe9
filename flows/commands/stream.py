"""Commands that bring events into the stream: replay and poll."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from features.errors import InvalidInput
from features.workspace import LEAGUES, League
from flows.commands.options import Data, Json, parse_day, print_json
from flows.progress import show_service

if TYPE_CHECKING:
    from flows.streaming import Stop, Streams

Speed = Annotated[
    str, typer.Option(help="recorded seconds per second: 1 as it was, 60 an hour in a minute, max at once")
]
Again = Annotated[bool, typer.Option("--again", help="forget what was sent before and begin anew")]
#: What a replay can be of, and the option that says so.
_KINDS: Final = {"day": "--date", "load": "--simulated", "feed": "--feed", "kafka": "--kafka"}


def replay(
    data: Data = None,
    source: Annotated[str | None, typer.Option(help="simulated or nba: replay games that were collected")] = None,
    day: Annotated[str | None, typer.Option("--date", help="day of the games (ISO, US Eastern)")] = None,
    game: Annotated[str | None, typer.Option(help="only this game id")] = None,
    speed: Speed = "1",
    again: Again = False,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="generate load instead of replaying games")
    ] = False,
    rate: Annotated[float, typer.Option(help="generated events per second")] = 1000.0,
    seconds: Annotated[float, typer.Option(help="how long to generate")] = 60.0,
    games: Annotated[int, typer.Option(min=1, max=1000, help="games that generated events are of")] = 15,
    feed: Annotated[
        Path | None, typer.Option(help="Parquet file of a DFS feed: its changes are sent as news")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(help="host:port of Kafka-protocol brokers to read plays from")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="topic of JSON plays, for --kafka")] = None,
    group: Annotated[str, typer.Option(help="consumer group, for --kafka")] = "fantasy",
    idle_s: Annotated[float | None, typer.Option(help="end after so long without a message, for --kafka")] = None,
    as_json: Json = False,
) -> None:
    """Send recorded games, a recorded feed, a topic's plays or generated load into the live stream."""
    from features.stream.replay import speed_of
    from flows import streaming

    given = {"day": day, "load": simulated or None, "feed": feed, "kafka": kafka}
    kind = _only_one({name: value for name, value in given.items() if value is not None})
    league = _league(source, "nba" if data or feed or kafka else "simulated")
    when, pace = parse_day(day), speed_of(speed)
    if kafka and not topic:
        raise InvalidInput("--kafka needs --topic: the topic that has plays as JSON objects")
    recording = streaming.recording(league, data, when, game) if when is not None else None
    with _streams(league) as (streams, stop):
        done: dict[str, Any]
        if recording is not None and when is not None:
            done = streaming.replay_games(streams, recording, when, stop, speed=pace, again=again)
        elif feed is not None:
            done = streaming.replay_feed(streams, feed, stop, speed=pace, again=again)
        elif kafka is not None:
            done = streaming.read_topic(streams, kafka, str(topic), stop, group=group, idle_s=idle_s)
        else:
            done = streaming.generate_load(streams, stop, rate=rate, seconds=seconds, games=games)
    _tell({"replayed": kind, **done}, as_json)


def poll(
    source: Annotated[str, typer.Option(help="nba: the live feed of NBA.com")] = "nba",
    every: Annotated[float, typer.Option(min=1.0, help="seconds between two rounds")] = 10.0,
    as_json: Json = False,
) -> None:
    """Send the plays of today's games as they are published, until Ctrl-C."""
    from flows import streaming

    if source != "nba":
        raise InvalidInput(f"source {source!r} cannot be polled; only nba has games that are being played")
    with _streams("nba") as (streams, stop):
        done = streaming.poll_nba(streams, stop, every_s=every)
    _tell(done, as_json)


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command("replay")(replay)
    app.command("poll")(poll)


@contextmanager
def _streams(league: League) -> Iterator[tuple[Streams, Stop]]:
    """The league's stream on running servers, and what ends the command properly."""
    from flows.services import embedded_services
    from flows.settings import FlowSettings
    from flows.streaming import Streams, until_told

    settings = FlowSettings()
    with (
        embedded_services(settings, which=("redis", "bus"), on_progress=show_service),
        Streams(settings, league) as streams,
        until_told() as stop,
    ):
        yield streams, stop


def _only_one(given: dict[str, Any]) -> str:
    if len(given) != 1:
        said = " and ".join(_KINDS[name] for name in given) or "nothing"
        raise InvalidInput(f"{said} given; give one of {', '.join(_KINDS.values())}: what is to be replayed")
    return next(iter(given))


def _league(source: str | None, usual: League) -> League:
    if source is None:
        return usual
    for league in LEAGUES:
        if source == league:
            return league
    raise InvalidInput(f"source {source!r} has no stream; choose one of {', '.join(LEAGUES)}")


def _tell(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    for name, value in done.items():
        typer.echo(f"{name}: {value}")
