"""Made-up play-by-play with fives, substitutions and overtime, and a slow reading of it, row by row."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import polars as pl

from features.play.plays import COLUMNS
from features.tables import PBP

HOME, AWAY = "BOS", "NYK"
ROSTER = 9
_KINDS = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover", "foul", "substitution", "timeout")
_CHANCES = (0.17, 0.2, 0.08, 0.2, 0.08, 0.1, 0.15, 0.02)


def played_game(
    seed: int,
    *,
    game_id: str = "0022100001",
    season: int = 2021,
    rows_per_period: int = 60,
    overtime: bool = False,
) -> pl.DataFrame:
    """One game as an unseen season has it: no row at the start or end of a period, some clocks out of order."""
    rng = np.random.default_rng(seed)
    rosters = {HOME: list(range(100, 100 + ROSTER)), AWAY: list(range(200, 200 + ROSTER))}
    fives = {team: roster[:5] for team, roster in rosters.items()}
    score, rows = {HOME: 0, AWAY: 0}, []
    for period in range(1, 6 if overtime else 5):
        length, start = (720, 720 * (period - 1)) if period < 5 else (300, 2880)
        if period > 1:
            fives = {
                team: sorted(rng.choice(roster, 5, replace=False).tolist()) for team, roster in rosters.items()
            }
        for elapsed in np.sort(rng.integers(1, length, rows_per_period)):
            team = (HOME, AWAY)[rng.integers(2)]
            kind = str(rng.choice(_KINDS, p=_CHANCES))
            row = _play(rng, kind, team, fives, rosters)
            score[team] += row["points"]
            late = 3 if rng.random() < 0.02 and elapsed > 10 else 0
            rows.append({
                **row, "game_id": game_id, "season": season, "seq": len(rows), "period": period,
                "clock_s": float(length - elapsed + late), "elapsed_s": float(start + elapsed - late),
                "event_type": kind, "team": team, "home_team": HOME, "away_team": AWAY,
                "home_score": score[HOME], "away_score": score[AWAY],
                "home_lineup": _named(fives[HOME]), "away_lineup": _named(fives[AWAY]),
            })  # fmt: skip
            if kind == "substitution":
                fives[team] = [row["p2_id"] if p == row["p1_id"] else p for p in fives[team]]
    schema = {name: PBP[name] for name in COLUMNS}
    return pl.DataFrame(rows, schema_overrides=schema).select(
        *(pl.col(n) if n in rows[0] else pl.lit(None, PBP[n]).alias(n) for n in COLUMNS)
    )


def _named(five: list[int]) -> str:
    return "|".join(str(player) for player in sorted(five))


def _play(
    rng: np.random.Generator, kind: str, team: str, fives: dict[str, list[int]], rosters: dict[str, list[int]]
) -> dict[str, Any]:
    own, other = fives[team], fives[AWAY if team == HOME else HOME]
    actor = int(rng.choice(own))
    mate = int(rng.choice([p for p in own if p != actor]))
    row: dict[str, Any] = {
        "p1_id": actor,
        "p2_id": None,
        "p3_id": None,
        "points": 0,
        "subtype": None,
        "shot_value": None,
    }
    chance = rng.random()
    if kind in ("made_shot", "missed_shot"):
        row["shot_value"] = 3 if chance < 0.35 else 2
    if kind == "made_shot":
        row |= {"points": row["shot_value"], "p2_id": mate if rng.random() < 0.6 else None}
    if kind == "missed_shot" and rng.random() < 0.2:
        row["p3_id"] = int(rng.choice(other))
    if kind == "free_throw":
        row |= {"points": int(chance < 0.7), "subtype": "1 of 1"}
    if kind == "rebound":
        row["subtype"] = str(rng.choice(["offensive", "defensive", "team_offensive", "team_defensive"]))
        row["p1_id"] = None if row["subtype"].startswith("team") else actor
    if kind == "turnover":
        row |= {
            "p1_id": None if chance < 0.1 else actor,
            "p2_id": int(rng.choice(other)) if 0.1 < chance < 0.6 else None,
        }
    if kind == "foul":
        row |= {"subtype": "T.FOUL" if chance < 0.1 else "P.FOUL", "p2_id": int(rng.choice(other))}
    if kind == "substitution":
        row["p2_id"] = int(rng.choice([p for p in rosters[team] if p not in own]))
    return row


def read_slowly(plays: pl.DataFrame, seq: int, elapsed_s: float) -> dict[int, dict[str, float]]:
    """Lines, seconds and presence of one game after row `seq`, by walking through its rows."""
    lines: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    clock, court, last_row = 0.0, {HOME: [], AWAY: []}, None
    for row in plays.sort("seq").iter_rows(named=True):
        if row["seq"] > seq:
            break
        period = row["period"]
        boundary = 720.0 * (min(period, 5) - 1) + 300.0 * max(period - 5, 0)
        if last_row is not None and period != last_row["period"]:
            for five in _fives(last_row).values():
                for player in five:
                    lines[player]["seconds"] += max(boundary - clock, 0.0)
            clock = max(clock, boundary)
        now = max(clock, row["elapsed_s"])
        court = _fives(row)
        for player in (*court[HOME], *court[AWAY]):
            lines[player]["seconds"] += now - clock
        _credit(row, lines)
        if row["event_type"] == "substitution":
            court[row["team"]] = [row["p2_id"] if p == row["p1_id"] else p for p in court[row["team"]]]
        clock, last_row = now, row
    for player in (*court[HOME], *court[AWAY]):
        lines[player]["seconds"] += max(elapsed_s - clock, 0.0)
        lines[player]["on_court"] = 1.0
    return lines


def _fives(row: dict[str, Any]) -> dict[str, list[int]]:
    sides = ((HOME, "home_lineup"), (AWAY, "away_lineup"))
    return {team: [int(p) for p in row[column].split("|")] for team, column in sides}


def _credit(row: dict[str, Any], lines: dict[int, dict[str, float]]) -> None:
    kind, p1, p2, p3 = row["event_type"], row["p1_id"], row["p2_id"], row["p3_id"]
    if p1 is not None:
        lines[p1]["pts"] += row["points"]
        lines[p1]["fga"] += kind in ("made_shot", "missed_shot")
        lines[p1]["fta"] += kind == "free_throw"
        lines[p1]["fg3m"] += kind == "made_shot" and row["shot_value"] == 3
        lines[p1]["reb"] += kind == "rebound"
        lines[p1]["tov"] += kind == "turnover"
        lines[p1]["pf"] += kind == "foul" and row["subtype"] == "P.FOUL"
    if p2 is not None:
        lines[p2]["ast"] += kind == "made_shot"
        lines[p2]["stl"] += kind == "turnover"
    if p3 is not None:
        lines[p3]["blk"] += kind == "missed_shot"
