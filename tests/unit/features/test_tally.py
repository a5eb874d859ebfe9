"""A game told play by play is the game as its definitions read it, at every moment."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.play.game_state import game_states
from features.play.player_state import player_states
from features.play.plays import COLUMNS, recorded_plays
from features.play.tally import Tally, Untold, tally_of
from features.sources.simulated import SimulatedSource
from features.stream.directory import GameInfo, LocalDirectory
from features.stream.events import Flag
from features.stream.plays import events_of, plays_of, told_plays
from models.live_game import moment_of, tidy_plays
from serving.live.tallies import Tallies

CUTS = 6
NOW = datetime(2023, 11, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def simulated() -> pl.DataFrame:
    source = SimulatedSource(3, [2023], date(2023, 11, 10))
    frames = {b.table: b.frame for b in source.batches(as_of=NOW, seasons=None, cursors={})}
    return frames["pbp"].select(COLUMNS).sort("game_id", "seq")


def same_at_every_cut(plays: pl.DataFrame, seed: int) -> int:
    """Compare at CUTS random plays and the last one of each game; returns how many moments."""
    draw = np.random.default_rng(seed)
    moments = 0
    for game_id, game in plays.group_by("game_id", maintain_order=True):
        cuts = [*sorted(draw.choice(np.arange(1, game.height), CUTS, replace=False).tolist()), game.height]
        tally, done = None, 0
        for cut in cuts:
            known, _ = tidy_plays(game.head(cut), str(game_id[0]))
            tally = tally_of(game.head(cut))
            check(tally, known, str(game_id[0]))
            moments += 1
            done = cut
        assert tally is not None and tally.plays == done
    return moments


def check(tally: Tally, known: pl.DataFrame, game_id: str) -> None:
    moment, now = moment_of(known), tally.now()
    assert tuple(now) == moment.row(0)[1:]
    for told, defined in (
        (tally.state(game_id, now), game_states(known, moment)),
        (tally.lines(game_id, now), player_states(known, moment)),
    ):
        assert_frame_equal(told, defined, check_exact=False, rel_tol=1e-6, abs_tol=1e-6)


def test_simulated_games(simulated: pl.DataFrame) -> None:
    some = simulated["game_id"].unique(maintain_order=True).head(12).to_list()
    assert same_at_every_cut(simulated.filter(pl.col("game_id").is_in(some)), 1) == 12 * (CUTS + 1)


@pytest.mark.parametrize("season", [2015, 2024])
def test_recorded_games(fantasy_data: Path, season: int) -> None:
    plays = recorded_plays(fantasy_data).read(season)
    some = plays["game_id"].unique(maintain_order=True).gather_every(90).to_list()
    assert same_at_every_cut(plays.filter(pl.col("game_id").is_in(some)), season) > 50


def test_named_moments_and_games_with_holes(simulated: pl.DataFrame) -> None:
    game_id = simulated["game_id"][0]
    game = simulated.filter(pl.col("game_id") == game_id)
    row = pl.int_range(pl.len())
    holed = game.with_columns(
        pl.when(row % 7 != 3).then("clock_s").alias("clock_s"),
        pl.when(row % 7 != 3).then("elapsed_s").alias("elapsed_s"),
        pl.when(row % 11 != 4).then("home_score").alias("home_score"),
        pl.when(row < 300).then("away_lineup").alias("away_lineup"),
        pl.when(row % 13 != 5).then("subtype").alias("subtype"),
        pl.when(row % 17 != 5).then("points").alias("points"),
        pl.when(row % 19 != 5).then("shot_value").alias("shot_value"),
    )
    shuffled = holed.with_columns(pl.when(row % 23 == 9).then(100.0).otherwise("elapsed_s").alias("elapsed_s"))
    for plays in (holed, shuffled):
        for cut in (1, 7, 150, 320, plays.height):
            known, warnings = tidy_plays(plays.head(cut), game_id)
            tally = tally_of(plays.head(cut))
            check(tally, known, game_id)
            assert bool(tally.back[0]) == bool(warnings)


def test_what_is_out_of_the_ordinary_is_left_to_the_definitions(simulated: pl.DataFrame) -> None:
    game = simulated.filter(pl.col("game_id") == simulated["game_id"][0]).head(40)
    for column, value in (("team", "ELSE"), ("home_team", "ELSE"), ("event_type", None)):
        strange = pl.when(pl.int_range(pl.len()) == 20).then(pl.lit(value, pl.String)).otherwise(column)
        with pytest.raises(Untold):
            tally_of(game.with_columns(strange.alias(column)))
    with pytest.raises(Untold):
        tally_of(pl.concat([game, game]))
    with pytest.raises(Untold):
        tally_of(game.with_columns(away_lineup="home_lineup"))
    with pytest.raises(Untold):
        tally_of(game.clear())


def test_rows_of_the_stream_as_they_come(simulated: pl.DataFrame) -> None:
    game = simulated.filter(pl.col("game_id") == simulated["game_id"][0])
    first = game.row(0, named=True)
    info = GameInfo(first["game_id"], first["season"], first["home_team"], first["away_team"], NOW)
    directory = LocalDirectory([info])
    rows, _ = events_of(game, directory)
    assert [tuple(each) for each in told_plays(rows, directory)] == plays_of(rows, directory).select(
        "seq", "period", "clock_s", "elapsed_s", "event_type", "subtype", "team", "points", "shot_value", "shot_dist",
        "p1_id", "p2_id", "p3_id", "home_score", "away_score", "home_lineup", "away_lineup",
    ).rows()  # fmt: skip
    tallies, order = Tallies(), np.arange(len(rows))
    order[200], order[201] = 201, 200  # the critical lane overtakes the bulk one
    mixed = rows[order]
    twice = np.concatenate([mixed[:230], mixed[229:]])  # two sources tell of one play
    kept = tallies.tell(info.game_id, twice[:100], directory)
    for until in (120, 199, 201, 202, 231, 240):
        tally = tallies.tell(info.game_id, twice[:until], directory)
        known = plays_of(twice[:until], directory).unique("seq", keep="last", maintain_order=True)
        check(tally, tidy_plays(known, info.game_id)[0], info.game_id)
    assert tallies.tell(info.game_id, twice[:240], directory) is tally and tally is not kept
    taken = rows[:3].copy()
    taken["flags"][2] |= int(Flag.retract)
    with pytest.raises(Untold):
        tallies.tell(info.game_id, taken, directory)
