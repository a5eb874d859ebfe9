"""Play-by-play as one token per finished possession, with the play by which it was known, packed for a sequence model.

A token is known only once no later play can change it: a miss, a last free throw and a turnover at the play that ends
them, a made shot at the next action (an and-one may follow), a ball lost without a play when the other side acts, and
whatever a period cuts off when that period is over. So tokens of a game in progress are a prefix of the finished
game's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.errors import SchemaError
from features.play.moments import REGULATION_S
from features.play.possessions import BEGAN, ENDED, period_end, possessions

#: Numbers of a token, about one in size: who had the ball, when, what it brought, the lead and fouls then, and how
#: strong the sides were held to be before the game (`expected_margin`, 0 where unknown).
VALUES: Final = (
    "side", "elapsed", "clock", "overtime", "duration", "home_points", "away_points", "home_lead", "close_late",
    "shots", "offensive_rebounds", "bonus", "offence_fouls", "defence_fouls", "strength",
)  # fmt: skip
#: Numbers of the kinds of a token, padding being 0 of each: how it began and how it ended.
KINDS: Final = (len(BEGAN) + 1, len(ENDED) + 1)
#: Players of a token: the home five, then the away five.
ON_COURT: Final = 10
#: Row of the player table for nobody (padding, no line-up) and for somebody never seen.
NOBODY, UNKNOWN = 0, 1
#: Endings that only a later action shows to be final.
_OPEN: Final = ("made_shot", "other")
_ACTIONS: Final = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover")


@dataclass(frozen=True, slots=True)
class Tokens:
    """G games of at most T tokens: `values` (G, T, V), `kinds` (G, T, 2), `players` (G, T, 10), 0 past `lengths` (G,).

    `known_seq` (G, T) and `known_s` (G, T) ascend within a game: a token is known at a moment whose last play is at or
    after the one and whose elapsed seconds are at or after the other.
    """

    games: tuple[str, ...]
    lengths: NDArray[np.int64]
    values: NDArray[np.float32]
    kinds: NDArray[np.int64]
    players: NDArray[np.int64]
    known_seq: NDArray[np.int64]
    known_s: NDArray[np.float64]

    def known(self, moments: pl.DataFrame) -> NDArray[np.int64]:
        """How many tokens (n,) of its game are known at each moment (game_id, seq, elapsed_s); 0 for other games."""
        found = np.zeros(moments.height, dtype=np.int64)
        place = {game: row for row, game in enumerate(self.games)}
        seq = moments["seq"].cast(pl.Int64).to_numpy()
        elapsed = moments["elapsed_s"].cast(pl.Float64).to_numpy()
        asked = moments.select("game_id").with_row_index("at").group_by("game_id").agg("at")
        for game, at in asked.iter_rows():
            if (row := place.get(game)) is not None:
                length = self.lengths[row]
                by_seq = np.searchsorted(self.known_seq[row, :length], seq[at], side="right")
                by_clock = np.searchsorted(self.known_s[row, :length], elapsed[at], side="right")
                found[at] = np.minimum(by_seq, by_clock)
        return found


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Players with a row of their own in the player table; everybody else shares UNKNOWN."""

    ids: tuple[int, ...]

    @classmethod
    def of(cls, rows: pl.DataFrame, *, least: int = 200) -> Vocabulary:
        """Players on court for at least `least` of the tokens in `rows`."""
        court = pl.concat([rows.select(player=f"{side}_five").explode("player") for side in ("home", "away")])
        counted = court.drop_nulls().group_by("player").len().filter(pl.col("len") >= least)
        return cls(tuple(sorted(counted["player"].to_list())))

    @property
    def size(self) -> int:
        """Rows of the player table."""
        return len(self.ids) + 2

    def rows_of(self, players: NDArray[np.int64]) -> NDArray[np.int64]:
        """Table rows of player ids of any shape; -1 is nobody."""
        if not self.ids:
            return np.where(players < 0, NOBODY, UNKNOWN)
        known = np.asarray(self.ids, dtype=np.int64)
        at = np.minimum(np.searchsorted(known, players), len(known) - 1)
        return np.where(players < 0, NOBODY, np.where(known[at] == players, at + 2, UNKNOWN))


