"""Predictions that left the API, kept so that they can be explained and scored once outcomes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from features.errors import NotMaterialized
from features.stores.database import Database
from features.stores.schema import PredictionServed


@dataclass(frozen=True, slots=True)
class ServedPrediction:
    """One projection (`mean`, `quantiles` in the target's points) or `probability`, with all that reproduces it.

    `game_id` is `AWAY@HOME` for a game of a slate, else the league's id; `asked_at` is pregame, q1, half, q3 or event
    (any other play); times are UTC. `slate_id` is None for questions about a game.
    """

    prediction_id: UUID
    served_at: datetime
    league: str
    target: str
    game_id: str
    player_id: int | None
    slate_id: str | None
    asked_at: str
    model_name: str
    model_version: str
    view_versions: dict[str, str]
    data_timestamp: datetime | None
    mean: float | None
    probability: float | None
    quantiles: dict[str, float] | None
    tier: str
    fallback: bool
    latency_ms: float


def save_predictions(database: Database, predictions: Sequence[ServedPrediction]) -> None:
    """Store `predictions`, all or none; one with a known `prediction_id` is the same prediction and is left alone."""
    if not predictions:
        return
    rows = [asdict(each) for each in predictions]
    statement = insert(PredictionServed).on_conflict_do_nothing(index_elements=["prediction_id"])
    with database.session() as session:
        session.execute(statement, rows)


def load_prediction(database: Database, prediction_id: UUID) -> ServedPrediction:
    """Return what was served under this id. Raises `NotMaterialized` when nothing was."""
    with database.session() as session:
        row = session.get(PredictionServed, prediction_id)
        if row is None:
            raise NotMaterialized(
                f"prediction_id {prediction_id} is not recorded; every answer of the API names its own, and is "
                "recorded within a second"
            )
        return ServedPrediction(**{each.name: getattr(row, each.name) for each in fields(ServedPrediction)})
