"""Projections before lock: a slate's players, and which of some to start."""

from __future__ import annotations

from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from features.errors import InvalidInput
from features.slate import Slate
from models.lineups.correlation import load_correlation, roles_of
from models.selective import GATE
from serving.context import Context, ContextDep
from serving.predictor import Projected
from serving.problem import READS
from serving.routes.answers import (
    Answer,
    PlayerProjection,
    SlateId,
    player_named,
    player_projections,
    source_fields,
)

router = APIRouter(prefix="/v1", tags=["projections"], responses=READS)
#: Levels between which a projection's distribution is taken as straight.
LEVELS: Final = np.array([0.0, 0.10, 0.50, 0.90, 1.0])
DRAWS: Final = (np.arange(1000) + 0.5) / 1000


class Projections(Answer):
    """Players of a slate, best projection first."""

    slate_id: str
    players: list[PlayerProjection]


class Comparison(Answer):
    """Players best first. `confidence` is P(the first outscores the second).

    Below `gate` the answer abstains: `start` is then only the higher projection.
    """

    slate_id: str
    start: PlayerProjection
    players: list[PlayerProjection]
    confidence: float
    gate: float
    abstained: bool


@router.get("/projections")
async def projections(context: ContextDep, slate_id: SlateId) -> Projections:
    """Project every player of a slate as of its lock."""
    projected = await project(context, slate_id)
    return Projections(slate_id=slate_id, players=player_projections(projected), **source_fields(projected))


@router.get("/players")
async def players(
    context: ContextDep,
    slate_id: SlateId,
    search: Annotated[str, Query(max_length=100, description="part of a name, or a team")] = "",
) -> Projections:
    """Find players of a slate by name or team."""
    wanted = search.casefold().strip()
    projected = await project(context, slate_id)
    found = [
        p for p in player_projections(projected) if wanted in p.name.casefold() or wanted == p.team.casefold()
    ]
    return Projections(slate_id=slate_id, players=found, **source_fields(projected))


@router.get("/compare")
async def compare(
    context: ContextDep,
    slate_id: SlateId,
    player: Annotated[list[str], Query(min_length=2, max_length=20, description="names or ids, two or more")],
) -> Comparison:
    """Say whom to start, and how sure that is: players of one game move together as their roles usually do."""
    projected = await project(context, slate_id)
    wanted = _named(projected.stored.slate, player)
    ranked = [p for p in player_projections(projected) if p.id in wanted]
    confidence = outscores(ranked[0], ranked[1], _together(projected, ranked[0].id, ranked[1].id))
    return Comparison(
        slate_id=slate_id,
        start=ranked[0],
        players=ranked,
        confidence=confidence,
        gate=GATE,
        abstained=confidence < GATE,
        **source_fields(projected),
    )


async def project(context: Context, slate_id: str) -> Projected:
    """Project a stored slate and have it recorded. Raises `NotMaterialized` for an unknown slate."""
    stored = await run_in_threadpool(context.slates.get, slate_id)
    projected = await context.predictor.project(stored)
    context.recorder.projections(projected)
    return projected


def outscores(first: PlayerProjection, second: PlayerProjection, correlation: float = 0.0) -> float:
    """P(first outscores second), equal scores counted half, from their quantiles and the correlation of their normal
    scores."""
    one, other = np.sort(_points(first)), np.sort(_points(second))
    score, rest = ndtri(DRAWS), np.sqrt(1 - correlation**2)
    chances = []
    for side in ("left", "right"):
        below = ndtri(np.searchsorted(other, one, side=side) / len(other))
        chances.append(ndtr((below - correlation * score) / rest))
    return round(float(np.mean(chances)), 4)


def _together(projected: Projected, first: str, second: str) -> float:
    """Correlation of the normal scores of two players: 0 in different games, or where no table tells."""
    slate, frame = projected.stored.slate, projected.projections.frame
    known = {player.site_id: player for player in slate.players}
    one, other = known[first], known[second]
    if other.team not in (one.team, one.opponent):
        return 0.0
    try:
        table = load_correlation(slate.sport)
    except InvalidInput:
        return 0.0
    ids = frame["site_id"].to_list()
    teams = sorted({known[each].team for each in ids})
    team = np.array([teams.index(known[each].team) for each in ids], dtype=np.int64)
    roles = roles_of(table, [known[each].positions for each in ids], team, frame["mean"].to_numpy())
    a, b = int(roles[ids.index(first)]), int(roles[ids.index(second)])
    if min(a, b) < 0:
        return 0.0
    return float((table.teammates if one.team == other.team else table.opponents)[a, b])


def _points(player: PlayerProjection) -> NDArray[np.float64]:
    """1,000 equally likely scores; beyond the known quantiles the slope goes on, never below 0."""
    low = max(2 * player.q10 - player.q50, 0.0)
    high = 2 * player.q90 - player.q50
    found: NDArray[np.float64] = np.interp(
        DRAWS, LEVELS, [min(low, player.q10), player.q10, player.q50, player.q90, high]
    )
    return found


def _named(slate: Slate, names: list[str]) -> set[str]:
    wanted: set[str] = set()
    for who in names:
        found = player_named(slate, who)
        if len(found) != 1:
            problem = "is not on this slate" if not found else f"names {len(found)} players"
            raise InvalidInput(f"player {who!r} {problem}; use an id of GET /v1/players")
        wanted.update(found)
    if len(wanted) < 2:
        raise InvalidInput(f"player {names!r}: name at least two different players")
    return wanted
