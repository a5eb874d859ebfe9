"""Frames of the salaries suite: one row per salary, one row per slate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import polars as pl

from features.contests import Contest, known_contests, load_contest
from features.slate import Slate
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
            "teams": _teams(slate),
            "games": len(slate.games),
        }
        for slate in slates
    ]
    return {"players": pl.DataFrame(players, schema=_PLAYER), "slates": pl.DataFrame(totals, schema=_SLATE)}


def _players(slate: Slate) -> list[dict[str, object]]:
    playing = {team for game in slate.games for team in (game.home_team, game.away_team)}
    contest = _contest(slate)
    cap = None if contest is None else contest.salary_cap_usd
    rows = Counter((player.person or f"{player.name}|{player.team}", player.positions) for player in slate.players)
    return [
        {
            "slate_id": slate.slate_id,
            "site_id": player.site_id,
            "name": player.name,
            "team": player.team,
            "positions": "/".join(player.positions),
            "salary_usd": player.salary_usd if contest is None or cap is not None else None,
            "dollars_off_grid": player.salary_usd % contest.salary_step_usd if contest is not None else None,
            "within_cap": player.salary_usd <= cap if cap is not None else None,
            "positions_known": bool(contest.positions & set(player.positions)) if contest is not None else None,
            # An export made after tip-off no longer names the games that have started.
            "team_plays": player.team in playing if playing and player.opponent else None,
            "named_once": rows[player.person or f"{player.name}|{player.team}", player.positions] == 1,
        }
        for player in slate.players
    ]


def _teams(slate: Slate) -> int | None:
    """Teams of the players; None for golf and races, and for files of 2015 without a team column."""
    teams = {player.team for player in slate.players}
    return None if not slate.games or teams == {""} else len(teams)


def _contest(slate: Slate) -> Contest | None:
    """The slate's contest, None for one of which no rules are known any more (tiers of eight, a user's own)."""
    key = (slate.site, slate.sport, slate.mode)
    return load_contest(*key) if key in known_contests() else None
