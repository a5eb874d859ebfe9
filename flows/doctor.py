"""What this machine offers the platform: versions, devices, services, state."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from features.workspace import LEAGUES, Workspace
from flows.settings import FlowSettings

#: Above these, Prefect 3.8 breaks at run time although `pip check` is clean (docs/adr/0002).
BOUNDS = {"fastapi": (0, 150, 0), "sqlalchemy": (2, 0, 999)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined; `required` says whether the line cannot run without it."""

    subject: str
    ok: bool
    detail: str
    required: bool = True

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def examine() -> list[Finding]:
    """Examine this machine; starts nothing and changes nothing."""
    settings = FlowSettings()
    return [*_versions(), *_device(), *_services(settings), *_state(settings)]


def _versions() -> Iterator[Finding]:
    major, minor = platform.python_version_tuple()[:2]
    yield Finding("python", (int(major), int(minor)) >= (3, 11), platform.python_version())
    for package in ("torch", "lightning", "prefect", "mlflow", "polars", "great-expectations", "dvc", "redis"):
        yield Finding(package, True, importlib.metadata.version(package))
    for package, bound in BOUNDS.items():
        version = importlib.metadata.version(package)
        parts = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
        yield Finding(package, parts <= bound, f"{version} (at most {'.'.join(map(str, bound))})")


def _device() -> Iterator[Finding]:
    import torch

    yield Finding("cpu", True, f"{os.cpu_count()} cores, torch threads {torch.get_num_threads()}")
    if not torch.cuda.is_available():
        yield Finding("cuda", True, "no GPU: models run on the CPU", required=False)
        return
    product = torch.ones(256, 256, device="cuda") @ torch.ones(256, 256, device="cuda")
    right = bool((product == 256).all().item())
    yield Finding("cuda", right, f"{torch.cuda.get_device_name()}, bf16 {torch.cuda.is_bf16_supported()}")


def _services(settings: FlowSettings) -> Iterator[Finding]:
    urls = {
        "redis": settings.redis_url,
        "bus": settings.bus_url,
        "postgres": settings.database_url,
        "mlflow": settings.mlflow_tracking_uri,
        "prefect": settings.prefect_api_url,
    }
    for name, url in urls.items():
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port}"
        try:
            with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=1):
                yield Finding(name, True, f"answers at {where}", required=False)
        except OSError:
            yield Finding(name, True, f"not running at {where}; `fantasy run` starts it", required=False)


def _state(settings: FlowSettings) -> Iterator[Finding]:
    for league in LEAGUES:
        workspace = Workspace(settings.home, league)
        there = workspace.tables.is_dir()
        detail = str(workspace.root) if there else "nothing collected yet; `fantasy run`"
        yield Finding(f"league {league}", True, detail, required=False)
