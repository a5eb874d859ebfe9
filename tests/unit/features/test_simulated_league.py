"""The simulated league: consistent tables, the same for the same seed, and close to published NBA averages.

Published league averages (basketball-reference.com, "NBA League Averages" 2022-23 to 2024-25, per team game):
114 points, 89 FGA, .472 FG%, 35.6 3PA, .361 3P%, 22 FTA, .781 FT%, 43.8 rebounds, 26 assists, 7.8 steals,
4.9 blocks, 13.6 turnovers; home teams win about .55 of games and the final margin has a deviation of 13 to 16.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from features.errors import InvalidInput
from features.scoring import fantasy_points
from features.sources.simulated import SimulatedSource
from features.tables import FINAL_AFTER_TIP, SCHEMAS, TIMES, TableName

SEED = 20261123
SEASON_END = datetime(2024, 7, 1, tzinfo=UTC)
Frames = dict[TableName, pl.DataFrame]


def collected(source: SimulatedSource, as_of: datetime, seasons: list[int] | None = None) -> Frames:
    return {batch.table: batch.frame for batch in source.batches(as_of=as_of, seasons=seasons, cursors={})}


@pytest.fixture(scope="module")
def season() -> Frames:
    """One whole season, play-by-play and all."""
    return collected(SimulatedSource(SEED, [2023], date(2024, 7, 1)), SEASON_END)


@pytest.fixture(scope="module")
def team_games(season: Frames) -> pl.DataFrame:
    stats = pl.col(
        "pts", "fga", "fgm", "fg3a", "fg3m", "fta", "ftm", "oreb", "reb", "ast", "stl", "blk", "tov", "pf"
    )
    return season["box"].group_by("game_id", "team").agg(stats.cast(pl.Int64).sum(), pl.col("min").sum(), pl.len())


@pytest.fixture(scope="module")
def from_pbp(season: Frames) -> pl.DataFrame:
    """Box lines counted from the play-by-play."""
    pbp = season["pbp"]
    made, missed = pl.col("event_type") == "made_shot", pl.col("event_type") == "missed_shot"
    free, three = pl.col("event_type") == "free_throw", pl.col("shot_value") == 3
    rebound = pl.col("event_type") == "rebound"
    actor = pbp.filter(pl.col("p1_id").is_not_null()).group_by("game_id", player_id="p1_id").agg(
        pl.col("points").cast(pl.Int64).sum().alias("pts"), made.sum().alias("fgm"),
        (made | missed).sum().alias("fga"),
        (made & three).sum().alias("fg3m"), ((made | missed) & three).sum().alias("fg3a"), free.sum().alias("fta"),
        (free & (pl.col("points") == 1)).sum().alias("ftm"),
        (rebound & (pl.col("subtype") == "offensive")).sum().alias("oreb"),
        (rebound & (pl.col("subtype") == "defensive")).sum().alias("dreb"),
        (pl.col("event_type") == "turnover").sum().alias("tov"),
        (pl.col("event_type") == "foul").sum().alias("pf"),
    )  # fmt: skip
    second = (
        pbp.filter(pl.col("p2_id").is_not_null())
        .group_by("game_id", player_id="p2_id")
        .agg(made.sum().alias("ast"), (pl.col("event_type") == "turnover").sum().alias("stl"))
    )
    third = (
        pbp.filter(missed & pl.col("p3_id").is_not_null())
        .group_by("game_id", player_id="p3_id")
        .agg(pl.len().alias("blk"))
    )
    keys = ["game_id", "player_id"]
    everybody = season["box"].select(keys)
    for part in (actor, second, third):
        everybody = everybody.join(part, on=keys, how="full", coalesce=True)
    return everybody.fill_null(0)


def test_schema_is_the_archive_schema(season: Frames) -> None:
    for table, frame in season.items():
        assert dict(frame.schema) == {**SCHEMAS[table], **TIMES}
        assert (frame["known_time"] - frame["event_time"]).unique().to_list() == [FINAL_AFTER_TIP]
    assert set(season["box"]["source"]) == {"simulated"}
    assert season["games"]["game_id"].str.len_chars().unique().to_list() == [10]
    assert season["box"]["player_id"].min() >= 90_000_000


def test_schedule_has_82_games_each_and_nobody_plays_twice_a_day(season: Frames) -> None:
    games = season["games"]
    both = pl.concat([games.select("game_date", team=f"{side}_team") for side in ("home", "away")])
    assert games.height == games["game_id"].n_unique() == 1230
    assert both.group_by("team").len()["len"].to_list() == [82] * 30
    assert games.group_by("home_team").len()["len"].to_list() == [41] * 30
    assert both.is_unique().all()
    gaps = both.sort("team", "game_date").with_columns(
        pl.col("game_date").diff().over("team").dt.total_days().alias("gap")
    )
    back_to_backs = gaps.group_by("team").agg((pl.col("gap") == 1).sum())["gap"]
    assert back_to_backs.min() >= 8 and back_to_backs.max() <= 24
    assert games["game_date"].min() >= date(2023, 10, 18) and games["game_date"].max() <= date(2024, 4, 20)


def test_scores_agree_between_tables(season: Frames) -> None:
    games, box, pbp = season["games"], season["box"], season["pbp"]
    last = pbp.sort("game_id", "seq").group_by("game_id", maintain_order=True).last()
    joined = games.join(last, on="game_id", suffix="_pbp")
    assert joined.height == games.height
    assert joined.filter(
        (pl.col("home_score") != pl.col("home_score_pbp")) | (pl.col("away_score") != pl.col("away_score_pbp"))
    ).is_empty()
    sums = box.group_by("game_id", "is_home").agg(pl.col("pts").cast(pl.Int64).sum(), pl.col("win").unique())
    for is_home, side in ((True, "home"), (False, "away")):
        own = games.join(sums.filter(pl.col("is_home") == is_home), on="game_id")
        assert (own["pts"] == own[f"{side}_score"]).all()
        assert (own["win"].list.first() == (own["home_win"] == is_home)).all()
        quarters = own.select(pl.sum_horizontal(*(pl.col(f"{side}_q{q}").cast(pl.Int64) for q in range(1, 5))))
        regulation = own["periods"] == 4
        assert (quarters.to_series().filter(regulation) == own[f"{side}_score"].filter(regulation)).all()
    running = pbp.sort("game_id", "seq").with_columns(
        pl.col("points").cast(pl.Int64).cum_sum().over("game_id").alias("sum")
    )
    assert (running["sum"] == running["home_score"].cast(pl.Int64) + running["away_score"]).all()


def test_box_is_what_the_play_by_play_says(season: Frames, from_pbp: pl.DataFrame) -> None:
    stats = [c for c in from_pbp.columns if c not in ("game_id", "player_id")]
    box = season["box"].select("game_id", "player_id", pl.col(stats).cast(pl.Int64)).sort("game_id", "player_id")
    counted = from_pbp.select("game_id", "player_id", pl.col(stats).cast(pl.Int64))
    seen = counted.join(box, on=["game_id", "player_id"], how="semi").sort("game_id", "player_id")
    assert seen.equals(box)
    only_passing_through = counted.join(box, on=["game_id", "player_id"], how="anti")
    assert only_passing_through.select(pl.sum_horizontal(stats)).to_series().sum() == 0


def test_minutes_and_lineups_add_up(season: Frames, team_games: pl.DataFrame) -> None:
    periods = season["games"].select("game_id", "periods")
    minutes = team_games.join(periods, on="game_id")
    expected = 240 + 25 * (minutes["periods"].cast(pl.Float64) - 4)
    assert ((minutes["min"] - expected).abs() < 1e-3).all()
    pbp = season["pbp"].sort("game_id", "seq")
    for column in ("home_lineup", "away_lineup"):
        fives = pbp[column].unique().str.split("|")
        assert (fives.list.len() == 5).all() and (fives.list.n_unique() == 5).all()
        assert (fives.list.sort() == fives).all()
    acting = pbp.filter(pl.col("p1_id").is_not_null() & (pl.col("event_type") != "substitution"))
    on_floor = pl.concat_str("home_lineup", pl.lit("|"), "away_lineup").str.contains(
        pl.col("p1_id").cast(pl.String), literal=True
    )
    assert acting.filter(~on_floor).is_empty()
    assert season["box"].group_by("game_id", "team").agg(pl.col("starter").sum())[
        "starter"
    ].unique().to_list() == [5]
    assert season["box"]["pf"].max() <= 6


def test_minutes_are_the_time_spent_in_lineups(season: Frames) -> None:
    some = season["games"]["game_id"].head(40).implode()
    pbp = season["pbp"].filter(pl.col("game_id").is_in(some)).sort("game_id", "seq").with_columns(
        pl.col("elapsed_s").cast(pl.Float64).diff().over("game_id").fill_null(0.0).alias("spent")
    )  # fmt: skip
    counted = pl.concat([pbp.select("game_id", "spent", five=c) for c in ("home_lineup", "away_lineup")])
    counted = counted.with_columns(pl.col("five").str.split("|")).explode("five")
    counted = counted.group_by("game_id", player_id=pl.col("five").cast(pl.Int32)).agg(pl.col("spent").sum() / 60)
    joined = season["box"].join(counted, on=["game_id", "player_id"])
    assert joined.height == season["box"].filter(pl.col("game_id").is_in(some)).height
    assert ((joined["spent"] - joined["min"]).abs() < 0.01).all()


@pytest.mark.parametrize(
    ("stat", "published", "tolerance"),
    [
        ("pts", 114.0, 3.0), ("fga", 89.0, 2.0), ("fg3a", 35.6, 2.0), ("fta", 22.2, 1.5), ("reb", 43.8, 1.5),
        ("oreb", 10.7, 0.8), ("ast", 26.0, 1.5), ("stl", 7.7, 0.7), ("blk", 4.9, 0.6), ("tov", 13.6, 0.9),
        ("pf", 19.2, 1.5), ("len", 10.6, 0.6),
    ],
)  # fmt: skip
def test_team_averages_match_published_ones(
    team_games: pl.DataFrame, stat: str, published: float, tolerance: float
) -> None:
    assert team_games[stat].cast(pl.Float64).mean() == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize(
    ("made", "tried", "published", "tolerance"),
    [("fgm", "fga", 0.472, 0.010), ("fg3m", "fg3a", 0.361, 0.010), ("ftm", "fta", 0.781, 0.015)],
)
def test_shooting_matches_published_percentages(
    team_games: pl.DataFrame, made: str, tried: str, published: float, tolerance: float
) -> None:
    assert team_games[made].sum() / team_games[tried].sum() == pytest.approx(published, abs=tolerance)


def test_results_spread_like_real_ones(season: Frames, team_games: pl.DataFrame) -> None:
    games = season["games"]
    margin = games["home_score"].cast(pl.Float64) - games["away_score"]
    assert 0.52 <= games["home_win"].mean() <= 0.60
    assert 13.0 <= margin.std() <= 16.0
    assert 0.02 <= (games["periods"] > 4).mean() <= 0.09
    possessions = (
        team_games["fga"] + 0.44 * team_games["fta"] - team_games["oreb"] + team_games["tov"]
    ) * 240 / team_games["min"]  # fmt: skip
    assert possessions.mean() == pytest.approx(99.5, abs=2.5)
    wins = season["box"].group_by("team").agg(pl.col("win").mean())["win"]
    assert 0.10 <= wins.std() <= 0.20
    close = games["close_home_spread"] < 0
    assert 0.62 <= (close == games["home_win"]).mean() <= 0.74
    assert (margin + games["close_home_spread"]).mean() == pytest.approx(0, abs=1.2)
    assert (games["home_score"] + games["away_score"] - games["close_total"]).mean() == pytest.approx(0, abs=3.0)
    assert (games["close_home_ml"].abs() >= 100).all()


def test_players_spread_like_real_ones(season: Frames) -> None:
    """Real 2023-25: starters 30.7 minutes; best player 55-68 DraftKings points; deviation within a player 9-10."""
    box = season["box"].with_columns(fantasy_points("draftkings").alias("dk")).sort("event_time", "game_id")
    assert box.filter("starter")["min"].mean() == pytest.approx(31.0, abs=1.5)
    players = box.group_by("player_id").agg(
        pl.col("dk").mean().alias("mean"), pl.col("dk").std().alias("sd"), pl.col("min").mean(),
        pl.col("pts").mean(), pl.len(),
    ).filter(pl.col("len") >= 20)  # fmt: skip
    assert 50 <= players["mean"].max() <= 70
    assert players["pts"].max() <= 38
    assert players["sd"].median() == pytest.approx(9.5, abs=0.9)
    assert 6 <= players.filter(pl.col("min") > 18).height / 30 <= 10
    average = (pl.col("dk").cum_sum() - pl.col("dk")) / (pl.col("dk").cum_count() - 1)
    later = box.with_columns(
        average.over("player_id").alias("before"), pl.col("dk").cum_count().over("player_id").alias("n")
    )
    later = later.filter(pl.col("n") > 10)
    error, spread = later["dk"] - later["before"], later["dk"] - later["dk"].mean()
    assert 7.3 <= error.abs().mean() <= 8.6
    assert 0.45 <= 1 - (error**2).mean() / (spread**2).mean() <= 0.66


def test_same_seed_same_frames_in_any_order_and_other_seed_others() -> None:
    def digest(frames: Frames) -> list[int]:
        return [int(frames[t].hash_rows(seed=1).sum()) for t in ("games", "box", "pbp")]

    early = datetime(2023, 11, 1, tzinfo=UTC)
    first = SimulatedSource(7, [2022, 2023], date(2023, 11, 1))
    first.slates(date(2022, 11, 20))
    again = SimulatedSource(7, [2023], date(2024, 2, 1))
    assert digest(collected(first, early, [2023])) == digest(collected(again, early))
    assert digest(collected(again, early)) != digest(
        collected(SimulatedSource(8, [2023], date(2024, 2, 1)), early)
    )


def test_nothing_known_later_is_given_and_unchanged_batches_are_skipped() -> None:
    source = SimulatedSource(SEED, [2023, 2024], date(2023, 11, 5))
    as_of = datetime(2023, 10, 30, 4, 0, tzinfo=UTC)
    batches = list(source.batches(as_of=as_of, seasons=None, cursors={}))
    assert {b.season for b in batches} == {2023} and len(batches) == 3
    assert all(b.frame["known_time"].max() <= as_of for b in batches)
    cursors = {b.key: b.cursor for b in batches}
    assert list(source.batches(as_of=as_of, seasons=None, cursors=cursors)) == []
    later = list(source.batches(as_of=datetime(2024, 6, 1, tzinfo=UTC), seasons=None, cursors=cursors))
    assert all(b.frame["known_time"].max() <= datetime(2023, 11, 5, 4, 0, tzinfo=UTC) for b in later)
    games = {b.table: b.frame for b in later}["games"]
    before = {b.table: b.frame for b in batches}["games"]
    assert games.height > before.height
    assert games.filter(pl.col("game_id").is_in(before["game_id"].implode())).equals(before)


def test_an_empty_offseason_gives_no_batch_and_bad_arguments_say_what_to_do() -> None:
    source = SimulatedSource(SEED, [2024], date(2024, 9, 1))
    assert list(source.batches(as_of=datetime(2026, 1, 1, tzinfo=UTC), seasons=None, cursors={})) == []
    with pytest.raises(InvalidInput, match="1990"):
        SimulatedSource(SEED, [1990], date(2024, 9, 1))
    with pytest.raises(InvalidInput, match="seed"):
        SimulatedSource(-1, [2024], date(2024, 9, 1))
    with pytest.raises(InvalidInput, match="game_id"):
        source.true_home_win_probability("0022400001")


def test_true_probabilities_are_calibrated_and_closing_lines_are_near_them(season: Frames) -> None:
    source = SimulatedSource(SEED, [2023], date(2024, 7, 1))
    games = season["games"].filter(pl.int_range(pl.len()) % 9 == 4)
    true = [source.true_home_win_probability(g, replays=60) for g in games["game_id"]]
    frame = games.select("home_win", "close_home_spread").with_columns(pl.Series("p", true))
    assert frame["p"].mean() == pytest.approx(frame["home_win"].mean(), abs=0.11)
    brier = ((frame["p"] - frame["home_win"].cast(pl.Float64)) ** 2).mean()
    base = ((frame["home_win"].mean() - frame["home_win"].cast(pl.Float64)) ** 2).mean()
    assert brier < base - 0.01
    assert frame.select(pl.corr("p", "close_home_spread")).item() < -0.75


def test_two_seasons_are_whole() -> None:
    source = SimulatedSource(3, [2023, 2024], date(2025, 2, 10))
    rows = sum(
        b.frame.height
        for b in source.batches(as_of=datetime(2025, 2, 10, 5, tzinfo=UTC), seasons=None, cursors={})
    )
    assert rows > 900_000
