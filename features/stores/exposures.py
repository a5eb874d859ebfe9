"""Who met which arm of an experiment: written where an arm is served, read by the sample-ratio check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from features.stores.database import Database
from features.stores.schema import ExperimentExposure


@dataclass(frozen=True, slots=True)
class Exposure:
    """A unit got `arm`, at `exposed_at` (UTC). `unit_hash` is never the account itself. `context` says what the
    arms were: `shares` per arm, and whatever else explains the split."""

    experiment: str
    bucket_version: int
    unit_hash: str
    arm: str
    bucket: int
    exposed_at: datetime
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExposedArms:
    """Of one experiment: `units` per arm, `shares` as promised, units `seen_in_several` arms, first and last time."""

    experiment: str
    bucket_version: int
    units: dict[str, int]
    shares: dict[str, float]
    seen_in_several: int
    first: datetime
    last: datetime


def save_exposures(database: Database, exposures: Sequence[Exposure]) -> None:
    """Store `exposures`, all or none; a unit's second one to the same arm on the same UTC day is left out."""
    if not exposures:
        return
    rows = [{**asdict(each), "exposed_on": each.exposed_at.astimezone(UTC).date()} for each in exposures]
    key = ["experiment", "bucket_version", "unit_hash", "arm", "exposed_on"]
    with database.session() as session:
        session.execute(insert(ExperimentExposure).on_conflict_do_nothing(index_elements=key), rows)


def exposed_arms(database: Database) -> list[ExposedArms]:
    """Every experiment with an exposure, the newest first; a unit counts once in each arm that it met."""
    table = ExperimentExposure
    group = (table.experiment, table.bucket_version)
    arms = select(
        *group, table.arm, func.count(table.unit_hash.distinct()), func.min(table.exposed_at),
        func.max(table.exposed_at), func.jsonb_agg(table.context["shares"]).op("->")(0),
    ).group_by(*group, table.arm)  # fmt: skip
    unit = select(*group, cast(func.count(table.arm.distinct()) > 1, Integer).label("several"))
    per_unit = unit.group_by(*group, table.unit_hash).subquery()
    key = (per_unit.c.experiment, per_unit.c.bucket_version)
    with database.session() as session:
        several = {(name, version): int(n) for name, version, n in session.execute(
            select(*key, func.sum(per_unit.c.several)).group_by(*key)
        )}  # fmt: skip
        rows = session.execute(arms).all()
    found: dict[tuple[str, int], list[Any]] = {}
    for name, version, *rest in rows:
        found.setdefault((name, version), []).append(rest)
    listed = []
    for (name, version), of in found.items():
        shares: dict[str, float] = of[0][4]
        units = dict.fromkeys(shares, 0) | {arm: n for arm, n, *_ in of}
        first, last = min(each[2] for each in of), max(each[3] for each in of)
        listed.append(ExposedArms(name, version, units, shares, several[name, version], first, last))
    return sorted(listed, key=lambda each: each.last, reverse=True)
