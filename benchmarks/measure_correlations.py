"""Measure how NBA players of one game move together; prints models/lineups/correlations/nba.toml's numbers.

    python benchmarks/measure_correlations.py --data DIR

Box scores 2015-16..2024-25. A player's expected DraftKings points are a least-squares fit on what is known at lock:
mean of his last 20 games of the season (at least 10 played), starter, points expected of his active teammates, closing
spread and total. Residuals become normal scores within 40 bands of the expectation; the tables are their mean products
over pairs of teammates and opponents, by rank of trailing mean within the team. Players below 8 expected points are
left out. `tails` prints residual quantiles in units of the median-to-90 % distance.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import ndtri

ROOT = Path(__file__).resolve().parent.parent
WINDOW, LEAST_GAMES, LEAST_POINTS, BANDS = 20, 10, 8.0, 40
ROLES = (("first", 1, 1), ("second", 2, 3), ("starter", 4, 5), ("bench", 6, 8), ("deep", 9, 99))
LEVELS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)


def player_games(data: Path) -> pl.DataFrame:
    """One row per player-game with an expectation to be had."""
    columns = ["game_id", "game_date", "season", "player_id", "team", "opp", "starter", "dk_fpts"]
    box = pl.concat(
        pl.read_parquet(path, columns=columns) for path in sorted((data / "nba/box").glob("*.parquet"))
    )
    box = box.with_columns(pl.col("team", "opp").cast(pl.String)).sort("game_date", "game_id", "player_id")
    trailing = pl.col("dk_fpts").shift(1).rolling_mean(WINDOW, min_samples=LEAST_GAMES).over("season", "player_id")
    box = box.with_columns(trailing=trailing).filter(pl.col("trailing").is_not_null())
    rank = pl.col("trailing").rank("ordinal", descending=True).over("game_id", "team")
    box = box.with_columns(active=pl.col("trailing").sum().over("game_id", "team"), rank=rank)
    games = pl.read_parquet(data / "nba/games.parquet")
    sides = [
        games.select(
            "game_id",
            team=pl.col(f"{side}_team").cast(pl.String),
            spread=sign * pl.col("close_home_spread"),
            total="close_total",
        )
        for side, sign in (("home", 1), ("away", -1))
    ]
    box = box.join(pl.concat(sides), on=["game_id", "team"], how="left")
    return box.filter(pl.col("spread").is_not_null() & (pl.col("trailing") >= LEAST_POINTS))


def scored(rows: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """The rows with `z`, the residual's normal score; expectation and residual beside them."""
    of = {
        name: rows[name].cast(pl.Float64).to_numpy()
        for name in ("trailing", "starter", "active", "spread", "total")
    }
    mean, start, wide = of["trailing"], of["starter"], np.abs(of["spread"])
    active, total = of["active"] - of["active"].mean(), of["total"] - of["total"].mean()
    terms = [np.ones_like(mean), mean, mean**2, start, start * mean, active, active * mean]
    terms += [of["spread"], wide, mean * wide, total, mean * total]
    design = np.column_stack(terms)
    points = rows["dk_fpts"].cast(pl.Float64).to_numpy()
    expected = design @ np.linalg.lstsq(design, points, rcond=None)[0]
    residual = points - expected
    band = np.searchsorted(np.quantile(expected, np.linspace(0, 1, BANDS + 1)[1:-1]), expected)
    jitter = np.random.default_rng(0).uniform(-0.1, 0.1, len(points))  # ties of the scoring grid
    z = np.zeros_like(points)
    for code in range(BANDS):
        at = np.flatnonzero(band == code)
        z[at] = ndtri(((residual + jitter)[at].argsort().argsort() + 0.5) / len(at))
    role = pl.lit(None, dtype=pl.String)
    for name, first, last in ROLES:
        role = pl.when(pl.col("rank").is_between(first, last)).then(pl.lit(name)).otherwise(role)
    return rows.with_columns(z=pl.Series(z), role=role), expected, residual


def pairs(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    """Mean product of normal scores per pair of roles; `side` is the column of the other player's team."""
    other = rows.select("game_id", team=side, player_2="player_id", role_2="role", z_2="z")
    joined = rows.select("game_id", "team", "player_id", "role", "z").join(other, on=["game_id", "team"])
    joined = joined.filter(pl.col("player_id") != pl.col("player_2"))
    return joined.group_by("role", "role_2").agg(rho=(pl.col("z") * pl.col("z_2")).mean(), n=pl.len())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("FANTASY_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    rows, expected, residual = scored(player_games(parser.parse_args().data))
    print(f"# {rows.height:,} player-games of {rows['game_id'].n_unique():,} games,")
    print(f"# {rows['game_date'].min()} to {rows['game_date'].max()}")
    order = [name for name, _, _ in ROLES]
    for field, side in (("teammates", "team"), ("opponents", "opp")):
        found = {(row["role"], row["role_2"]): row for row in pairs(rows, side).to_dicts()}
        print(f"\n[{field}]")
        for at, a in enumerate(order):
            for b in order[at:]:
                if (a, b) in found:
                    print(f'"{a} {b}" = {found[a, b]["rho"]:.3f}  # n = {found[a, b]["n"] // (1 + (a == b)):,}')
    print("\n# tails: residual quantiles in units of the median-to-90 % distance, at", LEVELS)
    for low, high in ((8, 14), (14, 20), (20, 28), (28, 38), (38, 70)):
        value = np.quantile(residual[(expected >= low) & (expected < high)], LEVELS)
        print(f"# {low}-{high} points:", ((value - value[5]) / (value[7] - value[5])).round(2).tolist())


if __name__ == "__main__":
    main()
