"""Prometheus metrics of the serving process."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS: Final = Counter("fantasy_http_requests_total", "HTTP requests", ["method", "route", "status"])
IN_FLIGHT: Final = Gauge("fantasy_http_requests_in_flight", "HTTP requests being answered")
LATENCY: Final = Histogram(
    "fantasy_http_request_seconds",
    "Time to answer, seconds",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CHAMPION_VERSION: Final = Gauge("fantasy_champion_version", "Version now serving", ["model"])
TRAINED_THROUGH: Final = Gauge(
    "fantasy_champion_trained_through_seconds", "Unix time of the last day the champion learned from", ["model"]
)
BEHIND: Final = Gauge(
    "fantasy_champion_behind", "1 while the alias names a version that is not serving", ["model"]
)
SWAPS: Final = Counter("fantasy_champion_swaps_total", "Champions swapped in", ["model"])
REFUSED: Final = Counter("fantasy_champion_refused_total", "Bundles refused before a swap", ["model"])
REFRESH_FAILURES: Final = Counter(
    "fantasy_champion_refresh_failures_total", "Looks at the registry that failed", ["model"]
)
PROJECTED: Final = Counter("fantasy_players_projected_total", "Players projected", ["model", "basis"])
CACHE: Final = Counter("fantasy_projection_cache_total", "Slates asked of the projection cache", ["result"])
INFERENCE: Final = Histogram("fantasy_inference_seconds", "Time to project a slate anew, seconds", ["family"])
INFERENCE_THREADS: Final = Gauge("fantasy_inference_threads", "CPU threads one inference uses")
RECORDED: Final = Counter("fantasy_predictions_recorded_total", "Predictions served written to the database")
UNRECORDED: Final = Counter("fantasy_predictions_unrecorded_total", "Predictions served that could not be written")
EXPOSED: Final = Counter("fantasy_exposures_recorded_total", "Arms of experiments served, written to the database")
UNEXPOSED: Final = Counter(
    "fantasy_exposures_unrecorded_total", "Arms of experiments served that were not written"
)
LINEUPS: Final = Counter("fantasy_lineups_built_total", "Lineups built", ["site"])
SOLVE: Final = Histogram("fantasy_lineup_solve_seconds", "Optimizer time per request, seconds", ["site"])
STOPPED: Final = Counter("fantasy_requests_stopped_total", "Work stopped because its client hung up", ["route"])
READY: Final = Gauge("fantasy_ready", "1 when the dependency answers", ["dependency"])
TIER_ANSWERS: Final = Counter("fantasy_tier_answers_total", "Questions answered", ["tier", "kind", "degraded"])
TIER_REFUSED: Final = Counter("fantasy_tier_refused_total", "Questions not answered", ["kind", "error"])
TIER_LATENCY: Final = Histogram(
    "fantasy_tier_seconds",
    "Time from a question's arrival to its answer, seconds",
    ["tier"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measure:
    """ASGI middleware: counts and times every request by its route template, so that labels stay few."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note its status and time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "500"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        started = time.perf_counter()
        IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, noted)
        finally:
            IN_FLIGHT.dec()
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels(method, route, status).inc()
            LATENCY.labels(route).observe(time.perf_counter() - started)
