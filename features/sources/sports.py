"""Which sport and which kind of contest a salary file is for, told by its positions, roster slots and teams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from typing import Final

from features.sources.team_names import is_nfl, is_wnba

#: Positions and roster slots of each sport, as the sites write them; the first sport that has all of a file's is its
#: sport, so those with few come first.
SPORTS: Final[dict[str, frozenset[str]]] = {
    "pga": frozenset({"G"}),
    "mma": frozenset({"F"}),
    "wnba": frozenset({"G", "F"}),
    "nba": frozenset({"PG", "SG", "SF", "PF", "C", "G", "F"}),
    "nascar": frozenset({"D"}),
    "f1": frozenset({"D", "CNSTR"}),
    "nhl": frozenset({"C", "LW", "RW", "W", "D", "G"}),
    "soc": frozenset({"GK", "G", "D", "M", "F", "DEF", "MID", "FWD"}),
    "mlb": frozenset({"SP", "RP", "P", "C", "1B", "2B", "3B", "SS", "OF", "DH"}),
    "lol": frozenset({"TOP", "JNG", "MID", "ADC", "SUP", "TEAM"}),
    "cfb": frozenset({"QB", "RB", "FB", "WR", "TE", "K"}),
    "nfl": frozenset({"QB", "RB", "FB", "WR", "TE", "K", "DST", "DEF", "D"}),
}
#: Without one of these, letters a sport shares with others do not make a file its own.
_TELLING: Final[dict[str, frozenset[str]]] = {
    "nba": frozenset({"PG", "SG", "SF", "PF", "C"}),
    "nhl": frozenset({"C", "LW", "RW", "W"}),
    "soc": frozenset({"GK", "M", "MID", "FWD", "DEF"}),
    "nfl": frozenset({"QB", "RB", "FB", "WR", "TE", "K", "DST", "DEF"}),
}
#: Site positions -> the ones slots are written in (features/contests/*.toml).
_SAME: Final[dict[str, dict[str, str]]] = {
    "mlb": {"SP": "P", "RP": "P"},
    "nhl": {"LW": "W", "RW": "W"},
    "nfl": {"DEF": "DST", "D": "DST"},
    "soc": {"G": "GK", "DEF": "D", "MID": "M", "FWD": "F"},
}
#: Slots any player fits, which say nothing about the player.
OPEN_SLOTS: Final = frozenset({"UTIL", "FLEX", "S-FLEX", "SFLEX", "ANYFLEX"})
CAPTAINS: Final = frozenset({"CPT", "CAPTAIN"})
MULTIPLIED: Final = frozenset({"MVP", "STAR", "PRO", "SUPERSTAR"})
_TIER: Final = re.compile(r"^T\d+$")
_USUAL_TIERS: Final = 6


def find_mode(slots: Set[str], *, dear_mvp: bool = False) -> str:
    """The kind of contest of a file with these roster slots (in upper case, empty where the file lists none).

    `dear_mvp`: the file has a price of its own for the MVP, so that his salary multiplies too (FanDuel since 2025).
    """
    if "FIGHTER" in slots:  # FanDuel's fights have an MVP in their classic contest
        return "classic"
    if slots & MULTIPLIED:
        return "single_game_6" if dear_mvp else "single_game"
    if slots and all(is_tier(slot) for slot in slots):
        return "tiers" if len(slots) == _USUAL_TIERS else f"tiers_{len(slots)}"
    if slots & CAPTAINS:  # League of Legends and Formula 1 have a captain in their classic contest
        return "showdown" if slots - CAPTAINS <= OPEN_SLOTS else "classic"
    return "showdown" if slots and slots <= OPEN_SLOTS else "classic"


def is_tier(slot: str) -> bool:
    """Whether a roster slot is a DraftKings tier ('T1')."""
    return bool(_TIER.match(slot))


def find_sport(positions: Set[str], teams: Set[str]) -> str | None:
    """The sport whose positions these are, None when no sport has them all; teams part what shares positions."""
    sport = next((name for name, known in SPORTS.items() if positions and positions <= known), None)
    if sport == "nba" and is_wnba(teams):
        return "wnba"
    if sport == "cfb" and is_nfl(teams):
        return "nfl"
    return sport


def fits_sport(sport: str, positions: Set[str]) -> bool:
    """Whether a file with these positions can be of a sport; a sport unknown here takes any."""
    known = SPORTS.get(sport)
    telling = _TELLING.get(sport, positions)
    return known is None or (positions <= known and not positions.isdisjoint(telling))


def slot_positions(sport: str, positions: Iterable[str]) -> tuple[str, ...]:
    """Positions in the words of the contest rules, without repeats: mlb ('SP', 'RP') -> ('P',)."""
    same = _SAME.get(sport, {})
    return tuple(dict.fromkeys(same.get(position, position) for position in positions))
