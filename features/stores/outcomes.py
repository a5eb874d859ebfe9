"""What happened, kept beside what was predicted: one value per target and subject, and the players' directory.

The subject of a game's targets has `player_id` 0. Each finished game has one more row, whose target is
`matchup:AWAY@HOME` (value 1): a slate names its games by their teams only, and this finds the game that was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import func, select, text

from features.labels import GAME_TARGETS, PLAYER_TARGETS, game_labels, player_labels
from features.stores.database import Database
from features.stores.schema import Outcome, PredictionServed
from features.tables import EASTERN, Tables
from features.views.entities import player_directory

MATCHUP: Final = "matchup:"
#: Columns of `outcome_rows`.
OUTCOME: Final[dict[str, pl.DataType]] = {
    "target": pl.String(), "game_id": pl.String(), "player_id": pl.Int32(), "value": pl.Float64(),
    "event_time": pl.Datetime("us", "UTC"), "known_time": pl.Datetime("us", "UTC"),
}  # fmt: skip
#: Columns of `scored_predictions`.
SCORED: Final[dict[str, pl.DataType]] = {
    "target": pl.String(), "asked_at": pl.String(), "model_name": pl.String(), "model_version": pl.String(),
    "fallback": pl.Boolean(), "game_id": pl.String(), "player_id": pl.Int32(),
    "served_at": pl.Datetime("us", "UTC"), "event_time": pl.Datetime("us", "UTC"), "probability": pl.Float64(),
    "mean": pl.Float64(), "q10": pl.Float64(), "q50": pl.Float64(), "q90": pl.Float64(), "value": pl.Float64(),
}  # fmt: skip
#: Scores are corrected for some days after a game, so so many are written again every time.
CORRECTED_FOR: Final = timedelta(days=7)
#: Rows per statement.
_ROWS: Final = 20_000
#: The first `known_time` stays: a correction must not let in predictions made after the final score was known.
_UPSERT: Final = text(
    """
    INSERT INTO outcomes (league, target, game_id, player_id, value, event_time, known_time)
    SELECT :league, * FROM unnest(
        CAST(:target AS text[]), CAST(:game_id AS text[]), CAST(:player_id AS integer[]),
        CAST(:value AS double precision[]), CAST(:event_time AS timestamptz[]), CAST(:known_time AS timestamptz[])
    )
    ON CONFLICT (league, target, game_id, player_id) DO UPDATE
    SET value = excluded.value, event_time = excluded.event_time,
        known_time = least(outcomes.known_time, excluded.known_time)
    WHERE (outcomes.value, outcomes.event_time) IS DISTINCT FROM (excluded.value, excluded.event_time)
    """
)
_PLAYERS: Final = text(
    """
    INSERT INTO players (league, player_id, player_name, team, last_played)
    SELECT :league, * FROM unnest(
        CAST(:player_id AS integer[]), CAST(:player_name AS text[]), CAST(:team AS text[]),
        CAST(:last_played AS date[])
    )
    ON CONFLICT (league, player_id) DO UPDATE
    SET player_name = excluded.player_name, team = excluded.team, last_played = excluded.last_played,
        updated_at = now()
    WHERE (players.player_name, players.team, players.last_played)
        IS DISTINCT FROM (excluded.player_name, excluded.team, excluded.last_played)
    """
)
#: `AWAY@HOME` is the first such game from shortly before the slate's lock on; a player who did not appear in a game
#: that is over has 0 of everything. Whom the salary file rules out is no prediction. `points_over_24.5` asks whether
#: the points exceed 24.5, and is told as `points_over_line`. Only what was served before the event counts: before
#: tip-off for `pregame`, before the final score was known in game. Of several answers of one version to one question
#: it is the last; of those at any moment (`event`), which are not one question, the first.
_SCORED: Final = text(
    r"""
    WITH asked AS (
        SELECT p.*, s.lock, regexp_replace(p.target, '_over_-?[0-9.]+$', '') AS amount,
            regexp_replace(p.target, '_over_-?[0-9.]+$', '_over_line') AS told,
            CAST(substring(p.target FROM '_over_(-?[0-9.]+)$') AS double precision) AS line
        FROM predictions_served p LEFT JOIN slates s ON s.slate_id = p.slate_id
        WHERE p.league = :league
            AND (CAST(:asked_at AS text) IS NULL OR p.asked_at = :asked_at)
            AND (p.mean IS NULL OR p.mean <> 0 OR CAST(p.quantiles ->> 'q90' AS double precision) <> 0)
    ), resolved AS (
        SELECT a.*, coalesce(m.game_id, a.game_id) AS game FROM asked a LEFT JOIN LATERAL (
            SELECT o.game_id FROM outcomes o
            WHERE o.league = a.league AND o.target = :matchup || a.game_id AND o.player_id = 0
                AND o.event_time >= coalesce(a.lock - interval '2 hours', a.served_at)
                AND o.event_time < coalesce(a.lock, a.served_at) + interval '24 hours'
            ORDER BY o.event_time LIMIT 1
        ) m ON true
        WHERE CAST(:target AS text) IS NULL OR a.told = :target
    ), known AS (
        SELECT r.*, CASE WHEN r.player_id IS NULL THEN own.value ELSE coalesce(own.value, 0) END AS happened,
            one.event_time, one.known_time
        FROM resolved r
        JOIN LATERAL (
            SELECT min(o.event_time) AS event_time, min(o.known_time) AS known_time FROM outcomes o
            WHERE o.league = r.league AND o.target = r.amount AND o.game_id = r.game
        ) one ON one.event_time IS NOT NULL
        LEFT JOIN outcomes own ON own.league = r.league AND own.target = r.amount AND own.game_id = r.game
            AND own.player_id = coalesce(r.player_id, 0)
    )
    SELECT DISTINCT ON (model_name, model_version, fallback, told, asked_at, game, player_id)
        told AS target, asked_at, model_name, model_version, fallback, game AS game_id, player_id, served_at,
        event_time, probability, mean, CAST(quantiles ->> 'q10' AS double precision) AS q10,
        CAST(quantiles ->> 'q50' AS double precision) AS q50, CAST(quantiles ->> 'q90' AS double precision) AS q90,
        CASE WHEN line IS NULL THEN happened WHEN happened > line THEN 1.0 ELSE 0.0 END AS value
    FROM known
    WHERE happened IS NOT NULL
        AND served_at < CASE WHEN asked_at = 'pregame' THEN event_time ELSE known_time END
    ORDER BY model_name, model_version, fallback, told, asked_at, game, player_id,
        CASE WHEN asked_at IN ('pregame', 'q1', 'half', 'q3') THEN served_at END DESC, served_at
    """
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording wrote: values looked at and those new or changed, since when; players new or changed."""

    since: datetime
    values: int
    written: int
    players: int

    def summary(self) -> str:
        """One line."""
        return f"{self.written:,} of {self.values:,} values new or changed since {self.since:%Y-%m-%d}"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "since": self.since.isoformat(), "values": self.values, "written": self.written,
            "players": self.players,
        }  # fmt: skip


