"""The HTTP application: wiring only."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from features.errors import FantasyError
from serving import telemetry
from serving.context import Context
from serving.routes import health, lineups, models, predictions, projections, slates
from serving.settings import ServingSettings

log = logging.getLogger(__name__)
WEB: Final = Path(__file__).parent / "web"


def create_app(settings: ServingSettings | None = None) -> FastAPI:
    """Return the application; it starts whatever is down, says so at `/ready`, and recovers by itself."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = Context.open(settings or ServingSettings())
        app.state.context = context
        context.start()
        try:
            yield
        finally:
            context.close()

    app = FastAPI(title="Fantasy AI", version=version("fantasy-ai"), lifespan=lifespan)
    app.middleware("http")(telemetry.measure)
    app.add_exception_handler(FantasyError, _explain)
    for module in (health, slates, projections, predictions, lineups, models):
        app.include_router(module.router)
    app.mount("/web", StaticFiles(directory=WEB), name="web")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    return app


def _explain(_request: Request, error: Exception) -> JSONResponse:
    """Turn a typed error into its status and a body that names what to do."""
    assert isinstance(error, FantasyError)  # noqa: S101 - registered for this type only
    body = {"error": type(error).__name__, "message": str(error), "retryable": error.retryable}
    rules = getattr(error, "rules", None)
    if rules:
        body["rules"] = list(rules)
    headers = {"Retry-After": "2"} if error.retryable else None
    if error.http_status >= 500:
        log.warning("answer status=%s error=%s: %s", error.http_status, type(error).__name__, error)
    return JSONResponse(body, status_code=error.http_status, headers=headers)
