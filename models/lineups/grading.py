"""What lineups scored: points from real box scores and standing among a contest's real entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from features.contests import LineupLike
from features.errors import InvalidInput, SchemaError
from features.scoring import fantasy_points
from features.slate import Slate, SlatePlayer
from features.sources.standings import Standings

_SCHEMA: Final[dict[str, pl.DataType]] = {
    "lineup": pl.Int32(), "points": pl.Float64(), "salary_usd": pl.Int32(), "unplayed": pl.List(pl.String()),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grades:
    """`frame` has a row per lineup in the order given: lineup (from 1), points, salary_usd, unplayed (names that
    scored 0 for lack of a box row) and, against a contest, rank (1 + entries with more points), field_percentile
    (share of the field beaten, ties count half, 0..1) and field_size. `unplayed` lists those players once.
    """

    frame: pl.DataFrame
    unplayed: tuple[SlatePlayer, ...]


def grade(
    lineups: Sequence[LineupLike], box: pl.DataFrame, slate: Slate, standings: Standings | None = None
) -> Grades:
    """Score lineups of a matched slate with the box rows of its games (player_id and the scoring columns).

    A player without a box row did not play and scores 0. Raises `SchemaError` when `box` holds a player twice
    (rows of more than this slate's games), `InvalidInput` for a player not on the slate, a slate nobody matched,
    or standings of a contest that is still running.
    """
    if not lineups:
        raise InvalidInput("there are no lineups to grade; build some first")
    if all(player.player_id is None for player in slate.players):
        raise InvalidInput(f"slate {slate.slate_id} has no player ids; match its players before grading")
    points = _points_by_player(box, slate)
    pool = {player.site_id: player for player in slate.players}
    rows = []
    unplayed: dict[str, SlatePlayer] = {}
    for number, lineup in enumerate(lineups, start=1):
        players = [_on_slate(pool, entry.id, number) for entry in lineup.players]
        absent = [p for p in players if p.player_id not in points]
        unplayed.update({p.site_id: p for p in absent})
        total = sum(points[p.player_id] for p in players if p.player_id in points)
        rows.append((number, total, sum(p.salary_usd for p in players), [p.name for p in absent]))
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    if standings is not None:
        frame = frame.hstack(field_standing(frame["points"], standings))
    return Grades(frame, tuple(unplayed.values()))


def field_standing(points: pl.Series, standings: Standings) -> pl.DataFrame:
    """rank, field_percentile and field_size of each score as if it had joined the finished contest.

    Raises `InvalidInput` when the standings were exported while the contest ran.
    """
    if not standings.final:
        raise InvalidInput("the contest of these standings still runs (TimeRemaining > 0); pass the final export")
    field = np.sort(standings.entries["points"].to_numpy())
    # Scores are multiples of 0.25 or of 0.1; rounding joins equal ones that floats would part.
    field, scores = np.round(field, 4), np.round(points.to_numpy(), 4)
    below = np.searchsorted(field, scores, side="left")
    not_above = np.searchsorted(field, scores, side="right")
    return pl.DataFrame(
        {
            "rank": pl.Series(field.size - not_above + 1, dtype=pl.Int32),
            "field_percentile": (below + not_above) / (2 * field.size),
            "field_size": pl.Series(np.full(scores.size, field.size), dtype=pl.Int32),
        }
    )


def _points_by_player(box: pl.DataFrame, slate: Slate) -> dict[int | None, float]:
    wanted = pl.Series([p.player_id for p in slate.players if p.player_id is not None], dtype=pl.Int32)
    rows = box.filter(pl.col("player_id").cast(pl.Int32).is_in(wanted.implode()))
    scored = rows.select(pl.col("player_id").cast(pl.Int32), fantasy_points(slate.site).alias("points"))
    doubled = scored.filter(pl.col("player_id").is_duplicated())["player_id"].unique().sort().to_list()
    if doubled:
        raise SchemaError(f"box rows hold players {doubled[:5]} more than once; pass only the slate's own games")
    return dict(scored.iter_rows())


def _on_slate(pool: dict[str, SlatePlayer], site_id: str, number: int) -> SlatePlayer:
    if site_id not in pool:
        raise InvalidInput(f"lineup {number}: player {site_id!r} is not on the slate; grade it with its own slate")
    return pool[site_id]
