"""The first schema: slates, players, predictions served, lineups, exposures, outcomes, promotions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("slates", "players", "predictions_served", "lineups", "experiment_exposures", "outcomes", "promotions")


def upgrade() -> None:
    """Create every table; slates first, since others point at them."""
    _create_slates()
    _create_players()
    _create_predictions_served()
    _create_lineups()
    _create_experiment_exposures()
    _create_outcomes()
    _create_promotions()


def downgrade() -> None:
    """Drop every table."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_slates() -> None:
    op.create_table(
        "slates",
        sa.Column("slate_id", sa.String(), nullable=False),
        sa.Column("league", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("sport", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("lock", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("slate_id", name="pk_slates"),
    )
    op.create_index("ix_slates_lock", "slates", ["lock"])


def _create_players() -> None:
    op.create_table(
        "players",
        sa.Column("league", sa.String(), nullable=False),
        sa.Column("player_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("player_name", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("last_played", sa.Date(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("league", "player_id", name="pk_players"),
    )
    op.create_index("ix_players_player_name", "players", ["player_name"])


def _create_predictions_served() -> None:
    op.create_table(
        "predictions_served",
        sa.Column("prediction_id", sa.Uuid(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("league", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("game_id", sa.String(), nullable=True),
        sa.Column("player_id", sa.Integer(), nullable=True),
        sa.Column("slate_id", sa.String(), nullable=True),
        sa.Column("asked_at", sa.String(), nullable=False, comment="pregame, q1, half or q3"),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("view_versions", postgresql.JSONB(), nullable=False),
        sa.Column("data_timestamp", sa.DateTime(timezone=True), nullable=True),
        sa.Column("mean", sa.Float(), nullable=True, comment="fantasy points"),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("quantiles", postgresql.JSONB(), nullable=True),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("fallback", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=True),
        sa.CheckConstraint("mean IS NOT NULL OR probability IS NOT NULL", name="ck_predictions_served_answers"),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name="ck_predictions_served_probability"),
        sa.ForeignKeyConstraint(["slate_id"], ["slates.slate_id"], name="fk_predictions_served_slate_id_slates"),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_predictions_served"),
    )
    op.create_index(
        "ix_predictions_served_question", "predictions_served", ["league", "target", "game_id", "player_id"]
    )
    op.create_index("ix_predictions_served_served_at", "predictions_served", ["served_at"])


def _create_lineups() -> None:
    op.create_table(
        "lineups",
        sa.Column("lineup_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False, comment="lineups built together"),
        sa.Column("rank", sa.Integer(), nullable=False, comment="1 is the best of its request"),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slate_id", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("model_name", sa.String(), nullable=True),
        sa.Column("model_version", sa.String(), nullable=True),
        sa.Column("salary_usd", sa.Integer(), nullable=False),
        sa.Column("projection", sa.Float(), nullable=False, comment="fantasy points"),
        sa.Column("bound", sa.Float(), nullable=False, comment="proven: no allowed lineup projects above it"),
        sa.Column("players", postgresql.JSONB(), nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["slate_id"], ["slates.slate_id"], name="fk_lineups_slate_id_slates"),
        sa.PrimaryKeyConstraint("lineup_id", name="pk_lineups"),
    )
    op.create_index("ix_lineups_request_id", "lineups", ["request_id"])
    op.create_index("ix_lineups_built_at", "lineups", ["built_at"])
    op.create_index("ix_lineups_slate_id", "lineups", ["slate_id"])


def _create_experiment_exposures() -> None:
    op.create_table(
        "experiment_exposures",
        sa.Column("exposure_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("unit_hash", sa.String(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("bucket_version", sa.Integer(), nullable=False),
        sa.Column("exposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("context", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("exposure_id", name="pk_experiment_exposures"),
    )
    op.create_index("ix_experiment_exposures_arm", "experiment_exposures", ["experiment", "bucket_version", "arm"])
    op.create_index("ix_experiment_exposures_unit_hash", "experiment_exposures", ["unit_hash"])


def _create_outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("league", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("game_id", sa.String(), nullable=False),
        sa.Column("player_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("league", "target", "game_id", "player_id", name="pk_outcomes"),
    )
    op.create_index("ix_outcomes_event_time", "outcomes", ["event_time"])


def _create_promotions() -> None:
    op.create_table(
        "promotions",
        sa.Column("promotion_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("from_version", sa.String(), nullable=True),
        sa.Column("to_version", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("action IN ('promote', 'rollback', 'hold', 'reject')", name="ck_promotions_action"),
        sa.PrimaryKeyConstraint("promotion_id", name="pk_promotions"),
    )
    op.create_index("ix_promotions_model_name_promotion_id", "promotions", ["model_name", "promotion_id"])
