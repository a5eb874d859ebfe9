"""A game's answer for the hub: home win probability, margin, and every player's final line and chance over his own.

What is constant in a game (what was known at tip-off, each player's own projection) is worked out once; a play then
costs the state of the game and one inference per family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from features.recent import RecentOf
from features.scoring import SITES
from models.bundle import LoadedModel
from models.live_answers import SHOWN_AMOUNTS, USUAL, WinAnswer, line_answers, over_chances, win_answer
from models.live_game import line_rows, win_rows
from models.metrics import Array
from models.selective import GATE
from serving import telemetry
from serving.champion import Champions
from serving.in_game import Source, source_of
from serving.live_games import AskedGame, FoundGame, LiveGames

#: Amount of a line -> its name on a topic: sites, and columns of the box score.
NAMES: Final[dict[str, str]] = {
    **{f"fantasy_points_{site}": site for site in SITES}, "points": "pts", "rebounds": "reb", "assists": "ast",
}  # fmt: skip
#: Amounts whose own line (the projection before the game) a chance is given for.
OVER: Final = (*(f"fantasy_points_{site}" for site in SITES), "points")
#: Games whose own lines are kept.
KEPT: Final = 64
#: Decimals published: what differs by less is noise, not a change.
PROBABILITY_DECIMALS: Final = 3
POINTS_DECIMALS: Final = 1
FEATURE_DIGITS: Final = 6
_SHOWN: Final = ("mean", "q10", "q50", "q90")


@dataclass(frozen=True, slots=True)
class OwnLines:
    """Each player's line to be over, by amount (n,), NaN where he has none; `basis` names where it is from (n,)."""

    lines: Mapping[str, Array]
    basis: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GameLines:
    """A game as answered after play `at_seq`.

    `lines` are rows of `models.live_answers.line_answers`; `over` holds P(over his own line) (n,) by amount for the
    players of `player_ids`; `inputs` are what the winner model read.
    """

    found: FoundGame
    source: Source
    lines_source: Source
    win: WinAnswer
    lines: pl.DataFrame
    player_ids: tuple[int, ...]
    own: OwnLines
    over: Mapping[str, Array]
    inputs: Mapping[str, float | None]

    @property
    def at_seq(self) -> int:
        """The newest play it knows of."""
        return int(self.found.game.moment["seq"][0])

    @property
    def at_elapsed_s(self) -> int:
        """Seconds played by then."""
        return round(float(self.found.game.state["elapsed_s"][0]))


class LiveLines:
    """Asks the champions now serving about games. Raises what `LiveGames.find` raises. For one thread."""

    def __init__(self, champions: Champions, games: LiveGames) -> None:
        self._champions = champions
        self._games = games
        self._own_lines = RecentOf(KEPT, own_lines)

    def answer(self, asked: AskedGame) -> GameLines:
        """The game after its newest play."""
        found = self._games.find(asked)
        win_model = self._champions.get(asked.league, "live_win")
        line_model = self._champions.get(asked.league, "live_line")
        before = self._champions.get(asked.league, "projection")
        game, known = found.game, found.known
        with telemetry.INFERENCE.labels("live_win").time():
            winner = win_rows(game, known)
            win = win_answer(win_model, winner, game)
        with telemetry.INFERENCE.labels("live_line").time():
            rows = line_rows(game, known)
            output = None if line_model is None else line_model.outputs(rows)
            lines = line_answers(line_model, rows, game, output=output)
        ids = tuple(rows["player_id"].to_list())
        own = self._own_lines(known.players, before)
        at = _places(known.players["player_id"].to_list(), ids)
        mine = OwnLines({name: line[at] for name, line in own.lines.items()}, tuple(own.basis[k] for k in at))
        return GameLines(
            found, source_of(found, "live_win", win_model), source_of(found, "live_line", line_model), win, lines, ids,
            mine, {name: over_chances(line_model, rows, game, name, mine.lines[name], output=output) for name in OVER},
            _inputs(win_model, winner),
        )  # fmt: skip


