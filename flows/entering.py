"""Which lineup goes into which entry of a site's entries file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from features.contests import Contest
from features.errors import InvalidInput
from features.slate import Slate
from features.sources.entries import Entries, read_entries
from models.lineups.problem import Lineup

#: Lineups of one request, and the most entries a site allows one person in one contest.
MOST_LINEUPS: Final = 150


def open_entries(path: Path, slate: Slate, contest: Contest) -> Entries:
    """Read an entries file to be filled. Raises `InvalidInput` when a contest of it is under way."""
    entries = read_entries(path, slate, contest)
    under_way = next((entry for entry in entries.entries if any(entry.locked)), None)
    if under_way is not None:
        raise InvalidInput(
            f"--entries {path}: entry {under_way.entry_id} has locked players; its open slots are filled by "
            f"`fantasy late-swap --entries {path}`"
        )
    return entries


def lineups_for(entries: Entries) -> int:
    """How many lineups the file needs: one each up to 150; beyond that contests share, so what the largest holds."""
    total = len(entries.entries)
    largest = max(Counter(entry.contest_id for entry in entries.entries).values())
    return total if total <= MOST_LINEUPS else min(MOST_LINEUPS, largest)


def assign(entries: Entries, lineups: Sequence[Lineup]) -> tuple[dict[str, Lineup], tuple[str, ...]]:
    """Entry id -> lineup, best first in the file's order, and what to tell about it.

    With a lineup for every entry no two entries share one; with fewer every contest starts from the best, and no
    contest gets a lineup twice: entries beyond them are left as they were.
    """
    alone = len(lineups) >= len(entries.entries)
    filled: dict[str, Lineup] = {}
    used: Counter[str] = Counter()
    for number, entry in enumerate(entries.entries):
        at = number if alone else used[entry.contest_id]
        used[entry.contest_id] += 1
        if at < len(lineups):
            filled[entry.entry_id] = lineups[at]
    notes = []
    if left := len(entries.entries) - len(filled):
        notes.append(
            f"{left} of {len(entries.entries)} entries keep what they held: there are {len(lineups)} lineups"
        )
    if spare := len(lineups) - (len(entries.entries) if alone else max(used.values())):
        notes += [f"{spare} lineups are in no entry"] if spare > 0 else []
    return filled, tuple(notes)
