"""The declared expectations as data, one suite per table; the report lists every one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from features.tables import KEYS, TableName
from features.validation import bounds
from features.validation.results import SuiteName

Severity = Literal["critical", "warning"]
_RATHER_NOT: Final = "either_value_is_missing"


@dataclass(frozen=True, slots=True)
class Expectation:
    """`kind` is a Great Expectations class, `frame` one of `features.validation.rules`; `why` explains the bound.

    A missed expectation of severity `warning` is reported and stops nothing.
    """

    name: str
    frame: str
    kind: str
    arguments: Mapping[str, Any]
    why: str
    severity: Severity = "critical"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it looks at; empty when it looks at the frame as a whole."""
        single = [self.arguments[key] for key in ("column", "column_A", "column_B") if key in self.arguments]
        return (*single, *self.arguments.get("column_list", ()))

    @property
    def bound(self) -> str:
        """What is expected, in words."""
        text = _BOUND[self.kind](self.arguments)
        mostly = self.arguments.get("mostly")
        return text if mostly is None else f"{text} in at least {mostly:.1%} of rows"


@dataclass(frozen=True, slots=True)
class Suite:
    """The expectations of one table. `keys` names the columns that tell a bad row of each frame."""

    name: SuiteName
    expectations: tuple[Expectation, ...]
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _holds(name: str, frame: str, column: str, why: str, mostly: float | None = None,
           severity: Severity = "critical") -> Expectation:  # fmt: skip
    share = {} if mostly is None else {"mostly": mostly}
    arguments = {"column": column, "value_set": [True], **share}
    return Expectation(name, frame, "ExpectColumnValuesToBeInSet", arguments, why, severity)


def _between(name: str, frame: str, column: str, low: float | None, high: float | None, why: str,
             mostly: float | None = None, severity: Severity = "critical") -> Expectation:  # fmt: skip
    limits = {key: value for key, value in (("min_value", low), ("max_value", high)) if value is not None}
    share = {} if mostly is None else {"mostly": mostly}
    arguments = {"column": column, **limits, **share}
    return Expectation(name, frame, "ExpectColumnValuesToBeBetween", arguments, why, severity)


def _among(name: str, frame: str, column: str, values: tuple[str, ...], why: str) -> Expectation:
    return Expectation(
        name, frame, "ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}, why
    )


def _at_least(name: str, frame: str, larger: str, smaller: str, why: str) -> Expectation:
    arguments = {"column_A": larger, "column_B": smaller, "or_equal": True, "ignore_row_if": _RATHER_NOT}
    return Expectation(name, frame, "ExpectColumnPairValuesAToBeGreaterThanB", arguments, why)


def _equal(name: str, frame: str, left: str, right: str, why: str, mostly: float | None = None) -> Expectation:
    share = {} if mostly is None else {"mostly": mostly}
    arguments = {"column_A": left, "column_B": right, "ignore_row_if": _RATHER_NOT, **share}
    return Expectation(name, frame, "ExpectColumnPairValuesToBeEqual", arguments, why)


def _unique(name: str, frame: str, columns: tuple[str, ...], why: str) -> Expectation:
    if len(columns) == 1:
        return Expectation(name, frame, "ExpectColumnValuesToBeUnique", {"column": columns[0]}, why)
    return Expectation(
        name,
        frame,
        "ExpectCompoundColumnsToBeUnique",
        {"column_list": list(columns), "ignore_row_if": "never"},
        why,
    )


def _rows(frame: str, why: str) -> Expectation:
    return Expectation("not_empty", frame, "ExpectTableRowCountToBeBetween", {"min_value": 1}, why)


def _schema(table: TableName) -> tuple[Expectation, ...]:
    return (
        _holds("columns_present", "columns", "present", "features.tables declares the columns"),
        _equal("column_types", "columns", "actual", "declared", "features.tables declares the types"),
        _between("no_forbidden_nulls", "columns", "forbidden_nulls", 0, 0, "only optional columns may be null"),
        _unique("unique_key", "rows", KEYS[table], "a row is named by its key"),
        _rows("rows", "an empty batch is a failed batch; a day without games leaves the season's rows in place"),
    )


_TIMES: Final = (
    _holds("not_in_the_future", "rows", "happened", "a known row happened before the moment of the report"),
    _holds("known_after_event", "rows", "known_after_event", "nothing is known before it happens"),
)

