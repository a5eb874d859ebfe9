"""Labels: the figures a person would compute by hand."""

from __future__ import annotations

import polars as pl

from features.labels import GAME_TARGETS, PLAYER_TARGETS, TARGETS, game_labels, player_labels
from features.tables import Tables
from tests.fixtures.league import small_league


def test_points_of_one_line_by_hand() -> None:
    tables = small_league()
    line = {"pts": 21, "fg3m": 3, "reb": 11, "ast": 10, "stl": 1, "blk": 2, "tov": 4, "min": 33.5}
    box = tables.box.head(1).with_columns(pl.lit(v).cast(tables.box.schema[k]).alias(k) for k, v in line.items())
    row = player_labels(Tables(tables.games, box)).row(0, named=True)
    base = 21 + 1.5 * 10
    assert row["fantasy_points_draftkings"] == base + 1.5 + 1.25 * 11 + 2 + 4 - 2 + 1.5 + 3
    steals_and_blocks_at_three = base + 1.2 * 11 + 3 + 6 - 4
    assert round(row["fantasy_points_fanduel"], 4) == round(steals_and_blocks_at_three, 4)
    assert round(row["fantasy_points_yahoo"], 4) == round(steals_and_blocks_at_three, 4)
    assert row["minutes"] == 33.5


def test_one_label_per_row_and_key() -> None:
    tables = small_league()
    players = player_labels(tables)
    assert players.columns == ["game_id", "player_id", *PLAYER_TARGETS]
    assert players.height == tables.box.height
    assert set(players.dtypes[2:]) == {pl.Float32()}
    assert (*PLAYER_TARGETS, *GAME_TARGETS) == TARGETS


def test_game_labels_agree_and_skip_unfinished_games() -> None:
    tables = small_league()
    unfinished = tables.games.head(1).with_columns(home_score=pl.lit(None, dtype=pl.Int16), game_id=pl.lit("x"))
    labels = game_labels(Tables(pl.concat([tables.games, unfinished]), tables.box))
    assert labels.height == tables.games.height
    joined = labels.join(tables.games, on="game_id", suffix="_table")
    assert joined.filter(pl.col("home_win") != pl.col("home_win_table")).is_empty()
    assert joined.filter(pl.col("home_margin") != pl.col("home_score") - pl.col("away_score")).is_empty()
