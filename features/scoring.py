"""Fantasy-point rules per site, as polars expressions over a box line.

Sources (read 2026): DraftKings "NBA Classic rules & scoring" (draftkings.com/help/rules/nba),
FanDuel "NBA rules & scoring" (fanduel.com/rules), Yahoo "NBA Daily Fantasy scoring"
(sports.yahoo.com/dailyfantasy/rules).
"""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

Site = Literal["draftkings", "fanduel", "yahoo"]
SITES: Final[tuple[Site, ...]] = ("draftkings", "fanduel", "yahoo")

#: Points per unit of each box-score column.
WEIGHTS: Final[dict[Site, dict[str, float]]] = {
    "draftkings": {"pts": 1, "fg3m": 0.5, "reb": 1.25, "ast": 1.5, "stl": 2, "blk": 2, "tov": -0.5},
    "fanduel": {"pts": 1, "reb": 1.2, "ast": 1.5, "stl": 3, "blk": 3, "tov": -1},
    "yahoo": {"pts": 1, "reb": 1.2, "ast": 1.5, "stl": 3, "blk": 3, "tov": -1},
}
#: DraftKings adds 1.5 for a double-double and 3 more for a triple-double.
DOUBLE_DOUBLE: Final = 1.5
TRIPLE_DOUBLE: Final = 3.0


def fantasy_points(site: Site) -> pl.Expr:
    """Fantasy points of one player-game (Float64), from columns pts, fg3m, reb, ast, stl, blk, tov."""
    total = pl.sum_horizontal(pl.col(c).cast(pl.Float64) * w for c, w in WEIGHTS[site].items())
    if site == "draftkings":
        tens = pl.sum_horizontal((pl.col(c) >= 10).cast(pl.Int8) for c in ("pts", "reb", "ast", "stl", "blk"))
        total = total + DOUBLE_DOUBLE * (tens >= 2) + TRIPLE_DOUBLE * (tens >= 3)
    return total.alias(f"fantasy_points_{site}")
