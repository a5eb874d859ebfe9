"""Team abbreviations of the sites: NBA.com's for theirs, and whose teams a set of abbreviations are."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

#: Spellings seen in real exports since 2015 that differ from NBA.com's in more than letter case.
_ALIASES: Final[dict[str, str]] = {
    "GS": "GSW", "NO": "NOP", "NOR": "NOP", "NOH": "NOP", "SA": "SAS", "NY": "NYK", "PHO": "PHX", "CHO": "CHA",
    "BRK": "BKN", "BK": "BKN", "UTAH": "UTA", "UTH": "UTA", "WSH": "WAS",
}  # fmt: skip
_NBA: Final = frozenset({
    "ATL", "BKN", "BOS", "CHA", "CHI", "CLE", "DAL", "DEN", "DET", "GSW", "HOU", "IND", "LAC", "LAL", "MEM",
    "MIA", "MIL", "MIN", "NOP", "NYK", "OKC", "ORL", "PHI", "PHX", "POR", "SAC", "SAS", "TOR", "UTA", "WAS",
})  # fmt: skip
#: WNBA teams that no NBA team is written as; 'ATL', 'DAL', ... belong to both leagues.
_ONLY_WNBA: Final = frozenset({"CON", "CONN", "LA", "LAX", "LAS", "LV", "LVA", "SEA", "NYL", "GSV", "GV"})
#: With the spellings of teams that moved, as real exports since 2015 have them.
_NFL: Final = frozenset({
    "ARI", "ATL", "BAL", "BUF", "CAR", "CHI", "CIN", "CLE", "DAL", "DEN", "DET", "GB", "GNB", "HOU", "IND",
    "JAC", "JAX", "KC", "KAN", "LA", "LAC", "LAR", "LV", "LVR", "MIA", "MIN", "NE", "NWE", "NO", "NOR", "NYG",
    "NYJ", "OAK", "PHI", "PIT", "SD", "SEA", "SF", "SFO", "STL", "TB", "TAM", "TEN", "WAS", "WSH",
})  # fmt: skip


def nba_team(name: str) -> str:
    """NBA.com abbreviation of a site's team ('Pho' -> 'PHX'); unknown names come back in upper case."""
    upper = name.strip().upper()
    return _ALIASES.get(upper, upper)


def is_wnba(teams: Set[str]) -> bool:
    """Whether these abbreviations are WNBA teams rather than NBA ones."""
    upper = {team.strip().upper() for team in teams}
    return bool(upper & _ONLY_WNBA) and all(team in _ONLY_WNBA or nba_team(team) in _NBA for team in upper)


def is_nfl(teams: Set[str]) -> bool:
    """Whether every abbreviation is an NFL team's; some colleges share one (Miami, Pitt), but seldom both of a game."""
    return bool(teams) and all(team.strip().upper() in _NFL for team in teams)
