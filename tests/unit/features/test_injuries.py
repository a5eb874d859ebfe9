"""Transactions, official reports and feed changes become one table that never knows before it could."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.errors import SourceUnavailable
from features.slate import Slate, SlatePlayer
from features.sources.injuries import (
    INJURIES,
    STATUSES,
    injury_table,
    injury_team,
    mark_slate,
    read_feed,
    read_injuries,
    read_report,
    read_transactions,
    recorded_injuries,
    statuses,
)

DIRECTORY = pl.DataFrame(
    {
        "player_id": [1, 2, 3, 4], "player_name": ["Nikola Jokić", "Enes Freedom", "Mike Scott", "Bam Adebayo"],
        "team": ["DEN", "BOS", "WAS", "MIA"], "last_played": [date(2023, 4, 1)] * 4,
    },
    schema={"player_id": pl.Int32, "player_name": pl.String, "team": pl.String, "last_played": pl.Date},
)  # fmt: skip


def _transactions(folder: Path) -> Path:
    path = folder / "injury_transactions.parquet"
    pl.DataFrame(
        {
            "date": [date(2022, 3, 11), date(2022, 3, 13), date(2022, 3, 13), date(2022, 3, 14)],
            "team": ["Nuggets", "Nuggets", "Celtics", "Nets"],
            "acquired": [None, " Nikola Jokic", None, None],
            "relinquished": [" Nikola Jokic", None, " Enes Freedom / Enes Kanter", None],
            "notes": ["placed on IL with sore back", "activated from IL", "placed on IL", "nobody"],
        }
    ).write_parquet(path)
    return path


def _report(folder: Path, clock: str, status: str) -> Path:
    path = folder / f"Injury-Report_2026-02-08_{clock}.csv"
    path.write_text(
        "gameDate,team,player,status,reason,page\n"
        f'02/08/2026,Miami Heat,"Adebayo, Bam",{status},Injury/Illness - Right Hip; Tightness,1\n'
        '02/08/2026,Miami Heat,"Nobody, Known",Out,G League,1\n'
        "02/08/2026,Miami Heat,,NOT YET SUBMITTED,,1\n"
    )
    return path


def test_a_transaction_is_known_only_after_its_day(tmp_path: Path) -> None:
    found = injury_table([read_transactions(_transactions(tmp_path))], DIRECTORY)
    assert found.schema == INJURIES
    assert set(found.select("player_id", "team", "status").rows()) == {
        (1, "DEN", "out"), (2, "BOS", "out"), (1, "DEN", "available"),
    }  # fmt: skip
    jokic = found.filter(pl.col("player_id") == 1)
    # The clocks went forward on 13 March: midnight Eastern is 05:00 UTC before, 04:00 after.
    assert jokic["known_time"].to_list() == [
        datetime(2022, 3, 12, 5, tzinfo=UTC),
        datetime(2022, 3, 14, 4, tzinfo=UTC),
    ]
    evening = datetime(2022, 3, 12, 1, tzinfo=UTC)
    assert statuses(found, evening).is_empty()
    assert statuses(found, evening + timedelta(hours=5))["status"].to_list() == ["out"]
    assert set(statuses(found, evening + timedelta(days=3)).select("player_id", "status").rows()) == {
        (1, "available"), (2, "out"),
    }  # fmt: skip


def test_a_report_tells_its_time_in_its_name(tmp_path: Path) -> None:
    parts = [
        read_report(_report(tmp_path, "03_30PM", "Questionable")),
        read_report(_report(tmp_path, "06_15PM", "Out")),
    ]
    found = injury_table(parts, DIRECTORY)
    assert found.height == 4 and set(found["status"]) <= set(STATUSES)
    assert found.filter(pl.col("player_name") == "Known Nobody")["player_id"].to_list() == [None, None]
    at = datetime(2026, 2, 8, 20, 30, tzinfo=UTC)
    assert statuses(found, at)["status"].to_list() == ["questionable"]
    assert statuses(found, at - timedelta(seconds=1)).is_empty()
    assert statuses(found, datetime(2026, 2, 8, 23, 15, tzinfo=UTC)).row(0)[:2] == (4, "out")
    nameless = tmp_path / "report.csv"
    nameless.write_text("team,player,status,reason\n")
    with pytest.raises(SourceUnavailable, match="when it was published"):
        read_report(nameless)


def test_a_feed_gives_changes_only_and_listens_to_its_comments(tmp_path: Path) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    marks = [
        (0, "Bam Adebayo", "MIA", None, None), (1, "Bam Adebayo", "MIA", "Day-To-Day", "He is probable for Monday."),
        (1, "Bam Adebayo", "MIA", None, None), (2, "Bam Adebayo", "MIA", "Day-To-Day", "He is probable for Monday."),
        (3, "Bam Adebayo", "MIA", "Out", "Mar 4: ruled out"), (4, "Bam Adebayo", "MIA", None, None),
        (1, "Heat/Bulls", "MIA/CHI", "Out", None), (1, "Mike Scott", "WAS", "Day-To-Day", None),
    ]  # fmt: skip
    path = tmp_path / "feed.parquet"
    pl.DataFrame(
        [(start + timedelta(hours=hour), *rest) for hour, *rest in marks], orient="row",
        schema=["ts", "player", "team", "injury_status", "injury_comment"],
    ).write_parquet(path)  # fmt: skip
    found = injury_table([read_feed(path)], DIRECTORY)
    bam = found.filter(pl.col("player_id") == 4)
    assert bam["status"].to_list() == ["probable", "out", "available"]
    assert bam["known_time"].to_list() == [start + timedelta(hours=hour) for hour in (1, 3, 4)]
    assert found.filter(pl.col("player_id") == 3)["status"].to_list() == ["questionable"]
    assert found["team"].str.len_chars().max() == 3


def test_a_slate_takes_over_marks_it_lacks(tmp_path: Path) -> None:
    found = injury_table([read_report(_report(tmp_path, "06_15PM", "Out"))], DIRECTORY)
    lock = datetime(2026, 2, 9, 0, 0, tzinfo=UTC)
    players = tuple(
        SlatePlayer(str(n), f"p{n}", ("PG",), 5000, "MIA", "WAS", True, 20.0, status, player_id)
        for n, (player_id, status) in enumerate([(4, ""), (4, "Q"), (3, ""), (None, "")])
    )
    slate = Slate("s", "draftkings", "nba", "classic", lock, (), players)

    def marks(asked: Slate) -> list[str]:
        return [player.injury_status for player in mark_slate(asked, found).players]

    assert marks(slate) == ["O", "Q", "", ""]
    early = Slate("s", "draftkings", "nba", "classic", lock - timedelta(hours=2), (), players)
    late = Slate("s", "draftkings", "nba", "classic", lock + timedelta(days=3), (), players)
    assert marks(early) == marks(late) == ["", "Q", "", ""]
    undated = Slate("s", "draftkings", "nba", "classic", None, (), players)
    assert mark_slate(undated, found) is undated


def test_teams_by_nickname_full_name_and_abbreviation() -> None:
    names = ("Blazers", "Portland Trail Blazers", "76ers", "LA Clippers", "Bobcats", "PHO", "mia")
    assert [injury_team(name) for name in names] == ["POR", "POR", "PHI", "LAC", "CHA", "PHX", "MIA"]


def test_what_lacks_columns_or_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        read_transactions(tmp_path / "absent.parquet")
    odd = tmp_path / "odd.parquet"
    pl.DataFrame({"date": [date(2022, 1, 1)]}).write_parquet(odd)
    with pytest.raises(SourceUnavailable, match="relinquished"):
        read_transactions(odd)
    assert recorded_injuries(tmp_path, DIRECTORY).is_empty()


@pytest.mark.real_data
def test_recorded_transactions_find_their_players(fantasy_data: Path) -> None:
    box = pl.read_parquet(fantasy_data / "nba" / "box" / "season=2022.parquet")
    directory = (
        box.sort("game_date").unique("player_id", keep="last")
        .select(pl.col("player_id").cast(pl.Int32), "player_name", "team", last_played="game_date")
    )  # fmt: skip
    found = recorded_injuries(fantasy_data, directory)
    recent = found.filter((pl.col("source") == "transactions") & (pl.col("event_time").dt.year() == 2023))
    assert recent.height > 800 and recent["player_id"].is_not_null().mean() > 0.95  # type: ignore[operator]
    assert (recent["known_time"] > recent["event_time"]).all()
    assert set(found["source"]) == {"transactions", "official_report", "feed"}


def test_a_file_of_injuries_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    assert set(read_injuries(_transactions(tmp_path))["source"]) == {"transactions"}
    assert set(read_injuries(_report(tmp_path, "05_00PM", "Out"))["source"]) == {"official_report"}
    unknown = tmp_path / "injuries.xlsx"
    unknown.write_bytes(b"")
    with pytest.raises(SourceUnavailable, match=r"injuries\.xlsx: \.xlsx files are not known"):
        read_injuries(unknown)
    broken = tmp_path / "injuries.parquet"
    broken.write_bytes(b"not Parquet")
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        read_injuries(broken)
