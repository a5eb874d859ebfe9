"""Which model versions are serving, and since when."""

from __future__ import annotations

from datetime import UTC, date, datetime

from fastapi import APIRouter
from pydantic import BaseModel

from features.workspace import LEAGUES
from models.champion import model_name
from serving.champion import FAMILIES
from serving.context import ContextDep

router = APIRouter(prefix="/v1", tags=["models"])


class ServedModel(BaseModel):
    """A registered model: the champion version being served, or why there is none."""

    name: str
    league: str
    family: str
    version: str | None
    loaded_at: datetime | None
    trained_through: date | None
    view_versions: dict[str, str]
    error: str | None


class ServedModels(BaseModel):
    """Every family of every league."""

    models: list[ServedModel]


@router.get("/models")
def served_models(context: ContextDep) -> ServedModels:
    """List the champions being served."""
    status = {entry.name: entry for entry in context.champions.status()}
    found: list[ServedModel] = []
    for league in LEAGUES:
        for family in FAMILIES:
            entry = status[model_name(league, family)]
            model = context.champions.get(league, family)
            found.append(
                ServedModel(
                    name=entry.name,
                    league=league,
                    family=family,
                    version=entry.version,
                    loaded_at=None if entry.loaded_at is None else datetime.fromtimestamp(entry.loaded_at, UTC),
                    trained_through=None if model is None else model.trained_through,
                    view_versions={} if model is None else dict(model.view_versions),
                    error=entry.error,
                )
            )
    return ServedModels(models=found)
