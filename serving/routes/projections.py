"""Projections before lock: a slate's players, and which of some to start."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from features.errors import InvalidInput
from features.stores.slates import load_slate
from serving.context import ContextDep
from serving.routes.answers import Answer, PlayerProjection, player_named, player_projections, source_fields

router = APIRouter(prefix="/v1", tags=["projections"])
SlateId = Annotated[str, Query(description="id from GET /v1/slates")]


class Projections(Answer):
    """Every player of a slate."""

    slate_id: str
    players: list[PlayerProjection]


class Players(BaseModel):
    """Players as the site lists them, with whom they were matched to."""

    slate_id: str
    players: list[PlayerProjection]


class Comparison(Answer):
    """Players best first, and how sure the order of the first two is."""

    slate_id: str
    start: PlayerProjection
    players: list[PlayerProjection]
    confidence: float


@router.get("/projections")
async def projections(context: ContextDep, slate_id: SlateId) -> Projections:
    """Project every player of a slate as of its lock."""
    stored = await run_in_threadpool(load_slate, context.database, slate_id)
    projected = await context.predictor.project(stored)
    players = player_projections(projected)
    return Projections(slate_id=slate_id, players=players, **source_fields(projected))


@router.get("/players")
async def players(
    context: ContextDep,
    slate_id: SlateId,
    search: Annotated[str, Query(description="part of a name or team")] = "",
) -> Players:
    """Find players of a slate by name or team."""
    stored = await run_in_threadpool(load_slate, context.database, slate_id)
    wanted = search.casefold().strip()
    projected = await context.predictor.project(stored)
    found = [
        p for p in player_projections(projected) if wanted in p.name.casefold() or wanted == p.team.casefold()
    ]
    return Players(slate_id=slate_id, players=found)


@router.get("/compare")
async def compare(
    context: ContextDep,
    slate_id: SlateId,
    player: Annotated[list[str], Query(min_length=2, description="names or ids, two or more")],
) -> Comparison:
    """Say whom to start. `confidence` is P(first outscores second), from their intervals taken as independent."""
    stored = await run_in_threadpool(load_slate, context.database, slate_id)
    projected = await context.predictor.project(stored)
    wanted: list[str] = []
    for who in player:
        found = player_named(stored.slate, who)
        if len(found) != 1:
            problem = "is not on this slate" if not found else f"names {len(found)} players; use an id"
            raise InvalidInput(f"player {who!r} {problem}")
        wanted.extend(found)
    ranked = [p for p in player_projections(projected) if p.id in wanted]
    if len(ranked) < 2:
        raise InvalidInput("player: name at least two different players")
    return Comparison(
        slate_id=slate_id,
        start=ranked[0],
        players=ranked,
        confidence=_outscores(ranked[0], ranked[1]),
        **source_fields(projected),
    )


def _outscores(first: PlayerProjection, second: PlayerProjection, draws: int = 20_000) -> float:
    rng = np.random.default_rng(0)
    levels = np.array([0.0, 0.10, 0.50, 0.90, 1.0])

    def sample(player: PlayerProjection) -> np.ndarray:
        spread = np.array([player.q10, player.q50, player.q90])
        low, high = 2 * spread[0] - spread[1], 2 * spread[2] - spread[1]
        return np.asarray(np.interp(rng.random(draws), levels, [max(low, 0.0), *spread, high]))

    return round(float(np.mean(sample(first) > sample(second))), 4)
