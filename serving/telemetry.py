"""Prometheus metrics of the serving process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request, Response
from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter("fantasy_http_requests_total", "HTTP requests", ["method", "route", "status"])
LATENCY: Final = Histogram(
    "fantasy_http_request_seconds",
    "Time to answer, seconds",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CHAMPION_VERSION: Final = Gauge("fantasy_champion_version", "Version now serving", ["model"])
SWAPS: Final = Counter("fantasy_champion_swaps_total", "Champions swapped in", ["model"])
SWAP_FAILURES: Final = Counter("fantasy_champion_refresh_failures_total", "Refreshes that failed", ["model"])
PROJECTED: Final = Counter("fantasy_players_projected_total", "Players projected", ["model", "basis"])
LINEUPS: Final = Counter("fantasy_lineups_built_total", "Lineups built", ["site"])
SOLVE: Final = Histogram("fantasy_lineup_solve_seconds", "Optimizer time per request, seconds", ["site"])
READY: Final = Gauge("fantasy_ready", "1 when every dependency answers", ["dependency"])


async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Count and time every request by its route template, so that labels stay few."""
    started = time.perf_counter()
    response = await call_next(request)
    route = getattr(request.scope.get("route"), "path", "unmatched")
    REQUESTS.labels(request.method, route, str(response.status_code)).inc()
    LATENCY.labels(route).observe(time.perf_counter() - started)
    return response
