"""Frames the expectations look at: rows with flags, and cross-table checks aggregated per game with polars.

A flag column is True where the rule holds, False where it is broken and null where it cannot be told, so that
every expectation stays a plain statement about a column. A frame that cannot be built is a `Fault`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from features.tables import EASTERN, OPTIONAL, SCHEMAS, TIMES, TableName
from features.validation import bounds

_EASTERN: Final = ZoneInfo(EASTERN)
#: Required columns that may hold nulls: free events have no team or player, a source may not tell who started.
NULLS_ALLOWED: Final[dict[TableName, frozenset[str]]] = {
    "games": frozenset(),
    "box": frozenset({"starter"}),
    "pbp": frozenset({"team", "shot_value", "p1_id"}),
}
#: Play-by-play columns that validation reads; the others are optional free text.
PBP_COLUMNS: Final = tuple(c for c in SCHEMAS["pbp"] if c not in OPTIONAL["pbp"])


@dataclass(frozen=True, slots=True)
class SeasonTables:
    """One season's tables: `known` rows have `known_time <= as_of`, `later` rows are set aside.

    `newest` marks the newest season stored.
    """

    season: int
    as_of: datetime
    known: Mapping[TableName, pl.DataFrame]
    later: Mapping[TableName, pl.DataFrame]
    newest: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a frame could not be built."""

    reason: str


Frames = dict[str, pl.DataFrame | Fault]


def season_frames(tables: SeasonTables) -> dict[TableName, Frames]:
    """Every frame of the suites games, box and pbp for one season."""
    games, box, pbp = (tables.known[name] for name in ("games", "box", "pbp"))
    teams = _built(lambda: box_teams(games, box))
    plays = _built(lambda: play_games(games, pbp, tables.as_of))
    return {
        "games": {
            "columns": columns_frame("games", games),
            "rows": _built(lambda: timed_rows(games, tables.as_of)),
            "finals": _built(lambda: finals(games, teams, plays)),
            "season": _built(lambda: season_frame(games, tables)),
        },
        "box": {
            "columns": columns_frame("box", box),
            "rows": _built(lambda: box_rows(box, tables.as_of)),
            "teams": teams,
            "games": _built(lambda: coverage(games, box)),
        },
        "pbp": {
            "columns": columns_frame("pbp", pbp),
            "rows": pbp,
            "games": plays,
            "season": _built(lambda: coverage(games, pbp).select(pl.col("covered").mean().alias("share_covered"))),
        },
    }


