"""Candidates from a Polars or pandas frame, lineups as a Polars frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from features.errors import SchemaError
from models.lineups.problem import Candidate, LineupResult

if TYPE_CHECKING:
    import pandas as pd

#: Columns a frame of candidates must have, and those it may.
REQUIRED: Final = ("id", "name", "positions", "team", "game", "salary_usd", "projection")
OPTIONAL: Final = ("floor", "ceiling", "person", "opponent", "ownership", "batting_order")
LINEUP_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "lineup": pl.Int64(),
    "slot": pl.String(),
    "id": pl.String(),
    "name": pl.String(),
    "team": pl.String(),
    "salary": pl.Int64(),
    "projection": pl.Float64(),
    "lineup_salary": pl.Int64(),
    "lineup_projection": pl.Float64(),
    "lineup_bound": pl.Float64(),
    "lineup_gap": pl.Float64(),
}


def candidates_from_frame(frame: pl.DataFrame | pd.DataFrame) -> list[Candidate]:
    """Return one candidate per row. `positions` may be lists or text such as `PG/SG`; nulls and NaN mean not given.

    Columns beyond `REQUIRED` and `OPTIONAL` are ignored. Raises `SchemaError` naming a missing column or the row whose
    value does not fit.
    """
    columns = frame.to_dict(as_series=False) if isinstance(frame, pl.DataFrame) else frame.to_dict("list")
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise SchemaError(
            f"candidates lack column {missing[0]}; they have {', '.join(map(str, columns))}; rename or add it "
            f"(needed: {', '.join(REQUIRED)})"
        )
    names = [name for name in (*REQUIRED, *OPTIONAL) if name in columns]
    rows = zip(*(columns[name] for name in names), strict=True)
    return [_candidate(at, dict(zip(names, row, strict=True))) for at, row in enumerate(rows)]


def lineups_frame(result: LineupResult) -> pl.DataFrame:
    """Return one row per seat, lineups numbered from 1 in their order: see `LINEUP_SCHEMA`."""
    rows = [
        (
            at, seat.slot, seat.id, seat.name, seat.team, seat.salary, seat.projection, lineup.salary,
            lineup.projection, lineup.bound, lineup.gap,
        )
        for at, lineup in enumerate(result.lineups, 1)
        for seat in lineup.players
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(LINEUP_SCHEMA), orient="row")


def _candidate(at: int, row: dict[str, Any]) -> Candidate:
    for name in REQUIRED:
        if _absent(row[name]):
            raise SchemaError(f"candidates row {at} has no {name}; give it or leave the row out")
    positions = row["positions"]
    listed = positions.replace(",", "/").split("/") if isinstance(positions, str) else positions
    optional = {name: row[name] for name in OPTIONAL if name in row and not _absent(row[name])}
    try:
        return Candidate(
            id=str(row["id"]),
            name=str(row["name"]),
            positions=tuple(str(position).strip() for position in listed),
            team=str(row["team"]),
            game=str(row["game"]),
            salary_usd=_whole(row["salary_usd"]),
            projection=float(row["projection"]),
            floor=_number(optional.get("floor")),
            ceiling=_number(optional.get("ceiling")),
            person=str(optional.get("person", "")),
            opponent=str(optional.get("opponent", "")),
            ownership=_number(optional.get("ownership")),
            batting_order=_whole(optional["batting_order"]) if "batting_order" in optional else None,
        )
    except (TypeError, ValueError) as error:
        raise SchemaError(f"candidates row {at} ({row['name']}): {error}; correct the value") from error


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _whole(value: Any) -> int:
    if float(value) != int(value):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)
