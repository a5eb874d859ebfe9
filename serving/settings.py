"""Settings of the serving layer."""

from __future__ import annotations

from pydantic import Field

from models.settings import ModelSettings


class ServingSettings(ModelSettings):
    """Model settings plus where to listen and how often to look for a new champion."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    champion_poll_s: float = Field(default=2.0, gt=0, le=5, description="seconds between looks at the aliases")
    refused_retry_s: float = Field(
        default=60.0, gt=0, description="seconds before a refused bundle is tried again"
    )
    experiment_ramp: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of callers that name themselves (header Fantasy-Unit) whom champion and challenger share",
    )
    torch_threads: int = Field(default=1, ge=1, description="CPU threads one inference may use")
    upload_limit_bytes: int = Field(default=10_000_000, gt=0, description="longest request body read")
    live_port: int = Field(default=8001, ge=0, le=65535, description="port of the live hub's WebSockets")
    live_workers: int = Field(default=1, ge=1, le=64, description="hub worker processes behind that port")
    live_secret: str | None = Field(
        default=None, min_length=32, description="signs the hub's tokens; made and kept under `home` if unset"
    )
    prefect_api_url: str = Field(
        default="http://127.0.0.1:4200/api", description="Prefect server that heavy work is handed to, with /api"
    )
    inference_provider: str = Field(
        default="auto", pattern="^(auto|cpu|cuda)$", description="where the regional tier runs its models"
    )
