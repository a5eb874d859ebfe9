"""What a contest simulation answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from models.lineups.problem import Lineup
from models.lineups.simulation.payoff import Payoff


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """`lineups` in order of choice: the first k are the choice of k.

    `table` has a row per lineup: lineup (from 1), projection, roi, win, top1, cash (shares of scenarios), duplicates
    (opposing entries with the same players, on average) and expected_prize_usd, all entries of ours playing at once.
    `portfolio` and `baseline` (the projection-only lineups under the same rules) hold entries, cost_usd,
    expected_prize_usd, roi, roi_se (standard error over scenarios), p_profit, p_any_first, p_any_top10 and cash.
    `ownership` has site_id, name, projected and field (shares), `optimal_share` site_id, name and optimal. `contest`
    says what was played. Lineups are chosen on one half of the scenarios and every figure is from the other; given
    lineups are judged on all.
    """

    lineups: tuple[Lineup, ...]
    table: pl.DataFrame
    portfolio: dict[str, float]
    baseline: dict[str, float]
    ownership: pl.DataFrame
    optimal_share: pl.DataFrame
    contest: dict[str, Any]
    warnings: tuple[str, ...]
    timings_ms: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The shape printed by `fantasy contests simulate --json` and returned by `POST /v1/contests/simulate`."""
        return {
            "lineups": [lineup.as_json() for lineup in self.lineups],
            "table": _rounded(self.table),
            "portfolio": {name: round(value, 6) for name, value in self.portfolio.items()},
            "baseline": {name: round(value, 6) for name, value in self.baseline.items()},
            "ownership": _rounded(self.ownership),
            "optimal_share": _rounded(self.optimal_share),
            "contest": self.contest,
            "warnings": list(self.warnings),
            "timings_ms": {name: round(value, 3) for name, value in self.timings_ms.items()},
        }


def portfolio_figures(payoff: Payoff, fee_usd: float) -> dict[str, float]:
    """Figures of lineups that were played together. A free contest has no return: its roi is 0."""
    entries = len(payoff.mean_usd)
    cost = entries * fee_usd
    prize = payoff.sum_usd
    spread = float(prize.std(ddof=1)) / np.sqrt(len(prize)) if len(prize) > 1 else 0.0
    return {
        "entries": float(entries),
        "cost_usd": cost,
        "expected_prize_usd": float(prize.mean()),
        "roi": float(prize.mean()) / cost - 1 if cost > 0 else 0.0,
        "roi_se": float(spread / cost) if cost > 0 else 0.0,
        "p_profit": float((prize > cost).mean()),
        "p_any_first": float(payoff.any_first.mean()),
        "p_any_top10": float(payoff.any_top10.mean()),
        "cash": float(payoff.cash.mean()),
    }


def lineup_table(
    lineups: tuple[Lineup, ...], payoff: Payoff, duplicates: list[float], fee_usd: float
) -> pl.DataFrame:
    """The rows of `SimulationResult.table`."""
    mean = payoff.mean_usd
    return pl.DataFrame(
        {
            "lineup": range(1, len(lineups) + 1),
            "projection": [lineup.projection for lineup in lineups],
            "roi": mean / fee_usd - 1 if fee_usd > 0 else np.zeros(len(lineups)),
            "win": payoff.win,
            "top1": payoff.top1,
            "cash": payoff.cash,
            "duplicates": duplicates,
            "expected_prize_usd": mean,
        },
        schema_overrides={"lineup": pl.Int32},
    )


def _rounded(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.with_columns(pl.selectors.float().round(6)).to_dicts()
