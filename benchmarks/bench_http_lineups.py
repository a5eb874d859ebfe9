"""How long `POST /v1/lineups` takes a client: the real app (uvicorn), PostgreSQL, Redis and MLflow, warm.

    python benchmarks/bench_http_lineups.py [--out FILE] [--requests 300]

A fresh home gets one daily line on the simulated league (a champion, features online, a DraftKings slate of some 350
players), then `python -m serving` answers one client over one kept-open connection. Every request excludes another
player, so that no answer can be remembered; every answer is projected, optimized, recorded in PostgreSQL and sent.
Milliseconds are wall time at the client; `solve_ms` is the optimizer's own share of it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from measure import machine, parser, spread, write

from flows.services import embedded_services, on_free_ports, quiet_environment
from flows.settings import FlowSettings

SIZES = (1, 20, 150)
WARM_UP = 10
STARTUP_S = 120.0


@contextmanager
def service() -> Iterator[httpx.Client]:
    """A client of a ready app with a trained champion; everything is stopped and deleted afterwards."""
    home = Path(tempfile.mkdtemp(prefix="fantasy-http-"))
    home.chmod(0o755)  # PostgreSQL runs as another account where we are root
    settings = on_free_ports(FlowSettings(home=home / "state"))
    port = free_port()
    try:
        with embedded_services(settings) as endpoints:
            environment = {
                **os.environ,
                **quiet_environment(),
                **endpoints.environment(),
                "FANTASY_HOME": str(settings.home),
                "FANTASY_PORT": str(port),
            }
            line = [str(Path(sys.executable).parent / "fantasy"), "run", "--source", "simulated"]
            subprocess.run(line, env=environment, cwd=home, check=True, stdout=subprocess.DEVNULL)
            app = subprocess.Popen([sys.executable, "-m", "serving"], env=environment, cwd=home)
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                    wait_until_ready(client, app)
                    yield client
            finally:
                app.terminate()
                app.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until_ready(client: httpx.Client, app: subprocess.Popen[bytes]) -> None:
    """Return once the app says that it is ready; end the program if it does not come up."""
    end = time.monotonic() + STARTUP_S
    while time.monotonic() < end and app.poll() is None:
        try:
            if client.get("/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    sys.exit(f"the app was not ready within {STARTUP_S:.0f} s")


def measure(client: httpx.Client, slate_id: str, players: list[str], n: int, requests: int) -> dict[str, Any]:
    """Latency of `requests` equal requests but for the player each leaves out."""
    body: dict[str, Any] = {"slate_id": slate_id, "n": n} | ({"max_exposure": 0.5} if n > 1 else {})
    wall, solving, size = [], [], 0
    for at in range(WARM_UP + requests):
        started = time.perf_counter()
        reply = client.post("/v1/lineups", json=body | {"excluded": [players[at % len(players)]]})
        took = (time.perf_counter() - started) * 1e3
        reply.raise_for_status()
        answer = reply.json()
        if len(answer["lineups"]) != n or answer["fallback"]:
            sys.exit(f"asked for {n} lineups by the champion, got {len(answer['lineups'])}: {answer['warnings']}")
        if at >= WARM_UP:
            wall.append(took)
            solving.append(answer["solve_ms"])
            size = len(reply.content)
    return spread("wall_ms", wall) | spread("solve_ms", solving) | {"requests": requests, "bytes": size}


def main() -> None:
    """Measure, print, write JSON."""
    made = parser(__doc__, "http-lineups.json")
    made.add_argument("--requests", type=int, default=300)
    args = made.parse_args()
    report = machine(("fastapi", "uvicorn", "numba", "numpy", "polars"))
    with service() as client:
        slates = client.get("/v1/slates").json()["slates"]
        slate = next(s for s in slates if s["site"] == "draftkings" and s["mode"] == "classic")
        found = client.get("/v1/projections", params={"slate_id": slate["id"]}).json()["players"]
        players = [p["id"] for p in found if p["mean"] > 0]
        report |= {"slate": slate["id"], "players": slate["players"], "projected": len(players), "requests": {}}
        for n in SIZES:
            row = report["requests"][str(n)] = measure(client, slate["id"], players, n, args.requests)
            print(f"{n:3} lineups: p50 {row['wall_ms_p50']:.2f} ms, p99 {row['wall_ms_p99']:.2f} ms, of which solving "
                  f"p50 {row['solve_ms_p50']:.2f} ms, p99 {row['solve_ms_p99']:.2f} ms", flush=True)  # fmt: skip
    write(report, args.out)


if __name__ == "__main__":
    main()
