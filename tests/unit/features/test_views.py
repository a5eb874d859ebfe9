"""Feature views and assembled rows: figures checked by hand, and the contract of their columns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from features.errors import InvalidInput, SchemaError
from features.labels import player_labels
from features.slate import Slate, SlateGame, SlatePlayer
from features.tables import Tables
from features.views import (
    ANNOUNCED_FEATURES,
    GAME_ANNOUNCED_FEATURES,
    GAME_FEATURES,
    PLAYER_FEATURES,
    VIEW_KEYS,
    VIEW_VERSIONS,
    Views,
    compute_views,
    game_rows,
    player_rows,
)
from features.views.announced import LEAST_REGULAR_MIN, LEAST_ROSTER
from features.views.entities import (
    GAME_ENTITY,
    PLAYER_ENTITY,
    candidate_entities,
    game_entities,
    played_entities,
    player_directory,
    slate_entities,
)
from tests.fixtures.league import small_league


@pytest.fixture(scope="module")
def tables() -> Tables:
    return small_league()


@pytest.fixture(scope="module")
def views(tables: Tables) -> Views:
    return compute_views(tables)


@pytest.fixture(scope="module")
def rows(tables: Tables, views: Views) -> pl.DataFrame:
    return player_rows(played_entities(tables), views)


def history(tables: Tables, player: int) -> pl.DataFrame:
    labels = player_labels(tables)
    return (
        tables.box.filter(pl.col("player_id") == player)
        .join(labels, on=["game_id", "player_id"])
        .sort("event_time")
    )


def test_rows_are_one_to_one_in_order_and_float32(tables: Tables, rows: pl.DataFrame) -> None:
    entities = played_entities(tables)
    assert dict(entities.schema) == PLAYER_ENTITY
    assert rows.select(entities.columns).equals(entities)
    assert rows.columns == [*entities.columns, *PLAYER_FEATURES]
    assert {rows.schema[name] for name in PLAYER_FEATURES} == {pl.Float32()}
    assert len(set(PLAYER_FEATURES)) == len(PLAYER_FEATURES)
    assert set(ANNOUNCED_FEATURES) < set(PLAYER_FEATURES)
    finite = rows.select(pl.col(name).is_finite().all() for name in PLAYER_FEATURES)
    assert all(finite.row(0))
    shuffled = entities.sample(fraction=1, shuffle=True, seed=2)
    again = player_rows(shuffled, compute_views(tables))
    assert again.sort("game_id", "player_id").equals(rows.sort("game_id", "player_id"))


def test_game_rows_are_one_to_one_in_order_and_float32(tables: Tables, views: Views) -> None:
    entities = game_entities(tables)
    out = game_rows(entities, views)
    assert dict(entities.schema) == GAME_ENTITY
    assert out.select(entities.columns).equals(entities)
    assert {out.schema[name] for name in GAME_FEATURES} == {pl.Float32()}
    assert not {name for name in (*GAME_FEATURES, *PLAYER_FEATURES) if "spread" in name or "close_home" in name}


def test_every_feature_varies(rows: pl.DataFrame, tables: Tables, views: Views) -> None:
    constant = [name for name in PLAYER_FEATURES if rows[name].drop_nulls().n_unique() < 2]
    assert constant == []
    games = game_rows(game_entities(tables), views, rows)
    # All four teams of the small league play on the same days, so nobody is better rested.
    assert {name for name in GAME_FEATURES if games[name].drop_nulls().n_unique() < 2} <= {
        "games_season_difference", "rest_days_difference", "games_in_week_difference",
    }  # fmt: skip


def test_season_means_count_only_games_before(tables: Tables, rows: pl.DataFrame) -> None:
    player = 301
    past = history(tables, player)
    mine = rows.filter(pl.col("player_id") == player).sort("as_of")
    for season in (2020, 2021):
        games = past.filter(pl.col("season") == season)
        seen = mine.filter(pl.col("season") == season)
        for n in range(1, games.height):
            expected = games["fantasy_points_draftkings"].head(n).mean()
            assert seen["dk_season"][n] == pytest.approx(expected, rel=1e-5)
            assert seen["games_season"][n] == n
        assert seen["dk_season"][0] is None
    first = mine.filter(pl.col("season") == 2021).row(0, named=True)
    before = past.filter(pl.col("season") == 2020)["fantasy_points_draftkings"]
    assert first["prior_season_dk"] == pytest.approx(before.mean(), rel=1e-5)
    assert first["new_season"] == 1
    assert first["dk_career"] == pytest.approx(before.mean(), rel=1e-5)
    assert first["dk_last"] == pytest.approx(before[-1])
    assert mine["prior_season_dk"].to_list()[-1] == first["prior_season_dk"]


def test_exponential_means_follow_their_definition(tables: Tables, rows: pl.DataFrame) -> None:
    past = history(tables, 402)["min"].to_list()
    seen = rows.filter(pl.col("player_id") == 402).sort("as_of")["min_ewm5"].to_list()
    for n in range(1, len(past)):
        weights = [0.5 ** (age / 5) for age in range(n)][::-1]
        expected = sum(w * m for w, m in zip(weights, past[:n], strict=True)) / sum(weights)
        assert seen[n] == pytest.approx(expected, rel=1e-5)


def test_a_debut_knows_nothing_of_the_player_but_all_of_the_teams(rows: pl.DataFrame) -> None:
    debut = rows.filter(pl.col("player_id") == 158).sort("as_of").row(0, named=True)
    assert debut["season"] == 2021
    assert all(
        debut[name] is None for name in ("dk_ewm5", "min_last", "days_since_last", "new_team", "presence10")
    )
    assert debut["team_power"] is not None
    assert debut["opp_rest_days"] is not None


def test_a_trade_is_seen_and_counted(tables: Tables, rows: pl.DataFrame) -> None:
    moved = rows.filter(pl.col("player_id") == 100).sort("as_of")
    change = (moved["team"] != moved["team"].shift(1)).fill_null(False)
    assert change.sum() >= 1
    at = int(change.arg_max() or 0)
    assert moved["new_team"][at] == 1
    assert moved["team_games_missed"][at] is None
    assert moved["new_team"][at + 1] == 0
    assert moved["dk_ewm30"][at] is not None


def test_games_missed_and_presence_count_team_games(tables: Tables, rows: pl.DataFrame) -> None:
    games = tables.box.select("game_id", "team", "event_time").unique().sort("event_time")
    checked = 0
    for row in rows.filter(pl.col("new_team") == 0).sort("as_of").tail(200).iter_rows(named=True):
        mine = history(tables, row["player_id"]).filter(pl.col("event_time") < row["as_of"])
        since = games.filter(
            (pl.col("team") == row["team"])
            & (pl.col("event_time") > mine["event_time"][-1])
            & (pl.col("event_time") < row["as_of"])
        )
        assert row["team_games_missed"] == since.height
        assert row["days_since_last"] == min(60, (row["game_date"] - mine["game_date"][-1]).days)
        checked += since.height > 0
    assert checked > 5


def test_elo_is_zero_sum_and_favours_winners(tables: Tables, views: Views) -> None:
    strength = views["team_strength"]
    first_season = strength.filter(pl.col("season") == 2020)
    last = first_season.sort("event_time").group_by("team", maintain_order=True).last()
    assert last["elo"].sum() == pytest.approx(4 * 1500, abs=0.01)
    assert last["power"].sum() == pytest.approx(0, abs=1e-4)
    ranked = last.sort("win_share_season")
    assert ranked["elo"][-1] > ranked["elo"][0]


def test_rest_and_streaks_by_hand(tables: Tables, views: Views) -> None:
    schedule = tables.games.sort("event_time")
    for row in game_rows(game_entities(tables), views).tail(30).iter_rows(named=True):
        for side in ("home", "away"):
            team = row[f"{side}_team"]
            before = schedule.filter(
                (pl.col("event_time") < row["as_of"])
                & ((pl.col("home_team") == team) | (pl.col("away_team") == team))
            )
            days = [(row["game_date"] - day).days for day in before["game_date"].reverse()]
            assert row[f"{side}_back_to_back"] == (days[0] == 1)
            assert row[f"{side}_third_in_four"] == (days[1] <= 3)
        ahead = {t: tables.games.filter((pl.col("event_time") < row["as_of"])
                 & ((pl.col("home_team") == t) | (pl.col("away_team") == t))).sort("event_time")
                 for t in (row["home_team"], row["away_team"])}  # fmt: skip
        rest = {t: min(10, (row["game_date"] - g["game_date"][-1]).days) for t, g in ahead.items()}
        assert row["rest_days_difference"] == rest[row["home_team"]] - rest[row["away_team"]]
        streak = {t: _road_streak(g["away_team"].to_list(), t) for t, g in ahead.items()}
        assert row["away_streak_difference"] == streak[row["home_team"]] - streak[row["away_team"]]


def _road_streak(away_teams: list[str], team: str) -> int:
    count = 0
    while count < len(away_teams) and away_teams[-1 - count] == team:
        count += 1
    return count


def test_vacated_minutes_are_those_of_missing_regulars(tables: Tables, views: Views) -> None:
    everyone = played_entities(tables)
    last_game = everyone.sort("as_of")["game_id"][-1]
    team = everyone.filter(pl.col("game_id") == last_game)["team"][0]
    side = everyone.filter((pl.col("game_id") == last_game) & (pl.col("team") == team))
    lists = views["rotation"].filter((pl.col("team") == team) & (pl.col("event_time") < side["as_of"][0]))
    carried = lists.sort("event_time").tail(1).explode("players", "minutes", "chances", "points", "starts")
    regulars = carried.filter(pl.col("minutes") >= LEAST_REGULAR_MIN)
    star = int(regulars["players"][0])
    for out in ([], [star]):
        asked = side.filter(~pl.col("player_id").is_in(out))
        assert asked.height >= LEAST_ROSTER
        missing = regulars.filter(~pl.col("players").is_in(asked["player_id"].implode()))
        answer = player_rows(asked, views)
        assert answer["vacated_minutes"].to_list() == pytest.approx([missing["minutes"].sum()] * asked.height)
        assert answer["vacated_points"].to_list() == pytest.approx([missing["points"].sum()] * asked.height)
        assert answer["opp_vacated_points"].null_count() == asked.height
    few = player_rows(side.head(LEAST_ROSTER - 1), views)
    assert few["vacated_minutes"].null_count() == few.height
    assert few["dk_ewm5"].null_count() == 0


def test_a_star_ruled_out_weakens_his_side_of_the_game(tables: Tables, views: Views) -> None:
    players = played_entities(tables).sort("as_of").tail(40)
    last = players.filter(pl.col("game_id") == players["game_id"][-1])
    games = game_entities(tables).filter(pl.col("game_id") == last["game_id"][0])
    home = player_rows(last, views).filter("is_home").sort("dk_expected")
    full = game_rows(games, views, player_rows(last, views)).row(0, named=True)
    without = last.filter(pl.col("player_id") != home["player_id"][-1])
    assert without.filter("is_home").height >= LEAST_ROSTER
    weak = game_rows(games, views, player_rows(without, views)).row(0, named=True)
    assert weak["listed_top3_difference"] < full["listed_top3_difference"]
    assert weak["vacated_minutes_difference"] > full["vacated_minutes_difference"]
    silent = game_rows(games, views).row(0, named=True)
    assert all(silent[name] is None for name in GAME_ANNOUNCED_FEATURES)
    assert all(silent[name] == full[name] for name in GAME_FEATURES if name not in GAME_ANNOUNCED_FEATURES)


def test_a_start_not_announced_leaves_only_the_role_unknown(tables: Tables, views: Views) -> None:
    entities = played_entities(tables).tail(40)
    known = player_rows(entities, views)
    unknown = player_rows(entities.with_columns(starter=pl.lit(None, dtype=pl.Boolean)), views)
    role = ["announced_starter", "starter_change", "min_in_role", "dk_in_role"]
    assert unknown.select(pl.col(role).null_count()).row(0) == (40,) * 4
    rest = [name for name in PLAYER_FEATURES if name not in role]
    assert unknown.select(rest).equals(known.select(rest))


def test_candidates_add_those_who_might_have_played(tables: Tables) -> None:
    candidates = candidate_entities(tables)
    played = candidates.filter("played")
    assert set(played.select("game_id", "player_id").rows()) == set(
        tables.box.select("game_id", "player_id").rows()
    )
    assert candidates.select("game_id", "player_id").is_unique().all()
    idle = candidates.filter(~pl.col("played"))
    assert idle.height > 50
    for row in idle.sample(30, seed=1).iter_rows(named=True):
        before = history(tables, row["player_id"]).filter(pl.col("event_time") < row["as_of"])
        assert before["team"][-1] == row["team"]
        assert row["as_of"] - before["event_time"][-1] <= timedelta(days=21)


def slate_of(tables: Tables, lock: datetime | None) -> Slate:
    directory = player_directory(tables)
    opponent = {"AAA": "BBB", "BBB": "AAA"}
    players = tuple(
        SlatePlayer(
            site_id=str(row["player_id"]), name=row["player_name"], positions=("PG",), salary_usd=5000,
            team=row["team"], opponent=opponent[row["team"]], is_home=row["team"] == "AAA", average_points=10.0,
            injury_status="OUT" if n == 3 else "", player_id=None if n == 4 else row["player_id"],
        )
        for n, row in enumerate(directory.filter(pl.col("team").is_in(["AAA", "BBB"])).iter_rows(named=True))
    )  # fmt: skip
    return Slate("s", "draftkings", "nba", "classic", lock, (SlateGame("BBB", "AAA", lock),), players)


def test_slate_entities_take_the_lock_and_leave_out_the_ruled_out(tables: Tables, views: Views) -> None:
    lock = datetime(2021, 12, 20, 0, 30, tzinfo=UTC)
    slate = slate_of(tables, lock)
    players, games = slate_entities(slate)
    assert dict(players.schema) == PLAYER_ENTITY
    assert dict(games.schema) == GAME_ENTITY
    assert players.height == len(slate.players) - 2
    assert players["as_of"].unique().to_list() == [lock]
    assert str(players["game_date"][0]) == "2021-12-19"
    assert players["season"].unique().to_list() == [2021]
    assert players["game_id"].unique().to_list() == games["game_id"].to_list() == ["BBB@AAA"]
    assert player_rows(players, views)["vacated_minutes"].null_count() == 0
    assert game_rows(games, views)["elo_home_win"].null_count() == 0
    with pytest.raises(InvalidInput, match="lock"):
        slate_entities(slate_of(tables, None))


def test_a_missing_view_is_named(tables: Tables, views: Views) -> None:
    some = {name: view for name, view in views.items() if name != "matchup"}
    with pytest.raises(SchemaError, match="matchup"):
        player_rows(played_entities(tables), some)


def test_views_of_no_games_are_empty_and_still_join(tables: Tables) -> None:
    nothing = compute_views(Tables(tables.games.clear(), tables.box.clear()))
    assert all(view.is_empty() for view in nothing.values())
    out = player_rows(played_entities(tables).head(5), nothing)
    assert out["dk_ewm5"].null_count() == 5
    assert game_rows(game_entities(tables).head(5), nothing)["elo_home_win"].null_count() == 5


#: Sum of all figures of each view of the small league. When one moves, the view means something else:
#: bump its NUMBER, so that bundles and caches built on the old meaning are told apart, and record the new sum.
RECORDED = {
    "player_form": ("1", 3820360.5415),
    "minutes": ("1", 7147841.1331),
    "matchup": ("1", 2013.2179),
    "rotation": ("1", 496941.79),
    "team_strength": ("1", 788951.3814),
    "rest": ("1", 467093.0),
}


def total(view: pl.DataFrame) -> float:
    """The sum of every number in the view, those in lists and the days of dates since 2020 included."""
    figures = view.drop("event_time", "known_time", "team", strict=False)
    flat = [figures[c].explode() if isinstance(t, pl.List) else figures[c] for c, t in figures.schema.items()]
    dates = [column - date(2020, 1, 1) for column in flat if column.dtype == pl.Date]
    days = sum(int(column.dt.total_days().sum()) for column in dates)
    return days + sum(float(column.cast(pl.Float64).sum()) for column in flat if column.dtype != pl.Date)


def test_a_changed_meaning_changes_the_version(views: Views) -> None:
    assert set(VIEW_VERSIONS) == set(VIEW_KEYS) == set(views)
    measured = {name: (VIEW_VERSIONS[name].partition("-")[0], total(view)) for name, view in views.items()}
    for name, (number, figure) in RECORDED.items():
        assert measured[name] == (number, pytest.approx(figure, rel=1e-6)), name
    assert set(RECORDED) == set(views)
