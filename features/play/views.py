"""Views made from play-by-play: rows after each game of a player or team, joined as of a moment like those of
`features.views`.

A row holds what the games up to and including its own tell; the rates themselves are those the models learn from
(`features.play.shots`, `features.play.player_quarters`), read off at the next game of the same player or team. What
the league makes of each type of shot is told after each season and after the newest game only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from features.as_of import as_of_join
from features.play.player_quarters import QUARTER_FEATURES, quarter_lines, quarter_view
from features.play.plays import Plays
from features.play.shots import (
    CELL,
    LEANING,
    ZONES,
    defence_rates,
    shooter_rates,
    shots,
    tallies,
    type_rates,
    type_tallies,
)
from features.views import Views

QUARTERS: Final = "player_quarters"
SHOOTERS: Final = "shooters"
DEFENCES: Final = "shot_defences"
TYPES: Final = "shot_types"
SHOOTER_FEATURES: Final = (
    "shooter_tries", *(f"shooter_{name}" for name in LEANING), *(f"recent_{name}" for name in ZONES),
)  # fmt: skip
DEFENCE_FEATURES: Final = tuple(f"allowed_{name}" for name in ZONES)
#: Distance under which shots of unknown distance are kept: a key holds no null.
NO_DISTANCE: Final = -1
#: View name -> entity key columns.
PLAY_VIEW_KEYS: Final[dict[str, tuple[str, ...]]] = {
    QUARTERS: ("player_id",), SHOOTERS: ("player_id",), DEFENCES: ("team",), TYPES: CELL,
}  # fmt: skip
_FEATURES: Final = {
    QUARTERS: QUARTER_FEATURES, SHOOTERS: SHOOTER_FEATURES, DEFENCES: DEFENCE_FEATURES, TYPES: ("type_rate",),
}  # fmt: skip
#: Bumped when the meaning of a view changes; its columns are in the version anyway.
_NUMBER: Final = 1
#: View name -> version.
PLAY_VIEW_VERSIONS: Final[dict[str, str]] = {
    name: f"{_NUMBER}-{hashlib.sha256(' '.join(columns).encode()).hexdigest()[:8]}"
    for name, columns in _FEATURES.items()
}
#: The game that nobody has played yet: what is known before it is what all games so far tell.
_NEXT: Final = "next"
_LATER: Final = timedelta(days=1)


def play_views(plays: Plays, games: pl.DataFrame) -> Views:
    """Every view of PLAY_VIEW_KEYS from the seasons of `plays`, read one at a time; none without play-by-play.

    `games` (game_id, season, game_date, home_team, away_team, event_time, known_time) says when each was played.
    """
    if not plays.seasons or games.is_empty():
        return {}
    quarters, counted, types = [], [], []
    for _, rows in plays.each():
        known = rows.join(games.select("game_id"), on="game_id", how="semi")
        taken = shots(known)
        quarters.append(quarter_lines(known))
        counted.append(tallies(known, taken))
        types.append(type_tallies(taken, games))
    tried = pl.concat(counted)
    return {
        QUARTERS: quarter_view(quarters, games).sort("player_id", "event_time"),
        SHOOTERS: _after_each(shooter_rates, tried, games, "player_id", "player_id"),
        DEFENCES: _after_each(defence_rates, tried, games, "team", "opp").rename({"opp": "team"}),
        TYPES: _type_view(pl.concat(types), games),
    }


def _after_each(
    rates: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame],
    counted: pl.DataFrame,
    games: pl.DataFrame,
    unit: str,
    key: str,
) -> pl.DataFrame:
    """`rates` as they are after each game of a `key`: those before its next game, which for the newest is made up.

    `unit` is the column of `counted` that names who gets a made-up game.
    """
    numbers = [name for name in counted.columns if name.endswith(("_tries", "_made"))]
    nothing = counted.unique(unit, keep="first", maintain_order=True).with_columns(
        pl.format("{}{}", pl.lit(_NEXT), pl.col(unit)).alias("game_id"),
        *(pl.lit(0.0, pl.Float32).alias(name) for name in numbers),
    )
    newest = games["event_time"].max()
    assert isinstance(newest, datetime)  # noqa: S101 - narrows the column's type for mypy
    then = pl.lit(newest + _LATER).cast(games.schema["event_time"])
    sides = games.select("game_id", "event_time", "known_time", "home_team", "away_team")
    # The made-up game of a side is its own: who threw there does not matter, who defended does.
    made_up = nothing.select(
        "game_id", then.alias("event_time"), then.alias("known_time"),
        pl.col("team").alias("away_team" if key == "opp" else "home_team"),
        pl.lit("").alias("home_team" if key == "opp" else "away_team"),
    ).select(sides.columns)  # fmt: skip
    if key == "opp":
        nothing = nothing.with_columns(pl.lit("").alias("team"))
    every = pl.concat([sides, made_up])
    before = rates(pl.concat([counted, nothing]), every)
    ordered = before.join(every.select("game_id", "event_time", "known_time"), on="game_id").sort(
        key, "event_time", "game_id"
    )
    columns = [name for name in before.columns if name not in ("game_id", key)]
    after = ordered.with_columns(pl.col(columns).shift(-1).over(key), pl.col("known_time").cum_max().over(key))
    return after.filter(~pl.col("game_id").str.starts_with(_NEXT)).select(
        key, "event_time", "known_time", *columns
    )


def _type_view(types: pl.DataFrame, games: pl.DataFrame) -> pl.DataFrame:
    """`type_rate` of every cell as all dates of a season and those before it tell, a row per season's end."""
    ends = games.group_by("season").agg(pl.col("game_date", "event_time", "known_time").max()).sort("season")
    parts = [
        _type_rates_after(types.filter(pl.col("game_date") <= day), day + _LATER).with_columns(
            pl.lit(tip).cast(games.schema["event_time"]).alias("event_time"),
            pl.lit(known).cast(games.schema["known_time"]).alias("known_time"),
        )
        for _, day, tip, known in ends.iter_rows()
    ]
    return pl.concat(parts).select(*CELL, "event_time", "known_time", "type_rate").sort(*CELL, "event_time")


def _type_rates_after(types: pl.DataFrame, day: date) -> pl.DataFrame:
    """CELL and `type_rate` of every cell as known on `day`, after all of `types`."""
    nothing = types.unique([*CELL, "zone"], maintain_order=True).with_columns(
        pl.lit(day).alias("game_date"), pl.lit(0.0, pl.Float32).alias("tries"), pl.lit(0.0, pl.Float32).alias("hits")
    )  # fmt: skip
    rates = type_rates(pl.concat([types, nothing])).filter(pl.col("game_date") == day)
    return rates.select(*_cell(), "type_rate").unique(list(CELL), keep="first", maintain_order=True)


def _cell() -> list[pl.Expr]:
    return [
        pl.col("subtype").fill_null(""), pl.col("value"), pl.col("distance").fill_null(NO_DISTANCE),
    ]  # fmt: skip


def with_type_rate(rows: pl.DataFrame, view: pl.DataFrame) -> pl.DataFrame:
    """`rows` (with CELL and `as_of`) with the `type_rate` known at that moment, null for a shot never seen."""
    keyed = rows.with_columns(*(cell.alias(f"__{name}") for cell, name in zip(_cell(), CELL, strict=True)))
    named = view.rename({name: f"__{name}" for name in CELL})
    joined = as_of_join(keyed, named, by=[f"__{name}" for name in CELL])
    return joined.drop(f"__{name}" for name in CELL)
