"""Which model versions are serving, and since when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from features.workspace import LEAGUES, League
from serving.champion import FAMILIES, FamilyName, Status
from serving.context import Context, ContextDep

router = APIRouter(prefix="/v1", tags=["models"])


class ServedModel(BaseModel):
    """A registered model: the champion version being served, and what went wrong last (`error`), if anything.

    `status` is serving, no champion yet, or refused (a champion is named that could not be loaded).
    """

    name: str
    league: str
    family: str
    status: Literal["serving", "no champion yet", "refused"]
    version: str | None
    loaded_at: datetime | None
    trained_through: date | None
    view_versions: dict[str, str]
    device: str | None
    error: str | None


class ServedModels(BaseModel):
    """Every family of every league."""

    models: list[ServedModel]


@router.get("/models")
def served_models(context: ContextDep) -> ServedModels:
    """List the champions being served."""
    found: list[ServedModel] = []
    for league, family, status in every_status(context):
        model = context.champions.get(league, family)
        found.append(
            ServedModel(
                name=status.name,
                league=league,
                family=family,
                status=_status(status),
                version=status.version,
                loaded_at=status.loaded_at,
                trained_through=None if model is None else model.trained_through,
                view_versions={} if model is None else dict(model.view_versions),
                device=None if model is None else str(model.device),
                error=status.error,
            )
        )
    return ServedModels(models=found)


def _status(status: Status) -> Literal["serving", "no champion yet", "refused"]:
    if status.version is not None:
        return "serving"
    return "no champion yet" if status.error is None else "refused"


def every_status(context: Context) -> Iterator[tuple[League, FamilyName, Status]]:
    """Yield every family of every league with its status."""
    for league in LEAGUES:
        for family in FAMILIES:
            yield league, family, context.champions.status(league, family)
