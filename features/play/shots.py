"""Field-goal attempts as they stood the moment before the ball left the hand, and what shooters had made until then.

No column but `made` tells what came of the shot: assists, blocks and and-ones are known only afterwards.
"""

from __future__ import annotations

from typing import Final

import polars as pl

#: What a shot's printed type says, by the word it holds.
KINDS: Final[dict[str, str]] = {
    "dunk": "dunk", "layup": "layup", "hook": "hook", "finger_roll": "finger roll", "alley_oop": "alley oop",
    "tip": "tip", "putback": "putback", "driving": "driving", "cutting": "cutting", "running": "running",
    "pullup": "pull", "step_back": "step back", "fadeaway": "fadeaway", "turnaround": "turnaround",
    "floating": "float", "bank": "bank", "reverse": "reverse", "jumper": "jump",
}  # fmt: skip
#: Zones of a shot, by value and feet; one of unknown distance counts by its value and the word in its type.
ZONES: Final = ("rim", "short", "mid", "three")
RIM_FT, SHORT_FT = 4, 14
#: Attempts of a zone that a shooter's own record must outweigh before it is believed over the league's.
LEANING: Final[dict[str, float]] = {"rim": 60.0, "short": 60.0, "mid": 90.0, "three": 200.0, "free": 30.0}
#: Games after which what a defence allowed counts half.
DEFENCE_HALF_LIFE: Final = 20.0
#: The same for the shooter's record, in games: a few seasons of it.
CAREER_HALF_LIFE: Final = 160.0
SEASON_HALF_LIFE: Final = 20.0
#: Makes per attempt of each zone, 2015-17: where a record leans that is still empty.
LEAGUE: Final[dict[str, float]] = {"rim": 0.62, "short": 0.40, "mid": 0.40, "three": 0.355, "free": 0.768}
#: What the league's own rate is kept for; feet per band; attempts that a cell must outweigh; dates it fades over.
CELL: Final = ("subtype", "value", "distance")
BAND_FT: Final = 3
TYPE_LEANING: Final = 60.0
TYPE_HALF_LIFE: Final = 250.0
_GAME: Final = "game_id"
_BALL: Final = ("made_shot", "missed_shot", "free_throw", "rebound", "turnover")


def zone() -> pl.Expr:
    """The zone of a shot, from `value`, `distance` (feet, null when not printed) and `subtype`."""
    close = pl.col("subtype").fill_null("").str.contains("(?i)dunk|layup|tip|putback|finger")
    feet = pl.col("distance").fill_null(pl.when(close).then(1).otherwise(SHORT_FT))
    return (
        pl.when(pl.col("value") == 3).then(pl.lit("three"))
        .when(feet <= RIM_FT).then(pl.lit("rim"))
        .when(feet <= SHORT_FT).then(pl.lit("short"))
        .otherwise(pl.lit("mid"))
    )  # fmt: skip


