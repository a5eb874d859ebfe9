"""When a walk forward trains anew, and what it trains on: nothing dated on or after the day it trains before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import polars as pl

from features.errors import InvalidInput
from models.errors import TrainingError

#: Seasons tested when the caller names none: the newest so many.
SEASONS_TESTED: Final = 4
#: Second retraining of a season: the first game date on or after this month and day.
MID_SEASON: Final = (1, 15)
CADENCE: Final = (
    "trained anew on the eve of a season's first game and of its first game from 15 January on, each time on games "
    "before that day only; of a season with none before it, the second half is tested"
)
#: Seasons before the tested one that a family learns from: a bound on the time and memory, not a tuned choice.
TRAINING_SEASONS: Final[dict[str, int]] = {
    "projection": 5, "win_probability": 10, "live_win": 5, "live_line": 6, "possession": 3, "shot": 3,
}  # fmt: skip
#: Seasons of which a family's rows are in memory at once, those it learns from included.
SEASONS_AT_ONCE: Final = 7
#: Of short histories at most this share of the dates calibrates.
CALIBRATION_SHARE: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Fold:
    """Test rows dated `start` <= game_date < `until`, answered by models trained on games before `start`."""

    season: int
    start: date
    until: date

    def tested(self) -> pl.Expr:
        """Whether a row's `game_date` falls into the fold."""
        return pl.col("game_date").is_between(self.start, self.until, closed="left")

    def learned(self, family: str) -> pl.Expr:
        """Whether a row may teach `family`: before the fold, and of one of the newest TRAINING_SEASONS."""
        newest = pl.col("season") >= self.season - TRAINING_SEASONS[family]
        return newest & (pl.col("game_date") < self.start)


def chosen_seasons(games: pl.DataFrame, seasons: Sequence[int] | None) -> list[int]:
    """The seasons to test, ascending. Raises `InvalidInput` when one is not in `games`, or none is."""
    known = sorted(games["season"].unique().to_list())
    chosen = sorted(set(seasons)) if seasons is not None else (known[1:] or known)[-SEASONS_TESTED:]
    wrong = [season for season in chosen if season not in known]
    if wrong or not chosen:
        raise InvalidInput(f"seasons {wrong or 'to test'} are not in the tables, which hold {known}")
    return chosen


def folds(games: pl.DataFrame, seasons: Sequence[int] | None, learned: int | None = None) -> list[Fold]:
    """Two folds a season: from its first game to mid-January, and from there to its end.

    A season with none among the `learned` ones before it (default: with none before it at all) has nothing to learn
    from, so only its second half is tested.
    """
    plan = []
    known = games["season"].unique().to_list()
    for season in chosen_seasons(games, seasons):
        dates = games.filter(pl.col("season") == season)["game_date"].unique().sort().to_list()
        end = date.fromordinal(dates[-1].toordinal() + 1)
        middle = [day for day in dates if day >= date(season + 1, *MID_SEASON)][:1]
        earlier = [year for year in known if year < season and (learned is None or year >= season - learned)]
        first = dates[0] if earlier else dates[len(dates) // 2]
        edges = [first, *(day for day in middle if day > first), end]
        plan += [Fold(season, start, until) for start, until in pairwise(edges)]
    return plan


def slices_before(rows: pl.DataFrame, start: date, calibration_days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fit and calibration rows before `start`: the newest `calibration_days` regular-season dates calibrate.

    Playoffs after the first calibration date are left out: their short rotations would bias the calibration.
    """
    past = rows.filter(pl.col("game_date") < start)
    regular = past.filter(pl.col("season_type") == "regular")
    dates = regular["game_date"].unique().sort()
    if len(dates) <= calibration_days:
        raise TrainingError(
            f"{len(dates)} regular-season dates before {start} cannot spare {calibration_days} for calibration; "
            "lower calibration_days in params.yaml or test later seasons"
        )
    first = dates[-calibration_days]
    return past.filter(pl.col("game_date") < first), regular.filter(pl.col("game_date") >= first)


def affordable_days(rows: pl.DataFrame, start: date, calibration_days: int) -> int:
    """`calibration_days`, or CALIBRATION_SHARE of the regular-season dates before `start` where they are few."""
    past = rows.filter((pl.col("game_date") < start) & (pl.col("season_type") == "regular"))
    return max(1, min(calibration_days, int(past["game_date"].n_unique() * CALIBRATION_SHARE)))


def together(seasons: Sequence[int], learned: int) -> list[list[int]]:
    """Tested seasons in groups whose span, with `learned` seasons before, is at most SEASONS_AT_ONCE (at least one)."""
    groups: list[list[int]] = []
    for season in sorted(seasons):
        if groups and season - groups[-1][0] < max(1, SEASONS_AT_ONCE - learned):
            groups[-1].append(season)
        else:
            groups.append([season])
    return groups
