"""Team abbreviations of the sites -> NBA.com's."""

from __future__ import annotations

from typing import Final

#: Spellings seen in real exports since 2015 that differ from NBA.com's in more than letter case.
_ALIASES: Final[dict[str, str]] = {
    "GS": "GSW", "NO": "NOP", "NOR": "NOP", "NOH": "NOP", "SA": "SAS", "NY": "NYK", "PHO": "PHX", "CHO": "CHA",
    "BRK": "BKN", "BK": "BKN", "UTAH": "UTA", "UTH": "UTA", "WSH": "WAS",
}  # fmt: skip


def nba_team(name: str) -> str:
    """NBA.com abbreviation of a site's team ('Pho' -> 'PHX'); unknown names come back in upper case."""
    upper = name.strip().upper()
    return _ALIASES.get(upper, upper)
