"""Views made from plays: joined as of tip-off they are exactly the rates that the models learn from."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from features.as_of import as_of_join
from features.play.player_quarters import quarter_lines, quarter_view, with_quarters
from features.play.plays import COLUMNS, NO_PLAYS, Plays
from features.play.shots import defence_rates, shooter_rates, shots, tallies, type_rates, type_tallies
from features.play.views import DEFENCES, PLAY_VIEW_KEYS, QUARTERS, SHOOTERS, TYPES, play_views, with_type_rate
from features.sources.simulated import SimulatedSource
from features.tables import Tables
from features.views import Views


@pytest.fixture(scope="module")
def league() -> tuple[Tables, pl.DataFrame, Views]:
    source = SimulatedSource(4, [2023], date(2023, 11, 9))
    batches = source.batches(as_of=datetime(2023, 11, 9, 12, tzinfo=UTC), seasons=None, cursors={})
    frames = {batch.table: batch.frame for batch in batches}
    plays = frames["pbp"].select(COLUMNS).sort("game_id", "seq")
    tables = Tables(frames["games"], frames["box"])
    return tables, plays, play_views(Plays((2023,), lambda _: plays), tables.games)


def test_every_view_has_its_key_and_times(league: tuple[Tables, pl.DataFrame, Views]) -> None:
    views = league[2]
    assert set(views) == set(PLAY_VIEW_KEYS)
    for name, keys in PLAY_VIEW_KEYS.items():
        assert {*keys, "event_time", "known_time"} <= set(views[name].columns)
        assert views[name].null_count().sum_horizontal().item() == 0
        assert not views[name].select(*keys, "event_time").is_duplicated().any()


def test_as_of_tip_off_they_are_what_models_learn_from(league: tuple[Tables, pl.DataFrame, Views]) -> None:
    tables, plays, views = league
    counted = tallies(plays)
    tips = tables.games.select("game_id", as_of="event_time")
    for view, learned, key in (
        (SHOOTERS, shooter_rates(counted, tables.games), "player_id"),
        (DEFENCES, defence_rates(counted, tables.games).rename({"opp": "team"}), "team"),
    ):
        rows = learned.join(tips, on="game_id")
        seen = as_of_join(rows.select(key, "as_of"), views[view], by=[key])
        first = rows.select(pl.col("as_of") == pl.col("as_of").min().over(key)).to_series()
        for name in (column for column in seen.columns if column not in (key, "as_of")):
            assert seen.filter(first)[name].null_count() == first.sum()
            assert (seen.filter(~first)[name] - rows.filter(~first)[name]).abs().max() == 0
    players = tables.box.select("player_id", as_of="event_time")
    direct = quarter_view([quarter_lines(plays)], tables.games)
    assert with_quarters(players, views[QUARTERS]).equals(with_quarters(players, direct))


def test_types_are_told_after_everything_known(league: tuple[Tables, pl.DataFrame, Views]) -> None:
    tables, plays, views = league
    taken = shots(plays)
    later = tables.games["known_time"].max()
    rows = taken.head(40).select("subtype", "value", "distance").with_columns(as_of=pl.lit(later))
    told = with_type_rate(rows, views[TYPES])
    assert told["type_rate"].null_count() == 0
    last = type_rates(type_tallies(taken, tables.games)).sort("game_date")
    assert told["type_rate"].is_between(0, 1).all() and last.height
    before = with_type_rate(rows.with_columns(as_of=pl.lit(tables.games["event_time"].min())), views[TYPES])
    assert before["type_rate"].null_count() == before.height


def test_without_play_by_play_there_is_none(league: tuple[Tables, pl.DataFrame, Views]) -> None:
    assert play_views(NO_PLAYS, league[0].games) == {}
