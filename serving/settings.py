"""Settings of the serving layer."""

from __future__ import annotations

from pydantic import Field

from models.settings import ModelSettings


class ServingSettings(ModelSettings):
    """Model settings plus where to listen and how often to look for a new champion."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")
    champion_poll_s: float = Field(default=2.0, gt=0, le=10, description="seconds between looks at the alias")
    upload_limit_bytes: int = Field(default=20_000_000, gt=0, description="largest salary file accepted")
