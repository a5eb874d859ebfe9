"""Alembic's entry: runs the migrations on the connection that `features.stores.database` passes in.

A new revision is written by hand beside `0001_initial.py`; tests compare the result with `schema.py`.
"""

from __future__ import annotations

from alembic import context

from features.stores.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
