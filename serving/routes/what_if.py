"""The in-game winner for the browser: the champion's ONNX file, and what a page needs to ask it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict

from features.errors import NotMaterialized
from features.workspace import League
from models import what_if
from serving.problem import READS
from serving.tiers.answerer import Answerer
from serving.tiers.sessions import Session
from serving.tiers.wired import AnswererDep

router = APIRouter(prefix="/v1/models/live_win", tags=["models"])
ONNX: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "the ONNX file; ETag names its version"}
}


class WhatIfModel(BaseModel):
    """How to ask the file: inputs in order (NaN where unknown), how raw outputs become answers, and `constants` for
    applying changes. `onnx_url` names this version; a page keeps the file as long as the version stays."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    version: str
    league: str
    onnx_url: str
    features: list[str]
    levels: list[float]
    calibration: dict[str, Any]
    constants: dict[str, Any]


@router.get("/what_if", responses=READS)
async def describe(tiers: AnswererDep, league: League = "nba") -> WhatIfModel:
    """Say how the champion's ONNX file is asked."""
    found = _session(tiers, league)
    return WhatIfModel(
        name=found.name,
        version=found.version,
        league=league,
        onnx_url=f"/v1/models/live_win/onnx?league={league}&version={found.version}",
        features=list(found.features),
        levels=list(found.config["levels"]),
        calibration=dict(found.calibration),
        constants=what_if.constants(),
    )


@router.get("/onnx", response_class=Response, responses={**ONNX, **READS})
async def onnx(tiers: AnswererDep, league: League = "nba", version: str | None = None) -> Response:
    """Return the champion's ONNX file; 404 when another `version` is asked for than is champion now."""
    found = _session(tiers, league)
    if version is not None and version != found.version:
        raise NotMaterialized(f"version {version!r} of {found.name} is not the champion: ask for {found.version}")
    try:
        content = await run_in_threadpool(found.path.read_bytes)
    except FileNotFoundError as error:
        raise NotMaterialized(f"version {found.version} of {found.name} is being replaced: ask again") from error
    headers = {"ETag": f'"{found.name}-{found.version}"', "Cache-Control": "no-cache"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _session(tiers: Answerer, league: League) -> Session:
    found = tiers.models.get(league, "live_win")
    if found is None:
        raise NotMaterialized(
            f"league {league!r} has no in-game winner model as ONNX yet: train one (`fantasy run`), then wait a moment"
        )
    return found
