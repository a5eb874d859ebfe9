"""Settings of the features layer, read once at an entry point and passed down."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class FeatureSettings(BaseSettings):
    """Where state lives. Every field is an environment variable with the prefix `FANTASY_`."""

    model_config = SettingsConfigDict(env_prefix="FANTASY_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".fantasy"), description="folder of all local state")
    data: Path | None = Field(default=None, description="folder of recorded seasons (docs/data.md)")
    contests: Path | None = Field(default=None, description="folder of your own contest rules (docs/contests.md)")
    redis_url: str = Field(default="redis://127.0.0.1:6390/0", description="online store")
    bus_url: str = Field(
        default="redis://127.0.0.1:6391/0", description="event bus: bulk streams, nothing durable (docs/live.md)"
    )
    stream_partitions: int = Field(default=2, ge=1, le=64, description="partitions of a league's event streams")
    live_keep_hours: float = Field(
        default=12.0,
        gt=0,
        description="hours that a game's live state is kept after its last event, once it ended",
    )
    live_keep_unfinished_hours: float = Field(
        default=168.0,
        gt=0,
        description="hours that it is kept after its last event, if it never ended (postponed, abandoned)",
    )
    database_url: str = Field(
        default="postgresql+psycopg://postgres@127.0.0.1:5490/fantasy", description="application database"
    )
