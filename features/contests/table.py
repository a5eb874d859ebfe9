"""The known contests as a Markdown table, as docs/contests.md shows them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from features.contests.contest import Contest, Slot


def contests_table(contests: Iterable[Contest]) -> str:
    """One row per contest: what a lineup is, what it may cost, and every limit, with the rule page as a link."""
    lines = ["| contest | roster | cap | limits |", "|---|---|---|---|"]
    for contest in contests:
        cap = "none" if contest.salary_cap_usd is None else f"${contest.salary_cap_usd:,}"
        roster = " ".join(_slots(slot, len(list(same))) for slot, same in groupby(contest.slots))
        lines.append(f"| [{contest.name}]({contest.source}) | {roster} | {cap} | {'; '.join(_limits(contest))} |")
    return "\n".join(lines) + "\n"


def _slots(slot: Slot, count: int) -> str:
    times = f" ×{count}" if count > 1 else ""
    factors = [
        f"{factor:g}× {what}"
        for factor, what in ((slot.points_multiplier, "points"), (slot.salary_multiplier, "salary"))
        if factor != 1
    ]
    return f"`{slot.name}`{times}" + (f" ({', '.join(factors)})" if factors else "")


def _limits(contest: Contest) -> list[str]:
    limits = []
    if contest.max_per_team < contest.lineup_size:
        limits.append(f"≤ {contest.max_per_team} of a team")
    limits += [f"≤ {t.at_most} {'/'.join(sorted(t.positions))} of a team" for t in contest.team_limits]
    if contest.min_teams > 1:
        counted = contest.min_teams_positions
        limits.append(f"≥ {contest.min_teams} teams" + (f" ({'/'.join(sorted(counted))})" if counted else ""))
    if contest.min_games > 1:
        limits.append(f"≥ {contest.min_games} games")
    if contest.max_per_game is not None:
        limits.append(f"≤ {contest.max_per_game} of a game")
    return limits
