"""Which games are in progress: what a page has to know before it subscribes to their topics on the live hub."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel

from features.workspace import League
from serving.live.board import Board
from serving.problem import READS

router = APIRouter(prefix="/v1/live", tags=["live"])
READ: Final[dict[int | str, dict[str, Any]]] = {422: READS[422], 503: READS[503]}


class ListedGame(BaseModel):
    """A game whose topics are `game:{game_id}` and `player:{id}` of every id in `players`."""

    game_id: str
    home_team: str
    away_team: str
    tip: datetime
    status: Literal["planned", "live", "final"]
    players: list[int]


class ListedNews(BaseModel):
    """The newest news of a subject: one field changed from `old` to `new`."""

    id: str
    at: datetime
    subject: str
    kind: str
    field: str
    name: str | None
    team: str | None
    old: str | None
    new: str | None


class LiveGameList(BaseModel):
    """The newest day of a league in the order of tip-offs. `source` `simulated` is a made-up league."""

    league: League
    source: League
    games: list[ListedGame]
    news: list[ListedNews]


class CurvePoint(BaseModel):
    """What the winner model said after so many seconds of play; `abstained` is less than .70 sure, `fallback` a
    baseline's."""

    elapsed_s: int
    home_win_probability: float
    kind: Literal["called", "abstained", "fallback"]


class LiveCurve(BaseModel):
    """The answers over a game in the order of play, at most one for each second."""

    league: League
    game_id: str
    points: list[CurvePoint]


def _board(request: Request) -> Board:
    board: Board = request.app.state.board
    return board


@router.get("/games", responses=READ)
def list_live_games(
    board: Annotated[Board, Depends(_board)], league: Annotated[League, Query(description="which league")]
) -> LiveGameList:
    """List the league's games in progress with their players, and the newest news."""
    view = board.view(league)
    return LiveGameList(
        league=league,
        source=league,
        games=[ListedGame.model_validate(game, from_attributes=True) for game in view.games],
        news=[ListedNews.model_validate(news, from_attributes=True) for news in view.news],
    )


@router.get("/games/{game_id}/curve", responses=READ)
def live_curve(
    board: Annotated[Board, Depends(_board)],
    game_id: Annotated[str, Path(max_length=64)],
    league: Annotated[League, Query(description="which league")],
) -> LiveCurve:
    """Give the model's answers over a game from its beginning; none of a game that nobody asked about."""
    points = [CurvePoint(**point._asdict()) for point in board.curve(league, game_id)]
    return LiveCurve(league=league, game_id=game_id, points=points)
