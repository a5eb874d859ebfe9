"""Roster rules per site x sport x mode, as data."""

from features.contests.contest import Contest, Slot
from features.contests.loader import known_contests, load_contest

__all__ = ["Contest", "Slot", "known_contests", "load_contest"]