def shots(plays: pl.DataFrame) -> pl.DataFrame:
    """One row per attempt, by game and seq. `plays` are in the columns of `features.play.plays`.

    Columns: game_id, seq, period, clock_s, elapsed_s, team, opp, at_home, player_id, subtype, distance (feet, null when
    not printed), value (2 or 3), zone, kind_* (0 or 1 each), margin (of the shooters before the shot); since_s
    (seconds since the ball was last shot, rebounded, lost or thrown from the line, null at a period's start), after_own
    (that was the shooters' own play, such as an offensive rebound), after_turnover, after_rebound; game_attempts,
    game_makes, zone_attempts, zone_makes (of the shooter this game, before this shot); label `made`.
    """
    rows = plays.sort(_GAME, "seq")
    shooting = pl.col("event_type").is_in(["made_shot", "missed_shot"])
    ball = rows.filter(pl.col("event_type").is_in(_BALL), pl.col("team").is_not_null())
    before = {
        name: pl.col(name).shift().over(_GAME, "period") for name in ("elapsed_s", "team", "event_type", "subtype")
    }
    at_home = pl.col("team") == pl.col("home_team")
    scored = pl.col("points").cast(pl.Int32)
    lead = (pl.col("home_score") - pl.col("away_score")).cast(pl.Int32)
    text = pl.col("subtype").fill_null("").str.to_lowercase()
    taken = ball.with_columns(
        since_s=(pl.col("elapsed_s") - before["elapsed_s"]).cast(pl.Float32), at_home=at_home,
        after_own=before["team"] == pl.col("team"), after_turnover=before["event_type"] == "turnover",
        after_rebound=before["event_type"] == "rebound",
        margin=pl.when(at_home).then(lead).otherwise(-lead) - scored,
        opp=pl.when(at_home).then("away_team").otherwise("home_team"),
    ).filter(shooting, pl.col("p1_id").is_not_null()).select(
        _GAME, "seq", "period", "clock_s", "elapsed_s", "team", "opp", "at_home", player_id="p1_id",
        subtype="subtype", distance="shot_dist", value="shot_value", margin="margin", since_s="since_s",
        after_own="after_own", after_turnover="after_turnover", after_rebound="after_rebound",
        made=pl.col("event_type") == "made_shot",
        **{f"kind_{name}": text.str.contains(word, literal=True).cast(pl.Float32) for name, word in KINDS.items()},
    )  # fmt: skip
    taken = taken.with_columns(zone=zone())
    own, made = [_GAME, "player_id"], pl.col("made").cast(pl.Int16)
    return taken.with_columns(
        game_attempts=pl.int_range(pl.len(), dtype=pl.Int16).over(own),
        game_makes=(made.cum_sum() - made).over(own),
        zone_attempts=pl.int_range(pl.len(), dtype=pl.Int16).over([*own, "zone"]),
        zone_makes=(made.cum_sum() - made).over([*own, "zone"]),
    )


def tallies(plays: pl.DataFrame, taken: pl.DataFrame | None = None) -> pl.DataFrame:
    """Per game, team and shooter: `{zone}_tries` and `{zone}_made`, free throws as the zone `free`.

    `taken` are the `shots` of the same plays, for who has them already.
    """
    taken = shots(plays) if taken is None else taken
    free = plays.filter(pl.col("event_type") == "free_throw", pl.col("p1_id").is_not_null()).select(
        _GAME, "team", player_id="p1_id", zone=pl.lit("free"), made=pl.col("points") > 0
    )
    opposed = pl.concat([taken.select(free.columns), free])
    made = {name: pl.col("made").filter(pl.col("zone") == name) for name in LEANING}
    tried = [value.count().cast(pl.Float32).alias(f"{name}_tries") for name, value in made.items()]
    hit = [value.sum().cast(pl.Float32).alias(f"{name}_made") for name, value in made.items()]
    return opposed.group_by(_GAME, "team", "player_id", maintain_order=True).agg(*tried, *hit)


def shooter_rates(counted: pl.DataFrame, games: pl.DataFrame) -> pl.DataFrame:
    """Per game and shooter, from his earlier games alone: `shooter_{zone}` and `recent_{zone}` makes per attempt.

    Both fade with the games since, the second faster, and lean towards the league's rate and the first towards it.
    `shooter_tries` is how much is known of him. `counted` are `tallies` of all games known; `games` has `event_time`.
    """
    ordered = counted.join(games.select(_GAME, "event_time"), on=_GAME).sort("player_id", "event_time", _GAME)
    career = _faded(CAREER_HALF_LIFE, "player_id")
    recent = _faded(SEASON_HALF_LIFE, "player_id")
    settled = {
        f"shooter_{name}": (career(f"{name}_made") + LEANING[name] * LEAGUE[name])
        / (career(f"{name}_tries") + LEANING[name])
        for name in LEANING
    }
    known = pl.sum_horizontal(career(f"{name}_tries") for name in ZONES)
    rates = ordered.with_columns(shooter_tries=known, **settled).with_columns(
        (recent(f"{name}_made") + LEANING[name] * pl.col(f"shooter_{name}"))
        .truediv(recent(f"{name}_tries") + LEANING[name]).alias(f"recent_{name}")
        for name in ZONES
    )  # fmt: skip
    names = ["shooter_tries", *settled, *(f"recent_{name}" for name in ZONES)]
    return rates.select(_GAME, "player_id", *(pl.col(name).cast(pl.Float32) for name in names))


