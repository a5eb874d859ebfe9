"""Predictions before lock (horizon `macro`): who wins a game of the slate, by how much, and how many points fall."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from features.stores.slates import load_slate
from models.selective import GATE
from serving.context import ContextDep
from serving.predictor import Winners
from serving.problem import WRITES
from serving.routes.answers import SLATE_ID, Answer, ModelRef

router = APIRouter(prefix="/v1", tags=["predictions"], responses=WRITES)


class MacroQuestion(BaseModel):
    """Ask who wins each game of a slate."""

    slate_id: str = Field(pattern=SLATE_ID, description="id from GET /v1/slates")


class Points(BaseModel):
    """A number of points with its 80 % interval (q10 to q90)."""

    prediction_id: UUID
    mean: float
    q10: float
    q50: float
    q90: float


class GamePrediction(BaseModel):
    """P(home win), margin and total (null where the model does not answer them), and the winner.

    Below the gate it abstains and names no winner; `fallback_winner` is the home side: the base rate's answer.
    """

    prediction_id: UUID
    home_team: str
    away_team: str
    home_win_probability: float
    confidence: float
    abstained: bool
    winner: str | None
    fallback_winner: str | None
    home_margin: Points | None
    total_points: Points | None


class MacroAnswer(Answer):
    """Predictions of a slate's games; `fallback` when all abstain, or no champion is there and Elo answers."""

    slate_id: str
    horizon: str = "macro"
    gate: float
    games: list[GamePrediction]


@router.post("/predictions/macro")
async def predict_macro(context: ContextDep, question: MacroQuestion) -> MacroAnswer:
    """Predict winner, margin and total of every game of a slate as of its lock."""
    stored = await run_in_threadpool(load_slate, context.database, question.slate_id)
    winners = await context.predictor.winners(stored)
    context.recorder.winners(winners)
    games = [_answer(winners, row) for row in winners.games.to_dicts()]
    return MacroAnswer(
        slate_id=question.slate_id,
        gate=GATE,
        model=ModelRef(name=winners.model_name, version=winners.model_version),
        data_timestamp=winners.data_timestamp,
        source=stored.league,
        fallback=winners.fallback or all(game.abstained for game in games),
        warnings=list(winners.warnings),
        latency_ms=round(winners.latency_ms, 3),
        games=games,
    )


def _answer(winners: Winners, row: dict[str, Any]) -> GamePrediction:
    home, away, probability = row["home_team"], row["away_team"], row["home_win_probability"]
    confidence = max(probability, 1 - probability)
    abstained = confidence < GATE
    return GamePrediction(
        prediction_id=winners.prediction_id(row["game_id"]),
        home_team=home,
        away_team=away,
        home_win_probability=round(probability, 4),
        confidence=round(confidence, 4),
        abstained=abstained,
        winner=None if abstained else (home if probability >= 0.5 else away),
        fallback_winner=home if abstained else None,
        home_margin=_points(winners, row, "home_margin"),
        total_points=_points(winners, row, "total_points"),
    )


def _points(winners: Winners, row: dict[str, Any], target: str) -> Points | None:
    if row[f"{target}_mean"] is None:
        return None
    numbers = {name: round(row[f"{target}_{name}"], 2) for name in ("mean", "q10", "q50", "q90")}
    return Points(prediction_id=winners.prediction_id(row["game_id"], target), **numbers)
