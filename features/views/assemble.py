"""Rows for the models: entities joined, as of their moment, with what was known of player, team and opponent.

The same code assembles training rows from the offline views and slate rows from the online store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from features.as_of import as_of_join
from features.errors import SchemaError
from features.views import matchup, minutes, player_form, team_strength
from features.views.announced import ANNOUNCED_FEATURES, GAME_ANNOUNCED_FEATURES, announced, listed_strength
from features.views.team_strength import POWER_HOME_EDGE, expected_home_win

#: Days beyond which an absence tells nothing more.
LONGEST_ABSENCE_DAYS: Final = 60
LONGEST_REST_DAYS: Final = 10

_TEAM_REST: Final = ("rest_days", "back_to_back", "third_in_four", "games_in_week", "away_streak", "home_streak")
_TEAM: Final = ("power", "pace8", "pace25", "off_rating15", "def_rating15", "net_rating15", "games_season")
_SITUATION: Final = (
    "is_home_game", "playoffs", "elo_difference", "win_chance", "expected_margin", "closeness", "expected_pace",
    "expected_score", "expected_total",
)  # fmt: skip
_PRESENCE: Final = (
    "days_since_last", "team_games_missed", "presence10", "games_in_week_player", "new_team", "new_season",
    "prior_season_dk", "prior_season_min",
)  # fmt: skip
_COMBINED: Final = ("dk_expected", "dk_expected_recent", "allowed_dk_role", "dk_expected_matchup")

#: Float32 columns of `player_rows`; those in ANNOUNCED_FEATURES are known only shortly before tip-off.
PLAYER_FEATURES: Final[tuple[str, ...]] = (
    *(name for name in player_form.FEATURES if name != "dk_prior_season"),
    *(name for name in minutes.FEATURES if name != "min_prior_season"),
    *_PRESENCE,
    *(f"team_{name}" for name in (*_TEAM, *_TEAM_REST)),
    *(f"opp_{name}" for name in (*_TEAM, *_TEAM_REST)),
    *_SITUATION,
    *matchup.FEATURES,
    *_COMBINED,
    *ANNOUNCED_FEATURES,
)
_GAME_DIFFERENCES: Final = (
    *(name for name in team_strength.FEATURES if name not in {"pace8", "pace25"}), "rest_days", "games_in_week",
    "away_streak",
)  # fmt: skip
#: Float32 columns of `game_rows`: home minus away unless a side is named.
GAME_FEATURES: Final[tuple[str, ...]] = (
    "elo_home_win", "expected_margin", "expected_pace", "playoffs",
    *(f"{name}_difference" for name in _GAME_DIFFERENCES),
    *(f"{side}_{name}" for side in ("home", "away") for name in ("back_to_back", "third_in_four")),
    "efficiency_margin", "venue_margin", "season_progress", "expected_total", "recent_total",
    *GAME_ANNOUNCED_FEATURES,
)  # fmt: skip
#: These belong to the season they were measured in, and are unknown when the entity's season is another.
_SEASONAL: Final = ("dk_season", "fd_season", "min_season", "games_season", "starter_season")
_TEAM_SEASONAL: Final = ("win_share_season", "margin_season", "games_season")


def player_rows(entities: pl.DataFrame, views: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Add PLAYER_FEATURES (Float32, null where unknown) to player entities, 1:1 and in order.

    Raises `SchemaError` when a view or an entity column is missing.
    """
    _check_views(views)
    rows = as_of_join(entities, _only(views["player_form"], player_form.FEATURES, ("season",)),
                      by=["player_id"], prefix="p_")  # fmt: skip
    rows = as_of_join(rows, views["minutes"], by=["player_id"], prefix="m_")
    for side, key in (("team_", "team"), ("opp_", "opp")):
        rows = _with_team(rows, views, key, side)
    defence = views["matchup"].rename({"team": "opp"})
    rows = as_of_join(rows, defence, by=["opp"])
    rows = rows.with_columns(*_own_columns()).with_columns(*_presence(), *_situation())
    rows = rows.with_columns(*_combined())
    rows = announced(rows, views["rotation"])
    return pl.concat([entities, _features(rows, PLAYER_FEATURES)], how="horizontal")