def defence_rates(counted: pl.DataFrame, games: pl.DataFrame) -> pl.DataFrame:
    """Per game and defending team (`opp`), from its earlier games alone: `allowed_{zone}` makes per attempt."""
    sides = games.select(_GAME, "event_time", "home_team", "away_team")
    defended = counted.join(sides, on=_GAME).with_columns(
        opp=pl.when(pl.col("team") == pl.col("home_team")).then("away_team").otherwise("home_team")
    )
    sums = pl.col(*(f"{name}_{what}" for name in ZONES for what in ("tries", "made"))).sum()
    ordered = defended.group_by(_GAME, "opp", "event_time").agg(sums).sort("opp", "event_time", _GAME)
    faded = _faded(DEFENCE_HALF_LIFE, "opp")
    return ordered.select(
        _GAME, "opp",
        *(
            ((faded(f"{name}_made") + LEANING[name] * LEAGUE[name]) / (faded(f"{name}_tries") + LEANING[name]))
            .cast(pl.Float32).alias(f"allowed_{name}")
            for name in ZONES
        ),
    )  # fmt: skip


def type_tallies(taken: pl.DataFrame, games: pl.DataFrame) -> pl.DataFrame:
    """Per date and printed type, value and feet of a shot: `tries` and `hits`, of the `shots` `taken`."""
    dated = taken.join(games.select(_GAME, "game_date"), on=_GAME)
    return dated.group_by("game_date", *CELL, "zone").agg(
        pl.len().cast(pl.Float32).alias("tries"), pl.col("made").sum().cast(pl.Float32).alias("hits")
    )


def type_rates(counted: pl.DataFrame) -> pl.DataFrame:
    """Per date and type, value and feet: `type_rate`, the league's makes per attempt on earlier dates.

    A type at one distance leans towards the type within BAND_FT of feet, and that towards its zone. `counted` are
    `type_tallies` of all seasons known; a cell has a row on the dates on which such a shot was taken.
    """
    band = [*CELL[:-1], "band"]
    fine = counted.with_columns(band=pl.col("distance") // BAND_FT)
    coarse = fine.group_by("game_date", *band, "zone").agg(pl.col("tries", "hits").sum())
    prior = pl.col("zone").replace_strict(LEAGUE, return_dtype=pl.Float64)
    coarse = _earlier(coarse, band, prior, "band_rate").select("game_date", *band, "zone", "band_rate")
    joined = fine.join(coarse, on=["game_date", *band, "zone"], nulls_equal=True)
    return _earlier(joined, list(CELL), pl.col("band_rate"), "type_rate").select("game_date", *CELL, "type_rate")


def _earlier(counted: pl.DataFrame, by: list[str], prior: pl.Expr, name: str) -> pl.DataFrame:
    """Add the share of hits on a cell's earlier dates, leaning towards `prior`."""
    faded = _faded(TYPE_HALF_LIFE, by)
    rate = (faded("hits") + TYPE_LEANING * prior) / (faded("tries") + TYPE_LEANING)
    return counted.sort("game_date").with_columns(rate.cast(pl.Float32).alias(name))


class _faded:
    """Sums over a key's earlier rows, the newest weighing most: 0 in its first row."""

    def __init__(self, half_life: float, key: str | list[str]) -> None:
        self._half_life, self._key = half_life, key

    def __call__(self, column: str) -> pl.Expr:
        keep: float = 0.5 ** (1 / self._half_life)
        # An adjusted mean times the sum of its weights is the decayed sum; over few rows that sum is all of them.
        mean = pl.col(column).ewm_mean(half_life=self._half_life, adjust=True)
        count = pl.int_range(1, pl.len() + 1).cast(pl.Float64)
        total: pl.Expr = mean * (1 - pl.lit(keep).pow(count)) / (1 - keep)
        return total.shift(1, fill_value=0.0).over(self._key)
