"""The questions on which a sequence backbone meets the plain models: rows of the families that ship, by slice.

Fixed before any figure was seen: FIT_SEASONS teach, their last STOP_DAYS regular-season dates stop and calibrate,
TEST_SEASON is asked. Every model learns from the same games.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.play.plays import Plays, recorded_plays
from features.tables import Tables
from features.views import compute_views, game_rows, player_rows
from features.views.entities import game_entities, played_entities
from flows.backtest import read_tables
from models.families import family_of
from models.possession.rows import ASKED_AT
from models.training.folds import slices_before

FIT_SEASONS: Final = (2018, 2019, 2020)
TEST_SEASON: Final = 2021
STOP_DAYS: Final = 60
FAMILIES: Final = ("live_win", "possession")


@dataclass(frozen=True, slots=True)
class Slices:
    """One family's labelled rows: to fit, to stop and calibrate (later), to test (later still)."""

    fit: pl.DataFrame
    stop: pl.DataFrame
    test: pl.DataFrame


def recorded(data: Path) -> tuple[Tables, Plays]:
    """Games and box scores through TEST_SEASON, and play-by-play of the seasons used.

    Earlier seasons are in the tables, since strengths (Elo and ratings) grow out of them.
    """
    known = read_tables(data)
    until = pl.col("season") <= TEST_SEASON
    tables = Tables(known.games.filter(until), known.box.filter(until))
    return tables, recorded_plays(data).only((*FIT_SEASONS, TEST_SEASON))


def questions(tables: Tables, plays: Plays) -> tuple[dict[str, Slices], pl.DataFrame]:
    """Slices per family of FAMILIES; and the strength of every game before it (game_id, expected_margin)."""
    views = compute_views(tables)
    box = tables.box.filter(pl.col("season").is_in(plays.seasons))
    players = player_rows(played_entities(Tables(tables.games, box)), views)
    found = {
        family: sliced(family_of(family).labelled_rows(tables, views, players=players, plays=plays))
        for family in FAMILIES
    }
    return found, game_rows(game_entities(tables), views, players).select("game_id", "expected_margin")


def sliced(rows: pl.DataFrame) -> Slices:
    """Rows by date: before the last STOP_DAYS regular-season dates of FIT_SEASONS, those dates, and TEST_SEASON."""
    test = rows.filter(pl.col("season") == TEST_SEASON)
    start = test["game_date"].min()
    fit, stop = slices_before(rows, start, STOP_DAYS)
    return Slices(fit, stop, test)


def starts(rows: pl.DataFrame) -> NDArray[np.bool_]:
    """Which rows (n,) of the possession family ask about a possession that begins; the others ask at moments."""
    return np.asarray((rows["asked_at"] == ASKED_AT).to_numpy())


def starts_only(slices: Slices) -> Slices:
    """The possession family's slices without its moments."""
    return Slices(*(rows.filter(pl.Series(starts(rows))) for rows in (slices.fit, slices.stop, slices.test)))
