"""From a projected slate to lineups: the one path the command line, the API and evaluation all take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from features.contests import Contest
from features.errors import InvalidInput
from features.recent import RecentOf
from features.slate import Slate, SlatePlayer
from models.lineups.problem import Candidate, LineupResult
from models.lineups.rules import Condition, Group, LineupRules

if TYPE_CHECKING:
    from models.lineups.pool import Floats
    from models.projection.slate import SlateProjections


def game_key(player: SlatePlayer) -> str:
    """Return `AWAY@HOME` of the player's game."""
    home, away = (player.team, player.opponent) if player.is_home else (player.opponent, player.team)
    return f"{away}@{home}"


def candidates(slate: Slate, projections: pl.DataFrame, contest: Contest) -> list[Candidate]:
    """Return the players worth considering: a positive projection and a position the contest has.

    `projections` holds site_id, mean, q10, q90 (fantasy points of a slot that multiplies nothing) and may hold
    ownership (shares), one row per slate player. Where slots are no positions (CPT), rules may name either.
    """
    columns = [name for name in ("site_id", "mean", "q10", "q90", "ownership") if name in projections.columns]
    by_id: Mapping[str, dict[str, Any]] = {row["site_id"]: row for row in projections.select(columns).to_dicts()}
    positions = contest.positions
    pool: list[Candidate] = []
    for player in slate.players:
        row = by_id[player.site_id]
        if row["mean"] <= 0 or positions.isdisjoint(player.positions):
            continue
        played = tuple(p for p in player.field_positions if p not in positions)
        ownership = row.get("ownership")
        pool.append(
            Candidate(
                id=player.site_id,
                name=player.name,
                positions=tuple(dict.fromkeys(player.positions + played)),
                team=player.team,
                game=game_key(player),
                salary_usd=player.salary_usd,
                projection=float(row["mean"]),
                floor=float(row["q10"]),
                ceiling=float(row["q90"]),
                person=player.person,
                opponent=player.opponent,
                ownership=None if ownership is None else float(ownership),
                batting_order=player.batting_order,
            )
        )
    return pool


def draft(
    slate: Slate,
    projections: SlateProjections,
    contest: Contest,
    rules: LineupRules,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> LineupResult:
    """Return the best legal lineups of `slate` under `contest` and the player's own `rules` (site ids).

    Ownership that the rules need and the projections lack is projected; draws for randomness are simulated. Raises
    `InvalidInput` for an id that is not on the slate or a lock on a player who cannot be picked; other rules may name
    who cannot be picked anyway.
    """
    from models.lineups.optimize import optimize, warm  # brings numba along; keep `--help` quick
    from models.lineups.validity import check_ranges

    warm()
    pool = _candidates_of(slate, projections.frame, contest)
    if _needs_ownership(rules):
        pool = owned(pool, contest)
    wanted = fitting(rules, slate, contest, {candidate.id for candidate in pool})
    draws = None
    if wanted.objective.randomness > 0 and pool:
        check_ranges(wanted, contest)  # before as many draws are made as lineups are asked for
        draws = drawn(slate, projections.frame, pool, n=wanted.n, seed=wanted.objective.seed)
    return optimize(pool, contest, wanted, cancelled=cancelled, draws=draws)


#: Slates drafted from again and again, as a server does, keep their candidates.
_candidates_of: Final = RecentOf(8, candidates)


def owned(pool: Sequence[Candidate], contest: Contest) -> list[Candidate]:
    """The candidates with an ownership each: their own where given, else projected."""
    from models.ownership.model import project_ownership

    if not pool or all(c.ownership is not None for c in pool):
        return list(pool)
    shares = project_ownership(pool, contest)
    return [replace(c, ownership=float(share)) for c, share in zip(pool, shares, strict=True)]


def drawn(slate: Slate, projections: pl.DataFrame, pool: Sequence[Candidate], *, n: int, seed: int) -> Floats:
    """`n` correlated draws (n, candidates) of the players' points, from their projected distributions."""
    from models.lineups.scenarios import outcomes_of, sample_scenarios

    scenarios = sample_scenarios(outcomes_of(slate, projections), n=n, seed=seed)
    column = {id_: at for at, id_ in enumerate(scenarios.ids)}
    points: Floats = scenarios.points[:, [column[c.id] for c in pool]].astype(np.float64) * scenarios.step
    return points


def fitting(rules: LineupRules, slate: Slate, contest: Contest, pool: Set[str]) -> LineupRules:
    """The rules without the players on the slate who are no candidates (ruled out, projecting nothing)."""
    names = {player.site_id: player.name for player in slate.players}
    for field, ids in (("locked", rules.locked), ("excluded", rules.excluded)):
        unknown = sorted(ids - names.keys())
        if unknown:
            raise InvalidInput(f"{field} {unknown[0]!r} is not on slate {slate.slate_id}; use its players' ids")
    needed = rules.locked | {id_ for id_, least in rules.player_min_exposure.items() if least > 0}
    barred = sorted((needed & names.keys()) - pool)
    if barred:
        raise InvalidInput(
            f"{'locked' if barred[0] in rules.locked else 'player_min_exposure of'} {barred[0]!r} "
            f"({names[barred[0]]}) is ruled out, projects 0 points or has no position of {contest.name}; unlock him"
        )
    gone = names.keys() - pool
    return replace(
        rules,
        excluded=rules.excluded & pool,
        player_max_exposure={id_: most for id_, most in rules.player_max_exposure.items() if id_ not in gone},
        player_min_exposure={id_: least for id_, least in rules.player_min_exposure.items() if id_ not in gone},
        groups=tuple(_group(group, gone) for group in rules.groups if group.at_least or group.players - gone),
        conditions=tuple(
            _condition(c, gone)
            for c in rules.conditions
            if not c.when or (c.when - gone and (c.at_least or c.then - gone))
        ),
    )


def _group(group: Group, gone: Set[str]) -> Group:
    if group.at_least and group.at_least > len(group.players - gone):
        raise InvalidInput(
            f"group {group.name!r} wants {group.at_least} of its players, only {len(group.players - gone)} can be "
            "picked; lower at_least or add players"
        )
    return replace(group, players=group.players - gone)


def _condition(condition: Condition, gone: Set[str]) -> Condition:
    left = condition.then - gone
    if condition.at_least and condition.at_least > len(left):
        raise InvalidInput(
            f"a condition on {sorted(condition.when)[:1]} wants {condition.at_least} of {sorted(condition.then)}, "
            f"only {len(left)} can be picked; name others or drop the condition"
        )
    return replace(condition, when=condition.when - gone, then=left)


def _needs_ownership(rules: LineupRules) -> bool:
    return bool(rules.objective.leverage) or rules.ownership is not None
