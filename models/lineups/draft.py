"""From a projected slate to lineups: the one path the command line, the API and evaluation all take."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.contests import Contest
from features.errors import InvalidInput
from features.slate import Slate, SlatePlayer
from models.lineups.problem import Candidate, LineupResult, LineupRules

if TYPE_CHECKING:
    from models.projection.slate import SlateProjections


def game_key(player: SlatePlayer) -> str:
    """Return `AWAY@HOME` of the player's game."""
    home, away = (player.team, player.opponent) if player.is_home else (player.opponent, player.team)
    return f"{away}@{home}"


def candidates(slate: Slate, projections: pl.DataFrame, contest: Contest) -> list[Candidate]:
    """Return the players worth considering: a positive projection and a position the contest has.

    `projections` holds site_id, mean, q10, q90 (fantasy points), one row per slate player.
    """
    by_id: Mapping[str, dict[str, float]] = {row["site_id"]: row for row in projections.to_dicts()}
    pool: list[Candidate] = []
    for player in slate.players:
        row = by_id[player.site_id]
        if row["mean"] <= 0 or not contest.positions & set(player.positions):
            continue
        pool.append(
            Candidate(
                id=player.site_id,
                name=player.name,
                positions=player.positions,
                team=player.team,
                game=game_key(player),
                salary_usd=player.salary_usd,
                projection=float(row["mean"]),
                floor=float(row["q10"]),
                ceiling=float(row["q90"]),
            )
        )
    return pool


def draft(slate: Slate, projections: SlateProjections, contest: Contest, rules: LineupRules) -> LineupResult:
    """Return the best legal lineups of `slate` under `contest` and the player's own `rules` (site ids).

    Raises `InvalidInput` for an id that is not on the slate or a lock on a player who cannot be picked;
    excluding a player who cannot be picked anyway is fine.
    """
    from models.lineups.optimize import optimize, warm  # brings numba along; keep `--help` quick

    warm()
    pool = candidates(slate, projections.frame, contest)
    return optimize(pool, contest, _fitting(rules, slate, contest, {candidate.id for candidate in pool}))


def _fitting(rules: LineupRules, slate: Slate, contest: Contest, pool: Set[str]) -> LineupRules:
    names = {player.site_id: player.name for player in slate.players}
    for field, ids in (("locked", rules.locked), ("excluded", rules.excluded)):
        unknown = sorted(ids - names.keys())
        if unknown:
            raise InvalidInput(f"{field} {unknown[0]!r} is not on slate {slate.slate_id}; use its players' ids")
    barred = sorted(rules.locked - pool)
    if barred:
        raise InvalidInput(
            f"locked {barred[0]!r} ({names[barred[0]]}) is ruled out, projects 0 points or has no position of "
            f"{contest.name}; unlock him"
        )
    return replace(rules, excluded=rules.excluded & pool)
