"""A model's answers on labelled rows beside the baselines on the same rows.

Projection rows count when the player has at least one earlier game this season: before that a season mean does
not exist, so no comparison is possible. Winner rows all count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from features.tables import Tables
from models.baselines import game_baselines, player_baselines
from models.bundle import LoadedModel
from models.calibration import ResidualSpread, fit_residual_spread
from models.evaluation import Bootstrap, points_report, winner_report
from models.metrics import Array, crps_losses, squared_errors
from models.projection.config import LEVELS

#: Earlier games this season that a projection row needs to be compared.
EARLIER_GAMES = 1


@dataclass(frozen=True, slots=True)
class PointAnswers:
    """Projections of one site for n rows: `rows` (keys, label, baselines), `mean` (n,), `quantiles` (n, levels).

    `ewma_quantiles` spread the EWMA by its residuals on rows before these.
    """

    rows: pl.DataFrame
    mean: Array
    quantiles: Array
    ewma_quantiles: Array

    def where(self, keep: pl.Expr) -> PointAnswers:
        """The answers whose row satisfies `keep`."""
        mask = self.rows.select(keep).to_series().to_numpy()
        return PointAnswers(
            self.rows.filter(keep), self.mean[mask], self.quantiles[mask], self.ewma_quantiles[mask]
        )

    def report(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """Scores beside the season mean and the EWMA."""
        baselines = {
            "season_mean": (self.rows["season_mean"].to_numpy(), None),
            "ewma": (self.rows["ewma"].to_numpy(), self.ewma_quantiles),
        }
        return points_report(
            self.mean, self.quantiles, LEVELS, self.rows["label"].to_numpy(), self.rows["game_date"], baselines,
            bootstrap=bootstrap,
        )  # fmt: skip


def join_answers(parts: list[PointAnswers]) -> PointAnswers:
    """Answers of several folds as one."""
    arrays = [
        np.concatenate([getattr(p, name) for p in parts]) for name in ("mean", "quantiles", "ewma_quantiles")
    ]
    return PointAnswers(pl.concat([part.rows for part in parts]), *arrays)


def with_player_baselines(rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Labelled player rows with `earlier_games`, `season_mean_{site}`, `ewma_{site}`."""
    return rows.join(player_baselines(tables.box), on=["game_id", "player_id"], how="left", maintain_order="left")


def ewma_spread(past: pl.DataFrame, site: str) -> ResidualSpread:
    """How far labels fell from the EWMA on past rows that carry baselines."""
    known = past.filter(pl.col(f"ewma_{site}").is_not_null() & (pl.col("earlier_games") >= EARLIER_GAMES))
    return fit_residual_spread(
        known[f"ewma_{site}"].to_numpy(), known[f"fantasy_points_{site}"].to_numpy(), np.asarray(LEVELS)
    )


def answer_points(model: LoadedModel, rows: pl.DataFrame, site: str, spread: ResidualSpread) -> PointAnswers:
    """Answers of `model` on the rows (with labels and baselines) that can be compared."""
    known = rows.filter(pl.col("earlier_games") >= EARLIER_GAMES)
    answer = model.outputs(known)
    index = list(model.config["sites"]).index(site)
    kept = known.select(
        "game_id", "player_id", "game_date", "season", "season_type", "earlier_games",
        pl.col("as_of").alias("event_time"), pl.col(f"fantasy_points_{site}").cast(pl.Float64).alias("label"),
        pl.col(f"season_mean_{site}").alias("season_mean"), pl.col(f"ewma_{site}").alias("ewma"),
    )  # fmt: skip
    ewma_quantiles = spread.quantiles(kept["ewma"].to_numpy())
    return PointAnswers(kept, answer["mean"][:, index], answer["quantiles"][:, index], ewma_quantiles)


def answer_winners(model: LoadedModel, rows: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Keys, label, `probability` and the baselines' probabilities of each game row."""
    probability = model.outputs(rows)["home_win_probability"]
    kept = rows.select(
        "game_id", "game_date", "season", "season_type", pl.col("as_of").alias("event_time"),
        pl.col("home_win").cast(pl.Float64).alias("label"), pl.Series("probability", probability),
    )  # fmt: skip
    return kept.join(game_baselines(tables.games), on="game_id", how="left", maintain_order="left")


def winners_report(answers: pl.DataFrame, gate: float, bootstrap: Bootstrap) -> dict[str, Any]:
    """Scores beside home advantage, Elo and the closing line."""
    baselines = {
        name: answers[f"{name}_probability"].fill_null(float("nan")).to_numpy()
        for name in ("home", "elo", "market")
    }
    probability, label = answers["probability"].to_numpy(), answers["label"].to_numpy()
    return winner_report(probability, label, answers["game_date"], baselines, gate=gate, bootstrap=bootstrap)


def slice_report(
    model: LoadedModel, rows: pl.DataFrame, past: pl.DataFrame, tables: Tables, params: Mapping[str, Any]
) -> dict[str, Any]:
    """The report of one model on labelled rows; per site for projections. `past` are earlier labelled rows."""
    bootstrap = Bootstrap.read(params)
    if model.family == "win_probability":
        gate = float(params.get("evaluate", {}).get("gate", 0.70))
        return winners_report(answer_winners(model, rows, tables), gate, bootstrap)
    known, before = with_player_baselines(rows, tables), with_player_baselines(past, tables)
    return {
        site: answer_points(model, known, site, ewma_spread(before, site)).report(bootstrap)
        for site in model.config["sites"]
    }


def row_losses(model: LoadedModel, rows: pl.DataFrame) -> pl.DataFrame:
    """Loss per labelled row, for paired comparisons: keys, `game_date`, `loss` (CRPS on DraftKings, or Brier),
    and for winners `probability` and `label`."""
    if model.family == "win_probability":
        probability = model.outputs(rows)["home_win_probability"]
        label = rows["home_win"].cast(pl.Float64).to_numpy()
        return rows.select("game_id", "game_date").with_columns(
            pl.Series("loss", squared_errors(probability, label)),
            pl.Series("probability", probability),
            pl.Series("label", label),
        )
    index = list(model.config["sites"]).index("draftkings")
    quantiles = model.outputs(rows)["quantiles"][:, index]
    loss = crps_losses(quantiles, model.config["levels"], rows["fantasy_points_draftkings"].to_numpy())
    return rows.select("game_id", "player_id", "game_date").with_columns(pl.Series("loss", loss))
