"""The same questions as public in-game winner models answered: their states, our probabilities.

The file `nba/winprob/ezra_xgb_season=2024.parquet` (ezra-gg/knicks-win-probability) has one row per play: game_id,
action_number (the play's number, `event_num` in the play-by-play), ref_home_wp and home_won.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from features.errors import SchemaError, SourceUnavailable
from features.play.game_state import game_states
from models.bundle import LoadedModel
from models.live_win.rows import live_rows

STATES = ("game_id", "event_num", "public", "label")


def public_states(path: Path) -> pl.DataFrame:
    """STATES of a file: public is P(home wins) by the public model, label 1.0 when the home team won.

    Raises `SourceUnavailable` when the file cannot be read, `SchemaError` when it lacks a column.
    """
    try:
        rows = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceUnavailable(f"{path} is not readable as Parquet ({error}); restore it") from error
    missing = sorted({"game_id", "action_number", "ref_home_wp", "home_won"} - set(rows.columns))
    if missing:
        raise SchemaError(f"{path} lacks columns {missing}; is it a file of nba/winprob?")
    return rows.select(
        pl.col("game_id").cast(pl.String), pl.col("action_number").cast(pl.Int32).alias("event_num"),
        pl.col("ref_home_wp").cast(pl.Float64).alias("public"), pl.col("home_won").cast(pl.Float64).alias("label"),
    )  # fmt: skip


def same_states(
    model: LoadedModel, public: pl.DataFrame, plays: pl.DataFrame, games: pl.DataFrame
) -> pl.DataFrame:
    """Our answers to those of the STATES rows `public` whose play is in `plays` and whose game in `games`.

    `plays` is play-by-play with `event_num`, `games` are `game_rows`. Columns: game_id, event_num, game_date, period,
    elapsed_s, margin, label, public, probability. A state that is final is answered with its result, as it is served.
    Choose games that the model has not learned from: nothing here checks it.
    """
    if "event_num" not in plays.columns:
        raise SchemaError("plays lack event_num; read them with features.play.plays")
    asked = public.join(games.select("game_id"), on="game_id", how="semi")
    numbered = plays.select(
        "game_id", pl.col("event_num").cast(pl.Int32), "seq", "period",
        pl.col("elapsed_s", "clock_s").cast(pl.Float64), pl.lit("event").alias("asked_at"),
    ).unique(["game_id", "event_num"], keep="last", maintain_order=True)  # fmt: skip
    moments = asked.join(numbered, on=["game_id", "event_num"], how="inner", maintain_order="left")
    known = plays.join(moments.select("game_id").unique(), on="game_id", how="semi")
    states = game_states(known, moments)
    rows = live_rows(games, states)
    probability = model.outputs(rows)["home_win_probability"]
    decided = states["final"].to_numpy()
    probability = np.where(decided, (rows["margin"] > 0).cast(pl.Float64).to_numpy(), probability)
    return moments.select("game_id", "event_num", "label", "public").with_columns(
        rows["game_date"], rows["period"], rows["elapsed_s"], rows["margin"], pl.Series("probability", probability)
    )
