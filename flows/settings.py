"""Settings of the flows layer."""

from __future__ import annotations

from pydantic import Field

from models.settings import ModelSettings


class FlowSettings(ModelSettings):
    """Model settings plus where Prefect runs and whether services are started here."""

    prefect_api_url: str = Field(default="http://127.0.0.1:4200/api", description="Prefect server, with /api")
    embedded: bool = Field(default=True, description="start on loopback what does not answer at its URL")
    startup_timeout_s: float = Field(
        default=240.0, gt=0, description="seconds an embedded service may take to start"
    )
    host: str = Field(default="127.0.0.1", description="address the serving process listens on")
    port: int = Field(default=8000, ge=1, le=65535, description="port the serving process listens on")
    redis_appendonly: bool = Field(
        default=True, description="append-only file (fsync every second) for the embedded online store"
    )
