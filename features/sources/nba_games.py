"""NBA.com schedules and box scores in the archive's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import SourceUnavailable
from features.sources.nba_events import Person, Roster, seconds
from features.tables import EASTERN, FINAL_AFTER_TIP, GAMES, TIMES

#: Third digit of a game id: 2 regular season, 4 playoffs. Others (preseason, All-Star, play-in, cup final) are
#: not in the archive schema.
_SEASON_TYPES: Final = {"2": "regular", "4": "playoffs"}
_FINAL: Final = 3
_MINUTES: Final = re.compile(r"(\d+):(\d\d(?:\.\d+)?)")
_COUNTS: Final = {
    "pts": "points", "fgm": "fieldGoalsMade", "fga": "fieldGoalsAttempted", "fg3m": "threePointersMade",
    "fg3a": "threePointersAttempted", "ftm": "freeThrowsMade", "fta": "freeThrowsAttempted",
    "oreb": "reboundsOffensive", "dreb": "reboundsDefensive", "reb": "reboundsTotal", "ast": "assists",
    "stl": "steals", "blk": "blocks", "tov": "turnovers", "pf": "foulsPersonal", "plus_minus": "plusMinusPoints",
}  # fmt: skip


def schedule_frame(rows: Sequence[Mapping[str, Any]], season: int) -> pl.DataFrame:
    """Finished games of a scheduleleaguev2 answer: `GAMES` columns without quarter scores, and `TIMES`."""
    games = [_game(row, season) for row in rows if _is_final(row)]
    return (
        pl.DataFrame(games, schema={**GAMES, **TIMES}).unique("game_id", keep="last").sort("game_date", "game_id")
    )


def box_rows(players: Sequence[Mapping[str, Any]], game: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Box lines of everybody who played, from boxscoretraditionalv3 players and the game's own row."""
    lines: list[dict[str, Any]] = []
    for player in players:
        minutes = played_minutes(player["minutes"])
        if minutes <= 0:
            continue
        team = str(player["teamTricode"])
        is_home = team == game["home_team"]
        if not is_home and team != game["away_team"]:
            raise SourceUnavailable(f"NBA.com box of game {game['game_id']} has team {team!r}, which did not play")
        line: dict[str, Any] = {column: int(player[field]) for column, field in _COUNTS.items()}
        line.update(
            game_id=game["game_id"], game_date=game["game_date"], season=game["season"],
            season_type=game["season_type"], player_id=int(player["personId"]), player_name=_full_name(player),
            team=team, opp=game["away_team"] if is_home else game["home_team"], is_home=is_home,
            starter=bool(player["position"]), min=minutes, win=is_home == game["home_win"], source="nba",
            event_time=game["event_time"], known_time=game["known_time"],
        )  # fmt: skip
        lines.append(line)
    return lines


def roster(players: Sequence[Mapping[str, Any]]) -> Roster:
    """Everybody in the box, findable by the short names of play-by-play texts ("Tatum", "J. Tatum")."""
    return Roster(
        (
            str(player["teamTricode"]),
            Person(int(player["personId"]), _full_name(player)),
            (str(player["familyName"]), str(player["nameI"])),
        )
        for player in players
    )


def played_minutes(text: object) -> float:
    """Minutes of `30:31`, `PT30M31.00S`, or nothing (did not play)."""
    value = str(text or "")
    if not value:
        return 0.0
    if match := _MINUTES.fullmatch(value):
        return int(match.group(1)) + float(match.group(2)) / 60
    return seconds(value) / 60


def _full_name(player: Mapping[str, Any]) -> str:
    return f"{player['firstName']} {player['familyName']}".strip()


def _is_final(row: Mapping[str, Any]) -> bool:
    return int(row["gameStatus"]) == _FINAL and str(row["gameId"])[2:3] in _SEASON_TYPES


def _game(row: Mapping[str, Any], season: int) -> dict[str, Any]:
    game_id = str(row["gameId"])
    home, away = int(row["homeTeam_score"]), int(row["awayTeam_score"])
    tip = datetime.fromisoformat(str(row["gameDateTimeUTC"]))
    day = date.fromisoformat(str(row["gameDateEst"])[:10])
    local = tip.astimezone(ZoneInfo(EASTERN))
    tip_et_min = (local.date() - day).days * 24 * 60 + local.hour * 60 + local.minute
    return {
        "game_id": game_id, "season": season, "season_type": _SEASON_TYPES[game_id[2]], "game_date": day,
        "tip_et_min": tip_et_min, "home_team": row["homeTeam_teamTricode"],
        "away_team": row["awayTeam_teamTricode"], "home_score": home, "away_score": away,
        "home_win": home > away, "event_time": tip, "known_time": tip + FINAL_AFTER_TIP,
    }  # fmt: skip
