"""The report of one model on labelled rows, beside the baselines on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from features.play.moments import EVENT
from features.tables import Tables
from models.answers import Answers
from models.baselines import player_baselines
from models.bundle import LoadedModel
from models.evaluation import Bootstrap, figures, gate_of
from models.families import judged_of

#: Earlier games this season that a projection row needs to be compared: before that a season mean does not exist.
EARLIER_GAMES: Final = 1


def with_player_baselines(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Labelled player rows with `earlier_games`, `season_mean_{site}`, `ewma_{site}`."""
    return rows.join(player_baselines(tables.box), on=["game_id", "player_id"], how="left", maintain_order="left")


def ask(model: LoadedModel, rows: pl.DataFrame, past: pl.DataFrame, tables: Tables) -> list[Answers]:
    """The model's answers to every target on labelled rows, with their baselines; `past` are earlier rows."""
    judged = judged_of(model.family)
    # The model sees the rows without the baselines: what they add is known of the market or only to them.
    return judged.answers(judged.with_baselines(rows, past, tables), model.outputs(rows), model.config)


def by_moment(answers: Answers) -> dict[str, Answers]:
    """Answers apart by the moment they were asked at, in the order of the game; random moments come last."""
    moments = answers.rows.group_by("asked_at", maintain_order=True).agg(
        pl.col("elapsed_s").mean() if "elapsed_s" in answers.rows.columns else pl.lit(0.0).alias("elapsed_s")
    )
    ordered = moments.sort(pl.col("asked_at") == EVENT, "elapsed_s", "asked_at")["asked_at"]
    return {name: answers.where(pl.col("asked_at") == name) for name in ordered}


def slice_report(
    model: LoadedModel, rows: pl.DataFrame, past: pl.DataFrame, tables: Tables, params: Mapping[str, Any]
) -> dict[str, Any]:
    """`{target: {asked_at: figures}}` of one model on labelled rows. `past` are earlier labelled rows."""
    gate, bootstrap = gate_of(params), Bootstrap.read(params)
    return {
        answers.target: {
            moment: figures(part, gate=gate, bootstrap=bootstrap) for moment, part in by_moment(answers).items()
        }
        for answers in ask(model, rows, past, tables)
        if answers.rows.height
    }
