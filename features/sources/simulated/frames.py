"""From played games to the archive tables: games, box and play-by-play frames of one season."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.sources.simulated import floor as at
from features.sources.simulated.game import Game
from features.sources.simulated.league import league
from features.sources.simulated.lines import Line
from features.sources.simulated.names import CODES
from features.sources.simulated.schedule import schedule
from features.tables import FINAL_AFTER_TIP, conform, tip_time

#: Real seconds per second of play, and real minutes of pauses before each period (half-time is the long one).
_REAL_PER_PLAYED: Final = 2.2
_PAUSE_MIN: Final = np.array([0.0, 0.0, 2.5, 17.5, 20.0, 22.5, 25.0, 27.5, 30.0, 32.5, 35.0])
_STATS: Final = {
    "pts": at.PTS, "fgm": at.FGM, "fga": at.FGA, "fg3m": at.FG3M, "fg3a": at.FG3A, "ftm": at.FTM, "fta": at.FTA,
    "oreb": at.OREB, "dreb": at.DREB, "ast": at.AST, "stl": at.STL, "blk": at.BLK, "tov": at.TOV, "pf": at.PF,
    "plus_minus": at.PLUS,
}  # fmt: skip


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    tip = tip_time()
    return frame.with_columns(tip.alias("event_time"), (tip + FINAL_AFTER_TIP).alias("known_time"))


def _base(seed: int, season: int, games: Sequence[Game]) -> pl.DataFrame:
    """One row per game with what every table repeats."""
    s, codes = schedule(seed, season), np.array(CODES)
    k = np.array([game.k for game in games])
    frame = pl.DataFrame({
        "game_id": [s.game_id(game.k) for game in games], "game_date": [s.day(game.k) for game in games],
        "tip_et_min": s.tip_et_min[k], "home_team": codes[s.home[k]], "away_team": codes[s.away[k]],
    })  # fmt: skip
    season_column = pl.lit(season, pl.Int16).alias("season")
    return frame.with_columns(season_column, pl.lit("regular").alias("season_type"))


def games_frame(seed: int, season: int, games: Sequence[Game]) -> pl.DataFrame:
    """The `games` table with times."""
    columns: dict[str, list[int]] = {
        "home_score": [game.home_score for game in games], "away_score": [game.away_score for game in games],
        "periods": [game.periods for game in games],
    }  # fmt: skip
    for column, side in ((11, "home"), (12, "away")):
        ends = [game.events[game.events[:, 2] == at.END, column].tolist() for game in games]
        for q in range(4):
            columns[f"{side}_q{q + 1}"] = [score[q] - (score[q - 1] if q else 0) for score in ends]
    lines = pl.DataFrame([game.line._asdict() for game in games], schema=list(Line._fields))
    frame = pl.concat([_base(seed, season, games), pl.DataFrame(columns), lines], how="horizontal")
    frame = frame.with_columns((pl.col("home_score") > pl.col("away_score")).alias("home_win"))
    return conform("games", _timed(frame))


def box_frame(seed: int, season: int, games: Sequence[Game]) -> pl.DataFrame:
    """The `box` table with times: everybody who was on the floor, home side first, longest minutes first."""
    people = league(seed, season)
    box, rows = np.stack([game.box for game in games]), np.stack([game.rows for game in games])
    starts = np.stack([game.starts for game in games])
    game, side, slot = np.nonzero(box[:, :, :, at.DS] > 0)
    row, line = rows[game, side, slot], box[game, side, slot]
    home = pl.Series("is_home", side == 0)
    frame = _base(seed, season, games)[game].with_columns(
        home, pl.Series("player_id", people.player_id[row]), pl.Series("player_name", np.array(people.name)[row]),
        pl.when(home).then("home_team").otherwise("away_team").alias("team"),
        pl.when(home).then("away_team").otherwise("home_team").alias("opp"),
        pl.Series("starter", starts[game, side, slot]), pl.Series("min", line[:, at.DS] / 600.0),
        *(pl.Series(name, line[:, column]) for name, column in _STATS.items()),
        pl.Series("reb", line[:, at.OREB] + line[:, at.DREB]), pl.lit("simulated").alias("source"),
    )  # fmt: skip
    frame = frame.with_columns((pl.col("plus_minus").sum().over("game_id", "team") > 0).alias("win"))
    frame = frame.sort("game_id", "is_home", "min", "player_id", descending=[False, True, True, False])
    return conform("box", _timed(frame))


def _lineups(masks: NDArray[np.int32], game: NDArray[np.int64], ids: NDArray[np.int64]) -> pl.Series:
    """'id|id|id|id|id' per event, ids ascending; `ids` is (games, SIDE)."""
    keys, inverse = np.unique(game * (1 << at.SIDE) + masks, return_inverse=True)
    slots = np.arange(at.SIDE)
    texts = []
    for key in keys.tolist():
        five = ids[key >> at.SIDE][(key >> slots) & 1 == 1]
        texts.append("|".join(map(str, sorted(five.tolist()))))
    return pl.Series(texts).gather(inverse)


def _who(seed: int, season: int, events: NDArray[np.int32], flat: NDArray[np.int64]) -> list[pl.Series]:
    """p1..p3 ids and names per event, null where nobody acted; `flat` is (events, 2 * SIDE) rows of the league."""
    people = league(seed, season)
    ids, names = pl.Series(people.player_id), pl.Series(people.name)
    columns = []
    for n in range(3):
        acting = events[:, 8 + n]
        row = np.take_along_axis(flat, np.maximum(acting, 0)[:, None].astype(np.int64), axis=1)[:, 0]
        index = pl.Series(np.where(acting < 0, 0, row)).set(pl.Series(acting < 0), None)
        columns += [ids.gather(index).alias(f"p{n + 1}_id"), names.gather(index).alias(f"p{n + 1}_name")]
    return columns


def _description() -> pl.Expr:
    """A readable line: 'Milo Hartfell makes 3 (Jump Shot, 25 ft)'."""
    acts = pl.col("event_type").str.replace("made_shot", "makes").str.replace("missed_shot", "misses")
    return pl.concat_str(
        [pl.col("p1_name"), acts.str.replace_all("_", " "), pl.col("shot_value").cast(pl.String),
         pl.format("({})", pl.col("subtype"))],
        separator=" ", ignore_nulls=True,
    )  # fmt: skip


def pbp_frame(seed: int, season: int, games: Sequence[Game]) -> pl.DataFrame:
    """The `pbp` table with times."""
    events = np.concatenate([game.events for game in games])
    counts = np.array([len(game.events) for game in games])
    game = np.repeat(np.arange(len(games)), counts)
    seq = np.arange(len(events)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.stack([g.rows for g in games])
    ids = np.where(rows < 0, 0, league(seed, season).player_id[rows].astype(np.int64))
    period, clock = events[:, 0], events[:, 1] / 10.0
    elapsed = np.where(period <= 4, period * 720 - clock, 2880 + (period - 4) * 300 - clock)
    wall = _REAL_PER_PLAYED * elapsed / 60 + _PAUSE_MIN[np.minimum(period, 10)]
    shot, side = events[:, 6] > 0, events[:, 4]
    frame = _base(seed, season, games)[game].with_columns(
        pl.Series("seq", seq), pl.Series("event_num", seq + 1), pl.Series("period", period),
        pl.Series("clock_s", clock), pl.Series("elapsed_s", elapsed),
        (pl.col("tip_et_min") + pl.Series(wall.astype(np.int16))).alias("wall_et_min"),
        pl.Series(at.EVENT_TYPES).gather(events[:, 2]).alias("event_type"),
        pl.Series([name or None for name in at.SUBTYPES]).gather(events[:, 3]).alias("subtype"),
        pl.Series("side", side), pl.Series("points", events[:, 5]),
        pl.Series("shot_value", events[:, 6]).set(pl.Series(~shot), None),
        pl.Series("shot_dist", events[:, 7]).set(pl.Series(~shot), None),
        *_who(seed, season, events, rows.reshape(len(rows), -1)[game]),
        pl.Series("home_score", events[:, 11]), pl.Series("away_score", events[:, 12]),
        _lineups(events[:, 13], game, ids[:, 0]).alias("home_lineup"),
        _lineups(events[:, 14], game, ids[:, 1]).alias("away_lineup"),
    )  # fmt: skip
    team = pl.when(pl.col("side") == 0).then("home_team").when(pl.col("side") == 1).then("away_team")
    return conform("pbp", _timed(frame.with_columns(team.alias("team"), _description().alias("description"))))
