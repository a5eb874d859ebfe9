"""View `team_strength`: ratings of a team after each of its games: Elo, margin rating, pace and efficiency.

Elo with margin of victory and carry-over follows FiveThirtyEight's published NBA method ("How We Calculate NBA
Elo Ratings", 2015); `power` is the same idea on the scale of points of margin.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from features.views.lines import ewm

NAME: Final = "team_strength"
NUMBER: Final = 1
KEYS: Final = ("team",)

ELO_START: Final = 1500.0
ELO_MEAN: Final = 1505.0
ELO_K: Final = 20.0
ELO_HOME_EDGE: Final = 70.0
ELO_CARRY_OVER: Final = 0.75
#: No real game or pair of teams reaches these; they keep a wrong score from overflowing the ratings.
ELO_MARGIN_CAP: Final = 80.0
ELO_EDGE_CAP: Final = 1000.0
POWER_STEP: Final = 0.07
POWER_HOME_EDGE: Final = 2.4
POWER_CARRY_OVER: Final = 0.7
#: A margin beyond this tells nothing more about strength, points.
MARGIN_CAP: Final = 25.0

HALF_LIVES: Final = (5, 15, 40)
FEATURES: Final[tuple[str, ...]] = (
    "elo", "power",
    *(f"{rating}{h}" for rating in ("off_rating", "def_rating", "net_rating") for h in HALF_LIVES),
    "pace8", "pace25", "margin_ewm5", "margin_ewm20", "win_ewm5", "win_share_season", "margin_season",
    "games_season", "win_share_prior", "home_margin15", "away_margin15", "score_ewm8", "opp_score_ewm8",
)  # fmt: skip


def expected_home_win(elo_difference: pl.Expr) -> pl.Expr:
    """Elo's probability that the home side wins; `elo_difference` is home minus away without the home edge."""
    return 1 / (1 + 10 ** (-(elo_difference + ELO_HOME_EDGE) / 400))


def compute(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per team-game of `team_lines`: key, times, `season`, `team_game` and FEATURES (Float32)."""
    who, margin = "team", pl.col("margin")
    in_season = [who, "season"]
    net = pl.col("off_rating") - pl.col("def_rating")
    values = {
        **{f"off_rating{h}": ewm(pl.col("off_rating"), h, who) for h in HALF_LIVES},
        **{f"def_rating{h}": ewm(pl.col("def_rating"), h, who) for h in HALF_LIVES},
        **{f"net_rating{h}": ewm(net, h, who) for h in HALF_LIVES},
        "pace8": ewm(pl.col("pace"), 8, who),
        "pace25": ewm(pl.col("pace"), 25, who),
        "margin_ewm5": ewm(margin, 5, who),
        "margin_ewm20": ewm(margin, 20, who),
        "win_ewm5": ewm(pl.col("win"), 5, who),
        "games_season": pl.int_range(1, pl.len() + 1).over(in_season),
        "win_share_season": pl.col("win").cum_sum().over(in_season) / pl.col("win").cum_count().over(in_season),
        "margin_season": margin.cum_sum().over(in_season) / margin.cum_count().over(in_season),
        "home_margin15": ewm(pl.when(pl.col("is_home")).then(margin), 15, who),
        "away_margin15": ewm(pl.when(~pl.col("is_home")).then(margin), 15, who),
        "score_ewm8": ewm(pl.col("score"), 8, who),
        "opp_score_ewm8": ewm(pl.col("opp_score"), 8, who),
    }
    view = (
        lines.with_columns(value.alias(name) for name, value in values.items())
        .join(_ratings(lines), on=["game_id", "team"], how="left", maintain_order="left")
        .with_columns(pl.max_horizontal("known_time", "ratings_known").cum_max().over(who).alias("known_time"))
    )
    first = pl.col("season") != pl.col("season").shift(1)
    prior = pl.when(first).then(pl.col("win_share_season").shift(1)).forward_fill().over(who)
    return view.with_columns(prior.alias("win_share_prior")).select(
        who, "event_time", "known_time", "season", "team_game", *(pl.col(n).cast(pl.Float32) for n in FEATURES)
    )


def _ratings(lines: pl.DataFrame) -> pl.DataFrame:
    """Elo and power of both teams after each game, and when everything they were built from was known."""
    home = lines.filter(pl.col("is_home")).sort("event_time", "game_id")
    state: dict[str, _Rating] = {}
    rows: list[tuple[str, str, float, float, datetime]] = []
    columns = home.select("game_id", "team", "opp", "season", "margin", "known_time")
    for game_id, home_team, away_team, season, margin, known in columns.iter_rows():
        host = state.setdefault(home_team, _Rating(season)).entering(season)
        guest = state.setdefault(away_team, _Rating(season)).entering(season)
        _update(host, guest, margin)
        host.known = guest.known = max(known, host.known or known, guest.known or known)
        rows.append((game_id, home_team, host.elo, host.power, host.known))
        rows.append((game_id, away_team, guest.elo, guest.power, guest.known))
    schema = {
        "game_id": pl.String(), "team": pl.String(), "elo": pl.Float64(), "power": pl.Float64(),
        "ratings_known": pl.Datetime("us", "UTC"),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


class _Rating:
    """One team's running ratings; plain attributes because the loop runs once per game of every season."""

    __slots__ = ("elo", "known", "power", "season")

    def __init__(self, season: int) -> None:
        self.season = season
        self.elo = ELO_START
        self.power = 0.0
        self.known: datetime | None = None

    def entering(self, season: int) -> _Rating:
        """Pull the ratings towards the mean when a new season begins."""
        if season != self.season:
            self.season = season
            self.elo = ELO_CARRY_OVER * self.elo + (1 - ELO_CARRY_OVER) * ELO_MEAN
            self.power *= POWER_CARRY_OVER
        return self


def _update(host: _Rating, guest: _Rating, margin: float) -> None:
    edge = max(-ELO_EDGE_CAP, min(ELO_EDGE_CAP, host.elo + ELO_HOME_EDGE - guest.elo))
    expected = 1 / (1 + 10 ** (-edge / 400))
    won = 1.0 if margin > 0 else 0.0
    lead_of_winner = edge if won else -edge
    weight = (min(abs(margin), ELO_MARGIN_CAP) + 3) ** 0.8 / (7.5 + 0.006 * lead_of_winner)
    shift = ELO_K * weight * (won - expected)
    host.elo += shift
    guest.elo -= shift
    surprise = max(-MARGIN_CAP, min(MARGIN_CAP, margin)) - (host.power - guest.power + POWER_HOME_EDGE)
    host.power += POWER_STEP * surprise
    guest.power -= POWER_STEP * surprise
