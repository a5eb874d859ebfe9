"""Opening a source by its name, and what `--through` means."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from features.errors import InvalidInput
from features.params import read_params
from features.sources.catalog import LEAGUE_OF, SOURCES, open_source, start_of_day


def test_a_day_begins_in_the_league_own_clock() -> None:
    assert start_of_day(date(2024, 12, 15)) == datetime(2024, 12, 15, 5, tzinfo=UTC)
    assert start_of_day(date(2024, 7, 1)) == datetime(2024, 7, 1, 4, tzinfo=UTC)


def test_every_source_has_a_league() -> None:
    assert set(LEAGUE_OF) == set(SOURCES)


def test_simulated_source_takes_its_day_from_the_params() -> None:
    source = open_source("simulated", data=None, simulate=read_params()["simulate"], through=None)
    assert (source.name, source.league) == ("simulated", "simulated")


def test_an_archive_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--data DIR"):
        open_source("archive", data=None, simulate={}, through=None)
    assert open_source("archive", data=tmp_path, simulate={}, through=None).league == "nba"


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"'espn'.*simulated, archive, nba"):
        open_source("espn", data=None, simulate={}, through=None)


@pytest.mark.parametrize("text", ["- a list", "train: {}", "{", ""])
def test_params_without_their_sections_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"params\.yaml"):
        read_params(path)
