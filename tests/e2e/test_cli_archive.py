"""Recorded seasons that are damaged, wrong or missing, through `fantasy collect`, `validate` and `materialize`."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.stores.offline import OfflineStore
from features.tables import SCHEMAS
from features.workspace import Workspace
from tests.fixtures.command_line import Fantasy, refused
from tests.fixtures.validation_league import small_season

THROUGH = ("--through", "2021-11-20")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two sound seasons in the archive layout."""
    root = tmp_path / "archive"
    seasons = [small_season(2020), small_season(2021)]
    for table in ("box", "pbp"):
        (root / "nba" / table).mkdir(parents=True)
        for season in seasons:
            frame = getattr(season, table).select(list(SCHEMAS[table]))
            frame.write_parquet(root / "nba" / table / f"season={season.start}.parquet")
    pl.concat([season.games for season in seasons]).select(list(SCHEMAS["games"])).write_parquet(
        root / "nba" / "games.parquet"
    )
    return root


def swap_scores(archive: Path, season: int) -> None:
    """Give every home score to the visitors in `season`."""
    path = archive / "nba" / "games.parquet"
    games = pl.read_parquet(path)
    swapped = pl.col("season") == season
    games.with_columns(
        home_score=pl.when(swapped).then("away_score").otherwise("home_score"),
        away_score=pl.when(swapped).then("home_score").otherwise("away_score"),
    ).write_parquet(path)


def test_a_sound_archive_passes_and_is_known_the_second_time(fantasy: Fantasy, archive: Path) -> None:
    words = ("--source", "archive", "--data", archive, *THROUGH, "--json")
    first, second = fantasy("collect", *words), fantasy("collect", *words)
    assert (first.code, first.json["new"], first.json["failed"]) == (0, 216, 0)
    assert (second.code, second.json["new"], second.json["changed"]) == (0, 0, 0)
    validated = fantasy("validate", *words)
    assert validated.code == 0, validated.out
    assert fantasy("materialize", *words).json["quarantined_seasons"] == []


def test_a_season_with_swapped_scores_is_quarantined_and_the_rest_goes_on(
    fantasy: Fantasy, home: Path, archive: Path
) -> None:
    swap_scores(archive, 2021)
    words = ("--source", "archive", "--data", archive, *THROUGH, "--json")
    assert fantasy("collect", *words).code == 0
    validated = fantasy("validate", *words)
    assert validated.code == 1
    assert validated.json["quarantined_seasons"] == [2021] and not validated.json["passed"]
    assert Path(validated.json["report"]).is_file()
    built = fantasy("materialize", *words)
    assert built.code == 0 and built.json["quarantined_seasons"] == [2021]
    views = OfflineStore(Workspace(home, "nba")).read_views(["player_form"])
    assert views["player_form"]["event_time"].dt.year().unique().to_list() == [2020]
    swap_scores(archive, 2021)
    swap_scores(archive, 2020)
    assert fantasy("collect", *words).json["changed"] > 0
    assert fantasy("validate", *words).json["quarantined_seasons"] == [2020]


@pytest.mark.parametrize(
    "name", ["nba/games.parquet", "nba/box/season=2021.parquet", "nba/pbp/season=2020.parquet"]
)
def test_a_truncated_file_is_named_and_nothing_is_stored(
    fantasy: Fantasy, home: Path, archive: Path, name: str
) -> None:
    path = archive / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    answer = fantasy("collect", "--source", "archive", "--data", archive, *THROUGH)
    refused(answer, str(path), "not readable as Parquet", "restore", error="SourceUnavailable", code=75)
    assert not list(home.rglob("*.parquet")) and not list(home.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--source", "espn"), ("espn", "simulated, archive, nba")),
        (("--source", "archive"), ("--data", "FANTASY_DATA")),
        (("--source", "archive", "--data", "/nowhere"), ("/nowhere", "games.parquet")),
        (("--through", "tomorrow"), ("tomorrow", "2024-12-15")),
        (("--through", "2024-02-30"), ("2024-02-30",)),
        (("--seasons", "24"), ("24", "2024-25")),
        (("--seasons", "2024,"), ("2024,", "2024-25")),
        (("--seasons", "2024-27"), ("2024-27", "not one season")),
        (("--seasons", "2024-2015"), ("2024-2015", "ascend")),
        (("--seasons", "1024-9999"), ("1024-9999", "1946")),
    ],
)
def test_bad_words_are_named(fantasy: Fantasy, home: Path, words: tuple[str, ...], said: tuple[str, ...]) -> None:
    for command in ("collect", "run"):
        answer = fantasy(command, *words)
        if command == "collect" or answer.code != 75:  # without its services `run` gets no further
            refused(answer, *said, code=75 if "/nowhere" in words else 1)
    assert not list(home.rglob("*.parquet"))


def test_a_season_the_archive_lacks_is_named(fantasy: Fantasy, archive: Path) -> None:
    answer = fantasy("collect", "--source", "archive", "--data", archive, "--seasons", "2019-2021")
    refused(answer, "[2019]", "[2020, 2021]", code=75)


@pytest.mark.parametrize("command", ["run", "models", "rollback"])
def test_services_that_are_down_are_named(fantasy: Fantasy, home: Path, command: str) -> None:
    words = ("projection",) if command == "rollback" else ()
    answer = fantasy(command, *words, "--json")
    assert answer.code == 75
    assert answer.json["error"] == "ServiceUnavailable" and answer.json["retryable"]
    assert "127.0.0.1:1" in answer.json["message"] and "FANTASY_" in answer.json["message"]
    assert not list(home.rglob("*.parquet")) and not list(home.rglob("*.json"))


def test_records_that_cannot_be_written_end_the_command_and_are_tried_again(
    fantasy: Fantasy, home: Path, archive: Path
) -> None:
    words = ("collect", "--source", "archive", "--data", archive, *THROUGH, "--seasons", "2020-21", "--json")
    in_the_way = home / "nba" / "tables" / "box"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where the folder should be")
    cut = fantasy(*words)
    assert (cut.code, cut.json["failed"], cut.json["new"]) == (75, 36, 72)
    assert "36 records could not be written" in cut.err and "run the command again" in cut.err
    in_the_way.unlink()
    whole = fantasy(*words)
    assert (whole.code, whole.json["failed"], whole.json["new"]) == (0, 0, 36)
