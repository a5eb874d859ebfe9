"""From a projected slate to lineups: the one path the command line, the API and evaluation all take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from features.contests import Contest
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
    """Return the best legal lineups of `slate` under `contest` and the player's own `rules`."""
    from models.lineups.optimize import optimize, warm  # brings numba along; keep `--help` quick

    warm()
    return optimize(candidates(slate, projections.frame, contest), contest, rules)