GAMES: Final = Suite("games", keys={"rows": ("game_id",), "finals": ("game_id",)}, expectations=(
    *_schema("games"),
    *_TIMES,
    _holds("date_in_season", "rows", "in_season_window", "July of the start year to December of the next"),
    _between("later_dates_in_season", "season", "later_rows_outside_season", 0, 0,
             "rows set aside as not yet known must still be dated within their season"),
    Expectation("game_id_length", "rows", "ExpectColumnValueLengthsToEqual", {"column": "game_id", "value": 10},
                "game ids have ten characters"),
    _among("season_type", "rows", "season_type", bounds.SEASON_TYPES, "kinds of games in the recorded seasons"),
    _between("tip_time", "rows", "tip_et_min", 0, 1740, "minutes since midnight Eastern; recorded 727 to 1680"),
    _between("home_score_range", "rows", "home_score", *bounds.TEAM_POINTS, "league extremes are 49 and 186"),
    _between("away_score_range", "rows", "away_score", *bounds.TEAM_POINTS, "league extremes are 49 and 186"),
    _between("periods_range", "rows", "periods", 4, 10, "the longest game had six overtimes (1951)"),
    _between("spread_range", "rows", "close_home_spread", -40, 40, "recorded -23.5 to 18.5; nulls allowed"),
    _between("total_range", "rows", "close_total", 120, 330, "recorded 179.5 to 262.5; nulls allowed"),
    _holds("two_teams", "finals", "two_teams", "a team does not play itself"),
    _between("one_game_a_day", "finals", "team_games_that_day", 1, 1, "no team plays twice on one date"),
    _holds("no_tied_final", "finals", "decided", "overtime is played until somebody wins"),
    _holds("home_win_agrees", "finals", "home_win_agrees", "home_win says who scored more"),
    _holds("quarters_agree", "finals", "quarters_agree", "quarters sum to the final, or are level before "
           "overtime; two recorded games miss it", bounds.QUARTERS_AGREE),
    _holds("quarters_plausible", "finals", "quarters_plausible", "0 to 75 points; a few recorded rows are broken "
           "upstream (-73 and 128 in 2017-18)", bounds.QUARTERS_AGREE),
    _holds("final_score_has_a_witness", "finals", "witnessed", "box points or the last play bear the final out: "
           "swapped scores have no witness"),
    _at_least("home_win_share_floor", "season", "home_win_share", "home_win_share_low",
              ".54 to .61 a season, widened by 3 standard errors"),
    _at_least("home_win_share_ceiling", "season", "home_win_share_high", "home_win_share",
              ".54 to .61 a season, widened by 3 standard errors"),
    _at_least("tie_share_floor", "season", "overtime_share", "overtime_share_low",
              "games tied after regulation: .04 to .08, widened by 3 standard errors"),
    _at_least("tie_share_ceiling", "season", "overtime_share_high", "overtime_share",
              "games tied after regulation: .04 to .08, widened by 3 standard errors"),
    _between("freshness", "season", "days_since_newest_game", 0, bounds.LONGEST_PAUSE_DAYS,
             "longer than the All-Star break; judged while the regular season runs"),
    _between("no_missing_weeks", "season", "longest_pause_days", 0, bounds.LONGEST_PAUSE_DAYS,
             "longer than the All-Star break; the pause of 2020 is declared"),
    _between("season_complete", "season", "days_short_of_april", 0, 0, "a finished season reaches April",
             severity="warning"),
    _between("newest_season", "season", "seasons_behind", 0, 0, "archives end; live collection must not",
             severity="warning"),
))  # fmt: skip

BOX: Final = Suite("box", keys={"rows": KEYS["box"], "teams": ("game_id", "team"), "games": ("game_id",)},
                   expectations=(
    *_schema("box"),
    *_TIMES,
    _between("minutes_range", "rows", "min", 0, 75, "recorded up to 65"),
    *(_between(f"{stat}_range", "rows", stat, 0, most, "above every recorded game")
      for stat, most in (("pts", 105), ("reb", 60), ("ast", 35), ("stl", 15), ("blk", 20), ("tov", 18),
                         ("pf", 8))),
    _holds("points_add_up", "rows", "points_add_up", "pts = 2 fgm + fg3m + ftm"),
    _holds("rebounds_add_up", "rows", "rebounds_add_up", "reb = oreb + dreb where both are told"),
    _holds("makes_within_attempts", "rows", "makes_within_attempts", "nobody makes more than he tries"),
    _holds("games_listed", "teams", "listed", "every box belongs to a game of the season", 0.99),
    _holds("games_covered", "games", "covered", "every game has a box", 0.99),
    _equal("box_points_sum_to_final", "teams", "points", "final",
           "players' points sum to the final; one recorded team-game of 26,000 misses it", bounds.BOX_AGREES),
    _holds("teams_agree", "teams", "team_agrees", "team, opponent and side are those of the game",
           bounds.BOX_AGREES),
    _holds("win_agrees", "teams", "win_agrees", "win says who scored more", bounds.BOX_AGREES),
    _between("team_minutes", "teams", "minutes_off", 0, bounds.MINUTES_SLACK,
             "240 minutes a team and 25 per overtime; recorded 99.9 % within one", 0.99),
    _between("team_players", "teams", "players", 5, 15, "five on the floor, fifteen dressed"),
    _between("team_starters", "teams", "starters", 5, 5, "five start; recorded 99.5 %", 0.98),
))  # fmt: skip

