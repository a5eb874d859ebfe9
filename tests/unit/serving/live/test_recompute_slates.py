"""What news says of players, and which marks it leaves on a slate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from features.slate import Slate, SlateGame, SlatePlayer
from features.stores.slates import StoredSlate
from features.stream.directory import GameInfo
from features.stream.news import News
from serving.live.live_slates import REPLAYED, begun_games, marked, told_by
from serving.live.seen import Seen

TIP = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


def news(who: str, text: str | None, at: int = 0, **more: Any) -> News:
    """News of a subject, the `at`-th of the day."""
    given: dict[str, Any] = {"kind": "injury", "field": "injury_status", "name": "Luka Dončić"} | more
    return News(id=f"{who}{at}{text}", at=f"2026-03-01T00:{at:02d}:00", subject=who, new=text, **given)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([news("player:7", "Out")], "out"),
        ([news("player:7", "Day-To-Day")], "questionable"),
        ([news("player:7", "D")], "doubtful"),
        ([news("player:7", "Out"), news("player:7", None, 1)], "available"),
        ([news("player:7", "Out", 1), news("player:7", None, 0)], "out"),
        ([news("player:7", "he is doubtful for Friday", field="injury_comment"), news("player:7", "Day-To-Day")],
         "doubtful"),
        ([news("player:7", "he is doubtful for Friday", field="injury_comment"), news("player:7", "Out")], "out"),
        ([news("player:7", "he had 30 points", field="injury_comment")], None),
        ([news("player:7", "Day-To-Day"), news("player:7", "Yes", 1, kind="starter", field="starter")], "available"),
        ([news("player:7", "No", kind="starter", field="starter")], None),
        ([news("player:7", "8200", kind="salary", field="salary")], None),
        ([news("player:7", "abducted by aliens")], None),
    ],
)  # fmt: skip
def test_news_becomes_a_status(told: list[News], status: str | None) -> None:
    assert told_by(told).by_id.get(7) == status


def test_old_news_is_none() -> None:
    told = [news("player:7", "Out", 30)]
    assert told_by(told, lock=TIP + timedelta(hours=29)).by_id == {7: "out"}
    assert told_by(told, lock=TIP + timedelta(hours=31)).by_id == {}


def player(site_id: str, name: str, team: str, player_id: int | None = None, mark: str = "") -> SlatePlayer:
    """A player of the game BOS at LAL or MIA at DEN."""
    opponent = {"BOS": "LAL", "LAL": "BOS", "MIA": "DEN", "DEN": "MIA"}[team]
    return SlatePlayer(site_id, name, ("PG",), 5000, team, opponent, team in ("LAL", "DEN"), 20.0, mark, player_id)


SLATE = Slate(
    "dk-1", "draftkings", "nba", "classic", TIP,
    (SlateGame("BOS", "LAL", TIP), SlateGame("MIA", "DEN", TIP + timedelta(hours=2))),
    (player("1", "Luka Doncic", "LAL", 7), player("2", "Jayson Tatum", "BOS"), player("3", "Nikola Jokic", "DEN"),
     player("4", "Jamal Murray", "DEN", 9, "Q")),
)  # fmt: skip


def test_marks_go_by_id_or_name_to_who_has_not_begun() -> None:
    stored = StoredSlate("nba", SLATE)
    told = told_by(
        [news("player:7", "Out"), news("name:Jayson Tatum", "Out", name="Jayson Tatum"),
         news("player:33", "Out", name=None), news("player:9", "available", name=None)]
    )  # fmt: skip
    now = marked(stored, {"3": 33}, told, frozenset({"BOS@LAL"}))
    assert [p.injury_status for p in now.slate.players] == ["", "", "O", ""]
    everybody = marked(stored, {"3": 33}, told, frozenset())
    assert [p.injury_status for p in everybody.slate.players] == ["O", "O", "O", ""]
    assert marked(stored, {}, told_by([news("player:9", "Q", name=None)]), frozenset()) is stored
    assert marked(stored, {}, told_by([]), frozenset()) is stored


class SeenGames:
    """Games the stream tells of."""

    def __init__(self, *games: GameInfo) -> None:
        self.games = games

    def game_between(self, home: str, away: str, tip: datetime | None) -> str | None:
        """As `Seen.game_between`."""
        return next((g.game_id for g in self.games if (g.home_team, g.away_team) == (home, away)), None)


def test_a_game_has_begun_by_its_tip_or_its_plays() -> None:
    none, one = (cast("Seen", SeenGames(*games)) for games in ((), (GameInfo("g", 2025, "DEN", "MIA", TIP),)))
    assert begun_games(SLATE, none, TIP - timedelta(seconds=1)) == frozenset()
    assert begun_games(SLATE, none, TIP) == {"BOS@LAL"}
    assert begun_games(SLATE, one, TIP - timedelta(hours=1)) == {"MIA@DEN"}
    # A day long over is being replayed: the wall clock says nothing of it.
    later = TIP + REPLAYED + timedelta(hours=1)
    assert begun_games(SLATE, none, later) == frozenset()
    assert begun_games(SLATE, one, later) == {"MIA@DEN"}
    undated = replace(SLATE, lock=None, games=(SlateGame("BOS", "LAL", None),))
    assert begun_games(undated, none, later) == frozenset()
