"""The edge tier: answers from what this process holds in memory, without waiting for anything.

What a model said of a game is exact while the game has not moved on. Once it has, the Brownian margin answers from
score and clock: approximate, and told so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from scipy.special import ndtr

from features.errors import InvalidInput, NotMaterialized
from features.play.moments import REGULATION_S
from models import what_if

#: Plays by which a model's answer may lie behind the game and still be the answer.
FRESH_PLAYS: Final = 2
BROWNIAN: Final = {"name": "baseline-brownian", "version": "1"}
RESULT: Final = {"name": "final-score", "version": "1"}
#: Standard deviations between the 10 % and the 90 % quantile of a normal.
_Q10_TO_Q90: Final = 2.5631031310892007
_LEAST_SD: Final = 1e-6
_STATE: Final = (
    "home_team", "away_team", "status", "period", "clock_s", "home_score", "away_score", "seq",
)  # fmt: skip
Values = Mapping[str, Any]


class Topics(Protocol):
    """The live topics of one league: `serving.live.mirror.Mirror`, or a hub worker's own."""

    def whole(self, topic: str) -> Values | None:
        """All fields of a topic, of every writer; None when nothing is known of it."""
        ...

    def at_ns(self, topic: str) -> int | None:
        """When the newest thing known of a topic was created (UNIX ns)."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An answer and where it is from. `full` is false when a model would answer better; then `fallback` is true.

    `features` are the model's inputs for the game as it stands, where a model would answer better.
    """

    answer: dict[str, Any]
    model: Values | None
    data_timestamp: datetime | None
    fallback: bool = False
    full: bool = True
    features: Mapping[str, float | None] | None = None
    warnings: tuple[str, ...] = field(default=())


def game(topics: Topics, game_id: str) -> Found:
    """A game in progress and who wins it. Raises `NotMaterialized` when it is not live."""
    topic = f"game:{game_id}"
    whole, lead = _scored(topics, game_id)
    at = _at(topics, topic)
    told = {name: whole.get(name) for name in _STATE}
    if whole.get("status") == "final":
        margin = dict.fromkeys(("mean", "q10", "q50", "q90"), lead)
        result = {**told, "home_win_probability": float(lead > 0), "home_margin": margin}
        return Found(result, RESULT, at)
    said, behind = whole.get("home_win_probability"), _behind(whole)
    if said is not None and behind is not None and behind <= FRESH_PLAYS:
        answer = {**told, "home_win_probability": said, "home_margin": whole.get("home_margin")}
        return Found(answer, whole.get("model"), at, bool(whole.get("fallback")))
    features = _features(whole, lead)
    warning = (
        "no model has answered for this game yet" if behind is None else f"the model is {behind} plays behind"
    )
    rough = what_if.brownian_answer(features)
    return Found({**told, **rough}, BROWNIAN, at, True, False, features, (f"{warning}: score and clock answer",))


def inputs(topics: Topics, game_id: str) -> tuple[Mapping[str, float | None], datetime | None]:
    """The model's inputs for a game as it stands, and as of when. Raises `NotMaterialized` when it is not live,
    `InvalidInput` when it is over."""
    whole, lead = _scored(topics, game_id)
    if whole.get("status") == "final":
        raise InvalidInput(f"game_id {game_id!r} is over: there is nothing left to be otherwise")
    return _features(whole, lead), _at(topics, f"game:{game_id}")


