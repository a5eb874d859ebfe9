"""What is answered to questions about a game in progress: bodies of `serving.routes.in_game`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from models.live_answers import SHOWN_AMOUNTS
from models.live_game import LiveGame
from models.live_micro import PossessionAnswer, RemainderAnswer, ShotAnswer, SideAnswer
from models.possession.answers import SHARES
from models.selective import GATE
from serving.in_game import GameAnswer, LineAnswer, LiveAnswer, NextAnswer, Source
from serving.recorder import over_target, part_of
from serving.routes.answers import Answer, ModelRef


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
    `teams`, and no gate. The simulated remainder has final points in `teams`, the home side's `probability` of winning,
    `overtime` (its chance) and `futures` (how many were simulated); abstaining, `fallback_answer` is who leads.
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
    overtime: float | None = None
    futures: int | None = None
    confidence: float | None = None
    abstained: bool = False
    answer: str | None = None
    fallback_answer: str | None = None


def game_body(answer: GameAnswer) -> GamePredictionAnswer:
    """Winner, margin and lines, as answered."""
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


def line_body(answer: LineAnswer) -> MicroAnswer:
    """A player against a line, as answered."""
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


def next_body(answer: NextAnswer, kind: str) -> MicroAnswer:
    """What comes next, as answered."""
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
    if isinstance(given, RemainderAnswer):
        return _remainder_body(answer, given, kind)
    first = answer.prediction_id(part_of("points_next_2min", part=given[0].team))
    return MicroAnswer(
        **_shared(answer), kind=kind, target="points_next_2min", prediction_id=first, teams=_teams(given)
    )


def _remainder_body(answer: NextAnswer, given: RemainderAnswer, kind: str) -> MicroAnswer:
    game = answer.found.game
    home, away = game.teams
    confidence = max(given.probability, 1 - given.probability)
    abstained = confidence < GATE
    return MicroAnswer(
        **_shared(answer),
        kind=kind,
        target="home_win",
        prediction_id=answer.prediction_id(part_of("home_win")),
        probability=round(given.probability, 4),
        overtime=None if given.overtime is None else round(given.overtime, 4),
        futures=given.futures,
        confidence=round(confidence, 4),
        abstained=abstained,
        answer=None if abstained else _side(given.probability >= 0.5, home, away),
        fallback_answer=_side(game.state["margin"][0] >= 0, home, away) if abstained else None,
        teams=_teams(given.teams),
    )


def _teams(sides: Sequence[SideAnswer]) -> dict[str, Interval | float]:
    return {
        side.team: round(side.mean, 3) if side.quantiles is None else _interval(side.mean, side.quantiles)
        for side in sides
    }


def _side(yes: bool, if_yes: str, if_no: str) -> str:
    return if_yes if yes else if_no
