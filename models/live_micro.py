"""What comes next in a game in progress: the next possession, the next two minutes, a shot, and the rest of it all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from features.as_of import as_of_join
from features.errors import InvalidInput, NotMaterialized
from features.play.moments import OVERTIME_S, QUARTER_S
from features.play.possessions import possessions
from features.play.shots import LEAGUE, shots
from features.play.views import (
    DEFENCE_FEATURES,
    DEFENCES,
    SHOOTER_FEATURES,
    SHOOTERS,
    TYPES,
    with_type_rate,
)
from models.bundle import LoadedModel
from models.live_answers import win_answer
from models.live_game import Known, LiveGame, win_rows
from models.metrics import Array
from models.possession.answers import PACE_POINTS, SHARES
from models.possession.network import PossessionNetwork
from models.possession.remainder import GameState, law_of, simulate
from models.possession.rows import ASKED_AT, NEXT_S, at_moments, season_states, with_state, with_strength
from models.projection.config import LEVELS
from models.shot.data import own_features

#: From here on a shot counts three (the arc is at 22 feet in the corners, at 23.75 elsewhere).
THREE_FT: Final = 23
#: Ways for a game to go on that are simulated: the standard error of a probability is at most .011. And their seed.
FUTURES: Final = 2000
SEED: Final = 20_261_123


@dataclass(frozen=True, slots=True)
class PossessionAnswer:
    """Chances of 0, 1, 2 and 3 or more points of the possession of `team`; `began`: how it came to the ball."""

    team: str
    began: str
    chances: tuple[float, float, float, float]
    fallback: bool


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """Points of `team` in the next two minutes of play (fewer where the game ends before): mean and q10, q50, q90."""

    team: str
    mean: float
    quantiles: tuple[float, float, float] | None
    fallback: bool


@dataclass(frozen=True, slots=True)
class ShotAnswer:
    """P(the shot goes in); `basis`: what the shooter's record and the type tell, or only the zone's base rate."""

    probability: float
    zone: str
    fallback: bool


@dataclass(frozen=True, slots=True)
class RemainderAnswer:
    """How the game ends: P(home wins), P(overtime, null from the baseline), and final points of home and away.

    `futures` is how many ways to go on were simulated, 0 where the baseline answered.
    """

    probability: float
    overtime: float | None
    teams: tuple[SideAnswer, SideAnswer]
    futures: int
    fallback: bool


def next_possession(model: LoadedModel | None, game: LiveGame, known: Known) -> PossessionAnswer:
    """The possession under way, or the one about to begin where the last play ended one.

    Raises `NotMaterialized` for a game that is over.
    """
    _still_on(game)
    plays = _with_next_side(game)
    states = season_states(plays, share=1, events=0).filter(pl.col("asked_at") == ASKED_AT)
    state = states.sort("seq").tail(1)
    team, began = str(state["team"][0]), str(state["began"][0])
    if model is None:
        zero, one, two, three = SHARES
        return PossessionAnswer(team, began, (zero, one, two, three), fallback=True)
    points = model.outputs(_with_strength(state, game, known))["points"][0]
    zero, one, two, three = (float(each) for each in points)
    return PossessionAnswer(team, began, (zero, one, two, three), fallback=False)


def next_two_minutes(model: LoadedModel | None, game: LiveGame, known: Known) -> list[SideAnswer]:
    """Home and away. Raises `NotMaterialized` for a game that is over."""
    _still_on(game)
    if model is None:
        left = float(game.state["left_s"][0])
        points = PACE_POINTS * min(left, NEXT_S) / NEXT_S
        return [SideAnswer(team, points, None, fallback=True) for team in game.teams]
    plays = _with_next_side(game)
    states = at_moments(game.moment, possessions(plays), plays)
    rows = _with_strength(states, game, known).sort("at_home", descending=True)
    answer = model.outputs(rows)
    at = [LEVELS.index(level) for level in (0.10, 0.50, 0.90)]
    return [
        SideAnswer(team, float(answer["next_mean"][k]), _three(answer["next_quantiles"][k, at]), fallback=False)
        for k, team in enumerate(rows["team"].to_list())
    ]


def remainder(
    model: LoadedModel | None, game: LiveGame, known: Known, *, futures: int = FUTURES, seed: int = SEED
) -> RemainderAnswer:
    """The rest of the game, simulated possession by possession; equal questions have equal answers.

    Without a model the Brownian margin answers, with the league's pace for the points. Raises `NotMaterialized` for a
    game that is over.
    """
    _still_on(game)
    scores = [int(game.state[name][0]) for name in ("home_score", "away_score")]
    if model is None:
        win = win_answer(None, win_rows(game, known), game)
        ahead = PACE_POINTS * float(game.state["left_s"][0]) / NEXT_S
        home, away = (
            SideAnswer(team, score + ahead, None, fallback=True)
            for team, score in zip(game.teams, scores, strict=True)
        )
        return RemainderAnswer(win.probability, None, (home, away), 0, fallback=True)
    plays = _with_next_side(game)
    found = possessions(plays)
    sides = _with_strength(at_moments(game.moment, found, plays), game, known).sort("at_home", descending=True)
    if not isinstance(model.network, PossessionNetwork):
        raise InvalidInput(f"{model.name} is no possession model; ask the champion of family possession")
    law = law_of(model.network, model.bundle.calibration, sides)
    told, state = sides.row(0, named=True), game.state.row(0, named=True)
    openers = found.filter(pl.col("period") == 1)
    start = GameState(
        lead=int(state["margin"]), period=int(state["period"]), clock_s=float(state["clock_s"]),
        ball_home=told["has_ball"] == 1, began=str(told["began"]),
        first_home=bool(openers["offence_home"][0]) if openers.height else None,
    )  # fmt: skip
    ways = simulate(law, start, futures=futures, seed=seed)
    final = np.asarray(scores) + ways.points
    home, away = (
        SideAnswer(
            team, float(final[:, k].mean()), _three(np.quantile(final[:, k], (0.10, 0.50, 0.90))), fallback=False
        )
        for k, team in enumerate(game.teams)
    )
    overtime = float(np.mean(ways.overtimes > max(start.period - 4, 0)))
    return RemainderAnswer(ways.win_probability(start.lead), overtime, (home, away), futures, fallback=False)


def shot_answer(
    model: LoadedModel | None,
    game: LiveGame,
    known: Known,
    *,
    shooter_id: int,
    kind: str,
    distance: int | None,
    value: int | None = None,
) -> ShotAnswer:
    """A shot of the printed type `kind` from `distance` feet, thrown now. `value` is told by the distance unless given.

    Raises `NotMaterialized` when the shooter is in neither team, or the game is over.
    """
    _still_on(game)
    row = shot_row(game, known, shooter_id=shooter_id, kind=kind, distance=distance, value=value)
    zone = str(row["zone"][0])
    if model is None:
        return ShotAnswer(LEAGUE[zone], zone, fallback=True)
    return ShotAnswer(float(model.outputs(row)["make_probability"][0]), zone, fallback=False)


def shot_row(
    game: LiveGame, known: Known, *, shooter_id: int, kind: str, distance: int | None, value: int | None
) -> pl.DataFrame:
    """The one row of `models.shot.config.FEATURES`; records are null where the views made from plays are missing."""
    own = known.players.filter(pl.col("player_id") == shooter_id)
    if own.is_empty():
        raise NotMaterialized(f"shooter_id {shooter_id}: nobody of that id plays in game {game.game_id!r}")
    worth = value if value is not None else (3 if distance is not None and distance >= THREE_FT else 2)
    attempt = _next_row(game).with_columns(
        pl.lit("missed_shot").alias("event_type"), pl.lit(kind).alias("subtype"),
        pl.lit(own["team"][0]).alias("team"), pl.lit(shooter_id, pl.Int32).alias("p1_id"),
        pl.lit(distance, pl.Int8).alias("shot_dist"), pl.lit(worth, pl.Int8).alias("shot_value"),
    )  # fmt: skip
    taken = shots(pl.concat([game.plays, attempt])).tail(1)
    entity = game.entity.select("game_id", "game_date", "season", "season_type", "as_of")
    rows = taken.join(entity, on="game_id")
    views = known.views
    rows = _joined(rows, views.get(SHOOTERS), ["player_id"], SHOOTER_FEATURES)
    defences = views.get(DEFENCES)
    rows = _joined(rows, None if defences is None else defences.rename({"team": "opp"}), ["opp"], DEFENCE_FEATURES)
    if TYPES in views:
        rows = with_type_rate(rows, views[TYPES])
    else:
        rows = rows.with_columns(type_rate=pl.lit(None, pl.Float32))
    return rows.with_columns(own_features())


def _joined(rows: pl.DataFrame, view: pl.DataFrame | None, by: list[str], names: tuple[str, ...]) -> pl.DataFrame:
    if view is None:
        return rows.with_columns(pl.lit(None, pl.Float32).alias(name) for name in names)
    return as_of_join(rows, view, by=by)


def _still_on(game: LiveGame) -> None:
    if game.final:
        home, away = game.state["home_score"][0], game.state["away_score"][0]
        raise NotMaterialized(
            f"game_id {game.game_id!r} is over ({home}-{away}): nothing comes next; ask at a seq"
        )


def _next_row(game: LiveGame) -> pl.DataFrame:
    """A row after the newest at the moment's clock, on which nothing has happened yet."""
    nothing = [pl.lit(None, game.plays.schema[name]).alias(name) for name in
               ("team", "subtype", "p1_id", "p2_id", "p3_id", "shot_value", "shot_dist", "event_num")]  # fmt: skip
    return game.plays.tail(1).with_columns(
        pl.col("seq") + 1, *nothing, pl.lit("timeout").alias("event_type"),
        pl.lit(0, game.plays.schema["points"]).alias("points"),
        pl.col("home_score", "away_score").fill_null(0),
    )  # fmt: skip


