"""Slates in the application database, where the flows and every serving replica find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import String, cast, column, select
from sqlalchemy.dialects.postgresql import insert

from features.errors import NotMaterialized
from features.slate import Slate
from features.stores.database import Database
from features.stores.schema import SlateRow
from features.workspace import League

_SLATE: Final = TypeAdapter(Slate)


@dataclass(frozen=True, slots=True)
class StoredSlate:
    """A slate and the league whose models answer for it."""

    league: League
    slate: Slate


def save_slate(database: Database, slate: Slate, league: League) -> None:
    """Store `slate`, replacing an older copy of the same `slate_id`."""
    values = {
        "slate_id": slate.slate_id,
        "league": league,
        "site": slate.site,
        "sport": slate.sport,
        "mode": slate.mode,
        "lock": slate.lock,
        "source": slate.source,
        "content": _SLATE.dump_python(slate, mode="json"),
    }
    changed = {name: value for name, value in values.items() if name != "slate_id"}
    with database.session() as session:
        session.execute(
            insert(SlateRow).values(values).on_conflict_do_update(index_elements=["slate_id"], set_=changed)
        )


def load_slate(database: Database, slate_id: str) -> StoredSlate:
    """Return one slate. Raises `NotMaterialized` when it was never stored."""
    with database.session() as session:
        row = session.get(SlateRow, slate_id)
        if row is None:
            raise _unknown(slate_id)
        return _stored(row)


def slate_stamp(database: Database, slate_id: str) -> tuple[str, str]:
    """What is another whenever the slate was written anew: PostgreSQL's own mark of the row. Raises as `load_slate`."""
    query = select(cast(column("xmin"), String), cast(column("ctid"), String))
    with database.statement() as connection:
        row = connection.execute(query.select_from(SlateRow).where(SlateRow.slate_id == slate_id)).one_or_none()
    if row is None:
        raise _unknown(slate_id)
    return row[0], row[1]


def newest_slates(database: Database, limit: int = 50) -> list[StoredSlate]:
    """Return the slates stored last, newest first."""
    with database.session() as session:
        rows = session.scalars(select(SlateRow).order_by(SlateRow.recorded_at.desc()).limit(limit)).all()
        return [_stored(row) for row in rows]


def _unknown(slate_id: str) -> NotMaterialized:
    return NotMaterialized(f"slate_id {slate_id!r} is not known; see GET /v1/slates, or upload it")


def _stored(row: SlateRow) -> StoredSlate:
    slate = _SLATE.validate_python(row.content)
    games = tuple(replace(game, tip=_utc(game.tip)) for game in slate.games)
    league: League = "simulated" if row.league == "simulated" else "nba"
    return StoredSlate(league, replace(slate, lock=_utc(slate.lock), games=games))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
