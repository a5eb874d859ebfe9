"""Polling NBA.com's live feed, against a local server in the vendor's shapes; what is sent is kept in a list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from features.errors import InvalidInput, SourceUnavailable
from features.sources.nba import NbaSource
from features.sources.nba_http import NbaClient
from features.stream.directory import LocalDirectory
from features.stream.events import EVENT, Flag, Kind, Rows
from features.stream.poll import BOARD, HALF_ROUNDS, SETTLED_ROUNDS, Journal, NbaBoard, Polled, Poller, poll_days
from features.stream.state import GameState, PartitionState
from tests.fixtures import nba_vendor
from tests.fixtures.nba_vendor import Vendor, serving

GAME, OTHER = "0022400061", "0022400062"
NOW_NS = 1_730_508_100 * 10**9
SHOT = nba_vendor.live(7, "3pt", shotResult="Made", personId=11, teamTricode="BOS", shotDistance=26.3, scoreHome="3",
                       assistPersonId=12, subType="Jump Shot")  # fmt: skip
OPENING = [
    nba_vendor.live(2, "period", "PT12M00.00S", subType="start"),
    nba_vendor.live(4, "jumpball", jumpBallWonPersonId=11, jumpBallLostPersonId=21, personId=12, teamTricode="BOS"),
    SHOT,
]  # fmt: skip


def substitution(number: int, which: str, person: int) -> dict[str, Any]:
    return nba_vendor.live(
        number, "substitution", "PT10M00.00S", subType=which, personId=person, teamTricode="BOS", scoreHome="3"
    )


def listed(game_id: str, status: int) -> dict[str, Any]:
    """A game of the scoreboard."""
    return {
        "gameId": game_id, "gameStatus": status, "gameTimeUTC": "2024-11-02T00:30:00Z",
        "homeTeam": {"teamTricode": "BOS"}, "awayTeam": {"teamTricode": "NYK"},
    }  # fmt: skip


def put_board(vendor: Vendor, *games: dict[str, Any], day: str = "2024-11-01") -> None:
    vendor.put(f"/live/{BOARD}", {"meta": {}, "scoreboard": {"gameDate": day, "games": list(games)}})


def put_plays(vendor: Vendor, *actions: dict[str, Any], game_id: str = GAME) -> None:
    vendor.put(f"/live/playbyplay/playbyplay_{game_id}.json", nba_vendor.live_pbp(game_id, list(actions)))


def put_box(vendor: Vendor, *players: int, game_id: str = GAME) -> None:
    box = nba_vendor.live_box(game_id)
    box["game"]["homeTeam"]["players"] = [{"personId": player} for player in players]
    vendor.put(f"/live/boxscore/boxscore_{game_id}.json", box)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    put_board(made, listed(GAME, 2), listed(OTHER, 1))
    put_box(made)
    with serving(made):
        yield made


class Sent:
    """A sink: rows in the order in which they were given."""

    def __init__(self) -> None:
        self.rows: Rows = np.empty(0, EVENT)
        self.critical: list[bool] = []

    def send_many(self, rows: Rows) -> None:
        self.rows = np.concatenate([self.rows, rows])
        self.critical += [False] * len(rows)

    def send_critical(self, row: Any) -> None:
        self.rows = np.concatenate([self.rows, np.array([row], EVENT)])
        self.critical.append(True)

    def send_news(self, news: object) -> None:
        raise AssertionError(news)

    @property
    def numbers(self) -> list[tuple[int, bool]]:
        """(event number, taken back) of each."""
        return [(int(row["event_num"]), bool(row["flags"] & Flag.retract)) for row in self.rows]


class Day:
    """A poller of a day with its journal."""

    def __init__(self, vendor: Vendor, path: Path) -> None:
        session = requests.Session()
        session.trust_env = False
        self.waits: list[float] = []
        self.client = NbaClient(
            stats_url=f"{vendor.url}/stats", live_url=f"{vendor.url}/live", session=session, timeout_s=5.0, attempts=2,
            interval_s=0.0, sleep=self.waits.append,
        )  # fmt: skip
        self.board = NbaBoard(self.client)
        self.directory = LocalDirectory()
        self.sent = Sent()
        self.path = path

    @contextmanager
    def open(self) -> Iterator[Poller]:
        with Journal(self.path) as journal:
            source = NbaSource(self.client, clock=lambda: datetime(2024, 11, 2, 1, 0, tzinfo=UTC))
            yield Poller(source, self.board, self.directory, self.sent, journal, clock_ns=lambda: NOW_NS)

    def state(self) -> GameState:
        """The game as the fold makes it of what was sent."""
        state = PartitionState(self.directory)
        applied = state.apply(self.sent.rows, now_ns=NOW_NS)
        assert not len(applied.rejected), applied.reason_counts()
        return state.state(state.games[0])


@pytest.fixture
def day(vendor: Vendor, tmp_path: Path) -> Day:
    return Day(vendor, tmp_path / "live" / "nba-2024-11-01.jsonl")


def rounds(day: Day, *changes: Callable[[], None]) -> list[Polled]:
    """One poller: a round after each change."""
    polled = []
    with day.open() as poller:
        poller.resume(day.board.today())
        for change in changes:
            change()
            polled.append(poller.poll(day.board.today()))
    return polled


def nothing() -> None:
    return


def test_only_plays_that_are_new_are_sent(vendor: Vendor, day: Day) -> None:
    miss = nba_vendor.live(9, "2pt", shotResult="Missed", personId=21, teamTricode="NYK", scoreHome="3")
    polled = rounds(
        day,
        lambda: put_plays(vendor, *OPENING),
        nothing,
        lambda: put_plays(vendor, *OPENING, miss),
    )
    assert [each.plays for each in polled] == [3, 0, 1]
    assert [number for number, _ in day.sent.numbers] == [2, 4, 7, 9]
    assert day.sent.critical == [False, False, True, False]  # the score changed
    assert (day.sent.rows["created_ns"] == NOW_NS).all()
    assert (day.sent.rows["flags"] & Flag.keep != 0).all()
    assert polled[0].live_games == 1
    assert f"/live/playbyplay/playbyplay_{OTHER}.json" not in vendor.paths()  # it has not begun
    board = [asked for path, asked in vendor.requests if path == f"/live/{BOARD}"]
    assert board[-1]["If-None-Match"]
    state = day.state()
    assert (state.home_score, state.lines()[11]["pts"], state.lines()[12]["ast"]) == (3, 3, 1)


def test_a_corrected_play_is_taken_back_and_sent_again(vendor: Vendor, day: Day) -> None:
    other = {**SHOT, "personId": 13, "assistPersonId": 0}
    polled = rounds(
        day, lambda: put_plays(vendor, *OPENING), lambda: put_plays(vendor, *OPENING[:2], other), nothing
    )  # fmt: skip
    assert [(each.plays, each.corrected) for each in polled] == [(3, 0), (0, 1), (0, 0)]
    assert day.sent.numbers[3:] == [(7, True), (7, False)]
    lines = day.state().lines()
    assert (lines[11]["pts"], lines[12]["ast"], lines[13]["pts"]) == (0, 0, 3)


def test_a_play_that_only_moved_is_not_corrected(vendor: Vendor, day: Day) -> None:
    earlier = nba_vendor.live(3, "violation", "PT11M50.00S", teamTricode="NYK")
    polled = rounds(
        day,
        lambda: put_plays(vendor, *OPENING),
        lambda: put_plays(vendor, OPENING[0], earlier, *OPENING[1:]),
    )
    assert [(each.plays, each.corrected) for each in polled] == [(3, 0), (1, 0)]


def test_a_substitution_waits_for_its_other_half(vendor: Vendor, day: Day) -> None:
    out, entering = substitution(9, "out", 11), substitution(10, "in", 13)
    polled = rounds(
        day,
        lambda: put_plays(vendor, *OPENING, out),
        nothing,
        lambda: put_plays(vendor, *OPENING, out, entering),
    )
    assert [(each.plays, each.corrected) for each in polled] == [(3, 0), (0, 0), (1, 0)]
    last = day.sent.rows[-1]
    assert (last["kind"], last["player"], last["second"]) == (Kind.substitution, 11, 13)


def test_half_a_substitution_is_sent_when_nothing_comes(vendor: Vendor, day: Day) -> None:
    polled = rounds(day, lambda: put_plays(vendor, *OPENING, substitution(9, "out", 11)), *[nothing] * HALF_ROUNDS)
    assert [each.plays for each in polled] == [3, *[0] * (HALF_ROUNDS - 1), 1]


def test_a_killed_poller_goes_on_with_the_same_numbers(vendor: Vendor, day: Day) -> None:
    put_plays(vendor, *OPENING)
    rounds(day, nothing)
    first = day.sent.rows
    with day.path.open("ab") as file:
        file.write(b'{"play": {"game_id": "00224')  # a kill cut this line short: it was never sent
    day.sent = Sent()
    corrected = {**SHOT, "assistPersonId": 13}
    miss = nba_vendor.live(9, "2pt", shotResult="Missed", personId=21, teamTricode="NYK", scoreHome="3")
    polled = rounds(day, lambda: put_plays(vendor, *OPENING[:2], corrected, miss))
    assert day.sent.rows[:3].tobytes() == first.tobytes()
    assert day.sent.numbers[3:] == [(7, True), (7, False), (9, False)]
    assert (polled[0].plays, polled[0].corrected) == (1, 1)
    assert len(day.path.read_bytes().splitlines()) == 6


def test_a_journal_belongs_to_one_poller(day: Day) -> None:
    with Journal(day.path), pytest.raises(InvalidInput, match="held by another poller"), Journal(day.path):
        pass
    with Journal(day.path):
        pass


def test_a_damaged_journal_is_told_and_left_alone(day: Day) -> None:
    day.path.parent.mkdir(parents=True)
    day.path.write_text('{"plays": 1}\n')
    with pytest.raises(InvalidInput, match="is no journal of plays"), Journal(day.path):
        pass
    assert day.path.read_text() == '{"plays": 1}\n'


def test_who_plays_unexpectedly_is_added_to_the_roster(vendor: Vendor, day: Day) -> None:
    put_box(vendor, 12, 13)
    rounds(day, lambda: put_plays(vendor, *OPENING))
    assert day.directory.games([int(day.sent.rows["game"][0])])[int(day.sent.rows["game"][0])].roster == (
        11,
        12,
        13,
        21,
    )
    assert day.state().lines()[11]["pts"] == 3


def test_what_is_no_play_is_left_out_and_told(vendor: Vendor, day: Day, caplog: pytest.LogCaptureFixture) -> None:
    stranger = {**SHOT, "actionNumber": 8, "orderNumber": 80_000, "teamTricode": "LAL"}
    polled = rounds(day, lambda: put_plays(vendor, *OPENING, stranger))
    assert polled[0].plays == 3
    assert "play 8 is left out: team: 'LAL'" in caplog.text
    assert len(day.path.read_bytes().splitlines()) == 3


def test_one_game_that_fails_does_not_stop_the_others(vendor: Vendor, day: Day) -> None:
    put_board(vendor, listed(OTHER, 2), listed(GAME, 2))
    put_plays(vendor, *OPENING)
    put_box(vendor, game_id=OTHER)
    vendor.put(f"/live/playbyplay/playbyplay_{OTHER}.json", {"game": {"actions": "none"}})
    polled = rounds(day, nothing)
    assert (polled[0].plays, polled[0].failed) == (3, (OTHER,))


def test_a_game_without_a_feed_yet_is_no_failure(day: Day) -> None:
    assert rounds(day, nothing) == [Polled(0, 0, 1, ())]


def test_a_final_game_is_left_alone_when_it_is_settled(vendor: Vendor, day: Day) -> None:
    put_board(vendor, listed(GAME, 3))
    put_plays(vendor, *OPENING)
    rounds(day, *[nothing] * (SETTLED_ROUNDS + 4))
    asked = [path for path in vendor.paths() if "playbyplay" in path]
    assert len(asked) == 1 + SETTLED_ROUNDS


@pytest.mark.parametrize("document", [{}, {"scoreboard": {"gameDate": "soon", "games": []}}, {"scoreboard": None}])
def test_an_unknown_scoreboard_is_unavailable(vendor: Vendor, day: Day, document: dict[str, Any]) -> None:
    vendor.put(f"/live/{BOARD}", document)
    with pytest.raises(SourceUnavailable, match="unknown shape"):
        day.board.today()


def test_days_follow_each_other_and_failures_are_waited_out(vendor: Vendor, day: Day, tmp_path: Path) -> None:
    put_plays(vendor, *OPENING)
    slept: list[float] = []
    opened: list[date] = []
    vendor.fail(f"/live/{BOARD}", 500, 500, 500, 500, headers={})

    @contextmanager
    def open_day(when: date) -> Iterator[Poller]:
        opened.append(when)
        day.path = tmp_path / f"{when}.jsonl"
        with day.open() as poller:
            yield poller

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            put_board(vendor, listed(OTHER, 1), day="2024-11-02")

    total = poll_days(
        day.board, open_day, every_s=10, stopped=lambda: len(slept) >= 6, sleep=sleep
    )  # fmt: skip
    assert opened == [date(2024, 11, 1), date(2024, 11, 2)]
    assert slept == [20, 40, 10, 10, 10, 10]
    assert total.plays == 3
    assert json.loads((tmp_path / "2024-11-01.jsonl").read_text().splitlines()[0])["play"]["event_num"] == 2
    assert (tmp_path / "2024-11-02.jsonl").read_text() == ""


def test_failing_games_are_asked_less_often(vendor: Vendor, day: Day) -> None:
    vendor.fail(f"/live/playbyplay/playbyplay_{GAME}.json", *[500] * 40)
    slept: list[float] = []
    poll_days(
        day.board, lambda when: day.open(), every_s=10, stopped=lambda: len(slept) >= 8, sleep=slept.append
    )  # fmt: skip
    assert slept == [20, 40, 80, 160, 300, 300, 300, 300]
