"""The offline store replaces files whole, keeps keys unique and tells what is missing."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from features.errors import InvalidInput, NotMaterialized, SchemaError
from features.slate import Slate, SlateGame, SlatePlayer
from features.stores.offline import OfflineStore
from features.tables import KEYS, SCHEMAS, TIMES
from features.workspace import Workspace
from tests.fixtures import tiny_league

TIP = datetime(2024, 11, 1, 23, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> OfflineStore:
    return OfflineStore(Workspace(tmp_path, "nba"))


def box(count: int = 4) -> pl.DataFrame:
    return tiny_league.timed("box", tiny_league.box(2024, count))


def test_read_gives_back_what_was_stored_in_key_order(store: OfflineStore) -> None:
    stored = box().sample(fraction=1.0, shuffle=True, seed=3)
    store.upsert("box", 2024, stored)
    read = store.read("box")
    assert read.columns == [*SCHEMAS["box"], *TIMES]
    assert read.schema == {**SCHEMAS["box"], **TIMES}
    assert_frame_equal(read, stored.sort(KEYS["box"]).select(read.columns))


def test_upsert_replaces_rows_of_the_same_key_and_keeps_the_rest(store: OfflineStore) -> None:
    rows = box()
    store.upsert("box", 2024, rows)
    better = rows.head(1).with_columns(pts=pl.lit(77, pl.Int16))
    store.upsert("box", 2024, better)
    read = store.read("box")
    assert read.height == rows.height
    assert read.filter(pl.col("pts") == 77).height == 1


def test_upsert_by_game_drops_rows_that_the_new_version_lacks(store: OfflineStore) -> None:
    rows = box()
    store.upsert("box", 2024, rows)
    game_id = rows["game_id"][0]
    store.upsert("box", 2024, rows.filter(pl.col("game_id") == game_id).head(1), by=("game_id",))
    assert store.read("box").filter(pl.col("game_id") == game_id).height == 1
    assert store.read("box").height == rows.height - 3


def test_columns_seasons_and_known_by_narrow_the_read(store: OfflineStore) -> None:
    for season in (2023, 2024):
        tip = datetime(season, 11, 1, 23, 30, tzinfo=UTC)
        store.upsert("games", season, tiny_league.timed("games", tiny_league.games(season), tip))
    assert store.seasons("games") == [2023, 2024]
    assert store.read("games", columns=["away_team", "game_id"]).columns == ["away_team", "game_id"]
    assert store.read("games", seasons=[2024, 2031])["season"].unique().to_list() == [2024]
    before = datetime(2024, 1, 1, tzinfo=UTC)
    assert store.read("games", columns=["season"], known_by=before)["season"].unique().to_list() == [2023]
    assert store.read("games", known_by=datetime(2000, 1, 1, tzinfo=UTC)).is_empty()


def test_a_row_is_known_at_its_known_time_and_not_a_microsecond_before(store: OfflineStore) -> None:
    rows = tiny_league.timed("games", tiny_league.games(2024, 1), TIP)
    store.upsert("games", 2024, rows)
    known = rows["known_time"][0]
    assert store.read("games", known_by=known).height == 1
    assert store.read("games", known_by=known - timedelta(microseconds=1)).height == 0


def test_nothing_stored_names_the_fix(store: OfflineStore) -> None:
    with pytest.raises(NotMaterialized, match="fantasy run"):
        store.read("box")
    with pytest.raises(NotMaterialized, match="fantasy run"):
        store.tables()
    with pytest.raises(NotMaterialized, match="views"):
        store.read_views()
    with pytest.raises(NotMaterialized, match="nowhere"):
        store.read_views(["nowhere"])
    with pytest.raises(NotMaterialized, match="gone"):
        store.read_slate("gone")
    assert store.read_slates() == []
    assert store.seasons("pbp") == []


def test_only_the_asked_season_missing_is_named(store: OfflineStore) -> None:
    store.upsert("box", 2024, box())
    with pytest.raises(NotMaterialized, match="2019"):
        store.read("box", seasons=[2019])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop("known_time"), "known_time"),
        (lambda rows: rows.drop("pts"), "pts"),
        (lambda rows: rows.with_columns(season=pl.lit(2023, pl.Int16)), "2023"),
        (lambda rows: rows.with_columns(player_id=pl.lit(None, pl.Int32)), "player_id"),
        (lambda rows: rows.with_columns(pts=pl.lit("many")), "pts|wrong type"),
    ],
)
def test_unsound_rows_are_refused_and_change_nothing(store: OfflineStore, change, message: str) -> None:
    store.upsert("box", 2024, box())
    before = store.path("box", 2024).read_bytes()
    with pytest.raises(SchemaError, match=message):
        store.upsert("box", 2024, change(box()))
    assert store.path("box", 2024).read_bytes() == before


def test_unknown_column_is_named(store: OfflineStore) -> None:
    store.upsert("box", 2024, box())
    with pytest.raises(SchemaError, match="shoe_size"):
        store.read("box", columns=["shoe_size"])


def test_damaged_file_is_named_with_the_fix(store: OfflineStore) -> None:
    store.upsert("box", 2024, box())
    store.path("box", 2024).write_bytes(b"PAR1 not really")
    with pytest.raises(SchemaError, match=r"season=2024\.parquet.*delete it"):
        store.read("box")


def _upsert_one_game(home: Path, index: int) -> None:
    rows = box(12)
    game_id = rows["game_id"].unique().sort()[index]
    OfflineStore(Workspace(home, "nba")).upsert("box", 2024, rows.filter(pl.col("game_id") == game_id))


def test_upserts_of_two_processes_all_land(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(_upsert_one_game, [(tmp_path, index) for index in range(12)], chunksize=6)
    assert OfflineStore(Workspace(tmp_path, "nba")).read("box").height == box(12).height


def test_no_temporary_file_stays(store: OfflineStore) -> None:
    leftover = store.path("box", 2024).with_name(".season=2024.parquet.killed.tmp")
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half a file")
    store.upsert("box", 2024, box())
    assert list(leftover.parent.glob(".*.tmp")) == []


def test_views_are_read_back_by_name(store: OfflineStore) -> None:
    form = pl.DataFrame({"player_id": [1, 2], "form": [0.5, None]})
    path = store.write_view("player_form", form)
    store.write_view("rest", form.head(1))
    assert path.name == "player_form.parquet"
    assert set(store.read_views()) == {"player_form", "rest"}
    assert_frame_equal(store.read_views(["player_form"])["player_form"], form)


@pytest.mark.parametrize("name", ["../escape", "", "a/b", ".hidden"])
def test_names_cannot_leave_their_folder(store: OfflineStore, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a file"):
        store.write_view(name, pl.DataFrame({"a": [1]}))
    with pytest.raises(InvalidInput, match="cannot name a file"):
        store.read_slate(name)


moments = st.none() | st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
players = st.builds(
    SlatePlayer,
    site_id=text, name=text, positions=st.lists(text, max_size=3).map(tuple), salary_usd=st.integers(0, 20_000),
    team=text, opponent=text, is_home=st.booleans(), average_points=st.floats(allow_nan=False),
    injury_status=text, player_id=st.none() | st.integers(1, 2_000_000), upload_name=text,
)  # fmt: skip
sites = st.sampled_from(["draftkings", "fanduel", "yahoo"])
slate_games = st.builds(SlateGame, text, text, moments)
slates = st.builds(
    Slate,
    slate_id=st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), site=sites, sport=text, mode=text, lock=moments,
    games=st.lists(slate_games, max_size=3).map(tuple), players=st.lists(players, max_size=4).map(tuple),
    source=text,
)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(slate=slates)
def test_any_slate_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, slate: Slate) -> None:
    store = OfflineStore(Workspace(tmp_path_factory.mktemp("slates"), "nba"))
    store.write_slate(slate)
    assert store.read_slate(slate.slate_id) == slate
    assert store.read_slates() == [slate]
    assert slate.lock is None or store.read_slate(slate.slate_id).lock.tzinfo is UTC


def test_slates_come_by_lock_with_undated_ones_last(store: OfflineStore) -> None:
    for name, lock in (("a", None), ("b", TIP + timedelta(days=1)), ("c", TIP)):
        store.write_slate(Slate(name, "draftkings", "nba", "classic", lock, (), ()))
    assert [slate.slate_id for slate in store.read_slates()] == ["c", "b", "a"]


def test_damaged_slate_is_named(store: OfflineStore) -> None:
    store.write_slate(Slate("a", "draftkings", "nba", "classic", TIP, (), ()))
    (store.workspace.slates / "a.json").write_text('{"slate_id": "a"')
    with pytest.raises(SchemaError, match=r"a\.json"):
        store.read_slates()
