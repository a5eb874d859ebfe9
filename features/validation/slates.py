"""Frames of the salaries suite: one row per salary, one row per slate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from features.slate import Slate
from features.validation import bounds
from features.validation.rules import Frames

_PLAYER: Final[dict[str, type[pl.DataType]]] = {
    "slate_id": pl.String, "site_id": pl.String, "name": pl.String, "team": pl.String, "positions": pl.String,
    "salary_usd": pl.Int64, "dollars_off_grid": pl.Int64, "within_cap": pl.Boolean, "positions_known": pl.Boolean,
    "team_plays": pl.Boolean, "named_once": pl.Boolean,
}  # fmt: skip
_SLATE: Final[dict[str, type[pl.DataType]]] = {
    "slate_id": pl.String, "site": pl.String, "players": pl.Int64, "teams": pl.Int64, "games": pl.Int64,
}  # fmt: skip


def slate_frames(slates: Sequence[Slate]) -> Frames:
    """Frames `players` and `slates` over all slates."""
    players = [row for slate in slates for row in _players(slate)]
    totals = [
        {
            "slate_id": slate.slate_id,
            "site": slate.site,
            "players": len(slate.players),
            "teams": len({player.team for player in slate.players}),
            "games": len(slate.games),
        }
        for slate in slates
    ]
    return {"players": pl.DataFrame(players, schema=_PLAYER), "slates": pl.DataFrame(totals, schema=_SLATE)}


def _players(slate: Slate) -> list[dict[str, object]]:
    playing = {team for game in slate.games for team in (game.home_team, game.away_team)}
    names = [(player.name, player.team) for player in slate.players]
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    classic, basketball = slate.mode == "classic", slate.sport in bounds.BASKETBALL
    return [
        {
            "slate_id": slate.slate_id,
            "site_id": player.site_id,
            "name": player.name,
            "team": player.team,
            "positions": "/".join(player.positions),
            "salary_usd": player.salary_usd,
            "dollars_off_grid": player.salary_usd % bounds.SALARY_GRID_USD[slate.site],
            "within_cap": player.salary_usd <= bounds.SALARY_CAP_USD[slate.site],
            "positions_known": bool(player.positions) and bounds.POSITIONS.issuperset(player.positions)
            if basketball
            else None,
            # An export made after tip-off no longer names the games that have started.
            "team_plays": player.team in playing if playing and player.opponent else None,
            # Single-game contests list everybody once per roster slot.
            "named_once": (player.name, player.team) not in repeated if classic else None,
        }
        for player in slate.players
    ]
