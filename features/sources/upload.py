"""Write lineups as the CSV a site's bulk upload accepts, and read such a file (or an entries template) back."""

from __future__ import annotations

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
from features.sources.csv_text import CsvText, read_csv_text

_LOCKED: Final = re.compile(r"\s*\(LOCKED\)\s*$")
_NAME_AND_ID: Final = re.compile(r"\((?P<id>[^()]+)\)\s*$")
_HEADER_ROWS: Final = 60


@dataclass(frozen=True, slots=True)
class UploadPlayer:
    """A player in a roster slot of an upload file."""

    id: str
    slot: str


@dataclass(frozen=True, slots=True)
class UploadLineup:
    """One line of an upload file, in roster order."""

    players: tuple[UploadPlayer, ...]


def write_upload(path: Path | str, lineups: Sequence[LineupLike], slate: Slate, contest: Contest) -> None:
    """Write one line per lineup below the site's header, replacing `path` whole or not at all.

    Raises `InvalidInput` for no lineups, more than the site takes in a file, another site's contest, or a lineup
    that is not legal (naming it and the rule); nothing is written then.
    """
    text = upload_text(lineups, slate, contest)
    replace_file(Path(path), lambda temporary: temporary.write_bytes(text.encode("utf-8")))


def upload_text(lineups: Sequence[LineupLike], slate: Slate, contest: Contest) -> str:
    """The CSV `write_upload` writes. Raises as it does."""
    if slate.site != contest.site:
        raise InvalidInput(
            f"slate {slate.slate_id} is {slate.site}'s, contest {contest.name} is not; use its own rules"
        )
    if not 0 < len(lineups) <= contest.max_upload_lineups:
        raise InvalidInput(
            f"{contest.site} takes 1..{contest.max_upload_lineups} lineups a file, not {len(lineups)}"
        )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(contest.upload_header)
    pool = {player.site_id: player for player in slate.players}
    for number, lineup in enumerate(lineups, start=1):
        problems = check_lineup(lineup, slate, contest)
        if problems:
            raise InvalidInput(f"lineup {number} is not legal in {contest.name}: {'; '.join(problems)}")
        writer.writerow(_cells(lineup, pool, contest))
    return buffer.getvalue()


def read_upload(path: Path | str | bytes, slate: Slate, contest: Contest) -> tuple[UploadLineup, ...]:
    """Lineups of an upload file or an entries template (whose reserved but empty entries are skipped).

    Cells may be 'Name (ID)', the id, FanDuel's 'ID:Name', Yahoo's 'ID$game', or a name the slate holds once. Raises
    `SalaryFileError` naming the row and cell that fits no player of the slate.
    """
    text = read_csv_text(path, what="the upload file")
    header, columns = find_upload_header(text, contest)
    pool = player_cells(slate)
    lineups = []
    for line, row in zip(text.lines[header + 1 :], text.rows[header + 1 :], strict=True):
        cells = [row[column] for column in columns if column < len(row)]
        if not any(cells):
            continue
        ids = [player_id(cell, pool) for cell in cells]
        for cell, site_id in zip(cells, ids, strict=True):
            if site_id is None:
                raise SalaryFileError(
                    f"{text.origin}, row {line}: {cell!r} is no player of slate {slate.slate_id}"
                )
        if len(ids) < contest.lineup_size:
            raise SalaryFileError(f"{text.origin}, row {line} holds {len(ids)} of {contest.lineup_size} players")
        players = (UploadPlayer(i or "", s.name) for i, s in zip(ids, contest.slots, strict=True))
        lineups.append(UploadLineup(tuple(players)))
    return tuple(lineups)


def _cells(lineup: LineupLike, pool: dict[str, SlatePlayer], contest: Contest) -> list[str]:
    """Cells in header order; a slot the header has twice takes its players in lineup order."""
    waiting = list(lineup.players)
    cells = []
    for slot in contest.slots:
        entry = next(p for p in waiting if p.slot == slot.name)
        waiting.remove(entry)
        player = pool[entry.id]
        cells.append(player.upload_name if contest.upload_cell == "name_and_id" else player.site_id)
    return cells


def find_upload_header(text: CsvText, contest: Contest) -> tuple[int, tuple[int, ...]]:
    """Header row, and each slot's column: the contest's lineup titles side by side, in the contest's order or another.

    Raises `SalaryFileError` when the file has none.
    """
    wanted = [_title(title) for title in contest.upload_header]
    for index, row in enumerate(text.rows[:_HEADER_ROWS]):
        titles = [_title(cell) for cell in row]
        for start in range(len(titles) - len(wanted) + 1):
            window = titles[start : start + len(wanted)]
            if sorted(window) == sorted(wanted):
                return index, tuple(start + place for place in _places(window, wanted))
    raise SalaryFileError(
        f"{text.origin} has no {contest.name} lineup header {','.join(wanted)}; check the contest"
    )


def _places(window: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each wanted title stands; of equal titles the first is the first."""
    waiting = list(enumerate(window))
    places = []
    for title in wanted:
        found = next(item for item in waiting if item[1] == title)
        waiting.remove(found)
        places.append(found[0])
    return places


def _title(cell: str) -> str:
    """FanDuel writes a slot's multiplier into its title: 'MVP - 1.5X Points'."""
    return cell.split(" - ", maxsplit=1)[0].strip().upper()


def player_cells(slate: Slate) -> dict[str, str]:
    """Every unambiguous way a cell may name a player -> site id."""
    pool: dict[str, str] = {}
    shared: set[str] = set()
    for player in slate.players:
        if pool.setdefault(player.name, player.site_id) != player.site_id:
            shared.add(player.name)
    for name in shared:
        del pool[name]
    for player in slate.players:
        pool[player.site_id] = player.site_id
        pool[player.upload_name] = pool.get(player.upload_name, player.site_id)
    return pool


def player_id(cell: str, pool: Mapping[str, str]) -> str | None:
    """Site id of whom an upload cell names (see `player_cells`), `(LOCKED)` or not; None when it is nobody."""
    text = _LOCKED.sub("", cell)
    match = _NAME_AND_ID.search(text)
    for form in (text, match["id"] if match else "", text.split(":")[0], text.split("$")[0]):
        if form in pool:
            return pool[form]
    return None
