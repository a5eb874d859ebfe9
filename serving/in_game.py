"""Answers about games in progress (horizons `game` and `micro`) by the champions now serving, off the event loop.

A question answered before about the same play, models and data is the same answer again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl
import torch

from features.errors import InvalidInput, NotMaterialized
from features.labels import BOX_LINE
from features.recent import Recent
from features.scoring import SITES, fantasy_points
from models.bundle import LoadedModel
from models.live_answers import (
    SHOWN_AMOUNTS,
    OverAnswer,
    WinAnswer,
    line_answers,
    over_answer,
    pace_side,
    usual_amount,
    win_answer,
)
from models.live_game import line_rows, win_rows
from models.live_micro import (
    PossessionAnswer,
    RemainderAnswer,
    ShotAnswer,
    SideAnswer,
    next_possession,
    next_two_minutes,
    remainder,
    shot_answer,
)
from serving import telemetry
from serving.champion import Champions, FamilyName
from serving.live_games import AskedGame, FoundGame, LiveGames

#: Answers kept in this process.
KEPT: Final = 256
#: Questions about games answered side by side.
THREADS: Final = 2
#: Who answers where no model does, and the version of that rule.
BASELINES: Final[dict[str, str]] = {
    "live_win": "baseline-brownian", "live_line": "baseline-pace", "possession": "baseline-base-rate",
    "shot": "baseline-zone-rate",
}  # fmt: skip
BASELINE_VERSION: Final = "1"
FINAL: Final = "final-score"
T = TypeVar("T", bound="LiveAnswer")
NextGiven = PossessionAnswer | ShotAnswer | RemainderAnswer | tuple[SideAnswer, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Model and version behind a number; `fallback` when it is a baseline because no model is champion."""

    name: str
    version: str
    fallback: bool


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What every answer about a game carries. `question` names everything the numbers depend on."""

    found: FoundGame
    source: Source
    question: str
    warnings: tuple[str, ...]
    latency_ms: float

    def prediction_id(self, part: str) -> UUID:
        """The id under which one number of the answer is recorded."""
        return uuid5(NAMESPACE_URL, f"{self.question}/{part}")


@dataclass(frozen=True, slots=True)
class GameAnswer(LiveAnswer):
    """Winner, margin, and one row per player and amount (`models.live_answers.line_answers`) by `lines_source`."""

    win: WinAnswer
    lines: pl.DataFrame
    lines_source: Source


@dataclass(frozen=True, slots=True)
class LineAnswer(LiveAnswer):
    """A player's amount against a line. `basis` says where the line is from, `pace_over` what the pace answers."""

    player_id: int
    amount: str
    line: float
    basis: str
    over: OverAnswer
    pace_over: bool


@dataclass(frozen=True, slots=True)
class NextAnswer(LiveAnswer):
    """The next possession, the next two minutes, a shot, or the rest of the game."""

    given: NextGiven


@dataclass(frozen=True, slots=True)
class AskedShot:
    """A shot thrown now: printed type, feet, shooter, and 2 or 3 where the distance does not tell."""

    kind: str
    distance: int | None
    shooter_id: int
    value: int | None = None


