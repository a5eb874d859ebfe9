"""What the features before lock are about, in a player's words: each feature is in one group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from features.views import matchup, minutes, player_form
from features.views.announced import ANNOUNCED_FEATURES, GAME_ANNOUNCED_FEATURES
from features.views.assemble import GAME_FEATURES, PLAYER_FEATURES

LINE_UPS: Final = "line-ups and absences"
_AVAILABILITY: Final = (
    "days_since_last", "team_games_missed", "presence10", "games_in_week_player", "new_team", "new_season"
)  # fmt: skip
_OPPONENT: Final = (*matchup.FEATURES, "allowed_dk_role", "dk_expected_matchup")
_SCORING: Final = (*player_form.FEATURES, "prior_season_dk", "dk_expected", "dk_expected_recent")
_EFFICIENCY: Final = ("off_rating", "def_rating", "net_rating", "efficiency")
_RESULTS: Final = ("margin_ewm", "win_ewm", "home_margin", "away_margin", "venue_margin")
_PACE: Final = ("expected_pace", "expected_total", "recent_total", "score_ewm", "opp_score_ewm")
_REST: Final = ("rest_days", "games_in_week", "away_streak", "home_back", "home_third", "away_back", "away_third")
_SEASON: Final = ("playoffs", "games_season", "season_progress")


def _of_player(name: str) -> str:
    if name in ANNOUNCED_FEATURES:
        return LINE_UPS
    if name in _AVAILABILITY:
        return "availability"
    if name in minutes.FEATURES or name == "prior_season_min":
        return "minutes and role"
    if name in _SCORING:
        return "scoring form"
    if name in _OPPONENT or name.startswith("opp_"):
        return "opponent"
    return "own team" if name.startswith("team_") else "the game"


def _of_game(name: str) -> str:
    if name in GAME_ANNOUNCED_FEATURES:
        return LINE_UPS
    for group, starts in (
        ("efficiency", _EFFICIENCY), ("recent results", _RESULTS), ("pace and scoring", _PACE),
        ("rest and travel", _REST), ("season", _SEASON),
    ):  # fmt: skip
        if name.startswith(starts):
            return group
    return "team strength"


#: Family -> feature -> group.
FEATURE_GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "projection": {name: _of_player(name) for name in PLAYER_FEATURES},
    "win_probability": {name: _of_game(name) for name in GAME_FEATURES},
}
