"""Questions about a game in progress: its winner and lines (horizon `game`), and what comes next (`micro`)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import polars as pl
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from features.errors import InvalidInput
from features.play.player_rows import AMOUNTS
from features.workspace import League
from models.live_game import as_plays
from serving.context import ContextDep
from serving.in_game import AskedShot
from serving.live_games import AskedGame
from serving.problem import WRITES
from serving.routes.in_game_answers import GamePredictionAnswer, MicroAnswer, game_body, line_body, next_body

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


class RemainderQuestion(BaseModel):
    """How does the game end, if its rest is simulated possession by possession?"""

    kind: Literal["remainder"]


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
    PlayerLineQuestion | NextPossessionQuestion | NextTwoMinutesQuestion | RemainderQuestion | ShotQuestion,
    Field(discriminator="kind"),
]


class MicroQuestion(GameQuestion):
    """A question about what comes next in a game."""

    question: Micro


@router.post("/predictions/game")
async def predict_game(context: ContextDep, question: GameQuestion) -> GamePredictionAnswer:
    """Predict winner, margin and every player's final line of a game in progress."""
    answer = await context.live.game(_asked(question))
    context.recorder.live(answer)
    return game_body(answer)


@router.post("/predictions/micro")
async def predict_micro(context: ContextDep, question: MicroQuestion) -> MicroAnswer:
    """Answer one question about what comes next in a game in progress."""
    asked, what = _asked(question), question.question
    if isinstance(what, PlayerLineQuestion):
        if what.stat not in AMOUNTS:
            raise InvalidInput(f"stat {what.stat!r} is unknown; use one of {', '.join(AMOUNTS)}")
        line = await context.live.line(asked, what.player_id, what.stat, what.line)
        context.recorder.live(line)
        return line_body(line)
    if isinstance(what, ShotQuestion):
        shot = AskedShot(what.shot.type, what.shot.distance, what.shot.shooter_id, what.shot.value)
        answer = await context.live.shot(asked, shot)
    elif isinstance(what, NextPossessionQuestion):
        answer = await context.live.next_possession(asked)
    elif isinstance(what, RemainderQuestion):
        answer = await context.live.remainder(asked)
    else:
        answer = await context.live.next_two_minutes(asked)
    context.recorder.live(answer)
    return next_body(answer, what.kind)


def _asked(question: GameQuestion) -> AskedGame:
    plays: pl.DataFrame | None = None
    if question.plays is not None:
        plays = as_plays([{**row.model_dump(), "game_id": question.game_id} for row in question.plays])
    return AskedGame(question.league, question.game_id, question.asked_at, question.seq, plays, question.tip)