class LivePredictor:
    """Asks the champions about games. Raises what `LiveGames.find` and the models raise."""

    def __init__(self, champions: Champions, games: LiveGames, *, torch_threads: int = 1) -> None:
        self._champions = champions
        self._games = games
        self._kept: Recent[str, LiveAnswer] = Recent(KEPT)
        self._threads = ThreadPoolExecutor(
            THREADS, "live", initializer=torch.set_num_threads, initargs=(torch_threads,)
        )

    def close(self) -> None:
        """Finish what is under way and stop the threads."""
        self._threads.shutdown(wait=True)

    async def game(self, asked: AskedGame) -> GameAnswer:
        """Winner, margin and every player's final line."""
        return await self._run(lambda: self._game(asked))

    async def line(self, asked: AskedGame, player_id: int, amount: str, line: float | None) -> LineAnswer:
        """P(final amount over a line), by default the player's own projection before the game."""
        return await self._run(lambda: self._line(asked, player_id, amount, line))

    async def next_possession(self, asked: AskedGame) -> NextAnswer:
        """Points of the possession under way or about to begin."""
        return await self._run(
            lambda: self._next(asked, "possession", "possession", lambda m, f: next_possession(m, f.game, f.known))
        )

    async def next_two_minutes(self, asked: AskedGame) -> NextAnswer:
        """Points per team in the next two minutes of play."""
        return await self._run(
            lambda: self._next(
                asked, "possession", "two_minutes", lambda m, f: tuple(next_two_minutes(m, f.game, f.known))
            )
        )

    async def remainder(self, asked: AskedGame) -> NextAnswer:
        """How the game ends, by simulating the rest of it."""
        return await self._run(
            lambda: self._next(asked, "possession", "remainder", lambda m, f: remainder(m, f.game, f.known))
        )

    async def shot(self, asked: AskedGame, shot: AskedShot) -> NextAnswer:
        """P(a shot goes in)."""

        def ask(model: LoadedModel | None, found: FoundGame) -> ShotAnswer:
            return shot_answer(
                model, found.game, found.known, shooter_id=shot.shooter_id, kind=shot.kind, distance=shot.distance,
                value=shot.value,
            )  # fmt: skip

        return await self._run(lambda: self._next(asked, "shot", repr(shot), ask))

    async def _run(self, answer: Callable[[], T]) -> T:
        started = time.perf_counter()
        found = await asyncio.get_running_loop().run_in_executor(self._threads, answer)
        return replace(found, latency_ms=1000 * (time.perf_counter() - started))

    def _game(self, asked: AskedGame) -> GameAnswer:
        found = self._games.find(asked)
        win_model, line_model = (self._champions.get(asked.league, name) for name in ("live_win", "live_line"))
        question = _question(found, "game", win_model, line_model)
        kept = self._kept.get(question)
        if isinstance(kept, GameAnswer):
            return kept
        game, known = found.game, found.known
        with telemetry.INFERENCE.labels("live_win").time():
            win = win_answer(win_model, win_rows(game, known), game)
        with telemetry.INFERENCE.labels("live_line").time():
            lines = line_answers(line_model, line_rows(game, known), game)
        if game.final:
            lines = _final_lines(lines, found.box)
        sources = [source_of(found, "live_win", win_model), source_of(found, "live_line", line_model)]
        warnings = [*found.warnings, *_without(sources)]
        if not game.final:
            warnings.append("lines of players with appeared false are given that they come into the game")
        return self._keep(GameAnswer(found, sources[0], question, tuple(warnings), 0.0, win, lines, sources[1]))

    def _line(self, asked: AskedGame, player_id: int, amount: str, line: float | None) -> LineAnswer:
        found = self._games.find(asked)
        model = self._champions.get(asked.league, "live_line")
        before = self._champions.get(asked.league, "projection") if line is None else None
        question = _question(found, f"line/{player_id}/{amount}/{line}", model, before)
        kept = self._kept.get(question)
        if isinstance(kept, LineAnswer):
            return kept
        rows = line_rows(found.game, found.known)
        row = rows.filter(pl.col("player_id") == player_id)
        if row.is_empty():
            raise NotMaterialized(f"player_id {player_id}: nobody of that id may appear in game {asked.game_id!r}")
        basis, at = ("asked", line) if line is not None else _own_line(found, before, row, amount)
        if at is None:
            raise InvalidInput(f"line: player {player_id} has no earlier game to take one from; give a line")
        with telemetry.INFERENCE.labels("live_line").time():
            over = over_answer(model, row, found.game, amount, at)
        source = source_of(found, "live_line", model)
        warnings = (*found.warnings, *_without([source]))
        return self._keep(
            LineAnswer(
                found,
                source,
                question,
                warnings,
                0.0,
                player_id,
                amount,
                at,
                basis,
                over,
                pace_side(row, amount, at),
            )
        )

    def _next(
        self,
        asked: AskedGame,
        family: FamilyName,
        what: str,
        ask: Callable[[LoadedModel | None, FoundGame], NextGiven],
    ) -> NextAnswer:
        found = self._games.find(asked)
        model = self._champions.get(asked.league, family)
        question = _question(found, what, model)
        kept = self._kept.get(question)
        if isinstance(kept, NextAnswer):
            return kept
        with telemetry.INFERENCE.labels(family).time():
            given = ask(model, found)
        source = source_of(found, family, model)
        return self._keep(NextAnswer(found, source, question, (*found.warnings, *_without([source])), 0.0, given))

    def _keep(self, answer: T) -> T:
        self._kept.put(answer.question, answer)
        return answer


def _question(found: FoundGame, what: str, *models: LoadedModel | None) -> str:
    named = [None if model is None else (model.name, model.version) for model in models]
    text = repr((found.league, found.game.game_id, found.content, what, named))
    return f"{found.league}:{found.game.game_id}:{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def source_of(found: FoundGame, family: str, model: LoadedModel | None) -> Source:
    """Who answers: the final score, the champion, or the family's baseline."""
    if found.game.final:
        return Source(FINAL, BASELINE_VERSION, fallback=False)
    if model is None:
        return Source(BASELINES[family], BASELINE_VERSION, fallback=True)
    return Source(model.name, model.version, fallback=False)


def _without(sources: list[Source]) -> list[str]:
    return [f"no in-game model of this league is champion: {s.name} answers" for s in sources if s.fallback]


def _own_line(
    found: FoundGame, model: LoadedModel | None, row: pl.DataFrame, amount: str
) -> tuple[str, float | None]:
    """The player's own projection before the game, or his usual amount."""
    known = found.known.players.filter(pl.col("player_id") == row["player_id"][0])
    stats = () if model is None else model.config.get("stats", ())
    if model is not None and known["games_career"][0] is not None:
        answer = model.outputs(known)
        site = amount.removeprefix("fantasy_points_")
        if site in model.config["sites"]:
            return "projection", float(answer["mean"][0, list(model.config["sites"]).index(site)])
        if amount in stats:
            return "projection", float(answer["stat_mean"][0, list(stats).index(amount)])
    return "season_mean", usual_amount(row, amount)


def _final_lines(lines: pl.DataFrame, box: pl.DataFrame) -> pl.DataFrame:
    """The published box lines where there are any; who has none did not play."""
    if box.is_empty():
        return lines
    amounts: list[Any] = [fantasy_points(site).alias(f"fantasy_points_{site}") for site in SITES]
    amounts += [pl.col(column).alias(name) for name, column in BOX_LINE.items()]
    told = box.select("player_id", *(each.cast(pl.Float64) for each in amounts)).unpivot(
        on=list(SHOWN_AMOUNTS), index="player_id", variable_name="amount", value_name="told"
    )
    joined = lines.join(told, on=["player_id", "amount"], how="left", maintain_order="left")
    numbers = ("so_far", "mean", "q10", "q50", "q90")
    return joined.with_columns(pl.coalesce("told", name).alias(name) for name in numbers).drop("told")
