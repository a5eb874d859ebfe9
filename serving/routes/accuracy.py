"""How right the answers were that left this API: predict-then-score, by confidence band."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from features.workspace import League
from models.prequential import KEPT_LEVELS, LEAST, live_accuracy
from serving.context import ContextDep
from serving.problem import READS

router = APIRouter(prefix="/v1", tags=["models"], responses=READS)
#: Also keeps out what PostgreSQL text cannot hold.
NAME = r"^[a-z0-9_]{1,64}$"


class Estimate(BaseModel):
    """A figure with its 95 % interval, from resampling `blocks` game dates."""

    value: float | None
    low: float | None
    high: float | None
    blocks: int


class AccuracyCell(BaseModel):
    """One version on one target at one moment; `band` of claimed confidence, `all` for every band.

    `figures` is null with `note` "too few" below the answer's `least_n`. Probabilities have hit_rate, claimed,
    honesty (claimed minus hit), brier and base_rate; points have mae, bias, interval_80_coverage and crps.
    """

    model_config = ConfigDict(protected_namespaces=())

    target: str
    asked_at: str
    model_name: str
    model_version: str
    fallback: bool = Field(description="these answers came from no model")
    kind: str
    band: str
    n: int
    dates: int
    first_date: date | None
    last_date: date | None
    figures: dict[str, Estimate] | None
    note: str


class Accuracy(BaseModel):
    """Everything served whose outcome is known, as far as it was served before the event."""

    league: League
    least_n: int
    crps_levels: list[float]
    cells: list[AccuracyCell]


@router.get("/accuracy")
def accuracy(
    context: ContextDep,
    league: League = "nba",
    target: Annotated[str | None, Query(pattern=NAME, description="e.g. home_win")] = None,
    asked_at: Annotated[str | None, Query(pattern=NAME, description="pregame, q1, half, q3 or event")] = None,
) -> Accuracy:
    """Tell how often the answers were right, beside how sure they were."""
    cells = live_accuracy(context.database, league, target=target, asked_at=asked_at)
    return Accuracy(
        league=league,
        least_n=LEAST,
        crps_levels=list(KEPT_LEVELS),
        cells=[AccuracyCell(**cell.as_json()) for cell in cells],
    )
