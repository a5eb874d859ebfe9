"""What every answer carries, and the projections of a slate's players."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import polars as pl
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from features.recent import RecentOf
from features.slate import Slate
from serving.predictor import KEPT, Projected
from serving.stat_lines import DOUBLE

#: Also keeps out what PostgreSQL text cannot hold.
SLATE_ID = r"^[A-Za-z0-9._:@-]{1,200}$"
SlateId = Annotated[str, Query(pattern=SLATE_ID, description="id from GET /v1/slates")]


class ModelRef(BaseModel):
    """The model that answered; `file_average` without a version when none could."""

    name: str
    version: str


class Answer(BaseModel):
    """Where an answer comes from. `tier` is where it was computed; `fallback` says that no model knew enough."""

    model_config = ConfigDict(protected_namespaces=())

    model: ModelRef
    data_timestamp: datetime | None
    source: str = Field(description="league: nba, simulated (made up, not real games), or file (another sport)")
    tier: str = "regional"
    fallback: bool
    warnings: list[str]
    latency_ms: float


class StatLine(BaseModel):
    """A stat of the box line with its 80 % interval (q10 to q90); the chance of not playing is in it."""

    mean: float
    q10: float
    q50: float
    q90: float


class PlayerProjection(BaseModel):
    """A player's projection in fantasy points of the slate's site, with its 80 % interval (q10 to q90).

    The chance of not playing (0 points) is in all of them. `basis` is champion, file_average, prior (newcomer) or out.
    """

    id: str = Field(description="the site's id")
    prediction_id: UUID
    name: str
    team: str
    positions: list[str]
    salary: int
    player_id: int | None
    mean: float
    q10: float
    q50: float
    q90: float
    p_play: float
    basis: str
    stats: dict[str, StatLine] | None = Field(
        default=None, description="minutes, points, rebounds, ... where the champion answers the box line"
    )
    double_double: float | None = Field(default=None, description="chance of a double-double")


def source_fields(projected: Projected) -> dict[str, Any]:
    """Return the fields of `Answer` for what was projected."""
    given = projected.projections
    unmatched = projected.unmatched
    known = [f"not matched to a known player: {', '.join(unmatched)}"] if unmatched else []
    return {
        "model": ModelRef(name=given.model_name, version=given.model_version),
        "data_timestamp": given.data_timestamp,
        "source": projected.stored.league
        if projected.stored.slate.sport == "nba"
        else projected.stored.slate.source,
        "fallback": given.fallback,
        "warnings": [*given.warnings, *known],
        "latency_ms": round(projected.latency_ms, 3),
    }


def player_projections(projected: Projected) -> list[PlayerProjection]:
    """Return every player of the slate, best projection first."""
    rows = projected.projections.frame.sort("mean", descending=True, maintain_order=True).to_dicts()
    lines = {} if projected.lines is None else _lines_of(projected.lines)
    return [
        PlayerProjection(
            id=row["site_id"],
            prediction_id=projected.prediction_id(row["site_id"]),
            **_known(row),
            **(lines.get(row["player_id"], {}) if row["basis"] == "champion" else {}),
        )
        for row in rows
    ]


def _lines(lines: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """Fields `stats` and `double_double` by player id."""
    stats = [name.removesuffix("_mean") for name in lines.columns if name.endswith("_mean")]
    return {
        row["player_id"]: {
            "stats": {
                stat: StatLine(**{name: round(row[f"{stat}_{name}"], 3) for name in StatLine.model_fields})
                for stat in stats
            },
            DOUBLE: round(row[DOUBLE], 4),
        }
        for row in lines.iter_rows(named=True)
    }


#: Answers from the cache share their lines, so these are made once.
_lines_of: Final = RecentOf(KEPT, _lines)


def player_named(slate: Slate, who: str) -> list[str]:
    """Return the site ids of the players whose id or name (any case) is `who`."""
    wanted = who.casefold().strip()
    return [p.site_id for p in slate.players if wanted in (p.site_id.casefold(), p.name.casefold())]


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in PlayerProjection.model_fields if name in row}
