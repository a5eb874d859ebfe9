"""Published bounds and calendar facts that the expectations rest on, each with its source.

"Recorded seasons" are the ten NBA seasons 2015-16 to 2024-25 the bounds were checked on (docs/validation.md).
"""

from __future__ import annotations

import math
from datetime import date
from typing import Final

#: Home-win share of a regular season: .593 (2018-19) down to .543 (2023-24) in the recorded seasons, with room above
#: for the home edge of earlier years.
HOME_WIN_SHARE: Final = (0.54, 0.61)
#: Share of games tied after regulation: .045 to .066 in the recorded seasons.
OVERTIME_SHARE: Final = (0.04, 0.08)
STANDARD_ERRORS: Final = 3.0

#: Longest pause inside a season is the All-Star break: seven days from game to game in the recorded seasons.
LONGEST_PAUSE_DAYS: Final = 10
#: Pauses known by date (start year: last day before, first day after): the pandemic stopped 2019-20.
SUSPENSIONS: Final[dict[int, tuple[date, date]]] = {2019: (date(2020, 3, 11), date(2020, 7, 30))}

#: Lowest and highest team scores allowed. Since the shot clock: 49 (Chicago 1999) and 186 (Detroit 1983).
TEAM_POINTS: Final = (40, 200)
QUARTER_POINTS: Final = (0, 75)
#: Regulation minutes of a team (5 x 48) and of one overtime (5 x 5); rounded box minutes may miss by this much.
REGULATION_MINUTES: Final = 240.0
OVERTIME_MINUTES: Final = 25.0
MINUTES_SLACK: Final = 3.0

#: Shares of games that may break a cross-check, because the recorded seasons do: 2015-16 lost a few scoring rows
#: upstream (99.4 % of games add up), three games of 2017-18 have a wrong last score.
PLAYS_AGREE: Final = 0.99
BOX_AGREES: Final = 0.998
QUARTERS_AGREE: Final = 0.98

EVENT_TYPES: Final = (
    "made_shot", "missed_shot", "free_throw", "rebound", "turnover", "foul", "violation", "substitution",
    "timeout", "jump_ball", "ejection", "period_start", "period_end", "replay", "stoppage",
)  # fmt: skip
SEASON_TYPES: Final = ("regular", "playoffs")


def share_bounds(published: tuple[float, float], games: int) -> tuple[float, float]:
    """`published` widened by `STANDARD_ERRORS` of a share over `games` games, within [0, 1]."""
    low, high = published
    if games < 1:
        return 0.0, 1.0
    return (
        max(0.0, low - STANDARD_ERRORS * math.sqrt(low * (1 - low) / games)),
        min(1.0, high + STANDARD_ERRORS * math.sqrt(high * (1 - high) / games)),
    )


def regular_season_runs(season: int, first_game: date, day: date) -> bool:
    """Whether `day` lies in the part of the season where a long silence means that collection stopped.

    From the first game to 10 April, when every regular season but the two of the pandemic has ended or is about
    to, and outside `SUSPENSIONS`.
    """
    stopped = SUSPENSIONS.get(season)
    if stopped is not None and stopped[0] < day <= stopped[1]:
        return False
    return first_game <= day <= date(season + 1, 4, 10)


def days_short_of_april(season: int, newest: date, day: date) -> int | None:
    """Days a finished season's newest game lies before 1 April; None while the season may still be going on."""
    if day < date(season + 1, 11, 1):
        return None
    return max(0, (date(season + 1, 4, 1) - newest).days)


def seasons_behind(newest_season: int, day: date) -> int:
    """Seasons begun since `newest_season`, counting a season as begun on 5 November (0 = up to date)."""
    begun = day.year if day >= date(day.year, 11, 5) else day.year - 1
    return max(0, begun - newest_season)
