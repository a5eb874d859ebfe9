"""Questions and tokens put together as a backbone's lessons, one per slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.backbone.learn import Asked, Lesson
from benchmarks.backbone.questions import Slices
from benchmarks.backbone.tokens import Vocabulary, fives_at_start, ids_of, pack, token_rows
from features.play.plays import Plays
from models.live_win.config import ANCHORS
from models.live_win.rows import FEATURES as WIN_FEATURES
from models.possession.config import CLASSES, STATE
from models.possession.config import FEATURES as POSSESSION_FEATURES
from models.trunk import feature_matrix

#: What a backbone on its own is told at a question beside its state: clock, lead and strength.
WIN_STATE: Final = (
    *ANCHORS, "share_left", "root_left", "lead", "standing", "lead_share", "standing_late", "playoffs",
)  # fmt: skip
POSSESSION_STATE: Final = tuple(name for name in STATE if not name.endswith("_so_far"))


@dataclass(frozen=True, slots=True)
class Court:
    """Tokens of every season used (`token_rows`), and who began each possession (`fives_at_start`)."""

    tokens: pl.DataFrame
    starts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Told:
    """What the heads are told at a question: feature columns, and an anchor per slice (n, 3) and (n, CLASSES)."""

    win: tuple[str, ...]
    possession: tuple[str, ...]
    win_anchor: Mapping[str, NDArray[np.float64]]
    possession_anchor: Mapping[str, NDArray[np.float64]]


def court(plays: Plays, strength: pl.DataFrame) -> Court:
    """Read season by season."""
    tokens, starts = [], []
    for _, rows in plays.each():
        tokens.append(token_rows(rows, strength))
        starts.append(fives_at_start(rows))
    return Court(pl.concat(tokens), pl.concat(starts))


def alone(win: Slices, possession: Slices) -> Told:
    """A backbone on its own: clock, lead and strength at the question, anchored on a Brownian margin and base rates."""
    counts = np.bincount(possession.fit["points"].cast(pl.Int64).to_numpy(), minlength=CLASSES) + 1.0
    base = np.log(counts / counts.sum())
    return Told(
        WIN_STATE, POSSESSION_STATE,
        {name: feature_matrix(getattr(win, name), ANCHORS).astype(np.float64) for name in ("fit", "stop", "test")},
        {name: np.tile(base, (getattr(possession, name).height, 1)) for name in ("fit", "stop", "test")},
    )  # fmt: skip


def on_top(win: Mapping[str, NDArray[np.float64]], possession: Mapping[str, NDArray[np.float64]]) -> Told:
    """A backbone that corrects the plain models' raw answers per slice, told everything they are told."""
    return Told(WIN_FEATURES, POSSESSION_FEATURES, win, possession)


def lesson(name: str, win: Slices, possession: Slices, told: Told, seen: Court, vocabulary: Vocabulary) -> Lesson:
    """The lesson of the slice `name`: its games in order of their ids; possession rows must be starts only."""
    asked, started = getattr(win, name), getattr(possession, name)
    games = sorted({*asked["game_id"].unique(), *started["game_id"].unique()})
    tokens = pack(seen.tokens, vocabulary, games)
    place = {game: row for row, game in enumerate(games)}
    labels = asked.select(pl.col("home_win", "home_margin").cast(pl.Float32)).to_numpy()
    winner = Asked(
        _places(asked, place), tokens.known(asked), feature_matrix(asked, told.win),
        told.win_anchor[name].astype(np.float32), labels,
    )  # fmt: skip
    fives = started.select("game_id", "number").join(
        seen.starts, on=["game_id", "number"], how="left", maintain_order="left"
    )
    where = _places(started, place)
    points = Asked(
        where, np.minimum(started["number"].cast(pl.Int64).to_numpy(), tokens.lengths[where]),
        feature_matrix(started, told.possession), told.possession_anchor[name].astype(np.float32),
        started.select(pl.col("points").cast(pl.Float32)).to_numpy(),
        vocabulary.rows_of(np.hstack([ids_of(fives[f"{side}_five"]) for side in ("offence", "defence")])),
    )  # fmt: skip
    return Lesson(tokens, winner, points)


def _places(rows: pl.DataFrame, place: Mapping[str, int]) -> NDArray[np.int64]:
    return rows["game_id"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
