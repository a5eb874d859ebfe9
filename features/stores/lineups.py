"""Lineups that were built, kept so that they can be downloaded, graded and explained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text

from features.errors import NotMaterialized
from features.slate import Slate
from features.stores.database import Database
from features.stores.schema import LineupRow

#: One document in, its rows made by the server: a third of the time that as many rows of parameters take.
_INSERT: Final = text(
    """
    INSERT INTO lineups (
        lineup_id, request_id, rank, built_at, slate_id, site, model_name, model_version,
        salary_usd, projection, bound, players, rules
    )
    SELECT
        gen_random_uuid(), :request_id, rank, :built_at, :slate_id, :site, :model_name, :model_version,
        (lineup ->> 'salary')::integer, (lineup ->> 'projection')::double precision,
        (lineup ->> 'bound')::double precision, lineup -> 'players', CAST(:rules AS jsonb)
    FROM jsonb_array_elements(CAST(:lineups AS jsonb)) WITH ORDINALITY AS listed (lineup, rank)
    """
)


def save_lineups(
    database: Database,
    request_id: UUID,
    slate: Slate,
    lineups: Sequence[dict[str, Any]],
    *,
    model: tuple[str, str],
    rules: dict[str, Any],
    built_at: datetime,
) -> None:
    """Store the lineups of one request, best first, all or none. Each is `Lineup.as_json()`."""
    name, version = model
    values = {
        "request_id": request_id,
        "built_at": built_at,
        "slate_id": slate.slate_id,
        "site": slate.site,
        "model_name": name,
        "model_version": version,
        "rules": json.dumps(rules),
        "lineups": to_json(lineups).decode(),
    }
    with database.statement() as connection:
        connection.execute(_INSERT, values)


def load_lineups(database: Database, request_id: UUID) -> tuple[str, list[dict[str, Any]]]:
    """Return the slate id and the lineups of a request, best first. Raises `NotMaterialized` when unknown."""
    query = select(LineupRow).where(LineupRow.request_id == request_id).order_by(LineupRow.rank)
    with database.session() as session:
        rows = session.scalars(query).all()
        if not rows:
            raise NotMaterialized(f"lineups {request_id} are not known; build them with POST /v1/lineups")
        lineups = [
            {
                "players": row.players,
                "salary": row.salary_usd,
                "projection": row.projection,
                "bound": row.bound,
                "gap": round(row.bound - row.projection, 4),
            }
            for row in rows
        ]
        return rows[0].slate_id, lineups