def token_rows(plays: pl.DataFrame, strength: pl.DataFrame | None = None) -> pl.DataFrame:
    """One row per finished possession of `plays` (columns of `features.play.plays`), by game and number.

    Columns: game_id, number, known_seq, known_s, VALUES, began, ended, home_five, away_five (lists of ids, null where
    unknown). `strength`: game_id, expected_margin of the home side before the game.
    """
    found = _known(possessions(plays), plays)
    rows = _fives_at_end(found, plays).filter(pl.col("known_seq").is_not_null())
    if strength is None:
        rows = rows.with_columns(expected_margin=pl.lit(0.0))
    else:
        rows = rows.join(strength.select("game_id", "expected_margin"), on="game_id", how="left")
    home = pl.col("offence_home")
    scored, against = pl.col("points").cast(pl.Float64), pl.col("points_against").cast(pl.Float64)
    side = pl.when(home).then(1.0).otherwise(-1.0)
    lead = side * (pl.col("margin").cast(pl.Float64) + scored - against)
    late = (pl.col("end_elapsed_s") / REGULATION_S).clip(0, 1) ** 4
    return rows.select(
        "game_id", "number", "known_seq", "known_s", side=side,
        elapsed=pl.col("end_elapsed_s") / REGULATION_S, clock=(period_end() - pl.col("end_elapsed_s")) / 720,
        overtime=(pl.col("period") > 4).cast(pl.Float64), duration=pl.col("duration_s") / 24,
        home_points=pl.when(home).then(scored).otherwise(against) / 3,
        away_points=pl.when(home).then(against).otherwise(scored) / 3,
        home_lead=lead / 15, close_late=(lead / 5).clip(-3, 3) * late,
        shots=pl.col("shots").cast(pl.Float64) / 2,
        offensive_rebounds=pl.col("offensive_rebounds").cast(pl.Float64), bonus=pl.col("bonus").cast(pl.Float64),
        offence_fouls=pl.col("offence_fouls").cast(pl.Float64) / 5,
        defence_fouls=pl.col("defence_fouls").cast(pl.Float64) / 5,
        strength=pl.col("expected_margin").cast(pl.Float64).fill_null(0.0) / 8,
        began="began", ended="ended", home_five=five("home_lineup"), away_five=five("away_lineup"),
    ).sort("game_id", "number")  # fmt: skip


def fives_at_start(plays: pl.DataFrame) -> pl.DataFrame:
    """Who began each possession: game_id, number, offence_five, defence_five (lists of ids, null where unknown)."""
    home = pl.col("offence_home")
    return possessions(plays).select(
        "game_id", "number",
        offence_five=pl.when(home).then(five("home_lineup")).otherwise(five("away_lineup")),
        defence_five=pl.when(home).then(five("away_lineup")).otherwise(five("home_lineup")),
    )  # fmt: skip


def five(lineup: str) -> pl.Expr:
    """Ids of a line-up column ('id|id|id|id|id') as a list; null where it is null."""
    return pl.col(lineup).str.split("|").list.eval(pl.element().cast(pl.Int64, strict=False))


