"""Questions about a game in progress: its winner and lines (horizon `game`), and what comes next (`micro`)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import polars as pl
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from features.errors import InvalidInput
from features.play.player_rows import AMOUNTS
from features.workspace import League
from models.live_answers import SHOWN_AMOUNTS
from models.live_game import LiveGame, as_plays
from models.live_micro import PossessionAnswer, ShotAnswer
from models.possession.answers import SHARES
from models.selective import GATE
from serving.context import ContextDep
from serving.in_game import AskedShot, GameAnswer, LineAnswer, LiveAnswer, NextAnswer, Source
from serving.live_games import AskedGame
from serving.problem import WRITES
from serving.recorder import over_target, part_of
from serving.routes.answers import Answer, ModelRef

router = APIRouter(prefix="/v1", tags=["predictions"], responses=WRITES)
#: More plays than any game has had.
MOST_PLAYS: Final = 2000
Finite = Annotated[float, Field(allow_inf_nan=False)]
PlayerId = Annotated[int, Field(ge=1, le=2**31 - 1)]
Lineup = Annotated[str, Field(pattern=r"^\d{1,10}(\|\d{1,10}){0,9}$", description="player ids, `|` between them")]


class PlayRow(BaseModel):
    """One play of a feed, in the names of the play-by-play table; other columns are left aside."""

    seq: int = Field(ge=0, le=32767)
    period: int = Field(ge=1, le=20)
    clock_s: Finite | None = Field(default=None, description="seconds left of the period")
    elapsed_s: Finite | None = Field(
        default=None, description="seconds since tip-off; from the clock where absent"
    )
    event_type: str = Field(max_length=40, examples=["made_shot"])
    subtype: str | None = Field(default=None, max_length=80)
    team: str | None = Field(default=None, max_length=10)
    points: int | None = Field(default=None, ge=0, le=4)
    shot_value: int | None = Field(default=None, ge=2, le=3)
    shot_dist: int | None = Field(default=None, ge=0, le=94)
    p1_id: PlayerId | None = None
    p2_id: PlayerId | None = None
    p3_id: PlayerId | None = None
    home_team: str = Field(min_length=1, max_length=10)
    away_team: str = Field(min_length=1, max_length=10)
    home_score: int | None = Field(default=None, ge=0, le=500)
    away_score: int | None = Field(default=None, ge=0, le=500)
    home_lineup: Lineup | None = None
    away_lineup: Lineup | None = None


class GameQuestion(BaseModel):
    """Ask about a game as of its newest play, a named moment, or one play (`seq`, which overrules `asked_at`)."""

    league: League = "nba"
    game_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$", examples=["0022400001"])
    asked_at: Literal["now", "q1", "half", "q3"] = "now"
    seq: int | None = Field(default=None, ge=-32768, le=32767)
    plays: list[PlayRow] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_PLAYS,
        description="a live feed's plays; the stored ones if absent",
    )
    tip: AwareDatetime | None = Field(
        default=None, description="tip-off of a game that is not stored; now if absent"
    )


class PlayerLineQuestion(BaseModel):
    """Does a player end above a line? Without `line` above his own projection before the game, or his usual amount."""

    kind: Literal["player_line"]
    player_id: PlayerId
    stat: str = Field(default="fantasy_points_draftkings", max_length=40, examples=list(AMOUNTS))
    line: Annotated[float, Field(allow_inf_nan=False, ge=-1000, le=1000)] | None = None


class NextPossessionQuestion(BaseModel):
    """How many points does the possession under way, or about to begin, bring?"""

    kind: Literal["next_possession"]


class NextTwoMinutesQuestion(BaseModel):
    """How many points does each team score in the next two minutes of play?"""

    kind: Literal["next_two_minutes"]


class Shot(BaseModel):
    """A shot thrown now. `value` is told by the distance unless given (a three from 23 feet on)."""

    type: str = Field(max_length=80, examples=["Jump Shot", "Driving Layup Shot"])
    distance: int | None = Field(default=None, ge=0, le=94, description="feet")
    shooter_id: PlayerId
    value: Literal[2, 3] | None = None


class ShotQuestion(BaseModel):
    """Does a shot go in?"""

    kind: Literal["shot"]
    shot: Shot


Micro = Annotated[
    PlayerLineQuestion | NextPossessionQuestion | NextTwoMinutesQuestion | ShotQuestion,
    Field(discriminator="kind"),
]


class MicroQuestion(GameQuestion):
    """A question about what comes next in a game."""

    question: Micro


class Standing(BaseModel):
    """Where the game stood at the moment asked about. `asked_at` is q1, half, q3 or event (any play)."""

    asked_at: str
    seq: int
    period: int
    clock_s: float
    elapsed_s: float
    home_score: int
    away_score: int


class Interval(BaseModel):
    """A number with its 80 % interval (q10 to q90)."""

    mean: float
    q10: float
    q50: float
    q90: float


class LineStat(Interval):
    """A player's final amount, and what he has so far."""

    prediction_id: UUID
    so_far: float