def game_rows(
    entities: pl.DataFrame, views: Mapping[str, pl.DataFrame], players: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Add GAME_FEATURES (Float32, null where unknown) to game entities, 1:1 and in order.

    `players` are `player_rows` of the same games; without them GAME_ANNOUNCED_FEATURES, which say how strong the
    players listed for each side are, stay null.
    Raises `SchemaError` when a view or an entity column is missing.
    """
    _check_views(views)
    rows = entities
    for side in ("home", "away"):
        rows = _with_team(rows, views, f"{side}_team", f"{side}_")
    home, away = _col("home"), _col("away")
    efficiency = home("off_rating15") - away("off_rating15") - (home("def_rating15") - away("def_rating15"))
    ratings = (home("off_rating15"), away("off_rating15"), home("def_rating15"), away("def_rating15"))
    recent = (home("score_ewm8"), away("score_ewm8"), home("opp_score_ewm8"), away("opp_score_ewm8"))
    rows = rows.with_columns(
        expected_home_win(home("elo") - away("elo")).alias("elo_home_win"),
        (home("power") - away("power") + POWER_HOME_EDGE).alias("expected_margin"),
        ((home("pace25") + away("pace25")) / 2).alias("expected_pace"),
        (pl.col("season_type") == "playoffs").alias("playoffs"),
        *((home(name) - away(name)).alias(f"{name}_difference") for name in _GAME_DIFFERENCES),
        (efficiency * (home("pace25") + away("pace25")) / 200).alias("efficiency_margin"),
        (home("home_margin15") - away("away_margin15")).alias("venue_margin"),
        ((home("games_season") + away("games_season")) / 2).alias("season_progress"),
        (sum(ratings, pl.lit(0)) / 2 * (home("pace8") + away("pace8")) / 200).alias("expected_total"),
        (sum(recent, pl.lit(0)) / 2).alias("recent_total"),
    )
    rows = listed_strength(rows, players)
    return pl.concat([entities, _features(rows, GAME_FEATURES)], how="horizontal")


def _with_team(rows: pl.DataFrame, views: Mapping[str, pl.DataFrame], key: str, side: str) -> pl.DataFrame:
    """Join a team's strength and rest under the prefix `side`, and derive days and streaks for this game."""
    strength = views["team_strength"].rename({"team": key})
    rows = as_of_join(rows, strength, by=[key], prefix=side)
    stale = pl.col(f"{side}season") != pl.col("season")
    rows = rows.with_columns(
        pl.when(~stale).then(pl.col(f"{side}{name}")).alias(f"{side}{name}") for name in _TEAM_SEASONAL
    )
    rows = as_of_join(rows, views["rest"].rename({"team": key}), by=[key], prefix=side)
    dates = pl.col(f"{side}dates")
    today = pl.col("game_date")
    since = (today - dates.list.get(0, null_on_oob=True)).dt.total_days()
    since_second = (today - dates.list.get(1, null_on_oob=True)).dt.total_days()
    return rows.with_columns(
        since.clip(0, LONGEST_REST_DAYS).alias(f"{side}rest_days"),
        (since == 1).alias(f"{side}back_to_back"),
        (since_second <= 3).alias(f"{side}third_in_four"),
        _games_within(dates, 7, 6).alias(f"{side}games_in_week"),
    )


def _games_within(dates: pl.Expr, days: int, kept: int) -> pl.Expr:
    """How many of the `kept` newest game dates lie within `days` before the entity's game."""
    age = [(pl.col("game_date") - dates.list.get(n, null_on_oob=True)).dt.total_days() for n in range(kept)]
    return pl.when(dates.is_not_null()).then(pl.sum_horizontal((a <= days).cast(pl.Int8) for a in age))


def _own_columns() -> list[pl.Expr]:
    """Bare names for the player's own features; season means only while the season lasts."""
    columns = []
    for prefix, names in (("p_", player_form.FEATURES), ("m_", minutes.FEATURES)):
        for name in names:
            value = pl.col(f"{prefix}{name}")
            current = pl.col(f"{prefix}season") == pl.col("season")
            columns.append((pl.when(current).then(value) if name in _SEASONAL else value).alias(name))
    return columns


def _presence() -> list[pl.Expr]:
    """How long the player has been away, from which games of this team, and what he did last season."""
    same_team = pl.col("m_team") == pl.col("team")
    same_season = pl.col("m_season") == pl.col("season")
    missed = pl.when(same_team).then(pl.col("team_team_game") - pl.col("m_team_game"))
    span = pl.col("team_team_game") - pl.col("m_team_game_ten_ago") + 1
    away = (pl.col("game_date") - pl.col("m_game_date")).dt.total_days()
    return [
        away.clip(0, LONGEST_ABSENCE_DAYS).alias("days_since_last"),
        missed.clip(0, LONGEST_ABSENCE_DAYS).alias("team_games_missed"),
        pl.when(same_team & (span > 0)).then(minutes.PRESENCE_GAMES / span).alias("presence10"),
        _games_within(pl.col("m_dates"), 7, 4).alias("games_in_week_player"),
        (~same_team).alias("new_team"),
        (~same_season).alias("new_season"),
        pl.when(same_season).then(pl.col("p_dk_prior_season")).otherwise(pl.col("p_dk_season"))
        .alias("prior_season_dk"),
        pl.when(same_season).then(pl.col("m_min_prior_season")).otherwise(pl.col("m_min_season"))
        .alias("prior_season_min"),
    ]  # fmt: skip


def _situation() -> list[pl.Expr]:
    team, opp = _col("team"), _col("opp")
    sign = pl.when(pl.col("is_home")).then(1).otherwise(-1)
    elo = team("elo") - opp("elo")
    margin = team("power") - opp("power") + sign * POWER_HOME_EDGE
    pace = (team("pace8") + opp("pace8")) / 2
    scored = (team("off_rating15") + opp("def_rating15")) / 2 * pace / 100
    conceded = (opp("off_rating15") + team("def_rating15")) / 2 * pace / 100
    home_win = expected_home_win(sign * elo)
    return [
        pl.col("is_home").alias("is_home_game"),
        (pl.col("season_type") == "playoffs").alias("playoffs"),
        elo.alias("elo_difference"),
        pl.when(pl.col("is_home")).then(home_win).otherwise(1 - home_win).alias("win_chance"),
        margin.alias("expected_margin"),
        margin.abs().alias("closeness"),
        pace.alias("expected_pace"),
        scored.alias("expected_score"),
        (scored + conceded).alias("expected_total"),
    ]


def _combined() -> list[pl.Expr]:
    """Products that trees and small networks are slow to learn."""
    role = pl.col("big_role").fill_null(0.5)
    allowed = role * pl.col("allowed_dk_big") + (1 - role) * pl.col("allowed_dk_guard")
    expected = pl.col("min_ewm5") * pl.col("dk_per_min40")
    return [
        expected.alias("dk_expected"),
        (pl.col("min_ewm2") * pl.col("dk_per_min10")).alias("dk_expected_recent"),
        allowed.alias("allowed_dk_role"),
        (expected * allowed).alias("dk_expected_matchup"),
    ]


class _col:
    """Columns of one side: `_col("team")("elo")` is `team_elo`."""

    def __init__(self, side: str) -> None:
        self._side = side

    def __call__(self, name: str) -> pl.Expr:
        return pl.col(f"{self._side}_{name}")


def _only(view: pl.DataFrame, features: tuple[str, ...], carried: tuple[str, ...]) -> pl.DataFrame:
    return view.select("player_id", "event_time", "known_time", *carried, *features)


def _features(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    floats = rows.select(pl.col(name).cast(pl.Float32) for name in names)
    value = pl.col(pl.Float32)
    return floats.with_columns(pl.when(value.is_finite()).then(value).name.keep())


def _check_views(views: Mapping[str, pl.DataFrame]) -> None:
    needed = {"player_form", "minutes", "team_strength", "rest", "matchup", "rotation"}
    if lacking := sorted(needed - set(views)):
        raise SchemaError(f"views {lacking} are missing; materialize the features first")
