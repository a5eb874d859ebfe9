"""Probabilities before lock (horizon `macro`): who wins a game of the slate."""

from __future__ import annotations

import asyncio
from datetime import datetime

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from features.slate import Slate
from features.stores.slates import load_slate
from features.views import game_rows
from features.views.entities import slate_entities
from models.selective import GATE
from serving.context import Context, ContextDep
from serving.routes.answers import ModelRef

router = APIRouter(prefix="/v1", tags=["predictions"])


class MacroQuestion(BaseModel):
    """Ask who wins each game of a slate."""

    slate_id: str


class GamePrediction(BaseModel):
    """P(home win), and the answer unless the claimed probability is below the gate (`abstained`).

    When it abstains, `fallback_winner` is the home side: the base rate's answer.
    """

    home_team: str
    away_team: str
    home_win_probability: float
    confidence: float
    abstained: bool
    winner: str | None
    fallback_winner: str | None


class MacroAnswer(BaseModel):
    """Predictions of a slate's games."""

    slate_id: str
    horizon: str = "macro"
    gate: float
    model: ModelRef
    data_timestamp: datetime | None
    source: str
    tier: str = "regional"
    fallback: bool
    games: list[GamePrediction]


@router.post("/predictions/macro")
async def predict_macro(context: ContextDep, question: MacroQuestion) -> MacroAnswer:
    """Predict the winner of every game of a slate as of its lock."""
    stored = await run_in_threadpool(load_slate, context.database, question.slate_id)
    return await asyncio.to_thread(_predict, context, stored.slate, stored.league)


def _predict(context: Context, slate: Slate, league: str) -> MacroAnswer:
    known = "simulated" if league == "simulated" else "nba"
    model = context.champions.require(known, "win_probability")  # type: ignore[arg-type]
    views = context.online.read_views(known)
    _, games = slate_entities(slate)
    rows = model.predict(game_rows(games, views))
    predictions = [
        _answer(row["home_team"], row["away_team"], row["home_win_probability"]) for row in rows.to_dicts()
    ]
    return MacroAnswer(
        slate_id=slate.slate_id,
        gate=GATE,
        model=ModelRef(name=model.name, version=model.version),
        data_timestamp=context.online.stamp(known).data_timestamp,
        source=league,
        fallback=all(prediction.abstained for prediction in predictions),
        games=predictions,
    )


def _answer(home: str, away: str, probability: float) -> GamePrediction:
    confidence = max(probability, 1 - probability)
    abstained = confidence < GATE
    return GamePrediction(
        home_team=home,
        away_team=away,
        home_win_probability=round(probability, 4),
        confidence=round(confidence, 4),
        abstained=abstained,
        winner=None if abstained else (home if probability >= 0.5 else away),
        fallback_winner=home if abstained else None,
    )