PBP: Final = Suite("pbp", keys={"rows": KEYS["pbp"], "games": ("game_id",)}, expectations=(
    *_schema("pbp"),
    _between("period_range", "rows", "period", 1, 10, "four quarters and up to six overtimes"),
    _between("clock_range", "rows", "clock_s", 0, 720, "twelve minutes a quarter"),
    _between("points_range", "rows", "points", 0, 3, "one event scores at most three"),
    _among("event_type", "rows", "event_type", bounds.EVENT_TYPES, "event types of the archive schema"),
    _holds("games_listed", "games", "listed", "every play belongs to a game of the season", 0.99),
    _between("share_of_games_covered", "season", "share_covered", 0.95, 1,
             "a handful of games a season are missing; more means a truncated batch"),
    _between("events_per_game", "games", "events", 200, 1200, "recorded 355 to 707", 0.99),
    _holds("last_play_is_final_score", "games", "last_score_agrees", "score after the last play; recorded 99.8 %",
           bounds.PLAYS_AGREE),
    _holds("points_sum_to_final", "games", "points_sum_agrees", "running sum; 99.4 % in 2015-16, else 100 %",
           bounds.PLAYS_AGREE),
    _holds("periods_agree", "games", "periods_agree", "the last play is in the last period", bounds.PLAYS_AGREE),
    _holds("teams_agree", "games", "teams_agree", "home and away are those of the game", bounds.BOX_AGREES),
    _between("no_strange_teams", "games", "strange_teams", 0, 0, "only the two teams act", bounds.BOX_AGREES),
    _between("not_in_the_future", "games", "hours_until", None, 0, "plays precede the moment of the report"),
))  # fmt: skip

SALARIES: Final = Suite(
    "salaries",
    keys={"players": ("slate_id", "site_id"), "slates": ("slate_id",)},
    expectations=(
        _rows("players", "an empty slate is a failed slate"),
        _between("salary_positive", "players", "salary_usd", 1, None, "nobody is free where a cap counts"),
        _between(
            "salary_on_grid", "players", "dollars_off_grid", 0, 0, "multiples of the step its contest states"
        ),
        _holds("salary_within_cap", "players", "within_cap", "one salary cannot exceed the cap"),
        _holds("positions_known", "players", "positions_known", "every player fits a roster slot of the contest"),
        _unique("unique_site_id", "players", ("slate_id", "site_id"), "the upload file names players by this id"),
        _holds("unique_players", "players", "named_once", "a player is listed once per roster slot"),
        _holds("team_plays", "players", "team_plays", "a player with an opponent is in one of the slate's games"),
        _between("slate_players", "slates", "players", 1, None, "an empty slate is a failed slate"),
        _between("slate_teams", "slates", "teams", 2, None, "a game has two teams; golf and races have no games"),
    ),
)
SUITES: Final[dict[SuiteName, Suite]] = {suite.name: suite for suite in (GAMES, BOX, PBP, SALARIES)}


def _range(arguments: Mapping[str, Any]) -> str:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low == high:
        return f"equal to {low}"
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"from {low} to {high}"


def _set(arguments: Mapping[str, Any]) -> str:
    values = arguments["value_set"]
    return "true" if values == [True] else "one of " + ", ".join(str(value) for value in values)


_BOUND: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "ExpectColumnValuesToBeBetween": _range,
    "ExpectTableRowCountToBeBetween": lambda arguments: f"{_range(arguments)} rows",
    "ExpectColumnValuesToBeInSet": _set,
    "ExpectColumnValueLengthsToEqual": lambda arguments: f"{arguments['value']} characters",
    "ExpectColumnValuesToBeUnique": lambda arguments: f"unique {arguments['column']}",
    "ExpectCompoundColumnsToBeUnique": lambda arguments: "unique " + " + ".join(arguments["column_list"]),
    "ExpectColumnPairValuesToBeEqual": lambda arguments: f"{arguments['column_A']} = {arguments['column_B']}",
    "ExpectColumnPairValuesAToBeGreaterThanB": lambda arguments: (
        f"{arguments['column_A']} ≥ {arguments['column_B']}"
    ),
}