def own_lines(players: pl.DataFrame, model: LoadedModel | None) -> OwnLines:
    """The lines of `players` (`Known.players`): their projection before the game, or what they make as a rule."""
    usual = {name: players[USUAL[name]].cast(pl.Float64).fill_null(math.nan).to_numpy() for name in OVER}
    if model is None or players.is_empty():
        return OwnLines(usual, ("season_mean",) * players.height)
    known = players["games_career"].is_not_null().to_numpy()
    answer = model.outputs(players)
    sites, stats = list(model.config["sites"]), list(model.config.get("stats", ()))
    lines = {}
    for name in OVER:
        site = NAMES[name]
        if site in sites:
            told = answer["mean"][:, sites.index(site)]
        elif name in stats and "stat_mean" in answer:
            told = answer["stat_mean"][:, stats.index(name)]
        else:
            told = usual[name]
        lines[name] = np.where(known, told, usual[name])
    return OwnLines(lines, tuple("projection" if each else "season_mean" for each in known))


def game_topic(answer: GameLines) -> dict[str, Any]:
    """Fields of topic `game:{id}` by writer `model`."""
    win, source = answer.win, answer.source
    low, middle, high = (points(value) for value in win.quantiles)
    chance = round(win.probability, PROBABILITY_DECIMALS)
    return {
        "home_win_probability": chance,
        "home_margin": {"mean": points(win.margin), "q10": low, "q50": middle, "q90": high},
        "gate": GATE,
        "abstained": max(win.probability, 1 - win.probability) < GATE,
        "model": _model(source),
        "fallback": source.fallback,
        "features": dict(answer.inputs),
        "at_seq": answer.at_seq,
        "at_elapsed_s": answer.at_elapsed_s,
    }


def player_topics(answer: GameLines) -> dict[int, dict[str, Any]]:
    """Fields of topic `player:{id}` by writer `model`, for everybody who may play in the game."""
    teams = dict(answer.found.listed.select("player_id", "team").iter_rows())
    appeared = dict(answer.found.listed.select("player_id", "appeared").iter_rows())
    expected: dict[int, dict[str, dict[str, float | None]]] = {}
    columns = answer.lines.select("player_id", "amount", *_SHOWN).iter_rows()
    for player_id, amount, *numbers in columns:
        shown = dict(zip(_SHOWN, map(points, numbers), strict=True))
        expected.setdefault(player_id, {})[NAMES[amount]] = shown
    source = answer.lines_source
    return {
        player_id: {
            "name": answer.found.names.get(player_id),
            "team": teams[player_id],
            "game_id": answer.found.game.game_id,
            "appeared": appeared[player_id],
            "expected": expected[player_id],
            "over_own_line": _over(answer, at),
            "model": _model(source),
            "fallback": source.fallback,
        }
        for at, player_id in enumerate(answer.player_ids)
    }


def points(value: float) -> float | None:
    """A number of points as published, null where it is none."""
    # Adding 0.0 turns -0.0, which is not another number, into 0.0.
    return round(value, POINTS_DECIMALS) + 0.0 if math.isfinite(value) else None


def _over(answer: GameLines, at: int) -> dict[str, Any]:
    """`{draftkings: {line, basis, probability}}` of the player at this place."""
    return {
        NAMES[name]: {
            "line": points(float(answer.own.lines[name][at])),
            "basis": answer.own.basis[at],
            "probability": round(float(chances[at]), PROBABILITY_DECIMALS),
        }
        for name, chances in answer.over.items()
        if math.isfinite(float(chances[at]))
    }


def _inputs(model: LoadedModel | None, rows: pl.DataFrame) -> dict[str, float | None]:
    """What the winner model read, for a copy of it in the browser; nothing where no model answered."""
    if model is None:
        return {}
    read = rows.select(model.features).row(0, named=True)
    return {name: _digits(value) for name, value in read.items()}


def _digits(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{FEATURE_DIGITS}g}") + 0.0


def _model(source: Source) -> dict[str, str]:
    return {"name": source.name, "version": source.version}


def _places(there: list[int], wanted: tuple[int, ...]) -> list[int]:
    """Where each of `wanted` stands in `there`."""
    at = {player_id: place for place, player_id in enumerate(there)}
    return [at[player_id] for player_id in wanted]


assert set(NAMES) == set(SHOWN_AMOUNTS)  # noqa: S101 - every amount answered has a name on the topic
