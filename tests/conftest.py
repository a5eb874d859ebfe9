"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def fantasy_data() -> Path:
    """Recorded seasons: `FANTASY_DATA`, or `../shared/data`; the test is skipped without them."""
    folder = Path(os.environ.get("FANTASY_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "nba" / "games.parquet").is_file():
        pytest.skip(f"no recorded seasons at {folder}; set FANTASY_DATA")
    return folder


pytest_plugins = [
    "tests.fixtures.bundles",
    "tests.fixtures.services",
    "tests.fixtures.serving",
    "tests.fixtures.live",
    "tests.fixtures.hub",
    "tests.fixtures.recompute",
    "tests.fixtures.schedules",
    "tests.fixtures.stream",
    "tests.fixtures.live_page",
]