def what_ifs(features: Mapping[str, float | None], changes: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """The Brownian margin's answer to each change."""
    return what_if.brownian_answers(what_if.changed_rows(features, changes))


def players(topics: Topics, player_ids: Sequence[int]) -> Found:
    """What is known of players, by id; `unknown` are those nothing is known of. Raises `NotMaterialized` for nobody."""
    found: dict[str, Values] = {}
    unknown, times, models, fallback = [], [], [], False
    for player_id in player_ids:
        topic = f"player:{player_id}"
        whole = topics.whole(topic)
        if whole is None:
            unknown.append(player_id)
            continue
        found[str(player_id)] = whole
        times.append(topics.at_ns(topic))
        models.append(whole.get("model"))
        fallback = fallback or bool(whole.get("fallback"))
    if not found:
        raise NotMaterialized(f"player_ids {list(player_ids)[:5]}: nobody of them is in a live game")
    newest = max((each for each in times if each is not None), default=None)
    model = next((each for each in models if each is not None), None)
    return Found({"players": found, "unknown": unknown}, model, _moment(newest), fallback)


def line(topics: Topics, player_id: int, stat: str, at_line: float) -> Found:
    """P(a player ends above a line), from the quantiles published of his final amount, taken as normal on either side
    of the median. Raises `NotMaterialized` for somebody who is not live, `InvalidInput` for a stat nobody published."""
    topic = f"player:{player_id}"
    whole = _topic(topics, topic)
    expected = whole.get("expected") or {}
    if stat not in expected:
        known = ", ".join(sorted(expected)) or "nothing yet"
        raise InvalidInput(f"stat {stat!r} is not published of player {player_id}; published are: {known}")
    told = expected[stat]
    so_far = (whole.get("fantasy_points") or {}).get(stat, (whole.get("line") or {}).get(stat))
    counted = stat not in (whole.get("fantasy_points") or {})
    half = (told["q90"] - told["q50"]) if at_line >= told["q50"] else (told["q50"] - told["q10"])
    spread = max(2 * half / _Q10_TO_Q90, _LEAST_SD)
    chance = float(ndtr((told["q50"] - at_line) / spread))
    # What he has he keeps, but points of a site can fall back (turnovers).
    if counted and so_far is not None and so_far > at_line:
        chance = 1.0
    answer = {"player_id": player_id, "stat": stat, "line": at_line, "probability": chance, "so_far": so_far}
    return Found({**answer, "expected": told}, whole.get("model"), _at(topics, topic), bool(whole.get("fallback")))


def projections(topics: Topics, slate_id: str) -> Found | None:
    """The projections published of a slate, None when none are."""
    topic = f"slate:{slate_id}"
    whole = topics.whole(topic)
    if whole is None or not whole.get("projections"):
        return None
    answer = {"slate_id": slate_id, "players": whole["projections"]}
    return Found(answer, whole.get("model"), _at(topics, topic), bool(whole.get("fallback")))


def _features(whole: Values, lead: float) -> dict[str, float | None]:
    """The model's inputs as it was asked last, with score and clock as they are now."""
    known = whole.get("features")
    if known and _behind(whole) == 0:
        return cast(dict[str, float | None], known)
    left_s = _left_s(whole)
    if not known:
        return what_if.from_standing(lead, left_s)
    return what_if.changed(known, {"lead": lead, "left_s": left_s})


def _scored(topics: Topics, game_id: str) -> tuple[Values, float]:
    """A game's topic, and by how much home leads."""
    whole = _topic(topics, f"game:{game_id}")
    home, away = whole.get("home_score"), whole.get("away_score")
    if home is None or away is None:
        raise NotMaterialized(
            f"game_id {game_id!r} has no score yet: ask POST /v1/predictions/game before it begins"
        )
    return whole, float(home - away)


def _behind(whole: Values) -> int | None:
    """Plays since the model was asked last, None when it never was."""
    return None if whole.get("at_seq") is None else (whole.get("seq") or 0) - whole["at_seq"]


def _left_s(whole: Values) -> float:
    if (whole.get("period") or 1) > 4:
        left = whole.get("clock_s") or 0.0
    else:
        left = REGULATION_S - (whole.get("elapsed_s") or 0.0)
    return float(min(max(left, 0.0), REGULATION_S))


def _topic(topics: Topics, topic: str) -> Values:
    whole = topics.whole(topic)
    if whole is None:
        raise NotMaterialized(f"{topic} is not live: nothing was heard of it")
    return whole


def _at(topics: Topics, topic: str) -> datetime | None:
    return _moment(topics.at_ns(topic))


def _moment(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else datetime.fromtimestamp(at_ns / 1e9, UTC)
