"""Plays to rows and back, exactly."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from features.errors import SchemaError
from features.play.plays import COLUMNS, recorded_plays
from features.stream.directory import LocalDirectory
from features.stream.events import Flag, Kind, blank, decode, encode
from features.stream.plays import events_of, plays_of
from tests.fixtures.plays import infos, simulated_plays, strange_plays


def there_and_back(plays: pl.DataFrame) -> pl.DataFrame:
    directory = LocalDirectory(infos(plays))
    rows, texts = events_of(plays, directory)
    used = {text for name in ("subtype", "home_lineup", "away_lineup") for text in plays[name].drop_nulls()}
    assert set(texts) == used
    return plays_of(decode(encode(rows, source=1, epoch=1, first=0)).rows, directory)


@given(strange_plays())
@settings(max_examples=60, deadline=None)
def test_any_frame_comes_back_as_it_was(plays: pl.DataFrame) -> None:
    assert_frame_equal(there_and_back(plays), plays)


def test_a_simulated_night_comes_back_as_it_was() -> None:
    plays = simulated_plays()
    assert plays["game_id"].n_unique() > 3
    assert_frame_equal(there_and_back(plays), plays)


@pytest.mark.real_data
@pytest.mark.parametrize("season", [2015, 2020, 2024])
def test_a_recorded_season_comes_back_as_it_was(fantasy_data: Path, season: int) -> None:
    plays = recorded_plays(fantasy_data).read(season)
    assert plays.height > 500_000
    assert_frame_equal(there_and_back(plays), plays)
    rare = pl.col("event_type").is_in(["period_start", "period_end", "jump_ball", "violation"])
    poor = plays.filter(~rare).with_columns(
        pl.lit(None, pl.String).alias("home_lineup"), pl.lit(None, pl.String).alias("away_lineup"),
        pl.lit(None, pl.Int16).alias("wall_et_min"), pl.lit(None, pl.Int8).alias("shot_dist"),
    )  # fmt: skip
    assert_frame_equal(there_and_back(poor), poor)


def test_subtypes_become_flags() -> None:
    plays = simulated_plays(1)
    rows, _ = events_of(plays, LocalDirectory(), keep=False)
    kinds = {kind.name: int(kind) for kind in Kind}
    assert rows["kind"].tolist() == [kinds[name] for name in plays["event_type"]]
    of_rebounds = pl.Series(rows["flags"]).filter(plays["subtype"] == "offensive")
    assert of_rebounds.unique().to_list() == [int(Flag.offensive)]
    kept, _ = events_of(plays, LocalDirectory())
    assert ((kept["flags"] & Flag.keep) != 0).all()
    assert (kept["flags"] - int(Flag.keep) == rows["flags"]).all()


def test_a_play_that_was_taken_back_is_not_read() -> None:
    plays = simulated_plays(1).filter(pl.col("game_id") == pl.col("game_id").first())
    directory = LocalDirectory(infos(plays))
    rows, _ = events_of(plays, directory)
    back = rows[[5, 9]].copy()
    back["flags"] |= int(Flag.retract)
    mixed = blank(len(rows) + 3)
    mixed[: len(rows)], mixed[-3:-1], mixed[-1] = rows, back, rows[5]  # 5 is taken back and sent again
    left = plays.filter(~pl.int_range(pl.len()).is_in([9]))
    assert_frame_equal(plays_of(mixed, directory), left)


def test_what_has_no_place_in_a_row_is_named() -> None:
    plays = simulated_plays(1).head(20)
    directory = LocalDirectory()
    with pytest.raises(SchemaError, match="event_type: 'dunk'"):
        events_of(plays.with_columns(event_type=pl.lit("dunk")), directory)
    with pytest.raises(SchemaError, match="team: 'XXX' of play 0"):
        events_of(plays.with_columns(team=pl.lit("XXX")), directory)
    with pytest.raises(SchemaError, match=r"nulls in \['seq'\]"):
        events_of(plays.with_columns(seq=pl.lit(None, pl.Int16)), directory)
    with pytest.raises(SchemaError, match="lack columns"):
        events_of(plays.drop("p3_id"), directory)


def test_keys_that_nobody_registered_are_named() -> None:
    plays = simulated_plays(1).head(20)
    directory = LocalDirectory(infos(plays))
    rows, _ = events_of(plays, directory)
    with pytest.raises(SchemaError, match="game_id: nobody registered key"):
        plays_of(rows, LocalDirectory())
    with pytest.raises(SchemaError, match=r"(subtype|home_lineup): nobody registered key"):
        plays_of(rows, LocalDirectory(infos(plays)))
    too_far = rows.copy()
    too_far["seq"] = 40_000
    with pytest.raises(SchemaError, match="does not fit"):
        plays_of(too_far, directory)


def test_no_rows_are_no_plays() -> None:
    empty = plays_of(blank(0), LocalDirectory())
    assert empty.columns == list(COLUMNS)
    assert empty.is_empty()
