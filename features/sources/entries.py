"""Read the entries of a site's upload template, and fill lineups in, leaving every other byte as it was.

DraftKings' `DKEntries.csv` has the entries on the left, instructions and the player pool on the right and below; after
lock it marks cells `(LOCKED)`. FanDuel's template is laid out alike, with `id:name` cells. Yahoo's begins with Contest
Title, Entry Fee, Prizes, Contest ID, Entry ID and has `player$game` cells. Of these two sites no real file was at hand,
only public programs that edit entries so.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.contests import Contest, LineupLike, check_lineup
from features.errors import InvalidInput, SalaryFileError
from features.files import replace_file
from features.slate import Slate, SlatePlayer
from features.sources.csv_text import decode, read_csv_text, read_limited
from features.sources.upload import find_upload_header, player_cells, player_id

_LOCKED: Final = re.compile(r"\(LOCKED\)\s*$", re.IGNORECASE)
#: A quoted cell, else everything up to the next comma or line end; then what ends it.
_CELL: Final = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n|\r|\n|\Z)')
#: Titles in lower case with spaces and underscores taken out.
_TITLES: Final = {
    "entryid": "entry_id",
    "contestname": "contest_name",
    "contesttitle": "contest_name",
    "contestid": "contest_id",
    "entryfee": "entry_fee",
}
_ENCODINGS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One contest entry of the file.

    `players` are site ids in slot order, None where the cell is empty (a reservation) or names nobody of the slate;
    `problem` then says which cell, empty otherwise. `locked` marks slots whose game has started: they keep their
    player. `entry_fee_usd` is None where the file has no fee. `row` is the line in the file, 1 being the header's.
    """

    entry_id: str
    contest_name: str
    contest_id: str
    entry_fee_usd: float | None
    players: tuple[str | None, ...]
    locked: tuple[bool, ...]
    row: int
    problem: str = ""

    @property
    def filled(self) -> bool:
        """Whether every slot holds a player of the slate."""
        return None not in self.players


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell as the file has it (`raw`, with its quotes), and where in the text it stands."""

    start: int
    end: int
    raw: str

    @property
    def text(self) -> str:
        raw = self.raw
        return (raw[1:-1].replace('""', '"') if raw.startswith('"') else raw).strip()


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of a file in its order, with the text they came from; `slate` and `contest` are what they were read for.

    `prefix` and `encoding` are the file's byte-order mark and encoding; `cells` are the roster cells of each entry.
    """

    entries: tuple[Entry, ...]
    slate: Slate
    contest: Contest
    origin: str
    text: str
    prefix: bytes
    encoding: str
    cells: tuple[tuple[_Cell, ...], ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with single entries, in file order."""
        return tuple(entry.problem for entry in self.entries if entry.problem)


def read_entries(path_or_bytes: Path | str | bytes, slate: Slate, contest: Contest) -> Entries:
    """The entries of an upload template, in file order.

    A cell may be 'Name (ID)', 'Name (ID) (LOCKED)', the id, FanDuel's 'ID:Name', or a name the slate holds once. One
    that is none of these makes that entry's `problem`. Raises `SalaryFileError` for a file without entries of this
    contest, an entry without or with another's id, a row cut short, a fee that is no amount, or a file none of whose
    players is on the slate; `InvalidInput` for a slate of another site.
    """
    if slate.site != contest.site:
        raise InvalidInput(f"slate {slate.slate_id} is not of {contest.name}; use the rules of its own site")
    given = isinstance(path_or_bytes, bytes)
    data = path_or_bytes if isinstance(path_or_bytes, bytes) else read_limited(Path(path_or_bytes))
    checked = read_csv_text(data, what="the entries file" if given else str(path_or_bytes))
    prefix, encoding, text = _decoded(data, checked.origin)
    header, seats = find_upload_header(checked, contest)
    columns = _columns(checked.rows[header], min(seats), checked.origin)
    pool = player_cells(slate)
    entries: list[Entry] = []
    spans: list[tuple[_Cell, ...]] = []
    rows = _raw_rows(text)
    for line, row in zip(checked.lines[header + 1 :], rows[header + 1 :], strict=True):
        if columns["entry_id"] >= len(row) or not row[columns["entry_id"]].text:
            continue
        roster = [row[seat] for seat in seats if seat < len(row)]
        if len(roster) < contest.lineup_size:
            raise SalaryFileError(
                f"{checked.origin}, row {line} is cut short: {len(roster)} of {contest.lineup_size} roster cells; "
                "download the file again"
            )
        entries.append(_entry(row, roster, columns, line, pool, contest, checked.origin))
        spans.append(tuple(roster))
    _refuse(entries, slate, checked.origin)
    return Entries(tuple(entries), slate, contest, checked.origin, text, prefix, encoding, tuple(spans))


def fill_entries(entries: Entries, lineups_by_entry_id: Mapping[str, LineupLike]) -> str:
    """The file's text with these entries' roster cells set; all else, line ends and marks too, is as it was.

    Entries not in the mapping keep their lineup. A player who stays in a slot of the same name keeps his cell. Raises
    `InvalidInput` for an entry id that is not in the file, a lineup that is not legal, or a locked slot changed.
    """
    known = {entry.entry_id for entry in entries.entries}
    unknown = sorted(lineups_by_entry_id.keys() - known)
    if unknown:
        raise InvalidInput(
            f"entry id {unknown[0]!r} is not in {entries.origin}; its first is {entries.entries[0].entry_id!r}"
        )
    pool = {player.site_id: player for player in entries.slate.players}
    pieces: list[str] = []
    position = 0
    for entry, cells in zip(entries.entries, entries.cells, strict=True):
        lineup = lineups_by_entry_id.get(entry.entry_id)
        if lineup is None:
            continue
        changes = zip(cells, _seats(entry, lineup, entries), entry.players, strict=True)
        for cell, site_id, old in sorted(changes, key=lambda change: change[0].start):
            if site_id == old:
                continue
            pieces += (entries.text[position : cell.start], _cell(pool[site_id], entries.contest, cell))
            position = cell.end
    return "".join((*pieces, entries.text[position:]))


def write_entries(path: Path | str, entries: Entries, lineups_by_entry_id: Mapping[str, LineupLike]) -> None:
    """Write what `fill_entries` gives in the file's own encoding, replacing `path` whole or not at all.

    Raises as `fill_entries` does, and `StoreUnavailable` when the disk does not take it.
    """
    text = fill_entries(entries, lineups_by_entry_id)
    # Sites go by the id, so a letter the file's own encoding lacks may be lost.
    data = entries.prefix + text.encode(entries.encoding, errors="replace")
    replace_file(Path(path), lambda temporary: temporary.write_bytes(data))


def _decoded(data: bytes, origin: str) -> tuple[bytes, str, str]:
    """Byte-order mark, encoding and text of the file."""
    for mark, encoding in _ENCODINGS:
        if data.startswith(mark):
            return mark, encoding, data[len(mark) :].decode(encoding)
    text = decode(data, origin)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return b"", "cp1252", text
    return b"", "utf-8", text


def _raw_rows(text: str) -> list[list[_Cell]]:
    """Cells by line; like `csv`, which has read the text before, so quotes are known to be closed."""
    rows: list[list[_Cell]] = [[]]
    for match in _CELL.finditer(text):
        rows[-1].append(_Cell(match.start(1), match.end(1), match[1]))
        if match[2] != ",":
            if match.end() == len(text):
                break
            rows.append([])
    return [[] if len(row) == 1 and not row[0].raw else row for row in rows]


def _columns(titles: Sequence[str], start: int, origin: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, title in enumerate(titles[:start]):
        field = _TITLES.get(re.sub(r"[\s_]", "", title.lower()))
        if field is not None:
            found.setdefault(field, index)
    if "entry_id" not in found:
        raise SalaryFileError(
            f"{origin} has no 'Entry ID' column: it is a template for new lineups, not for entries; download the "
            "entries file (DKEntries.csv, or FanDuel's edit template), or write an upload file instead"
        )
    return found


def _entry(
    row: Sequence[_Cell],
    roster: Sequence[_Cell],
    columns: Mapping[str, int],
    line: int,
    pool: Mapping[str, str],
    contest: Contest,
    origin: str,
) -> Entry:
    text = {field: row[index].text for field, index in columns.items()}
    players = tuple(player_id(cell.text, pool) if cell.text else None for cell in roster)
    locked = tuple(bool(_LOCKED.search(cell.text)) for cell in roster)
    lost = [
        f"{slot.name} {cell.text!r}"
        for cell, player, slot in zip(roster, players, contest.slots, strict=True)
        if cell.text and player is None
    ]
    return Entry(
        entry_id=text["entry_id"],
        contest_name=text.get("contest_name", ""),
        contest_id=text.get("contest_id", ""),
        entry_fee_usd=_fee(text.get("entry_fee", ""), line, origin),
        players=players,
        locked=locked,
        row=line,
        problem=f"row {line}: {', '.join(lost)} is no player of the slate" if lost else "",
    )


def _fee(text: str, line: int, origin: str) -> float | None:
    if not text:
        return None
    match = re.fullmatch(r"\$?\s*(\d[\d,]*(?:\.\d+)?)", text)
    if match is None:
        raise SalaryFileError(
            f"{origin}, row {line}, field 'Entry Fee', value {text!r}: not an amount of dollars; correct the row"
        )
    return float(match[1].replace(",", ""))


def _refuse(entries: Sequence[Entry], slate: Slate, origin: str) -> None:
    if not entries:
        raise SalaryFileError(f"{origin} has no entries below its header; enter or reserve a contest first")
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.entry_id in seen:
            raise SalaryFileError(
                f"{origin}, row {entry.row}: entry id {entry.entry_id!r} is already in row {seen[entry.entry_id]}; "
                "remove one of the two"
            )
        seen[entry.entry_id] = entry.row
    asked = [entry for entry in entries if entry.problem]
    if asked and not any(player for entry in entries for player in entry.players):
        raise SalaryFileError(
            f"{origin}: no player of any entry is on slate {slate.slate_id} ({asked[0].problem}); "
            "check that salaries and entries are of the same contest"
        )


def _seats(entry: Entry, lineup: LineupLike, entries: Entries) -> list[str]:
    """Site ids in slot order; who was in a slot of this name stays in his own column."""
    problems = check_lineup(lineup, entries.slate, entries.contest)
    if problems:
        raise InvalidInput(
            f"the lineup for entry {entry.entry_id} is not legal in {entries.contest.name}: {'; '.join(problems)}"
        )
    waiting = [(player.slot, player.id) for player in lineup.players]
    names = [slot.name for slot in entries.contest.slots]
    seats: list[str | None] = [None] * len(names)
    for index, (name, old) in enumerate(zip(names, entry.players, strict=True)):
        if old is not None and (name, old) in waiting:
            waiting.remove((name, old))
            seats[index] = old
        elif entry.locked[index]:
            raise InvalidInput(
                f"entry {entry.entry_id} (row {entry.row}): slot {name} is locked on player {old!r} and must keep "
                "him; lock him in the rules"
            )
    for index, name in enumerate(names):
        if seats[index] is None:
            chosen = next(pair for pair in waiting if pair[0] == name)
            waiting.remove(chosen)
            seats[index] = chosen[1]
    return [site_id for site_id in seats if site_id is not None]


def _cell(player: SlatePlayer, contest: Contest, cell: _Cell) -> str:
    """The cell's new text, quoted where the old one was or the text needs it."""
    text = player.upload_name if contest.upload_cell == "name_and_id" else player.site_id
    if cell.raw.startswith('"'):
        return '"' + text.replace('"', '""') + '"'
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([text])
    return buffer.getvalue()
