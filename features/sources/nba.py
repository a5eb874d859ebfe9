"""NBA.com as a source: finished games of whole seasons, and the actions of running games.

Of each season the schedule is read once; then each day's finished games give one batch of games, box lines and
play-by-play, so a collect that is cut off goes on at the day where it stopped. Needs the internet. Salaries are
not NBA.com's to give: they come from the files that a player downloads from his site.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl
import xxhash

from features.errors import SchemaError, SourceUnavailable
from features.fingerprint import frame_hash
from features.slate import Slate
from features.sources.base import Batch
from features.sources.nba_events import GameContext, Row, live_events, period_scores, stats_events
from features.sources.nba_games import box_rows, roster, schedule_frame
from features.sources.nba_http import NbaClient, NotPublished
from features.tables import BOX, GAMES, PBP, TIMES, TableName, conform
from features.workspace import League

log = logging.getLogger(__name__)

#: Box scores are corrected for some days after a game; until then each collect asks again.
SETTLED_AFTER: Final = timedelta(days=3)
#: Play-by-play in today's form begins with this season.
FIRST_SEASON: Final = 1996


@dataclass(frozen=True, slots=True)
class LiveActions:
    """New and corrected events of a running game; `cursor` goes into the next call.

    `events` has the play-by-play columns with `event_time` and `known_time`; `event_num` tells which action a row
    is (a corrected one comes again with the same number), `seq` only its place in the game so far.
    """

    events: pl.DataFrame
    cursor: str


class NbaSource:
    """Source over NBA.com through `client` (the real one by default); `clock` says when something was learned."""

    name = "nba"
    league: League = "nba"

    def __init__(
        self, client: NbaClient | None = None, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client or NbaClient()
        self._clock = clock
        self._contexts: dict[str, GameContext] = {}

    def batches(
        self, *, as_of: datetime, seasons: Sequence[int] | None, cursors: Mapping[str, str]
    ) -> Iterator[Batch]:
        """Per season and day with finished games known by `as_of`: a batch of games, of box lines, of events.

        `seasons` None means the season that `as_of` falls in. A game without box is left out and one without
        play-by-play is given without events and quarter scores; both are asked for again until they are settled.
        Raises `SourceUnavailable` when NBA.com does not answer or answers in an unknown shape.
        """
        for season in [_season_of(as_of)] if seasons is None else sorted(set(seasons)):
            for day, games in self._days(season, as_of):
                settled = as_of - datetime(day.year, day.month, day.day, tzinfo=UTC) > SETTLED_AFTER
                version = f"{frame_hash(games)}-{'settled' if settled else as_of.date().isoformat()}"
                keys: dict[TableName, str] = {
                    table: f"{table}/season={season}/{day.isoformat()}" for table in ("games", "box", "pbp")
                }
                if all(cursors.get(key) == version for key in keys.values()):
                    continue
                frames, complete = self._fetch_day(games)
                cursor = version if complete or settled else f"{version}-incomplete"
                for table, frame in frames.items():
                    yield Batch(table, season, keys[table], cursor, frame)

    def slates(self, day: date) -> list[Slate]:
        """Always empty: NBA.com publishes no salaries."""
        return []

    def live_events(self, game_id: str, cursor: str | None = None) -> LiveActions:
        """Actions of a game that are new or corrected since `cursor` (None: all so far).

        Raises `NotPublished` before the vendor opens the game's feed, `SourceUnavailable` when it does not answer.
        """
        state = _live_state(cursor)
        answer = self._client.live(f"playbyplay/playbyplay_{game_id}.json", state["etag"])
        if answer.payload is None:
            return LiveActions(_live_frame([], self._clock()), json.dumps(state))
        with _vendor_shape(f"live play-by-play of game {game_id}"):
            rows = live_events(answer.payload["game"]["actions"], self._context(game_id))
        digests = {str(row["event_num"]): _digest(row) for row in rows}
        fresh = [row for row in rows if state["rows"].get(str(row["event_num"])) != digests[str(row["event_num"])]]
        return LiveActions(_live_frame(fresh, self._clock()), json.dumps({"etag": answer.etag, "rows": digests}))

    def _days(self, season: int, as_of: datetime) -> Iterator[tuple[date, pl.DataFrame]]:
        from nba_api.stats.endpoints.scheduleleaguev2 import ScheduleLeagueV2

        if season < FIRST_SEASON:
            raise SourceUnavailable(f"NBA.com has no play-by-play of season {season}; the first is {FIRST_SEASON}")
        label = f"{season}-{(season + 1) % 100:02d}"
        endpoint = ScheduleLeagueV2(season=label, get_request=False)
        with _vendor_shape(f"schedule of season {label}"):
            games = schedule_frame(self._client.stats(endpoint, "season_games"), season)
        known = games.filter(pl.col("known_time") <= as_of.astimezone(UTC))
        for day in known["game_date"].unique().sort().to_list():
            yield day, known.filter(pl.col("game_date") == day)

    def _fetch_day(self, games: pl.DataFrame) -> tuple[dict[TableName, pl.DataFrame], bool]:
        """Frames of one day's games, and whether nothing of them was missing."""
        rows: dict[TableName, list[Row]] = {"games": [], "box": [], "pbp": []}
        complete = True
        for game in games.iter_rows(named=True):
            players = self._players(game["game_id"])
            if not players:
                log.warning("NBA.com has no box score of game %s yet; it is left out", game["game_id"])
                complete = False
                continue
            with _vendor_shape(f"game {game['game_id']}"):
                events = self._events(game, players)
                rows["box"] += box_rows(players, game)
                rows["games"].append({**game, **period_scores(events)})
            times = {name: game[name] for name in TIMES}
            rows["pbp"] += [{**event, **times} for event in events]
            complete = complete and bool(events)
        schemas = {"games": GAMES, "box": BOX, "pbp": PBP}
        return {
            table: conform(table, _frame(rows[table], {**schemas[table], **TIMES}, table)) for table in rows
        }, complete

    def _players(self, game_id: str) -> list[dict[str, Any]]:
        from nba_api.stats.endpoints.boxscoretraditionalv3 import BoxScoreTraditionalV3

        try:
            return self._client.stats(BoxScoreTraditionalV3(game_id=game_id, get_request=False), "player_stats")
        except NotPublished:
            return []

    def _events(self, game: Mapping[str, Any], players: Sequence[Mapping[str, Any]]) -> list[Row]:
        from nba_api.stats.endpoints.playbyplayv3 import PlayByPlayV3

        try:
            actions = self._client.stats(PlayByPlayV3(game_id=game["game_id"], get_request=False), "play_by_play")
        except NotPublished:
            log.warning("NBA.com has no play-by-play of game %s", game["game_id"])
            return []
        context = GameContext(game["game_id"], game["season"], game["home_team"], game["away_team"])
        return stats_events(actions, context, roster(players))

    def _context(self, game_id: str) -> GameContext:
        """Teams of a running game; the live play-by-play does not say which of them is at home."""
        if game_id not in self._contexts:
            answer = self._client.live(f"boxscore/boxscore_{game_id}.json")
            teams = answer.payload["game"] if answer.payload else {}
            home, away = teams["homeTeam"]["teamTricode"], teams["awayTeam"]["teamTricode"]
            self._contexts[game_id] = GameContext(game_id, 2000 + int(game_id[3:5]), home, away)
        return self._contexts[game_id]


