"""NBA.com through the library nba_api, against a local server that answers in the vendor's shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import requests

from features.errors import SourceUnavailable
from features.ingest import collect
from features.sources.nba import NbaSource
from features.sources.nba_http import NbaClient, NotPublished
from features.stores.offline import OfflineStore
from features.tables import SCHEMAS, TIMES
from features.workspace import Workspace
from tests.fixtures import nba_vendor
from tests.fixtures.nba_vendor import Vendor, serving

GAME, NEXT = "0022400061", "0022400062"
SCHEDULE = "/stats/scheduleleaguev2?2024-25"
LIVE = f"/live/playbyplay/playbyplay_{GAME}.json"
POINTS = {11: 5, 13: 3, 21: 2, 22: 3}
LATER = datetime(2024, 12, 1, tzinfo=UTC)


def box_path(game_id: str) -> str:
    return f"/stats/boxscoretraditionalv3?{game_id}"


def pbp_path(game_id: str) -> str:
    return f"/stats/playbyplayv3?{game_id}"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    made.put(
        SCHEDULE,
        nba_vendor.schedule(
            nba_vendor.scheduled(GAME, "2024-11-12"),
            nba_vendor.scheduled(NEXT, "2024-11-13"),
            nba_vendor.scheduled("0022400063", "2024-11-14", status=1, home=0, away=0),
            nba_vendor.scheduled("0012400001", "2024-11-12"),
        ),
    )
    for game_id in (GAME, NEXT):
        made.put(box_path(game_id), nba_vendor.box(game_id, POINTS))
        made.put(pbp_path(game_id), nba_vendor.pbp(game_id))
    made.put(f"/live/boxscore/boxscore_{GAME}.json", nba_vendor.live_box(GAME))
    with serving(made):
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(vendor: Vendor, waits: list[float]) -> NbaSource:
    session = requests.Session()
    session.trust_env = False
    client = NbaClient(
        stats_url=f"{vendor.url}/stats", live_url=f"{vendor.url}/live", session=session, timeout_s=5.0,
        attempts=4, sleep=waits.append,
    )  # fmt: skip
    return NbaSource(client, clock=lambda: LATER)


def frames(
    source: NbaSource, as_of: datetime = LATER, cursors: dict[str, str] | None = None
) -> dict[str, pl.DataFrame]:
    return {batch.key: batch.frame for batch in source.batches(as_of=as_of, seasons=[2024], cursors=cursors or {})}


def test_each_day_gives_games_box_and_events_in_the_archive_schema(source: NbaSource) -> None:
    found = frames(source)
    assert list(found) == [f"{table}/season=2024/2024-11-{day}" for day in (12, 13) for table in SCHEMAS]
    for key, frame in found.items():
        assert frame.schema == {**SCHEMAS[key.split("/")[0]], **TIMES}
        assert frame.height > 0


def test_a_game_has_its_times_score_quarters_and_overtime(source: NbaSource) -> None:
    game = frames(source)["games/season=2024/2024-11-12"].row(0, named=True)
    assert game["event_time"] == datetime(2024, 11, 13, 0, 30, tzinfo=UTC)
    assert game["known_time"] == datetime(2024, 11, 13, 4, 0, tzinfo=UTC)
    assert (game["game_date"], game["tip_et_min"], game["season_type"]) == (date(2024, 11, 12), 1170, "regular")
    assert (game["home_team"], game["away_team"], game["home_win"]) == ("BOS", "NYK", True)
    quarters = [[game[f"{side}_q{number}"] for number in range(1, 5)] for side in ("home", "away")]
    assert quarters == [[3, 0, 0, 2], [0, 1, 2, 2]]
    assert (game["periods"], game["home_score"], game["away_score"]) == (5, 8, 5)


def test_box_lines_are_of_those_who_played(source: NbaSource) -> None:
    rows = frames(source)["box/season=2024/2024-11-12"].sort("player_id")
    assert rows["player_id"].to_list() == sorted(POINTS)
    assert rows["pts"].to_list() == [5, 3, 2, 3]
    assert rows["starter"].to_list() == [True, False, True, True]
    assert rows["player_name"].to_list() == ["Ann One", "Cy Three", "Di Four", "Ed Five"]
    assert rows["opp"].to_list() == ["NYK", "NYK", "BOS", "BOS"]
    assert rows["win"].to_list() == [True, True, False, False]
    assert set(rows["min"]) == {24.5}


def test_events_have_types_people_points_and_running_scores(source: NbaSource) -> None:
    rows = {row["event_num"]: row for row in frames(source)["pbp/season=2024/2024-11-12"].iter_rows(named=True)}
    kinds = [row["event_type"] for row in rows.values()]
    assert kinds[:8] == [
        "period_start", "jump_ball", "made_shot", "missed_shot", "rebound", "turnover", "period_end", "foul",
    ]  # fmt: skip
    assert [row["seq"] for row in rows.values()] == list(range(len(rows)))
    people = {number: (row["p1_id"], row["p2_id"], row["p3_id"]) for number, row in rows.items()}
    assert people[4] == (11, 21, 12)
    assert people[7] == (11, 12, None)
    assert people[9] == (21, None, 11)
    assert people[11] == (21, 12, None)
    assert people[24] == (11, 13, None)
    # Two players of NYK are called Five: the text cannot tell, so nobody is named.
    assert people[25] == (21, None, None)
    assert rows[25]["p2_name"] == "Five"
    assert rows[7]["p2_name"] == "Bo Two Jr."
    assert (rows[7]["points"], rows[7]["shot_value"], rows[7]["shot_dist"]) == (3, 3, 26)
    assert (rows[21]["points"], rows[21]["subtype"], rows[22]["points"]) == (1, "1 of 2", 0)
    assert (rows[10]["subtype"], rows[23]["subtype"], rows[23]["p1_id"]) == ("offensive", "team_defensive", None)
    assert rows[23]["team"] == "BOS"
    assert (rows[10]["home_score"], rows[10]["away_score"]) == (3, 0)
    assert (rows[9]["clock_s"], rows[9]["elapsed_s"]) == (680.5, 39.5)
    assert rows[40]["elapsed_s"] == 4 * 720 + 120
    assert sum(row["points"] for row in rows.values()) == 8 + 5


def test_as_of_hides_later_games_and_asks_for_none_of_them(source: NbaSource, vendor: Vendor) -> None:
    found = frames(source, as_of=datetime(2024, 11, 13, 5, 0, tzinfo=UTC))
    assert {key.split("/")[2] for key in found} == {"2024-11-12"}
    assert box_path(NEXT) not in vendor.paths()


def test_settled_days_are_never_asked_for_again_and_fresh_ones_daily(source: NbaSource, vendor: Vendor) -> None:
    cursors = {batch.key: batch.cursor for batch in source.batches(as_of=LATER, seasons=[2024], cursors={})}
    vendor.requests.clear()
    assert frames(source, as_of=LATER + timedelta(days=30), cursors=cursors) == {}
    assert vendor.paths() == [SCHEDULE]
    fresh = datetime(2024, 11, 14, 5, 0, tzinfo=UTC)
    cursors = {batch.key: batch.cursor for batch in source.batches(as_of=fresh, seasons=[2024], cursors={})}
    assert frames(source, as_of=fresh, cursors=cursors) == {}
    assert len(frames(source, as_of=fresh + timedelta(days=1), cursors=cursors)) == 6


def test_a_collect_stores_every_game_once_and_a_corrected_score_as_a_change(
    source: NbaSource, vendor: Vendor, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path, "nba")
    first = collect(source, workspace, as_of=LATER, seasons=[2024])
    assert (first.new, first.changed, first.duplicate, first.failed) == (6, 0, 0, 0)
    assert collect(source, workspace, as_of=LATER, seasons=[2024]).seen == 0
    vendor.put(
        SCHEDULE,
        nba_vendor.schedule(
            nba_vendor.scheduled(GAME, "2024-11-12", home=9), nba_vendor.scheduled(NEXT, "2024-11-13")
        ),
    )
    second = collect(source, workspace, as_of=LATER, seasons=[2024])
    assert (second.new, second.changed, second.duplicate) == (0, 1, 2)
    assert OfflineStore(workspace).read("games")["home_score"].to_list() == [9, 8]


@pytest.mark.parametrize("statuses", [(429,), (500, 503), (502, 504, 429)])
def test_transient_refusals_are_retried_with_growing_waits(
    source: NbaSource, vendor: Vendor, waits: list[float], statuses: tuple[int, ...]
) -> None:
    vendor.fail(SCHEDULE, *statuses)
    assert len(frames(source)) == 6
    assert vendor.paths().count(SCHEDULE) == len(statuses) + 1
    backoffs = [wait for wait in waits if wait >= 1.0]
    assert len(backoffs) == len(statuses)
    assert all(2.0**number <= wait <= 2.0**number + 1.0 for number, wait in enumerate(backoffs))


def test_retry_after_is_obeyed(source: NbaSource, vendor: Vendor, waits: list[float]) -> None:
    vendor.fail(SCHEDULE, 429, headers={"Retry-After": "17"})
    frames(source)
    assert 17.0 in waits


def test_requests_are_paced(source: NbaSource, waits: list[float]) -> None:
    frames(source)
    assert len(waits) == 4
    assert all(0.4 < wait <= 0.6 for wait in waits)


def test_a_vendor_that_stays_down_is_unavailable(source: NbaSource, vendor: Vendor) -> None:
    vendor.fail(SCHEDULE, 503, 503, 503, 503)
    with pytest.raises(SourceUnavailable, match=r"4 attempts \(HTTP 503\)"):
        frames(source)


def test_nobody_at_the_address_is_unavailable() -> None:
    session = requests.Session()
    session.trust_env = False
    client = NbaClient(stats_url="http://127.0.0.1:9/stats", session=session, attempts=2, sleep=lambda _: None)
    with pytest.raises(SourceUnavailable, match="did not answer in 2 attempts"):
        frames(NbaSource(client))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>blocked</html>",
        b"",
        b"[]",
        b"{}",
        b'{"leagueSchedule": {"weeks": [], "gameDates": [{"games": [{}]}]}}',
    ],
)
def test_garbage_is_unavailable_and_stores_nothing(
    source: NbaSource, vendor: Vendor, tmp_path: Path, body: bytes
) -> None:
    vendor.documents[SCHEDULE] = body
    with pytest.raises(SourceUnavailable, match="unknown shape"):
        collect(source, Workspace(tmp_path, "nba"), as_of=LATER, seasons=[2024])
    assert OfflineStore(Workspace(tmp_path, "nba")).seasons("games") == []


@pytest.mark.parametrize(
    ("path", "key", "value"), [(pbp_path(NEXT), "clock", "noon"), (pbp_path(NEXT), "period", None)]
)
def test_a_broken_game_stops_at_its_day(
    source: NbaSource, vendor: Vendor, tmp_path: Path, path: str, key: str, value: object
) -> None:
    document = json.loads(vendor.documents[path])
    document["game"]["actions"][3][key] = value
    vendor.put(path, document)
    workspace = Workspace(tmp_path, "nba")
    with pytest.raises(SourceUnavailable, match=f"{NEXT}|clock"):
        collect(source, workspace, as_of=LATER, seasons=[2024])
    assert OfflineStore(workspace).read("games")["game_id"].to_list() == [GAME]


def test_a_refusing_vendor_is_not_taken_for_a_missing_game(source: NbaSource, vendor: Vendor) -> None:
    vendor.fail(box_path(GAME), 403)
    with pytest.raises(SourceUnavailable, match="403"):
        frames(source)


def test_a_game_without_events_has_no_quarters_and_one_without_box_waits(
    source: NbaSource, vendor: Vendor
) -> None:
    del vendor.documents[pbp_path(GAME)]
    del vendor.documents[box_path(NEXT)]
    fresh = datetime(2024, 11, 14, 5, 0, tzinfo=UTC)
    found = {batch.key: batch for batch in source.batches(as_of=fresh, seasons=[2024], cursors={})}
    game = found["games/season=2024/2024-11-12"].frame.row(0, named=True)
    assert (game["periods"], game["home_q1"], game["home_score"]) == (None, None, 8)
    assert found["pbp/season=2024/2024-11-12"].frame.is_empty()
    assert found["games/season=2024/2024-11-13"].frame.is_empty()
    again = frames(source, as_of=fresh, cursors={key: batch.cursor for key, batch in found.items()})
    assert len(again) == 6


def test_there_are_no_salaries_at_nba_com(source: NbaSource) -> None:
    assert source.slates(date(2024, 11, 12)) == []


def test_a_season_before_play_by_play_is_refused(source: NbaSource) -> None:
    with pytest.raises(SourceUnavailable, match="1996"):
        list(source.batches(as_of=LATER, seasons=[1980], cursors={}))


OPENING = [
    nba_vendor.live(2, "period", "PT12M00.00S", subType="start"),
    nba_vendor.live(4, "jumpball", jumpBallWonPersonId=11, jumpBallLostPersonId=21, jumpBallRecoverdPersonId=12,
                    personId=12, teamTricode="BOS"),
    nba_vendor.live(7, "3pt", shotResult="Made", personId=11, teamTricode="BOS", shotDistance=26.3, scoreHome="3",
                    assistPersonId=12, subType="Jump Shot"),
]  # fmt: skip


def test_live_polling_gives_only_what_is_new_or_corrected(source: NbaSource, vendor: Vendor) -> None:
    vendor.put(LIVE, nba_vendor.live_pbp(GAME, OPENING))
    first = source.live_events(GAME)
    assert first.events["event_num"].to_list() == [2, 4, 7]
    shot = first.events.row(2, named=True)
    assert (shot["event_type"], shot["points"], shot["shot_dist"], shot["home_score"]) == ("made_shot", 3, 26, 3)
    assert (shot["p1_id"], shot["p2_id"], shot["home_team"], shot["wall_et_min"]) == (11, 12, "BOS", 20 * 60 + 41)
    assert shot["event_time"] == datetime(2024, 11, 2, 0, 41, 10, 500_000, tzinfo=UTC)
    assert shot["known_time"] == LATER
    jump = first.events.row(1, named=True)
    assert (jump["p1_id"], jump["p2_id"], jump["p3_id"]) == (11, 21, 12)

    unchanged = source.live_events(GAME, first.cursor)
    assert unchanged.events.is_empty()
    assert unchanged.events.schema == first.events.schema
    assert vendor.requests[-1][1]["If-None-Match"]

    out = nba_vendor.live(
        9, "substitution", "PT10M00.00S", subType="out", personId=11, teamTricode="BOS", scoreHome="3"
    )
    vendor.put(LIVE, nba_vendor.live_pbp(GAME, [*OPENING, out]))
    second = source.live_events(GAME, unchanged.cursor)
    assert second.events.select("event_num", "p1_id", "p2_id").rows() == [(9, 11, None)]

    corrected = {**OPENING[2], "assistPersonId": 13}
    entering = {**out, "actionNumber": 10, "orderNumber": 100_000, "subType": "in", "personId": 13}
    vendor.put(LIVE, nba_vendor.live_pbp(GAME, [*OPENING[:2], corrected, out, entering]))
    third = source.live_events(GAME, second.cursor)
    assert third.events.select("event_num", "p1_id", "p2_id").rows() == [(7, 11, 13), (9, 11, 13)]
    assert source.live_events(GAME, third.cursor).events.is_empty()


def test_live_steals_blocks_and_fouls_are_on_their_play(source: NbaSource, vendor: Vendor) -> None:
    actions = [
        nba_vendor.live(3, "turnover", personId=21, stealPersonId=12, teamTricode="NYK", subType="bad pass"),
        nba_vendor.live(4, "steal", personId=12, teamTricode="BOS"),
        nba_vendor.live(5, "2pt", shotResult="Missed", personId=22, blockPersonId=11, teamTricode="NYK"),
        nba_vendor.live(6, "block", personId=11, teamTricode="BOS"),
        nba_vendor.live(7, "foul", personId=11, foulDrawnPersonId=21, teamTricode="BOS", subType="personal"),
        nba_vendor.live(8, "freethrow", personId=21, shotResult="Missed", subType="1 of 2", teamTricode="NYK"),
        nba_vendor.live(9, "rebound", personId=0, subType="offensive", teamTricode="NYK"),
        nba_vendor.live(10, "newthing", teamTricode="NYK"),
    ]
    vendor.put(LIVE, nba_vendor.live_pbp(GAME, actions))
    rows = {row["event_num"]: row for row in source.live_events(GAME).events.iter_rows(named=True)}
    assert list(rows) == [3, 5, 7, 8, 9, 10]
    assert (rows[3]["p1_id"], rows[3]["p2_id"]) == (21, 12)
    assert (rows[5]["p3_id"], rows[5]["shot_value"], rows[5]["points"]) == (11, 2, 0)
    assert (rows[7]["p2_id"], rows[8]["points"], rows[8]["subtype"]) == (21, 0, "1 of 2")
    assert (rows[9]["subtype"], rows[10]["event_type"]) == ("team_offensive", "stoppage")


@pytest.mark.parametrize("status", [403, 404])
def test_a_game_whose_feed_is_not_open_is_not_published(source: NbaSource, vendor: Vendor, status: int) -> None:
    vendor.fail(LIVE, status)
    with pytest.raises(NotPublished, match="nothing is published"):
        source.live_events(GAME)


@pytest.mark.parametrize("body", [b"oops", b"[1]", b'{"game": {}}', b'{"game": {"actions": [{"clock": "x"}]}}'])
def test_live_garbage_is_unavailable(source: NbaSource, vendor: Vendor, body: bytes) -> None:
    vendor.documents[LIVE] = body
    with pytest.raises(SourceUnavailable):
        source.live_events(GAME)
