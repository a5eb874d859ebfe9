"""Tables of the application database (PostgreSQL). The schema is changed only by migrations (`migrations/`).

Every time is an aware UTC `timestamptz`. Model versions are text, as MLflow writes them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    String,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Declares names for constraints, so that migrations can drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        str: String,
    }


class SlateRow(Base):
    """A slate that somebody asked about; `content` holds its games and players."""

    __tablename__ = "slates"

    slate_id: Mapped[str] = mapped_column(primary_key=True)
    league: Mapped[str]
    site: Mapped[str]
    sport: Mapped[str]
    mode: Mapped[str]
    lock: Mapped[datetime | None] = mapped_column(index=True)
    source: Mapped[str]
    content: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PlayerRow(Base):
    """The newest name and team known of a player of a league."""

    __tablename__ = "players"

    league: Mapped[str] = mapped_column(primary_key=True)
    player_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    player_name: Mapped[str] = mapped_column(index=True)
    team: Mapped[str]
    last_played: Mapped[date | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class PredictionServed(Base):
    """One projection (`mean`, `quantiles`) or probability that left the API, with all that reproduces it."""

    __tablename__ = "predictions_served"
    __table_args__ = (
        Index("ix_predictions_served_question", "league", "target", "game_id", "player_id"),
        CheckConstraint("mean IS NOT NULL OR probability IS NOT NULL", name="answers"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
    )

    prediction_id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    served_at: Mapped[datetime] = mapped_column(index=True)
    league: Mapped[str]
    target: Mapped[str]
    game_id: Mapped[str | None]
    player_id: Mapped[int | None]
    slate_id: Mapped[str | None] = mapped_column(ForeignKey("slates.slate_id"))
    asked_at: Mapped[str] = mapped_column(comment="pregame, q1, half or q3")
    model_name: Mapped[str]
    model_version: Mapped[str]
    view_versions: Mapped[dict[str, Any]]
    data_timestamp: Mapped[datetime | None]
    mean: Mapped[float | None] = mapped_column(comment="fantasy points")
    probability: Mapped[float | None]
    quantiles: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    tier: Mapped[str]
    fallback: Mapped[bool]
    latency_ms: Mapped[float | None]


class LineupRow(Base):
    """A lineup that was built: who asked for what, from which slate and model."""

    __tablename__ = "lineups"

    lineup_id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    request_id: Mapped[UUID] = mapped_column(index=True, comment="lineups built together")
    rank: Mapped[int] = mapped_column(comment="1 is the best of its request")
    built_at: Mapped[datetime] = mapped_column(index=True)
    slate_id: Mapped[str] = mapped_column(ForeignKey("slates.slate_id"), index=True)
    site: Mapped[str]
    model_name: Mapped[str | None]
    model_version: Mapped[str | None]
    salary_usd: Mapped[int]
    projection: Mapped[float] = mapped_column(comment="fantasy points")
    bound: Mapped[float] = mapped_column(comment="proven: no allowed lineup projects above it")
    players: Mapped[list[Any]]
    rules: Mapped[dict[str, Any]]


class ExperimentExposure(Base):
    """A unit met an arm at the point of use, once a day. `unit_hash` is hashed: no account is stored."""

    __tablename__ = "experiment_exposures"
    __table_args__ = (
        UniqueConstraint(
            "experiment", "bucket_version", "unit_hash", "arm", "exposed_on",
            name="uq_experiment_exposures_once_a_day",
        ),
    )  # fmt: skip

    exposure_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    experiment: Mapped[str]
    unit_hash: Mapped[str] = mapped_column(index=True)
    arm: Mapped[str]
    bucket: Mapped[int]
    bucket_version: Mapped[int]
    exposed_at: Mapped[datetime]
    exposed_on: Mapped[date] = mapped_column(comment="UTC day of exposed_at")
    context: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class Outcome(Base):
    """What happened: one value per target and subject; `player_id` is 0 when the subject is the game."""

    __tablename__ = "outcomes"

    league: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    game_id: Mapped[str] = mapped_column(primary_key=True)
    player_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float]
    event_time: Mapped[datetime] = mapped_column(index=True)
    known_time: Mapped[datetime]


class JobRow(Base):
    """Heavy work that was asked for: its question, how far it is, and its result once there is one."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"),
        Index("ix_jobs_asked_at", "asked_at"),
    )

    job_id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    idempotency_key: Mapped[str] = mapped_column(unique=True, comment="the same key is the same job")
    league: Mapped[str]
    kind: Mapped[str]
    question: Mapped[dict[str, Any]]
    priority: Mapped[str] = mapped_column(comment="the work queue: urgent or usual")
    status: Mapped[str]
    flow_run_id: Mapped[UUID | None] = mapped_column(comment="null until Prefect has taken it")
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    error: Mapped[str | None]


class Promotion(Base):
    """The audit of a model's champion alias: every move, and every decision not to move it."""

    __tablename__ = "promotions"
    __table_args__ = (
        CheckConstraint("action IN ('promote', 'rollback', 'hold', 'reject')", name="action"),
        Index("ix_promotions_model_name_promotion_id", "model_name", "promotion_id"),
    )

    promotion_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    model_name: Mapped[str]
    from_version: Mapped[str | None]
    to_version: Mapped[str | None]
    action: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    actor: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
