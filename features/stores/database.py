"""The application database: sessions, advisory locks and migrations on PostgreSQL (SQLAlchemy 2).

No error message ever shows the password of the URL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from features.errors import InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS: Final = Path(__file__).parent / "migrations"
CONNECT_TIMEOUT_S: Final = 5
_MIGRATION_LOCK: Final = "features.stores.migrations"
_UNDEFINED_TABLE: Final = "42P01"


class Database:
    """A PostgreSQL database at `url`; connects when first used.

    Raises `InvalidInput` when `url` is not a PostgreSQL URL; every method raises `StoreUnavailable` when the
    server does not answer.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise InvalidInput(
                "FANTASY_DATABASE_URL is not a URL like postgresql+psycopg://user@host/db"
            ) from error
        if parsed.get_backend_name() != "postgresql":
            raise InvalidInput(
                f"FANTASY_DATABASE_URL is a {parsed.get_backend_name()} URL: only PostgreSQL is supported"
            )
        self.shown_url: Final = parsed.render_as_string(hide_password=True)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self._engine: Final[Engine] = create_engine(
            parsed,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": "-c timezone=utc"},
        )
        # The same pool of connections.
        self._by_statement: Final[Engine] = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def session(self, *, lock: str | None = None) -> Iterator[Session]:
        """One transaction: committed on success, rolled back on any error.

        With `lock`, waits first for the transaction-level advisory lock of that name: whoever holds it is alone
        among all processes until its transaction ends.
        """
        with self._answering(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            if lock is not None:
                session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": lock})
            yield session

    @contextmanager
    def statement(self) -> Iterator[Connection]:
        """A connection whose every statement is its own transaction: one round trip to the server, not three."""
        with self._answering(), self._by_statement.connect() as connection:
            yield connection

    def ping(self) -> None:
        """Return when the server answers a query."""
        with self._answering(), self._engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema up to `revision`; concurrent callers wait for each other."""
        from alembic import command

        with self._migrating() as config:
            command.upgrade(config, revision)

    def downgrade(self, revision: str) -> None:
        """Take the schema down to `revision` (`base` for nothing); data of dropped tables is lost."""
        from alembic import command

        with self._migrating() as config:
            command.downgrade(config, revision)

    def revision(self) -> str | None:
        """The schema's revision, None before the first migration."""
        from alembic.runtime.migration import MigrationContext

        with self._answering(), self._engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def drift(self) -> list[object]:
        """Differences between the live schema and `features.stores.schema`; empty when migrations are complete."""
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        from features.stores.schema import Base

        with self._answering(), self._engine.connect() as connection:
            return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    def close(self) -> None:
        """Close pooled connections."""
        self._engine.dispose()

    @contextmanager
    def _migrating(self) -> Iterator[Config]:
        with self._answering(), self._engine.begin() as connection:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": _MIGRATION_LOCK}
            )
            yield _alembic(connection)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _UNDEFINED_TABLE:
                raise
            raise StoreUnavailable(
                f"the database at {self.shown_url} lacks tables: run the line once (`fantasy run`) to migrate it"
            ) from error
        except (OperationalError, InterfaceError) as error:
            raise self._unavailable(error) from error
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise self._unavailable(error) from error

    def _unavailable(self, error: DBAPIError) -> StoreUnavailable:
        reason = str(error.orig).strip().splitlines()
        return StoreUnavailable(
            f"PostgreSQL at {self.shown_url} does not answer ({reason[0] if reason else type(error).__name__}): "
            "start it (`fantasy serve` does) or correct FANTASY_DATABASE_URL"
        )


def _alembic(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
