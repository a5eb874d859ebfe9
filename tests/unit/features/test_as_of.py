"""The bitemporal as-of join against a brute-force oracle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.as_of import as_of_join, newest
from features.errors import SchemaError

START = datetime(2024, 1, 1, tzinfo=UTC)
TIMES = pl.Datetime("us", "UTC")
VIEW = {"player_id": pl.Int32(), "event_time": TIMES, "known_time": TIMES, "value": pl.Int64()}
ENTITIES = {"player_id": pl.Int32(), "as_of": TIMES}

hours = st.integers(0, 12).map(lambda n: START + timedelta(hours=n))
players = st.integers(1, 4)
view_rows = st.lists(st.tuples(players, hours, hours), max_size=30)
entity_rows = st.lists(st.tuples(st.integers(1, 5), hours), max_size=30)


def oracle(rows: list[tuple[int, datetime, datetime]], player: int, as_of: datetime) -> int | None:
    """Position of the row a careful reader would pick, by looking at every row."""
    best: tuple[datetime, datetime, int] | None = None
    for position, (owner, event, known) in enumerate(rows):
        if owner == player and event <= as_of and known <= as_of:
            candidate = (event, known, position)
            best = candidate if best is None or candidate > best else best
    return None if best is None else best[2]


def frames(
    rows: list[tuple[int, datetime, datetime]], asked: list[tuple[int, datetime]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    view = pl.DataFrame([(*row, n) for n, row in enumerate(rows)], schema=VIEW, orient="row")
    return pl.DataFrame(asked, schema=ENTITIES, orient="row"), view


@settings(max_examples=300, deadline=None)
@given(view_rows, entity_rows)
def test_agrees_with_the_oracle_one_to_one_in_order(
    rows: list[tuple[int, datetime, datetime]], asked: list[tuple[int, datetime]]
) -> None:
    entities, view = frames(rows, asked)
    joined = as_of_join(entities, view, by=["player_id"])
    assert joined.select("player_id", "as_of").equals(entities)
    assert joined["value"].to_list() == [oracle(rows, player, moment) for player, moment in asked]


@settings(max_examples=100, deadline=None)
@given(view_rows)
def test_newest_is_what_the_join_picks_in_the_end(rows: list[tuple[int, datetime, datetime]]) -> None:
    asked = [(player, START + timedelta(days=9)) for player in sorted({row[0] for row in rows})]
    entities, view = frames(rows, asked)
    assert newest(view, by=["player_id"])["value"].to_list() == (
        as_of_join(entities, view, by=["player_id"])["value"].to_list()
    )


def hour(n: int) -> datetime:
    return START + timedelta(hours=n)


def test_a_late_correction_counts_only_once_it_is_known() -> None:
    rows = [(1, hour(1), hour(2)), (1, hour(1), hour(8)), (1, hour(3), hour(4))]
    entities, view = frames(rows, [(1, hour(2)), (1, hour(7)), (1, hour(9))])
    assert as_of_join(entities, view, by=["player_id"])["value"].to_list() == [0, 2, 2]
    # An old game corrected late never displaces a newer game, but does displace its own first version.
    entities, view = frames(rows[:2], [(1, hour(7)), (1, hour(8))])
    assert as_of_join(entities, view, by=["player_id"])["value"].to_list() == [0, 1]


def test_a_newer_event_known_late_wins_when_it_becomes_known() -> None:
    rows = [(1, hour(5), hour(9)), (1, hour(2), hour(3))]
    entities, view = frames(rows, [(1, hour(8)), (1, hour(9))])
    assert as_of_join(entities, view, by=["player_id"])["value"].to_list() == [1, 0]


def test_prefix_times_and_two_keys() -> None:
    view = pl.DataFrame(
        {
            "team": ["A", "B"],
            "season": [1, 1],
            "event_time": [hour(1)] * 2,
            "known_time": [hour(2)] * 2,
            "x": [1, 2],
        },
        schema_overrides={"event_time": TIMES, "known_time": TIMES},
    )
    entities = pl.DataFrame(
        {"team": ["B", "A", "B"], "season": [1, 1, 2], "as_of": [hour(3)] * 3}, schema_overrides={"as_of": TIMES}
    )
    joined = as_of_join(entities, view, by=["team", "season"], prefix="opp_", keep_times=True)
    assert joined.columns == ["team", "season", "as_of", "opp_x", "opp_event_time", "opp_known_time"]
    assert joined["opp_x"].to_list() == [2, 1, None]
    assert joined["opp_known_time"].to_list() == [hour(2), hour(2), None]


@pytest.mark.parametrize("dropped", ["player_id", "as_of"])
def test_entities_without_their_columns_are_named(dropped: str) -> None:
    entities, view = frames([], [(1, START)])
    with pytest.raises(SchemaError, match=dropped):
        as_of_join(entities.drop(dropped), view, by=["player_id"])


@pytest.mark.parametrize("dropped", ["player_id", "known_time", "event_time"])
def test_a_view_without_its_columns_is_named(dropped: str) -> None:
    entities, view = frames([], [(1, START)])
    with pytest.raises(SchemaError, match=dropped):
        as_of_join(entities, view.drop(dropped), by=["player_id"])


def test_a_null_moment_and_a_name_clash_are_refused() -> None:
    entities, view = frames([(1, START, START)], [(1, START)])
    with pytest.raises(SchemaError, match="as_of is null in 1"):
        as_of_join(entities.with_columns(as_of=pl.lit(None, dtype=TIMES)), view, by=["player_id"])
    with pytest.raises(SchemaError, match="value"):
        as_of_join(entities.with_columns(value=1), view, by=["player_id"])


def test_270_000_entities_join() -> None:
    rng = np.random.default_rng(3)
    size = 270_000
    minutes = rng.integers(0, 10_000_000, size)
    view = pl.DataFrame({"player_id": rng.integers(0, 1500, size), "m": minutes, "value": np.arange(size)})
    view = view.select(
        pl.col("player_id").cast(pl.Int32),
        (pl.lit(START) + pl.duration(minutes=pl.col("m"))).cast(TIMES).alias("event_time"),
        (pl.lit(START) + pl.duration(minutes=pl.col("m") + 210)).cast(TIMES).alias("known_time"),
        "value",
    )
    entities = view.select("player_id", as_of="event_time")
    joined = as_of_join(entities, view, by=["player_id"], keep_times=True)
    assert joined.height == size
    assert joined.filter(pl.col("known_time") > pl.col("as_of")).is_empty()


def types(frame: pl.DataFrame) -> dict[str, Any]:
    return dict(frame.schema)


def test_types_survive_an_empty_side() -> None:
    entities, view = frames([], [])
    assert types(as_of_join(entities, view, by=["player_id"])) == {**ENTITIES, "value": pl.Int64()}