class PlayerLine(BaseModel):
    """A player's final line. `finished`: nothing can be added; who has not `appeared` is answered as if he will."""

    player_id: int
    name: str | None
    team: str
    appeared: bool
    on_court: bool | None
    finished: bool
    stats: dict[str, LineStat]


class LiveAnswerBody(Answer):
    """What every answer about a game says. `final`: the game is over, its result is given, not predicted."""

    game_id: str
    home_team: str
    away_team: str
    moment: Standing
    final: bool
    gate: float


class GamePredictionAnswer(LiveAnswerBody):
    """P(home win), margin and lines. Below the gate `winner` abstains and `fallback_winner` names who leads (the home
    side when level)."""

    horizon: Literal["game"] = "game"
    prediction_id: UUID
    home_win_probability: float
    confidence: float
    abstained: bool
    winner: str | None
    fallback_winner: str | None
    home_margin: Interval
    lines_model: ModelRef
    players: list[PlayerLine]


class MicroAnswer(LiveAnswerBody):
    """The answer to one micro question. `answer` is null when it abstains; then `fallback_answer` is the baseline's.

    Yes-no questions have `probability` and `confidence`; player lines also `expected` and `line` (with `line_basis`:
    asked, projection or season_mean); possessions have `chances` of 0, 1, 2 and 3 or more points; two minutes have
    `teams`, and no gate.
    """

    horizon: Literal["micro"] = "micro"
    kind: str
    target: str
    prediction_id: UUID
    player_id: int | None = None
    line: float | None = None
    line_basis: str | None = None
    so_far: float | None = None
    expected: Interval | None = None
    team: str | None = None
    chances: list[float] | None = None
    teams: dict[str, Interval | float] | None = None
    probability: float | None = None
    confidence: float | None = None
    abstained: bool = False
    answer: str | None = None
    fallback_answer: str | None = None


@router.post("/predictions/game")
async def predict_game(context: ContextDep, question: GameQuestion) -> GamePredictionAnswer:
    """Predict winner, margin and every player's final line of a game in progress."""
    answer = await context.live.game(_asked(question))
    context.recorder.live(answer)
    win, game = answer.win, answer.found.game
    confidence = max(win.probability, 1 - win.probability)
    abstained = confidence < GATE
    home, away = game.teams
    return GamePredictionAnswer(
        **_shared(answer, lines=answer.lines_source),
        prediction_id=answer.prediction_id(part_of("home_win")),
        home_win_probability=round(win.probability, 4),
        confidence=round(confidence, 4),
        abstained=abstained,
        winner=None if abstained else (home if win.probability >= 0.5 else away),
        fallback_winner=(away if game.state["margin"][0] < 0 else home) if abstained else None,
        home_margin=_interval(win.margin, win.quantiles),
        lines_model=_ref(answer.lines_source),
        players=_players(answer),
    )


@router.post("/predictions/micro")
async def predict_micro(context: ContextDep, question: MicroQuestion) -> MicroAnswer:
    """Answer one question about what comes next in a game in progress."""
    asked, what = _asked(question), question.question
    if isinstance(what, PlayerLineQuestion):
        if what.stat not in AMOUNTS:
            raise InvalidInput(f"stat {what.stat!r} is unknown; use one of {', '.join(AMOUNTS)}")
        line = await context.live.line(asked, what.player_id, what.stat, what.line)
        context.recorder.live(line)
        return _line_body(line)
    if isinstance(what, ShotQuestion):
        shot = AskedShot(what.shot.type, what.shot.distance, what.shot.shooter_id, what.shot.value)
        answer = await context.live.shot(asked, shot)
    elif isinstance(what, NextPossessionQuestion):
        answer = await context.live.next_possession(asked)
    else:
        answer = await context.live.next_two_minutes(asked)
    context.recorder.live(answer)
    return _next_body(answer, what.kind)


def _asked(question: GameQuestion) -> AskedGame:
    plays: pl.DataFrame | None = None
    if question.plays is not None:
        plays = as_plays([{**row.model_dump(), "game_id": question.game_id} for row in question.plays])
    return AskedGame(question.league, question.game_id, question.asked_at, question.seq, plays, question.tip)


def _ref(source: Source) -> ModelRef:
    return ModelRef(name=source.name, version=source.version)