@contextmanager
def _vendor_shape(what: str) -> Iterator[None]:
    """Turn the errors of reading an unexpected answer into `SourceUnavailable`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, SchemaError) as error:
        raise SourceUnavailable(
            f"NBA.com answered for {what} in an unknown shape ({error!r}); try again later"
        ) from error


def _frame(rows: Sequence[Row], schema: Mapping[str, pl.DataType], table: str) -> pl.DataFrame:
    try:
        return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=dict(schema))
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise SourceUnavailable(f"NBA.com gave {table} values of the wrong type: {error}") from error


def _live_frame(rows: Sequence[Row], known_time: datetime) -> pl.DataFrame:
    timed = [{**row, "event_time": row["happened_at"] or known_time, "known_time": known_time} for row in rows]
    return _frame(timed, {**PBP, **TIMES}, "live pbp")


def _live_state(cursor: str | None) -> dict[str, Any]:
    return {"etag": None, "rows": {}} if cursor is None else dict(json.loads(cursor))


def _digest(row: Row) -> str:
    content = [value for name, value in sorted(row.items()) if name != "seq"]
    return str(xxhash.xxh3_64_hexdigest(repr(content).encode()))


def _season_of(moment: datetime) -> int:
    """Start year of the season that a moment falls in; a season is taken to begin in September."""
    return moment.year if moment.month >= 9 else moment.year - 1