def outcome_rows(tables: Tables, since: datetime) -> pl.DataFrame:
    """Rows of OUTCOME for every finished game that tipped off at `since` or later, and for everybody in its box."""
    recent = pl.col("event_time") >= since
    games, box = tables.games.filter(recent), tables.box.filter(recent)
    times = games.select("game_id", "event_time", "known_time", "away_team", "home_team")
    told = game_labels(Tables(games, box)).join(times, on="game_id")
    of_games = _long(told.with_columns(player_id=pl.lit(0)), GAME_TARGETS)
    matchups = told.select(
        pl.format("{}{}@{}", pl.lit(MATCHUP), "away_team", "home_team").alias("target"), "game_id",
        pl.lit(0).alias("player_id"), pl.lit(1.0).alias("value"), "event_time", "known_time",
    )  # fmt: skip
    keys = ["game_id", "player_id"]
    moments = box.select(*keys, "event_time", "known_time")
    finished = player_labels(Tables(games, box)).join(moments, on=keys).join(told.select("game_id"), on="game_id")
    of_players = _long(finished, PLAYER_TARGETS)
    parts = (of_games, matchups, of_players)
    return pl.concat([part.select(pl.col(name).cast(kind) for name, kind in OUTCOME.items()) for part in parts])


def record_outcomes(
    database: Database, tables: Tables, league: str, *, since: datetime | None = None
) -> Recorded | None:
    """Write what happened from `since` on (default: `unrecorded_since`), and the directory of players; None without
    games. Doing it again changes nothing."""
    start = since or unrecorded_since(database, tables, league)
    if start is None:
        return None
    rows, people = outcome_rows(tables, start), player_directory(tables)
    with database.session() as session:
        written = 0
        for part in rows.iter_slices(_ROWS):
            done: Any = session.execute(_UPSERT, {"league": league, **part.to_dict(as_series=False)})
            written += done.rowcount
        told: Any = session.execute(_PLAYERS, {"league": league, **people.to_dict(as_series=False)})
        return Recorded(start, rows.height, written, told.rowcount)


def unrecorded_since(database: Database, tables: Tables, league: str) -> datetime | None:
    """CORRECTED_FOR before the newest outcome that was written; in the beginning before the newest game, or when the
    first prediction was served, if that is earlier. None without games."""
    newest = tables.games["event_time"].max()
    if not isinstance(newest, datetime):
        return None
    with database.session() as session:
        known = session.scalar(select(func.max(Outcome.event_time)).where(Outcome.league == league))
        if known is not None:
            return min(known, newest) - CORRECTED_FOR
        first = session.scalar(
            select(func.min(PredictionServed.served_at)).where(PredictionServed.league == league)
        )
    return newest - CORRECTED_FOR if first is None else min(first, newest - CORRECTED_FOR)


def scored_predictions(
    database: Database, league: str, *, target: str | None = None, asked_at: str | None = None
) -> pl.DataFrame:
    """Served predictions beside what happened, rows of SCORED with `game_date` (US Eastern day of the tip-off).

    Only what was served before the event, one answer of each version to each question. Possessions, shots and the
    next two minutes are not among them: their moment is not kept with the prediction.
    """
    asked = {"league": league, "target": target, "asked_at": asked_at, "matchup": MATCHUP}
    with database.session() as session:
        rows: Sequence[Any] = session.execute(_SCORED, asked).all()
    frame = pl.DataFrame([tuple(row) for row in rows], schema=SCORED, orient="row")
    day = pl.col("event_time").dt.convert_time_zone(EASTERN).dt.date()
    return frame.with_columns(day.alias("game_date")).sort("event_time", "game_id", "player_id", "model_version")


def _long(rows: pl.DataFrame, targets: Sequence[str]) -> pl.DataFrame:
    """One row per target whose value is known."""
    wide = rows.with_columns(pl.col(name).cast(pl.Float64) for name in targets)
    keys = ["game_id", "player_id", "event_time", "known_time"]
    return wide.unpivot(list(targets), index=keys, variable_name="target").filter(pl.col("value").is_not_null())
