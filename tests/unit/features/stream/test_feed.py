"""A recorded DFS feed as news: changes only, each once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.errors import SchemaError, SourceUnavailable
from features.stream.feed import FIELDS, Feed, changes, ids_by_name, read_feed
from features.stream.news import decode_json, encode_json

START = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)
MAIN, NIGHT = "Classic 3/5 7:00PM, 6 Games", "Night 3/5 10:00PM, 2 Games"


def sighting(minute: int, player: str = "Luka Dončić", slate: str | None = MAIN, **values: Any) -> dict[str, Any]:
    base = {"ts": START + timedelta(minutes=minute), "date": date(2026, 3, 5), "player": player, "team": "LAL"}
    return {**base, "slate": slate, "pos": "PG", "salary": None, "proj_fp": None, "injury_status": None,
            "starter": None, "spread": None, "mkt_pts": None, **values}  # fmt: skip


def feed(*rows: dict[str, Any], ids: dict[str, int] | None = None) -> Feed:
    schema = {
        "ts": pl.Datetime("us", "UTC"), "date": pl.Date(), "player": pl.Categorical(), "team": pl.Categorical(),
        "slate": pl.Categorical(), "pos": pl.Categorical(), "salary": pl.Int32(), "proj_fp": pl.Float32(),
        "injury_status": pl.Categorical(), "starter": pl.Categorical(), "spread": pl.Float32(),
        "mkt_pts": pl.Float32(),
    }  # fmt: skip
    return changes(pl.DataFrame(rows, schema=schema), ids)


def told(given: Feed) -> list[tuple[str | None, str | None, str, str | None, str | None]]:
    return [(news.name, news.slate, news.field, news.old, news.new) for news in given.news]


def test_only_changes_are_news() -> None:
    given = feed(
        sighting(0, salary=9800, proj_fp=51.2),
        sighting(5, salary=9800, proj_fp=51.2),
        sighting(9, salary=10000, proj_fp=51.9),
    )
    assert told(given) == [
        ("Luka Dončić", MAIN, "proj_fp", "51.2", "51.9"),
        ("Luka Dončić", MAIN, "salary", "9800", "10000"),
    ]
    news = given.news[0]
    assert (news.kind, news.at, news.team) == ("projection", "2026-03-05T15:09:00+00:00", "LAL")
    moment = START + timedelta(minutes=9)
    assert given.at_ns.tolist() == [int(moment.timestamp()) * 10**9] * 2


def test_an_injury_is_news_when_it_is_first_seen_and_when_it_is_over() -> None:
    given = feed(
        sighting(0, injury_status="Out", starter="No"), sighting(5, injury_status=None, starter="Yes"),
    )  # fmt: skip
    assert told(given) == [
        ("Luka Dončić", None, "injury_status", None, "Out"),
        ("Luka Dončić", None, "starter", None, "No"),
        ("Luka Dončić", None, "injury_status", "Out", None),
        ("Luka Dončić", None, "starter", "No", "Yes"),
    ]


def test_what_slates_repeat_is_told_once() -> None:
    given = feed(
        sighting(0), sighting(0, slate=NIGHT), sighting(5, injury_status="Out"),
        sighting(5, slate=NIGHT, injury_status="Out"), sighting(9, slate="Turbo", injury_status="Out"),
    )  # fmt: skip
    assert told(given) == [("Luka Dončić", None, "injury_status", None, "Out")]
    later = feed(
        sighting(0, mkt_pts=28.5), sighting(0, slate=NIGHT, mkt_pts=28.5), sighting(5, mkt_pts=29.5),
        sighting(7, slate=NIGHT, mkt_pts=29.5), sighting(9, mkt_pts=28.5),
    )  # fmt: skip
    assert told(later) == [
        ("Luka Dončić", None, "mkt_pts", "28.5", "29.5"),
        ("Luka Dončić", None, "mkt_pts", "29.5", "28.5"),
    ]


def test_a_line_of_the_game_is_the_teams() -> None:
    given = feed(
        sighting(0, spread=-4.5), sighting(0, "Austin Reaves", spread=-4.5),
        sighting(5, spread=-5.5), sighting(5, "Austin Reaves", spread=-5.5),
    )  # fmt: skip
    assert told(given) == [("LAL", None, "spread", "-4.5", "-5.5")]
    assert given.news[0].subject == "name:LAL"


def test_a_captain_has_a_salary_of_his_own_and_no_projection() -> None:
    flex: dict[str, Any] = {"salary": 10200, "proj_fp": 40.5}
    given = feed(
        sighting(0, **flex), sighting(0, pos="CPT", **{**flex, "salary": 15300}),
        sighting(5, salary=10400, proj_fp=41.5), sighting(5, pos="CPT", salary=15600, proj_fp=41.5),
    )  # fmt: skip
    assert told(given) == [
        ("Luka Dončić", MAIN, "proj_fp", "40.5", "41.5"),
        ("Luka Dončić", MAIN, "salary", "10200", "10400"),
        ("Luka Dončić", MAIN, "captain_salary", "15300", "15600"),
    ]


def test_salaries_and_projections_need_a_slate() -> None:
    rows = sighting(0, slate=None, salary=1, injury_status="Out"), sighting(5, slate=None, salary=2)
    assert [news.field for news in feed(*rows).news] == ["injury_status", "injury_status"]


def test_players_who_are_known_have_their_id() -> None:
    people = pl.DataFrame(
        {"player_id": [1629029, 7, 8], "player_name": ["Luka Doncic", "Jalen Williams", "Jalen Williams"]}
    )
    ids = ids_by_name(people)
    assert ids == {"luka doncic": 1629029}
    rows = [sighting(0, name, injury_status="Out") for name in ("Luka Dončić", "Jalen Williams")]
    assert sorted(news.subject for news in feed(*rows, ids=ids).news) == ["name:Jalen Williams", "player:1629029"]


def test_the_same_feed_gives_the_same_news_in_any_order_of_rows() -> None:
    rows = [
        sighting(minute, name, slate, proj_fp=minute * 1.5, injury_status="Out" if minute > 3 else None)
        for minute in range(6)
        for name in ("A B", "C D")
        for slate in (MAIN, NIGHT)
    ]
    one, other = feed(*rows), feed(*reversed(rows))
    assert one.news == other.news
    assert len({news.id for news in one.news}) == len(one.news)
    assert all(decode_json(encode_json(news)) == news for news in one.news)


def test_wrong_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"nothing\.parquet is not readable"):
        read_feed(tmp_path / "nothing.parquet")
    pl.DataFrame({"ts": [START], "player": ["A"]}).write_parquet(tmp_path / "short.parquet")
    with pytest.raises(SchemaError, match=r"short\.parquet lacks columns \['team', 'date', 'slate'\]"):
        read_feed(tmp_path / "short.parquet")
    keys = {"ts": [START], "player": ["A"], "team": ["LAL"], "date": [date(2026, 3, 5)], "slate": [MAIN]}
    with pytest.raises(SchemaError, match="injury_status"):
        changes(pl.DataFrame(keys))
    naive = pl.DataFrame({**keys, "salary": [1]}).with_columns(pl.col("ts").dt.replace_time_zone(None))
    with pytest.raises(SchemaError, match="times with a zone"):
        changes(naive)


def test_the_recorded_feed(fantasy_data: Path) -> None:
    files = sorted((fantasy_data / "dfs" / "feed").glob("*.parquet"))
    if not files:
        pytest.skip("no recorded feed")
    rows, given = pl.read_parquet(files[0]), read_feed(files[0])
    assert (given.at_ns[1:] >= given.at_ns[:-1]).all()
    assert {news.kind for news in given.news} >= {"injury", "starter", "line", "projection"}
    assert all(news.old != news.new for news in given.news)
    assert len({news.id for news in given.news}) == len(given.news)
    # What was told last of a player is what the feed says last of him on that day.
    last = {(news.name, news.at[:10]): news.new for news in given.news if news.field == "injury_status"}
    assert set(last.values()) <= {*rows["injury_status"].cast(pl.String).unique(), None}
    assert set(FIELDS) >= {news.field for news in given.news}