def _with_next_side(game: LiveGame) -> pl.DataFrame:
    """The plays, and at a break or before the first possession a first act of whoever opens, so that it has begun.

    At a break the rule says who opens (`game_state`'s `ball`); the home side where that is not known.
    """
    found = possessions(game.plays)
    at_break = float(game.moment["clock_s"][0]) <= 0
    if found.height and not at_break:
        return game.plays
    state = game.state.row(0, named=True)
    team = game.teams[1] if state["ball"] < 0 else game.teams[0]
    row = _next_row(game).with_columns(pl.lit("missed_shot").alias("event_type"), pl.lit(team).alias("team"))
    if at_break:
        period = int(state["period"]) + 1
        length = float(QUARTER_S if period <= 4 else OVERTIME_S)
        row = row.with_columns(
            period=pl.lit(period, game.plays.schema["period"]),
            clock_s=pl.lit(length, game.plays.schema["clock_s"]),
            elapsed_s=pl.lit(float(state["elapsed_s"]), game.plays.schema["elapsed_s"]),
        )
    return pl.concat([game.plays, row])


def _with_strength(states: pl.DataFrame, game: LiveGame, known: Known) -> pl.DataFrame:
    games = game.entity.rename({"as_of": "event_time"})
    return with_strength(with_state(states), games, known.players, known.views)


def _three(values: Array) -> tuple[float, float, float]:
    low, middle, high = (float(each) for each in np.asarray(values))
    return low, middle, high
