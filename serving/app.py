"""The HTTP application: wiring only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from features.stream.connections import Servers
from serving import problem
from serving.body_limit import BodyLimit
from serving.context import Context
from serving.experiment import NameUnit
from serving.live.board import Board
from serving.live.live_lineups import LineupStore
from serving.routes import (
    accuracy,
    ask,
    contests,
    health,
    in_game,
    late_swap,
    lineups,
    live,
    live_games,
    live_lineups,
    models,
    own_files,
    predictions,
    projections,
    slates,
    what_if,
)
from serving.settings import ServingSettings
from serving.telemetry import Measure
from serving.tiers.wired import Tiers

WEB: Final = Path(__file__).parent / "web"
DESCRIPTION: Final = """Projections with intervals, win probabilities and provably optimal lineups.

Every answer names the model and version it came from, the newest moment its data knows of, the league (`source`:
`nba` or `simulated`) and whether it is a fallback. Every error is a `Problem`."""


def create_app(settings: ServingSettings | None = None) -> FastAPI:
    """Return the application; it starts whatever is down, says so at `/ready`, and recovers by itself."""
    chosen = settings or ServingSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = Context.open(chosen)
        app.state.context = context
        app.state.board = Board(chosen.redis_url, chosen.stream_partitions)
        servers = Servers(chosen.redis_url)
        app.state.lineups = LineupStore(servers)
        app.state.tiers = Tiers(chosen, context)
        context.start()
        app.state.tiers.start()
        try:
            yield
        finally:
            await app.state.tiers.close()
            servers.close()
            app.state.board.close()
            context.close()

    # FastAPI's own documentation pages load scripts from the internet; `web/docs.html` does not.
    app = FastAPI(
        title="Fantasy AI",
        description=DESCRIPTION,
        version=version("fantasy-ai"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, limit_bytes=chosen.upload_limit_bytes)
    app.add_middleware(Measure)
    app.add_middleware(NameUnit)
    problem.install(app)
    for module in (
        health, slates, projections, predictions, in_game, contests, lineups, late_swap, own_files,
        models, accuracy, live, live_games, live_lineups, ask, what_if,
    ):  # fmt: skip
        app.include_router(module.router)
    app.mount("/web", StaticFiles(directory=WEB), name="web")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    @app.get("/live", include_in_schema=False)
    def live_page() -> FileResponse:
        return FileResponse(WEB / "live.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(WEB / "docs.html")

    return app