def columns_frame(table: TableName, frame: pl.DataFrame) -> pl.DataFrame:
    """One row per declared column: is it present, of the declared type, and without forbidden nulls?"""
    declared = {name: dtype for name, dtype in {**SCHEMAS[table], **TIMES}.items()}
    if table == "pbp":
        declared = {name: dtype for name, dtype in declared.items() if name in PBP_COLUMNS or name in TIMES}
    free = NULLS_ALLOWED[table] | OPTIONAL[table]
    rows = [
        {
            "column": name,
            "present": name in frame.columns,
            "declared": str(dtype),
            "actual": str(frame.schema[name]) if name in frame.columns else None,
            "forbidden_nulls": 0 if name in free or name not in frame.columns else frame[name].null_count(),
        }
        for name, dtype in declared.items()
    ]
    schema = {"column": pl.String, "present": pl.Boolean, "declared": pl.String, "actual": pl.String,
              "forbidden_nulls": pl.Int64}  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def timed_rows(frame: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """`frame` with `happened` (not after `as_of`), `known_after_event` and, for games, `in_season_window`."""
    happened = pl.col("event_time") <= as_of
    extra = [(pl.col("known_time") >= pl.col("event_time")).alias("known_after_event")]
    if "game_date" in frame.columns:
        happened = happened & (pl.col("game_date") <= as_of.astimezone(_EASTERN).date())
        extra.append(_in_season_window().alias("in_season_window"))
    return frame.with_columns(happened.alias("happened"), *extra)


def box_rows(box: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Box lines with arithmetic flags."""
    made = ((pl.col("fgm"), pl.col("fga")), (pl.col("fg3m"), pl.col("fg3a")), (pl.col("ftm"), pl.col("fta")))
    return timed_rows(box, as_of).with_columns(
        (2 * pl.col("fgm") + pl.col("fg3m") + pl.col("ftm") == pl.col("pts")).alias("points_add_up"),
        (pl.col("oreb") + pl.col("dreb") == pl.col("reb")).alias("rebounds_add_up"),
        pl.all_horizontal([scored <= tried for scored, tried in made]).alias("makes_within_attempts"),
    )


def box_teams(games: pl.DataFrame, box: pl.DataFrame) -> pl.DataFrame:
    """One row per game and team of the box: points against the final, minutes against the periods played."""
    totals = box.group_by("game_id", "team", maintain_order=True).agg(
        pl.col("pts").cast(pl.Int32).sum().alias("points"),
        pl.col("min").cast(pl.Float64).sum().round(2).alias("minutes"),
        pl.len().cast(pl.Int32).alias("players"),
        _sum_or_null("starter").alias("starters"),
        pl.col("win").first().alias("won"),
        (pl.col("is_home").n_unique() == 1).alias("one_side"),
        pl.col("is_home").first().alias("is_home"),
        pl.col("opp").first().alias("opp"),
    )
    joined = totals.join(
        games.unique("game_id", keep="first").select(
            "game_id", "home_team", "away_team", "home_score", "away_score", "periods",
            pl.lit(True).alias("listed"),
        ),
        on="game_id", how="left",
    )  # fmt: skip
    home, away = pl.col("team") == pl.col("home_team"), pl.col("team") == pl.col("away_team")
    final = pl.when(home).then("home_score").when(away).then("away_score").cast(pl.Int32)
    expected = bounds.REGULATION_MINUTES + bounds.OVERTIME_MINUTES * (pl.col("periods") - 4)
    home_won = pl.col("home_score") > pl.col("away_score")
    won = pl.when(home).then(home_won).otherwise(~home_won)
    named = (pl.col("is_home") == home) & (pl.col("opp") == pl.when(home).then("away_team").otherwise("home_team"))
    return joined.with_columns(
        pl.col("listed").fill_null(False),
        final.alias("final"),
        (pl.col("minutes") - expected).abs().round(2).alias("minutes_off"),
        (pl.col("won") == won).alias("win_agrees"),
        (named & (home | away) & pl.col("one_side")).alias("team_agrees"),
    )


def play_games(games: pl.DataFrame, pbp: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """One row per game of the play-by-play: last score, running sums, periods and strangers, against the final."""
    scored = pl.col("points").cast(pl.Int32)
    side = {"home": pl.col("team") == pl.col("home_team"), "away": pl.col("team") == pl.col("away_team")}
    known_team = side["home"] | side["away"]
    plays = pbp.group_by("game_id", maintain_order=True).agg(
        pl.len().cast(pl.Int32).alias("events"),
        pl.col("home_score").sort_by("seq").last().cast(pl.Int32).alias("home_last"),
        pl.col("away_score").sort_by("seq").last().cast(pl.Int32).alias("away_last"),
        scored.filter(side["home"]).sum().alias("home_points"),
        scored.filter(side["away"]).sum().alias("away_points"),
        pl.col("period").max().cast(pl.Int32).alias("last_period"),
        (~known_team).sum().cast(pl.Int32).alias("strange_teams"),
        pl.col("home_team").first().alias("plays_home_team"),
        pl.col("away_team").first().alias("plays_away_team"),
        ((pl.col("event_time").max() - as_of).dt.total_minutes() / 60).alias("hours_until"),
    )
    finals_of = games.unique("game_id", keep="first").select(
        "game_id", "home_team", "away_team", "home_score", "away_score", "periods", pl.lit(True).alias("listed")
    )
    return plays.join(finals_of, on="game_id", how="left").with_columns(
        pl.col("listed").fill_null(False),
        _same(("home_last", "home_score"), ("away_last", "away_score")).alias("last_score_agrees"),
        _same(("home_points", "home_score"), ("away_points", "away_score")).alias("points_sum_agrees"),
        _same(("plays_home_team", "home_team"), ("plays_away_team", "away_team")).alias("teams_agree"),
        (pl.col("last_period") == pl.col("periods")).alias("periods_agree"),
    )


def finals(games: pl.DataFrame, teams: pl.DataFrame | Fault, plays: pl.DataFrame | Fault) -> pl.DataFrame:
    """One row per game: is the final possible, and does the box or the play-by-play bear it out?

    `witnessed` is False where the game has a box or plays and neither agrees: then the final itself is wrong.
    """
    quarters = {side: sum(pl.col(f"{side}_q{n}").cast(pl.Int32) for n in range(1, 5)) for side in ("home", "away")}
    overtime = {side: pl.col(f"{side}_score").cast(pl.Int32) - quarters[side] for side in quarters}
    in_four = (overtime["home"] == 0) & (overtime["away"] == 0)
    in_overtime = (quarters["home"] == quarters["away"]) & (overtime["home"] >= 0) & (overtime["away"] >= 0)
    parts = [pl.col(f"{side}_q{n}") for side in quarters for n in range(1, 5)]
    low, high = bounds.QUARTER_POINTS
    busiest = pl.concat(
        [games.select("game_id", "game_date", team=pl.col(f"{side}_team")) for side in quarters]
    ).with_columns(pl.len().over("game_date", "team").cast(pl.Int32).alias("team_games_that_day"))
    frame = games.with_columns(
        (pl.col("home_win") == (pl.col("home_score") > pl.col("away_score"))).alias("home_win_agrees"),
        (pl.col("home_score") != pl.col("away_score")).alias("decided"),
        (pl.col("home_team") != pl.col("away_team")).alias("two_teams"),
        pl.when(pl.col("periods") > 4).then(in_overtime).otherwise(in_four).alias("quarters_agree"),
        pl.all_horizontal([part.is_between(low, high) for part in parts]).alias("quarters_plausible"),
    )
    frame = frame.join(_agreement(teams, "box_agrees", _box_agrees), on="game_id", how="left")
    frame = frame.join(_agreement(plays, "plays_agree", _plays_agree), on="game_id", how="left")
    frame = frame.join(
        busiest.group_by("game_id").agg(pl.col("team_games_that_day").max()), on="game_id", how="left"
    )
    return frame.with_columns(pl.max_horizontal("box_agrees", "plays_agree").alias("witnessed")).select(
        "game_id", "game_date", "home_team", "away_team", "home_score", "away_score", "home_win",
        "home_win_agrees", "decided", "two_teams", "quarters_agree", "quarters_plausible", "team_games_that_day",
        "box_agrees", "plays_agree", "witnessed",
    )  # fmt: skip


def season_frame(games: pl.DataFrame, tables: SeasonTables) -> pl.DataFrame:
    """One row: shares with their bounds, freshness and calendar of the season as of the report's moment."""
    later = tables.later["games"]
    strangers = later.filter(~_in_season_window()).height if later.height else 0
    regular = games.filter(pl.col("season_type") == "regular")
    judged = regular if regular.height else games
    home_low, home_high = bounds.share_bounds(bounds.HOME_WIN_SHARE, judged.height)
    over_low, over_high = bounds.share_bounds(bounds.OVERTIME_SHARE, games["periods"].count())
    days = games["game_date"].drop_nulls().unique().sort().to_list()
    today = tables.as_of.astimezone(_EASTERN).date()
    running = bool(days) and bounds.regular_season_runs(tables.season, days[0], today)
    row = {
        "games": games.height,
        "home_win_share": (judged["home_score"] > judged["away_score"]).mean(),
        "home_win_share_low": home_low,
        "home_win_share_high": home_high,
        "overtime_share": (games["periods"] > 4).mean(),
        "overtime_share_low": over_low,
        "overtime_share_high": over_high,
        "days_since_newest_game": (today - days[-1]).days if running else None,
        "longest_pause_days": _longest_pause(tables.season, days),
        "days_short_of_april": bounds.days_short_of_april(tables.season, days[-1], today) if days else None,
        "seasons_behind": bounds.seasons_behind(tables.season, today) if tables.newest else None,
        "later_rows_outside_season": strangers,
    }
    schema = {name: pl.Float64 if "share" in name else pl.Int64 for name in row}
    return pl.DataFrame([row], schema=schema)


def coverage(games: pl.DataFrame, detail: pl.DataFrame) -> pl.DataFrame:
    """One row per game: `covered` tells whether `detail` (box or plays) has rows of it."""
    return games.select("game_id").with_columns(
        pl.col("game_id").is_in(detail["game_id"].unique().implode()).alias("covered")
    )


def _built(build: Callable[[], pl.DataFrame]) -> pl.DataFrame | Fault:
    try:
        return build()
    except pl.exceptions.PolarsError as error:
        return Fault(str(error).splitlines()[0])


def _agreement(source: pl.DataFrame | Fault, name: str, rule: Callable[[], pl.Expr]) -> pl.DataFrame:
    if isinstance(source, Fault):
        return pl.DataFrame(schema={"game_id": pl.String, name: pl.Boolean})
    return source.group_by("game_id").agg(rule().alias(name))


def _box_agrees() -> pl.Expr:
    return ((pl.col("points") == pl.col("final")).fill_null(False).all()) & (pl.len() == 2)


def _plays_agree() -> pl.Expr:
    return pl.col("last_score_agrees").fill_null(False).all()


def _same(*pairs: tuple[str, str]) -> pl.Expr:
    return pl.all_horizontal([pl.col(left) == pl.col(right) for left, right in pairs])


def _sum_or_null(column: str) -> pl.Expr:
    values = pl.col(column)
    return pl.when(values.count() == pl.len()).then(values.sum()).cast(pl.Int32)


def _in_season_window() -> pl.Expr:
    first = pl.date(pl.col("season"), 7, 1)
    last = pl.date(pl.col("season") + 1, 12, 31)
    return pl.col("game_date").is_between(first, last)


def _longest_pause(season: int, days: list[date]) -> int:
    stopped = bounds.SUSPENSIONS.get(season)
    pauses = [
        (after - before).days
        for before, after in pairwise(days)
        if stopped is None or not (before <= stopped[0] and after >= stopped[1])
    ]
    return max(pauses, default=0)
