"""The application database on a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from uuid import uuid4

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from features.errors import InvalidInput, StoreUnavailable
from features.stores.database import Database
from features.stores.schema import Base, LineupRow, Outcome, PredictionServed, Promotion, SlateRow
from flows.postgres import ensure_databases, sibling

NOW = datetime(2026, 1, 2, 23, 30, tzinfo=UTC)


@pytest.fixture
def empty_url(postgres_url: str) -> str:
    """URL of a database of its own without any table."""
    name = f"empty_{uuid4().hex}"
    ensure_databases(postgres_url, (name,))
    return sibling(postgres_url, name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A database of its own without any table."""
    database = Database(empty_url)
    yield database
    database.close()


def test_migrations_build_exactly_the_declared_schema_and_take_it_down_again(empty: Database) -> None:
    assert empty.revision() is None
    empty.migrate()
    assert empty.revision() == "0003"
    assert empty.drift() == []
    empty.downgrade("base")
    assert empty.revision() is None
    with empty.session() as session:
        left = set(inspect(session.connection()).get_table_names()) - {"alembic_version"}
    assert left == set()
    empty.migrate()
    empty.migrate()
    assert empty.drift() == []


def test_a_missing_table_is_seen_as_drift(empty: Database) -> None:
    empty.migrate()
    with empty.session() as session:
        session.execute(text("DROP TABLE outcomes"))
    assert empty.drift() != []


def test_concurrent_migrations_wait_for_each_other(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, databases))
    assert databases[0].drift() == []
    for database in databases:
        database.close()


def test_rows_come_back_as_written_with_aware_times(database: Database) -> None:
    slate = SlateRow(slate_id="rt", league="nba", site="draftkings", sport="nba", mode="classic", lock=NOW,
                     source="file", content={"players": [{"name": "A", "salary_usd": 9000}]})  # fmt: skip
    lineup = LineupRow(request_id=uuid4(), rank=1, built_at=NOW, slate_id="rt", site="draftkings",
                       salary_usd=49_900, projection=281.25, bound=281.25,
                       players=[{"id": "1"}], rules={"n": 1})  # fmt: skip
    served = PredictionServed(
        served_at=NOW, league="nba", target="fantasy_points_draftkings", player_id=7, slate_id="rt",
        asked_at="pregame", model_name="nba-projection", model_version="3", view_versions={"form": "1"}, mean=31.5,
        quantiles={"q10": 20.0, "q90": 44.0}, tier="regional", fallback=False,
    )  # fmt: skip
    with database.session() as session:
        session.add(slate)
        session.flush()
        session.add_all([lineup, served])
    with database.session() as session:
        found = session.get_one(LineupRow, lineup.lineup_id)
        assert (found.built_at, found.salary_usd, found.players) == (NOW, 49_900, [{"id": "1"}])
        assert found.built_at.utcoffset() is not None
        kept = session.get_one(PredictionServed, served.prediction_id)
        assert kept.quantiles == {"q10": 20.0, "q90": 44.0}
        assert kept.probability is None


def test_an_error_rolls_everything_back(database: Database) -> None:
    row = Outcome(league="nba", target="home_win", game_id="rollback", player_id=0, value=1.0, event_time=NOW,
                  known_time=NOW)  # fmt: skip
    with pytest.raises(RuntimeError, match="stop"), database.session() as session:
        session.add(row)
        session.flush()
        raise RuntimeError("stop")
    with database.session() as session:
        assert session.scalars(select(Outcome).where(Outcome.game_id == "rollback")).all() == []


@pytest.mark.parametrize(
    "row",
    [
        Promotion(model_name="m", action="demote", evidence={}, actor="t"),
        PredictionServed(served_at=NOW, league="nba", target="home_win", asked_at="pregame", model_name="m",
                         model_version="1", view_versions={}, tier="edge", fallback=False, probability=1.5),
        PredictionServed(served_at=NOW, league="nba", target="home_win", asked_at="pregame", model_name="m",
                         model_version="1", view_versions={}, tier="edge", fallback=False),
    ],
    ids=["unknown action", "impossible probability", "no answer"],
)  # fmt: skip
def test_impossible_rows_are_refused(database: Database, row: Base) -> None:
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(row)


def test_the_advisory_lock_lets_one_transaction_in_at_a_time(database: Database) -> None:
    spans: list[tuple[float, float]] = []

    def hold() -> None:
        with database.session(lock="one-at-a-time"):
            entered = time.monotonic()
            time.sleep(0.1)
            spans.append((entered, time.monotonic()))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: hold(), range(3)))
    spans.sort()
    assert len(spans) == 3
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


def test_missing_tables_name_the_fix(empty: Database) -> None:
    with pytest.raises(StoreUnavailable, match="fantasy run"), empty.session() as session:
        session.scalars(select(Promotion)).all()


def test_a_dead_server_is_a_clear_error_without_the_password() -> None:
    database = Database("postgresql+psycopg://joe:s3cret@127.0.0.1:1/fantasy")
    with pytest.raises(StoreUnavailable, match="FANTASY_DATABASE_URL") as caught:
        database.ping()
    assert "s3cret" not in str(caught.value)
    assert "joe" in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "not a url"])
def test_only_postgresql_urls_are_accepted(url: str) -> None:
    with pytest.raises(InvalidInput, match="FANTASY_DATABASE_URL"):
        Database(url)
