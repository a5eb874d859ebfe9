"""Lineups that were built, kept so that they can be downloaded, graded and explained."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from features.errors import NotMaterialized
from features.slate import Slate
from features.stores.database import Database
from features.stores.schema import LineupRow


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
    with database.session() as session:
        session.add_all(
            LineupRow(
                request_id=request_id,
                rank=rank,
                built_at=built_at,
                slate_id=slate.slate_id,
                site=slate.site,
                model_name=name,
                model_version=version,
                salary_usd=lineup["salary"],
                projection=lineup["projection"],
                bound=lineup["bound"],
                players=lineup["players"],
                rules=rules,
            )
            for rank, lineup in enumerate(lineups, start=1)
        )


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
