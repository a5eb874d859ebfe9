"""Roster rules per site x sport x mode, as data, and an independent check of a lineup against them."""

from features.contests.contest import Contest, Slot
from features.contests.legality import LineupLike, Rostered, check_lineup
from features.contests.loader import known_contests, load_contest

__all__ = ["Contest", "LineupLike", "Rostered", "Slot", "check_lineup", "known_contests", "load_contest"]
