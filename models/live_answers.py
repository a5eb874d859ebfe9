"""Answers to questions about a game in progress, by the in-game models or, where there is none, by plain baselines.

Baselines: the Brownian margin (`models.live_win.rows`), the pace (so far, and the usual for the share of the game
left), and base rates. A finished game, or a player who cannot come back, is answered with what stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from features.errors import InvalidInput
from features.play.player_rows import AMOUNTS
from models.bundle import LoadedModel
from models.live_game import LiveGame
from models.live_line.over import asked_line, over_line
from models.metrics import Array
from models.selective import GATE

#: Levels of the intervals shown: the middle four fifths, and the median.
SHOWN: Final = (0.10, 0.50, 0.90)
#: Amounts of a line that are answered for every player.
SHOWN_AMOUNTS: Final = (
    "fantasy_points_draftkings", "fantasy_points_fanduel", "fantasy_points_yahoo", "points", "rebounds", "assists",
)  # fmt: skip
#: Column that tells the usual amount per game, for the pace; FanDuel and Yahoo score alike.
USUAL: Final[dict[str, str]] = {
    "fantasy_points_draftkings": "dk_season", "fantasy_points_fanduel": "fd_ewm12",
    "fantasy_points_yahoo": "fd_ewm12", "points": "pts_ewm25", "rebounds": "reb_ewm25", "assists": "ast_ewm25",
    "threes": "fg3m_ewm25", "steals": "stl_ewm25", "blocks": "blk_ewm25", "turnovers": "tov_ewm25",
}  # fmt: skip
#: Variance of an amount per unit of its mean: box lines around each player's season mean, players of 20 games or more
#: in 2018-19, 2019-20, 2021-22 and 2022-23 (103,551 lines). Fantasy points as on DraftKings.
DISPERSION: Final[dict[str, float]] = {
    "fantasy_points_draftkings": 4.2, "fantasy_points_fanduel": 4.2, "fantasy_points_yahoo": 4.2, "points": 3.25,
    "rebounds": 1.47, "assists": 1.28, "threes": 1.19, "steals": 1.07, "blocks": 1.10, "turnovers": 1.02,
}  # fmt: skip
#: Points a game of a player of whom nothing is known, by amount: none is claimed, the spread is that of so many.
UNKNOWN_USUAL: Final = 8.0
_LEAST_SD: Final = 1e-6
Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class WinAnswer:
    """P(home wins) and the final margin in points with its quantiles at SHOWN; `fallback`: the Brownian answer."""

    probability: float
    margin: float
    quantiles: tuple[float, float, float]
    fallback: bool


@dataclass(frozen=True, slots=True)
class OverAnswer:
    """P(final amount over the line), its mean and quantiles at SHOWN, and what he has so far."""

    probability: float
    mean: float
    quantiles: tuple[float, float, float]
    so_far: float
    fallback: bool


def win_answer(model: LoadedModel | None, rows: pl.DataFrame, game: LiveGame) -> WinAnswer:
    """The answer of `model` to the one row of `win_rows`; what stands when the game is over."""
    if game.final:
        margin = float(game.state["margin"][0])
        return WinAnswer(float(margin > 0), margin, (margin, margin, margin), fallback=False)
    if model is None:
        centre, spread = float(rows["margin_anchor"][0]), float(rows["margin_unit"][0])
        low, middle, high = (centre + spread * float(ndtri(level)) for level in SHOWN)
        return WinAnswer(float(ndtr(centre / spread)), centre, (low, middle, high), fallback=True)
    answer = model.outputs(rows)
    low, middle, high = _at_levels(answer["margin_quantiles"][0], model.config["levels"])
    return WinAnswer(
        float(answer["home_win_probability"][0]), float(answer["margin_mean"][0]), (low, middle, high), fallback=False
    )  # fmt: skip


def line_answers(
    model: LoadedModel | None,
    rows: pl.DataFrame,
    game: LiveGame,
    amounts: Sequence[str] = SHOWN_AMOUNTS,
    *,
    output: Outputs | None = None,
) -> pl.DataFrame:
    """One row per row of `rows` (`line_rows`) and amount: player_id, amount, so_far, mean, q10, q50, q90.

    All players are answered at once. Amounts are final ones, given that he appears. `output` is what the model gave
    for `rows`, where that was asked already.
    """
    mean, quantiles = _lines(model, rows, game, amounts, output)
    so_far = _so_far(rows, amounts)
    count = len(amounts)
    shown = {f"q{round(100 * level)}": quantiles[:, :, k].ravel() for k, level in enumerate(SHOWN)}
    return pl.DataFrame(
        {
            "player_id": np.repeat(rows["player_id"].to_numpy(), count), "amount": list(amounts) * rows.height,
            "so_far": so_far.ravel(), "mean": mean.ravel(), **shown,
        }
    )  # fmt: skip


def over_answer(
    model: LoadedModel | None, row: pl.DataFrame, game: LiveGame, amount: str, line: float
) -> OverAnswer:
    """P(final `amount` > `line`) of one player. Raises `InvalidInput` for an amount no line is made of."""
    if amount not in AMOUNTS:
        raise InvalidInput(f"stat {amount!r} is unknown; use one of {', '.join(AMOUNTS)}")
    output = None if model is None else model.outputs(row)
    mean, quantiles = _lines(model, row, game, (amount,), output)
    so_far = float(_so_far(row, (amount,))[0, 0])
    low, middle, high = (float(value) for value in quantiles[0, 0])
    chance = float(over_chances(model, row, game, amount, np.array([line]), output=output)[0])
    return OverAnswer(chance, float(mean[0, 0]), (low, middle, high), so_far, fallback=model is None)


def over_chances(
    model: LoadedModel | None,
    rows: pl.DataFrame,
    game: LiveGame,
    amount: str,
    lines: Array,
    *,
    output: Outputs | None = None,
) -> Array:
    """P(final `amount` > line) (n,) of every player of `rows` at a line of his own (n,); NaN where the line is.

    `output` is what the model gave for `rows`, where that was asked already.
    """
    so_far = _so_far(rows, (amount,))[:, 0]
    if model is None:
        centre, spread = _pace(rows, amount)
        chance = np.asarray(ndtr((centre - asked_line(amount, lines)) / spread))
    else:
        chance = over_line(model.outputs(rows) if output is None else output, model.config, amount, lines)
    chance = np.where(game.final | _finished(rows), (so_far > lines).astype(np.float64), chance)
    # What he has he keeps: a count over the line cannot fall back, points of a site can (turnovers).
    if not amount.startswith("fantasy_points"):
        chance = np.where(so_far > lines, 1.0, chance)
    return np.where(np.isfinite(lines), chance, np.nan)


def usual_amount(row: pl.DataFrame, amount: str) -> float | None:
    """What he makes in a game as a rule, None when he has played none."""
    value = row[USUAL[amount]][0]
    return None if value is None else float(value)


def pace_side(row: pl.DataFrame, amount: str, line: float) -> bool:
    """Whether his pace passes the line: the answer to fall back on below the gate."""
    return bool(_pace(row, amount)[0][0] > line)


def answered(probability: float) -> bool:
    """Whether the gate lets an answer through that claims this."""
    return max(probability, 1 - probability) >= GATE


def _lines(
    model: LoadedModel | None,
    rows: pl.DataFrame,
    game: LiveGame,
    amounts: Sequence[str],
    output: Outputs | None = None,
) -> tuple[Array, Array]:
    """Mean (n, A) and quantiles (n, A, 3) at SHOWN."""
    so_far = _so_far(rows, amounts)
    if model is None:
        mean, quantiles = _pace_lines(rows, amounts)
    else:
        output, names = model.outputs(rows) if output is None else output, list(model.config["targets"])
        at = [names.index(amount) for amount in amounts]
        grid, levels = output["quantiles"][:, at], np.asarray(model.config["levels"])
        chosen = [int(np.argmin(np.abs(levels - level))) for level in SHOWN]
        mean, quantiles = output["mean"][:, at], grid[:, :, chosen]
    over = np.full(rows.height, game.final) | _finished(rows)
    mean = np.where(over[:, None], so_far, mean)
    return mean, np.where(over[:, None, None], so_far[:, :, None], quantiles)


def _pace_lines(rows: pl.DataFrame, amounts: Sequence[str]) -> tuple[Array, Array]:
    found = [_pace(rows, amount) for amount in amounts]
    mean = np.stack([centre for centre, _ in found], axis=1)
    spread = np.stack([sd for _, sd in found], axis=1)
    so_far = _so_far(rows, amounts)
    quantiles = mean[:, :, None] + spread[:, :, None] * ndtri(np.asarray(SHOWN))
    return mean, np.maximum(quantiles, np.minimum(so_far, mean)[:, :, None])


def _pace(rows: pl.DataFrame, amount: str) -> tuple[Array, Array]:
    """What he has and the usual for the share of the game left (n,), and the deviation of what is to come (n,)."""
    share = rows["share_left"].cast(pl.Float64).to_numpy().clip(0.0, 1.0)
    usual = rows[USUAL[amount]].cast(pl.Float64)
    ahead = usual.fill_null(0.0).to_numpy() * share
    doubt = usual.fill_null(UNKNOWN_USUAL).to_numpy().clip(0.0) * share
    spread = np.sqrt(DISPERSION[amount] * doubt) + _LEAST_SD
    return _so_far(rows, (amount,))[:, 0] + ahead, spread


def _so_far(rows: pl.DataFrame, amounts: Sequence[str]) -> Array:
    columns = [pl.col(f"{amount}_so_far").cast(pl.Float64).fill_null(0.0) for amount in amounts]
    return np.asarray(rows.select(columns).to_numpy())


def _finished(rows: pl.DataFrame) -> NDArray[np.bool_]:
    return np.asarray(rows.select((pl.col("finished") == 1).fill_null(False)).to_series().to_numpy())


def _at_levels(grid: Array, levels: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = (float(np.interp(level, levels, grid)) for level in SHOWN)
    return low, middle, high
