"""A small invented league in the archive schema: strengths and player levels are fixed, so skill is learnable."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.tables import FINAL_AFTER_TIP, Tables, conform, tip_time
from features.views import Views, compute_views

TEAMS = ("ATL", "BOS", "CHI", "DEN", "LAL", "MIA", "NYK", "PHX")
ROSTER = 9


def invented_league(
    seasons: tuple[int, ...] = (2021, 2022), dates: int = 60, seed: int = 3, skill: float = 9.0
) -> Tables:
    """`dates` game dates a season, every team once each; `skill` is the spread of team strength in points."""
    rng = np.random.default_rng(seed)
    strength = dict(zip(TEAMS, rng.normal(0, skill, len(TEAMS)), strict=True))
    level = {team: np.sort(rng.gamma(4, 0.25, ROSTER))[::-1] for team in TEAMS}
    games: list[dict[str, Any]] = []
    box: list[dict[str, Any]] = []
    for season in seasons:
        for number in range(dates):
            day = date(season, 11, 1) + timedelta(days=2 * number)
            order = rng.permutation(len(TEAMS))
            for pair in range(len(TEAMS) // 2):
                home, away = TEAMS[order[2 * pair]], TEAMS[order[2 * pair + 1]]
                game_id = f"002{season % 100:02d}{number * 10 + pair:05d}"
                margin = round(strength[home] - strength[away] + 3 + rng.normal(0, 8)) or 1
                scores = (100 + margin, 100) if margin > 0 else (100, 100 - margin)
                shared = {"game_id": game_id, "season": season, "season_type": "regular", "game_date": day}
                games.append({
                    **shared, "tip_et_min": 1170, "home_team": home, "away_team": away, "home_score": scores[0],
                    "away_score": scores[1], "home_win": margin > 0, "close_home_spread": -margin / 2,
                })  # fmt: skip
                for team, opp, is_home in ((home, away, True), (away, home, False)):
                    box += _lines(rng, shared, team, opp, is_home, level[team])
    frame = pl.DataFrame(games, schema_overrides={"game_id": pl.String}).with_columns(event_time=tip_time())
    frame = conform("games", frame.with_columns(known_time=pl.col("event_time") + FINAL_AFTER_TIP))
    times = frame.select("game_id", "event_time", "known_time")
    return Tables(frame, conform("box", pl.DataFrame(box).join(times, on="game_id", maintain_order="left")))


def _lines(
    rng: np.random.Generator, shared: dict[str, Any], team: str, opp: str, is_home: bool, level: np.ndarray
) -> list[dict[str, Any]]:
    lines = []
    for slot in range(ROSTER):
        if rng.random() < 0.08:
            continue
        made = rng.poisson(level[slot] * np.array([14.0, 5.0, 4.0, 0.9, 0.6, 1.6, 1.4, 12.0, 3.0]))
        pts, reb, ast, stl, blk, tov, fg3m, fga, fta = (int(v) for v in made)
        lines.append({
            **shared, "player_id": 1000 + 100 * TEAMS.index(team) + slot, "player_name": f"{team} {slot}",
            "team": team, "opp": opp, "is_home": is_home, "starter": slot < 5,
            "min": float(np.clip(rng.normal(34 - 2.5 * slot, 4), 2, 46)), "pts": pts, "fgm": pts // 2, "fga": fga,
            "fg3m": fg3m, "fg3a": 2 * fg3m, "ftm": fta, "fta": fta, "oreb": reb // 4, "dreb": reb - reb // 4,
            "reb": reb, "ast": ast, "stl": stl, "blk": blk, "tov": tov, "pf": 2, "plus_minus": 0,
        })  # fmt: skip
    return lines


@pytest.fixture(scope="session")
def league() -> Tables:
    """Two invented seasons of 60 game dates."""
    return invented_league()


@pytest.fixture(scope="session")
def league_views(league: Tables) -> Views:
    """Feature views of `league`."""
    return compute_views(league)


@pytest.fixture(scope="session")
def league_as_of(league: Tables) -> datetime:
    """The moment after the last game of `league` is known."""
    newest = league.games["known_time"].max()
    assert isinstance(newest, datetime)
    return newest + timedelta(days=1)


@pytest.fixture(scope="session")
def small_params() -> dict[str, Any]:
    """Networks small enough to train in seconds."""
    steps = {"accumulate": 1, "weight_decay": 0.01, "patience": 4}
    return {
        "train": {
            "seed": 11, "holdout_days": 15, "calibration_days": 15,
            "projection": {"hidden": 16, "layers": 2, "dropout": 0.1, "batch_size": 512, "learning_rate": 0.01,
                           "max_epochs": 5, **steps},
            "win_probability": {"hidden": 4, "layers": 1, "dropout": 0.1, "batch_size": 64, "learning_rate": 0.01,
                                "max_epochs": 6, **steps},
        },
        "evaluate": {"bootstrap": 200, "alpha": 0.05, "gate": 0.70},
    }  # fmt: skip
