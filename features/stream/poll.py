"""Live polling of NBA.com: plays of today's games as the vendor publishes them, each counted once.

What is to be sent is written to a journal first, and the journal's order gives the sequence numbers. A poller that
was killed reads its journal, gives the producer everything again (which leaves out what is applied) and goes on.
A play that the vendor corrects is taken back (`Flag.retract`) and sent as it is now.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import polars as pl

from features.errors import InvalidInput, SourceUnavailable
from features.files import writing
from features.play.plays import COLUMNS
from features.sources.nba import NbaSource
from features.sources.nba_http import NbaClient, NotPublished
from features.stream.directory import GameInfo, Glossary
from features.stream.events import Flag
from features.stream.plays import events_of
from features.stream.replay import PLAY_SCHEMA, Play, Sink, is_critical, sound_plays

log = logging.getLogger(__name__)

BOARD: Final = "scoreboard/todaysScoreboard_00.json"
#: A substitution is two actions of the vendor's; one whose other half is missing waits this many rounds for it.
HALF_ROUNDS: Final = 3
#: A final game is left alone after this many rounds without a change.
SETTLED_ROUNDS: Final = 3
LONGEST_WAIT_S: Final = 300.0
_SCHEDULED, _FINAL = 1, 3


@dataclass(frozen=True, slots=True)
class Board:
    """Today's games as the vendor lists them: `day` is the league's date; status 1 scheduled, 2 live, 3 final."""

    day: date
    games: tuple[tuple[GameInfo, int], ...]


@dataclass(frozen=True, slots=True)
class Polled:
    """One round: plays sent for the first time, plays corrected, games that did not answer."""

    plays: int
    corrected: int
    live_games: int
    failed: tuple[str, ...]


class NbaBoard:
    """Reads the scoreboard and rosters of the live feed."""

    def __init__(self, client: NbaClient) -> None:
        self._client = client
        self._etag: str | None = None
        self._board: Board | None = None

    def today(self) -> Board:
        """Today's games. Raises `SourceUnavailable` when the vendor does not answer in a known shape."""
        answer = self._client.live(BOARD, self._etag)
        if answer.payload is not None or self._board is None:
            try:
                board = (answer.payload or {})["scoreboard"]
                games = tuple(_game(entry) for entry in board["games"])
                self._board = Board(date.fromisoformat(board["gameDate"]), games)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise SourceUnavailable(
                    f"NBA.com answered for {BOARD} in an unknown shape ({error!r}); try again later"
                ) from error
            self._etag = answer.etag
        return self._board

    def roster(self, game_id: str) -> tuple[int, ...]:
        """Player ids of both sides, those who do not play included; empty when the vendor names nobody."""
        try:
            answer = self._client.live(f"boxscore/boxscore_{game_id}.json")
            teams = (answer.payload or {})["game"]
            people = [person for side in ("homeTeam", "awayTeam") for person in teams[side].get("players", ())]
            return tuple(sorted({int(person["personId"]) for person in people}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceUnavailable(
                f"NBA.com answered for the box score of game {game_id} in an unknown shape ({error!r})"
            ) from error


class Journal:
    """Plays in the order in which they are sent, a JSON object a line; one process at a time may hold it.

    A line that a kill cut short was never sent and is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[tuple[Play, int]] = []

    def __enter__(self) -> Self:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise InvalidInput(f"{self.path} is held by another poller; end that one first") from error
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            self.entries = [(line["play"], int(line["flags"])) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            self._file.close()
            raise InvalidInput(
                f"{self.path} is no journal of plays ({error!r}); restore it, or delete it and the day's live state"
            ) from error
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, entries: Sequence[tuple[Play, int]]) -> None:
        """Add `entries` and return when they are on disk."""
        lines = b"".join(json.dumps({"play": play, "flags": flags}).encode() + b"\n" for play, flags in entries)
        with writing(self.path):
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())
        self.entries.extend(entries)


@dataclass(slots=True)
class _Game:
    info: GameInfo
    cursor: str | None = None
    quiet_rounds: int = 0
    #: What was sent, by the vendor's number of the play.
    sent: dict[int, Play] = field(default_factory=dict)
    #: Substitutions without their other half, and for how many rounds.
    halves: dict[int, tuple[Play, int]] = field(default_factory=dict)


class Poller:
    """One day's polling through `source`, `board` and `journal` into `sink`. `resume` comes first."""

    def __init__(
        self,
        source: NbaSource,
        board: NbaBoard,
        directory: Glossary,
        sink: Sink,
        journal: Journal,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._source, self._board, self._directory = source, board, directory
        self._sink, self._journal, self._clock_ns = sink, journal, clock_ns
        self._games: dict[str, _Game] = {}
        self._sent: dict[str, dict[int, Play]] = {}

    def resume(self, today: Board) -> int:
        """Give the sink what the journal has; returns how many plays that were."""
        infos = {info.game_id: info for info, _ in today.games}
        for play, flags in self._journal.entries:
            self._note(self._sent.setdefault(play["game_id"], {}), play, flags)
        for game_id in self._sent:
            self._game(infos.get(game_id) or _info_of(self._sent[game_id]))
        self._send(self._journal.entries)
        return len(self._journal.entries)

    def poll(self, today: Board) -> Polled:
        """One round over the games that have begun."""
        plays = corrected = live = 0
        failed: list[str] = []
        for info, status in today.games:
            live += status not in (_SCHEDULED, _FINAL)
            if status == _SCHEDULED:
                continue
            try:
                game = self._game(info)
                if status == _FINAL and game.quiet_rounds >= SETTLED_ROUNDS:
                    continue
                entries = self._fresh(game)
            except NotPublished:
                continue
            except SourceUnavailable as error:
                log.warning("%s", error)
                failed.append(info.game_id)
                continue
            game.quiet_rounds = 0 if entries else game.quiet_rounds + 1
            entries = self._sound(entries)
            self._register_newcomers(game, entries)
            self._journal.append(entries)
            for play, flags in entries:
                self._note(game.sent, play, flags)
            self._send(entries)
            taken_back = sum(bool(flags & Flag.retract) for _, flags in entries)
            corrected += taken_back
            plays += len(entries) - 2 * taken_back
        return Polled(plays, corrected, live, tuple(failed))

    def _game(self, info: GameInfo) -> _Game:
        """What is known of a game; at first sight it is registered with its roster."""
        game = self._games.get(info.game_id)
        if game is None:
            sent = self._sent.get(info.game_id, {})
            try:
                roster = self._board.roster(info.game_id)
            except NotPublished:
                roster = ()
            game = _Game(_with_roster(info, roster, sent.values()), sent=sent)
            self._directory.register_game(game.info)
            self._games[info.game_id] = game
        return game

    def _fresh(self, game: _Game) -> list[tuple[Play, int]]:
        """Plays to send of one game, with their flags."""
        answer = self._source.live_events(game.info.game_id, game.cursor)
        entries: list[tuple[Play, int]] = []
        waiting, game.halves = game.halves, {}
        for play in answer.events.select(COLUMNS).iter_rows(named=True):
            number = int(play["event_num"])
            held = waiting.pop(number, (play, 0))[1]
            if _half(play) and number not in game.sent and held < HALF_ROUNDS:
                game.halves[number] = (play, held + 1)
                continue
            entries += _entries(game.sent.get(number), play)
        for number, (play, rounds) in waiting.items():
            if rounds < HALF_ROUNDS:
                game.halves[number] = (play, rounds + 1)
            else:
                entries += _entries(game.sent.get(number), play)
        game.cursor = answer.cursor
        return entries

    @staticmethod
    def _sound(entries: list[tuple[Play, int]]) -> list[tuple[Play, int]]:
        """Without plays that cannot be events; the vendor's next version of one may be."""
        _, wrong = sound_plays([play for play, _ in entries])
        for index, reason in wrong:
            play = entries[index][0]
            log.warning("game %s, play %s is left out: %s", play["game_id"], play["event_num"], reason)
        left_out = {index for index, _ in wrong}
        # Nor is the play taken back that such a one would replace.
        left_out |= {index - 1 for index in left_out if index and entries[index - 1][1] & Flag.retract}
        return [entry for index, entry in enumerate(entries) if index not in left_out]

    def _register_newcomers(self, game: _Game, entries: Sequence[tuple[Play, int]]) -> None:
        """A play may name somebody whom the roster of a known game lacks: the vendor knows better."""
        info = _with_roster(game.info, game.info.roster, (play for play, _ in entries))
        if info != game.info:
            game.info = info
            self._directory.register_game(info)

    def _send(self, entries: Sequence[tuple[Play, int]]) -> None:
        if not entries:
            return
        rows, _ = events_of(pl.DataFrame([play for play, _ in entries], schema=PLAY_SCHEMA), self._directory)
        rows["flags"] |= np.array([flags for _, flags in entries], np.uint8)
        rows["created_ns"] = self._clock_ns()
        for index, critical in enumerate(is_critical(rows).tolist()):
            if critical:
                self._sink.send_critical(rows[index])
            else:
                self._sink.send_many(rows[index : index + 1])

    @staticmethod
    def _note(sent: dict[int, Play], play: Play, flags: int) -> None:
        if not flags & Flag.retract:
            sent[int(play["event_num"])] = play


def poll_days(
    board: NbaBoard,
    open_day: Callable[[date], AbstractContextManager[Poller]],
    *,
    every_s: float,
    stopped: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
    on_round: Callable[[Polled], None] = lambda polled: None,
) -> Polled:
    """Poll until `stopped`, each of the vendor's days with a poller of its own; returns the sum of all rounds.

    A round that fails is tried again after twice the time, up to `LONGEST_WAIT_S`.
    """
    total = Polled(0, 0, 0, ())
    today: Board | None = None
    failures = 0
    while not stopped():
        try:
            today = today or board.today()
            with open_day(today.day) as poller:
                poller.resume(today)
                day = today.day
                while today.day == day and not stopped():
                    polled = poller.poll(today)
                    on_round(polled)
                    total = Polled(total.plays + polled.plays, total.corrected + polled.corrected, 0, ())
                    failures = failures + 1 if polled.failed else 0
                    sleep(_wait_s(every_s, failures))
                    today = _look_again(board, today, stopped)
        except SourceUnavailable as error:
            failures += 1
            log.warning("%s; again in %.0f s", error, _wait_s(every_s, failures))
            sleep(_wait_s(every_s, failures))
    return total


def _look_again(board: NbaBoard, before: Board, stopped: Callable[[], bool]) -> Board:
    """Today's games now; as they were `before` when the vendor does not say."""
    if stopped():
        return before
    try:
        return board.today()
    except SourceUnavailable as error:
        log.warning("%s", error)
        return before


def _wait_s(every_s: float, failures: int) -> float:
    return max(every_s, min(every_s * 2.0 ** min(failures, 16), LONGEST_WAIT_S))


def _game(entry: Mapping[str, Any]) -> tuple[GameInfo, int]:
    game_id = str(entry["gameId"])
    tip = datetime.fromisoformat(str(entry["gameTimeUTC"])).astimezone(UTC)
    home, away = str(entry["homeTeam"]["teamTricode"]), str(entry["awayTeam"]["teamTricode"])
    return GameInfo(game_id, 2000 + int(game_id[3:5]), home, away, tip), int(entry["gameStatus"])


def _info_of(sent: Mapping[int, Play]) -> GameInfo:
    """A game of the journal that the vendor does not list any more."""
    play = next(iter(sent.values()))
    return GameInfo(play["game_id"], play["season"], play["home_team"], play["away_team"], datetime.now(UTC))


def _with_roster(info: GameInfo, roster: Iterable[int], plays: Iterable[Play]) -> GameInfo:
    """`info` with a roster of all who are on it or in plays; without one everybody is taken."""
    people = set(roster)
    if people:
        named = (play[name] for play in plays for name in ("p1_id", "p2_id", "p3_id"))
        people.update(int(person) for person in named if person)
    return GameInfo(info.game_id, info.season, info.home_team, info.away_team, info.tip, tuple(sorted(people)))


def _half(play: Play) -> bool:
    return play["event_type"] == "substitution" and (play["p1_id"] is None or play["p2_id"] is None)


def _entries(before: Play | None, play: Play) -> list[tuple[Play, int]]:
    """What to send for a play that was sent as `before`, if at all."""
    if before is None:
        return [(play, 0)]
    # Its place in the game moves when the vendor adds an earlier play: that alone is no correction.
    same = all(before[name] == play[name] for name in COLUMNS if name != "seq")
    return [] if same else [(before, int(Flag.retract)), (play, 0)]
