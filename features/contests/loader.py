"""Read roster rules from the TOML files beside this module, one per site x sport x mode."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from features.contests.contest import Contest, Slot
from features.errors import UnknownContest

RULES = Path(__file__).parent


@cache
def load_contest(site: str, sport: str = "nba", mode: str = "classic") -> Contest:
    """Rules of one contest type. Raises `UnknownContest` naming the contests that exist."""
    known = known_contests()
    if (site, sport, mode) not in known:
        listed = ", ".join(" ".join(key) for key in known)
        raise UnknownContest(f"no roster rules for contest {site!r} {sport!r} {mode!r}; use one of: {listed}")
    with (RULES / f"{site}_{sport}_{mode}.toml").open("rb") as file:
        return parse_contest(tomllib.load(file))


def known_contests() -> tuple[tuple[str, str, str], ...]:
    """(site, sport, mode) of every rule file, sorted."""
    keys = []
    for path in sorted(RULES.glob("*_*_*.toml")):
        site, sport, mode = path.stem.split("_", 2)
        keys.append((site, sport, mode))
    return tuple(keys)


def parse_contest(rules: dict[str, Any]) -> Contest:
    """Typed rules from a parsed TOML document. Raises `UnknownContest` naming a missing or wrong field."""
    try:
        slots = tuple(Slot(slot["name"], frozenset(slot["positions"])) for slot in rules["slots"])
        contest = Contest(
            site=rules["site"],
            sport=rules["sport"],
            mode=rules["mode"],
            slots=slots,
            salary_cap_usd=int(rules["salary_cap_usd"]),
            salary_step_usd=int(rules["salary_step_usd"]),
            max_per_team=int(rules.get("max_per_team", len(slots))),
            min_teams=int(rules.get("min_teams", 1)),
            min_games=int(rules.get("min_games", 1)),
            upload_header=tuple(rules["upload"]["header"]),
            upload_cell=rules["upload"]["cell"],
            max_upload_lineups=int(rules["upload"]["max_lineups"]),
            source=rules["source"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownContest(f"roster rules are incomplete: field {error}; see {RULES}") from error
    if not slots or contest.salary_cap_usd <= 0 or contest.upload_cell not in ("name_and_id", "id"):
        raise UnknownContest(f"roster rules of {contest.name} need slots, a salary cap and an upload cell form")
    if len(contest.upload_header) != len(slots):
        raise UnknownContest(f"upload.header of {contest.name} must name its {len(slots)} slots")
    return contest
