"""Read a DraftKings contest standings export: entries on the left, drafted players on the right.

Files are exported while a contest runs, too: slots whose game has not started are 'LOCKED' to others, and
`time_remaining` (player-minutes) is above 0.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from features.errors import SalaryFileError
from features.sources.csv_text import read_csv_text, read_limited

LOCKED: Final = "LOCKED"
MAX_BYTES: Final = 200_000_000
_MAX_ROWS: Final = 2_000_000
_ENTRY: Final = ("rank", "entryid", "entryname", "timeremaining", "points", "lineup")
_PLAYER: Final = ("player", "roster position", "%drafted", "fpts")
_SLOTS: Final = ("PG", "SG", "SF", "PF", "C", "G", "F", "UTIL", "CPT", "FLEX")
#: 2015 exports: '(1B) Adrian Gonzalez ,(OF) Nelson Cruz ,...'.
_OLD_LINEUP: Final = re.compile(r"\(([A-Z0-9/]+)\)\s*([^,]+?)\s*(?:,|$)")

_ENTRIES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "rank": pl.Int32(), "entry_id": pl.String(), "entry_name": pl.String(), "points": pl.Float64(),
    "time_remaining": pl.Float64(), "slots": pl.List(pl.String()), "lineup": pl.List(pl.String()),
}  # fmt: skip
_PLAYERS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "name": pl.String(), "roster_position": pl.String(), "drafted": pl.Float64(), "points": pl.Float64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standings:
    """Entries of a contest and the players they drafted.

    `entries`: rank, entry_id, entry_name, points, time_remaining, slots and lineup (player names by slot, 'LOCKED'
    where hidden, empty for an entry never filled). `players`: name, roster_position, drafted (share of entries),
    points; empty in exports of 2015.
    """

    entries: pl.DataFrame
    players: pl.DataFrame

    @property
    def final(self) -> bool:
        """Whether no player of any entry has time left."""
        return bool((self.entries["time_remaining"] == 0).all())


def read_standings(path: Path | str | bytes) -> Standings:
    """Read a standings CSV, plain or gzipped. Raises `SalaryFileError` naming the row and field that is wrong."""
    data, origin = _bytes(path)
    text = read_csv_text(data, max_bytes=MAX_BYTES, max_rows=_MAX_ROWS, what=origin)
    titles = [cell.lower() for cell in text.rows[0]]
    lacking = [title for title in _ENTRY if title not in titles]
    if lacking:
        raise SalaryFileError(f"{origin} is no contest standings file: it lacks the columns {lacking}")
    entry = [titles.index(title) for title in _ENTRY]
    player = [titles.index(title) for title in _PLAYER] if all(t in titles for t in _PLAYER) else []
    rows = list(zip(text.lines[1:], text.rows[1:], strict=True))
    players = [_player(row, player, line, origin) for line, row in rows if player and _filled(row, player[0])]
    slots = re.compile(_slot_pattern({p[1] for p in players}))
    entries = [_entry(row, entry, slots, line, origin) for line, row in rows if _filled(row, entry[1])]
    if not entries:
        raise SalaryFileError(f"{origin} holds no entries; download the standings again")
    return Standings(
        pl.DataFrame(entries, schema=_ENTRIES_SCHEMA, orient="row"),
        pl.DataFrame(players, schema=_PLAYERS_SCHEMA, orient="row"),
    )


def lineup_points(standings: Standings) -> pl.DataFrame:
    """Entries whose slots are all shown, with `sum_points`: their players' points in the players table, added up.

    Raises `SalaryFileError` for an export without a players table (2015).
    """
    if standings.players.is_empty():
        raise SalaryFileError("these standings have no players table to add points from; pass a later export")
    points = standings.players.group_by("name").agg(pl.col("points").max().alias("player_points"))
    shown = standings.entries.filter(~pl.col("lineup").list.contains(LOCKED))
    sums = (
        shown.select("entry_id", "lineup")
        .explode("lineup")
        .join(points, left_on="lineup", right_on="name", how="left")
        .group_by("entry_id")
        .agg(pl.col("player_points").sum().alias("sum_points"))
    )
    return shown.join(sums, on="entry_id", how="left").with_columns(pl.col("sum_points").fill_null(0.0))


def _bytes(path: Path | str | bytes) -> tuple[bytes, str]:
    origin = "the standings file" if isinstance(path, bytes) else str(path)
    try:
        data = path if isinstance(path, bytes) else read_limited(Path(path), MAX_BYTES)
        if data[:2] == b"\x1f\x8b":
            data = _unzip(data, origin)
    except (OSError, EOFError, zlib.error) as error:
        raise SalaryFileError(f"{origin} cannot be read: {error}; download the standings again") from error
    return data, origin


def _unzip(data: bytes, origin: str) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise SalaryFileError(f"{origin} unpacks to over {MAX_BYTES / 1e6:.0f} MB; no standings are that large")
    return text


def _slot_pattern(slots: set[str]) -> str:
    names = sorted({*_SLOTS, *slots}, key=len, reverse=True)
    return rf"(?:^|\s)({'|'.join(re.escape(name) for name in names)})\s"


def _filled(row: tuple[str, ...], column: int) -> bool:
    return column < len(row) and bool(row[column])


def _entry(
    row: tuple[str, ...], columns: list[int], slots: re.Pattern[str], line: int, origin: str
) -> tuple[int, str, str, float, float, list[str], list[str]]:
    if len(row) <= max(columns):
        raise SalaryFileError(f"{origin}, row {line} is cut short; the file may be truncated: download it again")
    rank, entry_id, name, remaining, points, text = (row[i] for i in columns)
    roster = _lineup(text, slots)
    return (
        int(_number(rank, "Rank", line, origin)),
        entry_id,
        name,
        _number(points, "Points", line, origin),
        _number(remaining or "0", "TimeRemaining", line, origin),
        [slot for slot, _ in roster],
        [player for _, player in roster],
    )


def _lineup(text: str, slots: re.Pattern[str]) -> list[tuple[str, str]]:
    """'C Goga Bitadze F LOCKED ...' -> [('C', 'Goga Bitadze'), ('F', 'LOCKED'), ...]."""
    if text.startswith("("):
        return [(m[1], m[2]) for m in _OLD_LINEUP.finditer(text)]
    parts = slots.split(text)
    return [(slot, player.strip()) for slot, player in zip(parts[1::2], parts[2::2], strict=True)]


def _player(row: tuple[str, ...], columns: list[int], line: int, origin: str) -> tuple[str, str, float, float]:
    if len(row) <= max(columns):
        raise SalaryFileError(f"{origin}, row {line} is cut short; the file may be truncated: download it again")
    name, position, drafted, points = (row[i] for i in columns)
    share = _number(drafted.rstrip("%"), "%Drafted", line, origin) / 100
    return name, position, share, _number(points or "0", "FPTS", line, origin)


def _number(text: str, field: str, line: int, origin: str) -> float:
    if not re.fullmatch(r"-?\d+(?:\.\d*)?|-?\.\d+", text):
        raise SalaryFileError(
            f"{origin}, row {line}, field {field!r}, value {text!r}: not a number; correct the row"
        )
    return float(text)