def pack(rows: pl.DataFrame, vocabulary: Vocabulary, games: Iterable[str] | None = None) -> Tokens:
    """`token_rows` as arrays, one game after the other: those of `games`, in their order (default: all, ascending).

    A game without tokens has length 0. Raises `SchemaError` when a column is missing.
    """
    if missing := sorted({"game_id", "number", "known_seq", "known_s", *VALUES} - set(rows.columns)):
        raise SchemaError(f"token rows lack columns {missing}; make them with token_rows")
    order = tuple(games) if games is not None else tuple(rows["game_id"].unique().sort().to_list())
    place = pl.DataFrame(
        {"game_id": order, "place": np.arange(len(order))}, schema_overrides={"game_id": pl.String}
    )
    held = rows.join(place, on="game_id", how="inner").sort("place", "number")
    game = held["place"].to_numpy().astype(np.int64)
    lengths = np.bincount(game, minlength=len(order)).astype(np.int64)
    step = np.arange(held.height) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    longest = int(lengths.max(initial=1))
    tokens = Tokens(
        order, lengths, np.zeros((len(order), longest, len(VALUES)), np.float32),
        np.zeros((len(order), longest, len(KINDS)), np.int64),
        np.zeros((len(order), longest, ON_COURT), np.int64), np.zeros((len(order), longest), np.int64),
        np.zeros((len(order), longest), np.float64),
    )  # fmt: skip
    tokens.values[game, step] = held.select(pl.col(VALUES).cast(pl.Float32)).to_numpy()
    for column, (name, known) in enumerate((("began", BEGAN), ("ended", ENDED))):
        numbers = held[name].replace_strict(list(known), list(range(1, len(known) + 1)), return_dtype=pl.Int64)
        tokens.kinds[game, step, column] = numbers.to_numpy()
    tokens.players[game, step] = vocabulary.rows_of(
        np.hstack([ids_of(held[f"{s}_five"]) for s in ("home", "away")])
    )
    tokens.known_seq[game, step] = held["known_seq"].to_numpy()
    tokens.known_s[game, step] = held["known_s"].to_numpy()
    return tokens


def ids_of(fives: pl.Series) -> NDArray[np.int64]:
    """Lists of five ids as (n, 5), -1 where one is missing."""
    padded = pl.DataFrame({"five": fives.cast(pl.List(pl.Int64))})
    return padded.select(
        pl.col("five").list.get(k, null_on_oob=True).fill_null(-1).alias(str(k)) for k in range(ON_COURT // 2)
    ).to_numpy()


def _fives_at_end(found: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Possessions with the line-ups at their last play: those at their start may come from plays not known in time."""
    stood = plays.select("game_id", pl.col("seq").cast(pl.Int64).alias("end_seq"), "home_lineup", "away_lineup")
    ended = found.with_columns(end_seq=pl.min_horizontal(pl.col("end_seq").cast(pl.Int64), "edge"))
    return ended.drop("home_lineup", "away_lineup").join(stood, on=["game_id", "end_seq"], how="left")


def _known(found: pl.DataFrame, plays: pl.DataFrame) -> pl.DataFrame:
    """Possessions with `known_seq` (null: not finished yet) and `known_s`, both ascending within a game."""
    rows = plays.with_columns(pl.col("seq").cast(pl.Int64))
    technical = pl.col("subtype").fill_null("").str.contains("(?i)technical") & (
        pl.col("event_type") == "free_throw"
    )
    acts = rows.filter(pl.col("event_type").is_in(_ACTIONS), pl.col("team").is_not_null(), ~technical)
    acts = acts.select("game_id", "period", acted=pl.col("seq"), after=pl.col("seq")).sort("game_id", "after")
    edge = rows.group_by("game_id", "period").agg(pl.col("seq").max().alias("edge"))
    last = rows.sort("game_id", "seq").group_by("game_id").agg(
        pl.col("period").max().alias("reached"), pl.col("clock_s").last().alias("last_clock")
    )  # fmt: skip
    begun = found.with_columns(pl.col("end_seq").cast(pl.Int64)).sort("game_id", "end_seq")
    asked = begun.join_asof(
        acts, left_on="end_seq", right_on="after", by=["game_id", "period"], strategy="forward",
        allow_exact_matches=False, check_sortedness=False,
    ).join(edge, on=["game_id", "period"], how="left").join(last, on="game_id", how="left")  # fmt: skip
    over = (pl.col("reached") > pl.col("period")) | (pl.col("last_clock") <= 0)
    told = (
        pl.when(pl.col("ended").is_in(_OPEN)).then("acted").when(pl.col("ended") != "period_end").then("end_seq")
    )
    asked = asked.with_columns(told=told).sort("game_id", "number")
    seq = pl.coalesce("told", pl.when(over).then("edge"))
    clock = pl.when(pl.col("told").is_null()).then(period_end()).otherwise(0.0)
    return asked.with_columns(
        known_seq=seq.cum_max().over("game_id"), known_s=clock.cum_max().over("game_id")
    ).with_columns(known_seq=pl.when(seq.is_not_null()).then("known_seq"))  # fmt: skip