def _shared(answer: LiveAnswer, lines: Source | None = None) -> dict[str, Any]:
    found = answer.found
    home, away = found.game.teams
    return {
        "model": _ref(answer.source),
        "data_timestamp": found.data_timestamp,
        "source": found.league,
        "fallback": answer.source.fallback or (lines is not None and lines.fallback),
        "warnings": list(dict.fromkeys(answer.warnings)),
        "latency_ms": round(answer.latency_ms, 3),
        "game_id": found.game.game_id,
        "home_team": home,
        "away_team": away,
        "moment": _standing(found.game),
        "final": found.game.final,
        "gate": GATE,
    }


def _standing(game: LiveGame) -> Standing:
    state = game.state.row(0, named=True)
    return Standing(**{name: state[name] for name in Standing.model_fields})


def _interval(mean: float, quantiles: tuple[float, float, float]) -> Interval:
    low, middle, high = (round(value, 3) for value in quantiles)
    return Interval(mean=round(mean, 3), q10=low, q50=middle, q90=high)


def _players(answer: GameAnswer) -> list[PlayerLine]:
    found = answer.found
    now = {row["player_id"]: row for row in found.game.lines.iter_rows(named=True)}
    stats: dict[int, dict[str, LineStat]] = {}
    for line in answer.lines.iter_rows(named=True):
        player_id, amount = line["player_id"], line["amount"]
        numbers = {name: round(line[name], 3) for name in ("mean", "q10", "q50", "q90", "so_far")}
        made = LineStat(prediction_id=answer.prediction_id(part_of(amount, player_id)), **numbers)
        stats.setdefault(player_id, {})[amount] = made
    players = [
        PlayerLine(
            player_id=row["player_id"],
            name=found.names.get(row["player_id"]),
            team=row["team"],
            appeared=row["appeared"],
            on_court=now[row["player_id"]]["on_court"] if row["player_id"] in now else False,
            finished=found.game.final or bool(row["player_id"] in now and now[row["player_id"]]["finished"]),
            stats=stats[row["player_id"]],
        )
        for row in found.listed.iter_rows(named=True)
    ]
    return sorted(players, key=lambda player: -player.stats[SHOWN_AMOUNTS[0]].mean)


def _line_body(answer: LineAnswer) -> MicroAnswer:
    over, target = answer.over, over_target(answer)
    confidence = max(over.probability, 1 - over.probability)
    abstained = confidence < GATE
    return MicroAnswer(
        **_shared(answer),
        kind="player_line",
        target=target,
        prediction_id=answer.prediction_id(part_of(target, answer.player_id)),
        player_id=answer.player_id,
        line=round(answer.line, 3),
        line_basis=answer.basis,
        so_far=over.so_far,
        expected=_interval(over.mean, over.quantiles),
        probability=round(over.probability, 4),
        confidence=round(confidence, 4),
        abstained=abstained,
        answer=None if abstained else _side(over.probability >= 0.5, "over", "under"),
        fallback_answer=_side(answer.pace_over, "over", "under") if abstained else None,
    )


def _next_body(answer: NextAnswer, kind: str) -> MicroAnswer:
    given = answer.given
    if isinstance(given, ShotAnswer):
        confidence = max(given.probability, 1 - given.probability)
        return MicroAnswer(
            **_shared(answer), kind=kind, target="shot_made",
            prediction_id=answer.prediction_id(part_of("shot_made")),
            probability=round(given.probability, 4), confidence=round(confidence, 4), abstained=confidence < GATE,
            answer=None if confidence < GATE else _side(given.probability >= 0.5, "made", "missed"),
            fallback_answer=_side(given.zone == "rim", "made", "missed") if confidence < GATE else None,
        )  # fmt: skip
    if isinstance(given, PossessionAnswer):
        confidence = max(given.chances)
        likeliest = str(given.chances.index(confidence))
        return MicroAnswer(
            **_shared(answer), kind=kind, target="next_possession_points",
            prediction_id=answer.prediction_id(part_of("next_possession_points")), team=given.team,
            chances=[round(chance, 4) for chance in given.chances], confidence=round(confidence, 4),
            abstained=confidence < GATE, answer=None if confidence < GATE else likeliest,
            fallback_answer=str(SHARES.index(max(SHARES))) if confidence < GATE else None,
        )  # fmt: skip
    teams: dict[str, Interval | float] = {
        side.team: round(side.mean, 3) if side.quantiles is None else _interval(side.mean, side.quantiles)
        for side in given
    }
    first = answer.prediction_id(part_of("points_next_2min", part=given[0].team))
    return MicroAnswer(**_shared(answer), kind=kind, target="points_next_2min", prediction_id=first, teams=teams)


def _side(yes: bool, if_yes: str, if_no: str) -> str:
    return if_yes if yes else if_no
