"""NBA.com play-by-play in the archive's event rows: one dict per event with the columns of `features.tables.PBP`.

Two vendor shapes are read. `stats_events` takes playbyplayv3 (finished games): steals and blocks are rows of their
own under the same action number, assists and substitutes stand in the text only. `live_events` takes the live
feed, which names every person by id. Neither says who is on court, so lineups stay null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from features.errors import SourceUnavailable
from features.tables import EASTERN, PBP

Row = dict[str, Any]
QUARTER_S: Final = 720.0
OVERTIME_S: Final = 300.0
#: Ids below are people, at or above teams (the vendor uses one field for both).
_FIRST_TEAM_ID: Final = 1_610_612_700

_STATS_TYPES: Final = {
    "made shot": "made_shot", "missed shot": "missed_shot", "free throw": "free_throw", "rebound": "rebound",
    "turnover": "turnover", "foul": "foul", "violation": "violation", "substitution": "substitution",
    "timeout": "timeout", "jump ball": "jump_ball", "ejection": "ejection", "instant replay": "replay",
}  # fmt: skip
_LIVE_TYPES: Final = {
    "freethrow": "free_throw", "rebound": "rebound", "turnover": "turnover", "foul": "foul",
    "violation": "violation", "substitution": "substitution", "timeout": "timeout", "jumpball": "jump_ball",
    "ejection": "ejection", "instantreplay": "replay",
}  # fmt: skip
_CLOCK: Final = re.compile(r"PT(\d+)M(\d+(?:\.\d+)?)S")
_ASSIST: Final = re.compile(r"\(([^()]+?) \d+ AST\)")
_SUBSTITUTE: Final = re.compile(r"SUB: (.+?) FOR ")
_JUMP: Final = re.compile(r"Jump Ball .+? vs\.? (.+?): Tip to (.*)$")
_FREE_THROW: Final = re.compile(r"(\d) ?of ?(\d)")


@dataclass(frozen=True, slots=True)
class GameContext:
    """What an event needs to know of its game."""

    game_id: str
    season: int
    home_team: str
    away_team: str


@dataclass(frozen=True, slots=True)
class Person:
    """A player as the box score names him."""

    player_id: int
    name: str


class Roster:
    """Finds people by id, or by team and the short name that texts use; an ambiguous name finds nobody."""

    def __init__(self, entries: Iterable[tuple[str, Person, Sequence[str]]]) -> None:
        self._by_id: dict[int, Person] = {}
        self._by_name: dict[tuple[str, str], Person | None] = {}
        for team, person, short_names in entries:
            self._by_id[person.player_id] = person
            for short in set(short_names):
                key = (team, short.strip().lower())
                self._by_name[key] = None if key in self._by_name else person

    def name(self, player_id: int) -> str | None:
        """Full name, None for somebody who is not in the box."""
        person = self._by_id.get(player_id)
        return person.name if person else None

    def find(self, teams: Sequence[str], short_name: str) -> Person | None:
        """The one player of these teams with that short name."""
        found = {self._by_name.get((team, short_name.strip().lower())) for team in teams} - {None}
        return found.pop() if len(found) == 1 else None


def stats_events(actions: Sequence[Mapping[str, Any]], game: GameContext, roster: Roster) -> list[Row]:
    """Event rows of a finished game from playbyplayv3 actions, in the vendor's order."""
    rows: list[Row] = []
    by_number: dict[int, Row] = {}
    score = (0, 0)
    shooting_team: str | None = None
    for action in actions:
        kind = str(action.get("actionType") or "").strip().lower()
        number = int(action["actionNumber"])
        if not kind:
            _credit(by_number.get(number), action, roster)
            continue
        row = _common(action, game, kind, _STATS_TYPES)
        _put_person(row, "p1", _person_id(action.get("personId")), roster, action.get("playerName"))
        _detail(row, action, shooting_team)
        _named_in_text(row, game, roster)
        if row["points"]:  # elsewhere the vendor leaves the score empty, or at zero
            score = _score(action, score)
        row.update(seq=len(rows), home_score=score[0], away_score=score[1])
        if row["event_type"] in ("made_shot", "missed_shot", "free_throw"):
            shooting_team = row["team"]
        rows.append(row)
        by_number[number] = row
    return rows


def live_events(actions: Sequence[Mapping[str, Any]], game: GameContext) -> list[Row]:
    """Event rows of a running game from live actions, with `happened_at` and the vendor's order as `seq`.

    Steals and blocks are part of the turnover and the shot. A substitution is two actions: the player going out
    (`p1`) waits for the one coming in (`p2`); an action whose partner is not there yet stays half empty.
    """
    rows: list[Row] = []
    score = (0, 0)
    for action in sorted(actions, key=lambda entry: int(entry.get("orderNumber") or entry["actionNumber"])):
        kind = str(action.get("actionType") or "").strip().lower()
        if kind in ("steal", "block", "game"):
            continue
        score = _score(action, score)
        entering = kind == "substitution" and str(action.get("subType")).lower() == "in"
        if entering and _complete_substitution(rows, action):
            continue
        row = _common(action, game, _live_shot(kind, action), {**_LIVE_TYPES, **_STATS_TYPES})
        row.update(seq=len(rows), home_score=score[0], away_score=score[1])
        row.update(_live_people(action, entering))
        _detail(row, action, None)
        happened_at = _moment(action.get("timeActual"))
        row.update(
            happened_at=happened_at, wall_et_min=None if happened_at is None else _eastern_minute(happened_at)
        )
        rows.append(row)
    return rows


def period_scores(rows: Sequence[Row]) -> dict[str, int | None]:
    """`periods`, and `home_q1` .. `away_q4`: points of each regulation quarter; null without events."""
    last: dict[int, tuple[int, int]] = {}
    for row in rows:
        last[row["period"]] = (row["home_score"], row["away_score"])
    result: dict[str, int | None] = {"periods": max(last) if last else None}
    before = (0, 0)
    for quarter in range(1, 5):
        after = last.get(quarter)
        for side, team in enumerate(("home", "away")):
            result[f"{team}_q{quarter}"] = None if after is None else after[side] - before[side]
        before = after or before
    return result


def seconds(clock: object) -> float:
    """Seconds of an ISO duration like `PT11M39.00S`. Raises `SourceUnavailable` for anything else."""
    match = _CLOCK.fullmatch(str(clock or ""))
    if not match:
        raise SourceUnavailable(f"NBA.com play-by-play has the clock {clock!r}; 'PT11M39.00S' was expected")
    return int(match.group(1)) * 60 + float(match.group(2))


def _common(action: Mapping[str, Any], game: GameContext, kind: str, types: Mapping[str, str]) -> Row:
    row: Row = dict.fromkeys(PBP)
    period, clock_s = int(action["period"]), seconds(action.get("clock"))
    length_s = QUARTER_S if period <= 4 else OVERTIME_S
    before_s = QUARTER_S * min(period - 1, 4) + OVERTIME_S * max(period - 5, 0)
    text = str(action.get("description") or "")
    if kind == "period":
        ends = "end" in str(action.get("subType") or text).lower()
        event_type = "period_end" if ends else "period_start"
    else:
        event_type = types.get(kind, "stoppage")
    row.update(
        game_id=game.game_id, season=game.season, event_num=int(action["actionNumber"]), period=period,
        clock_s=clock_s, elapsed_s=before_s + length_s - clock_s, event_type=event_type, description=text or None,
        subtype=str(action.get("subType") or "") or None, team=_team(action, game), points=0,
        home_team=game.home_team, away_team=game.away_team,
    )  # fmt: skip
    return row


def _team(action: Mapping[str, Any], game: GameContext) -> str | None:
    """Team of an action; of what a whole team does, playbyplayv3 says only whether it was at home."""
    sides = {"h": game.home_team, "v": game.away_team}
    return action.get("teamTricode") or sides.get(str(action.get("location") or "").strip())


def _score(action: Mapping[str, Any], before: tuple[int, int]) -> tuple[int, int]:
    """Score after the action as the vendor states it, else as before."""
    home, away = str(action.get("scoreHome") or ""), str(action.get("scoreAway") or "")
    return (int(home), int(away)) if home and away and (int(home), int(away)) >= (0, 0) else before


def _detail(row: Row, action: Mapping[str, Any], shooting_team: str | None) -> None:
    """Points, shot value and distance, and the archive's own subtypes."""
    text, event_type = row["description"] or "", row["event_type"]
    if event_type in ("made_shot", "missed_shot"):
        value = int(action.get("shotValue") or 0) or (
            3 if "3PT" in text or action.get("actionType") == "3pt" else 2
        )
        distance = action.get("shotDistance")
        row.update(shot_value=value, points=value if event_type == "made_shot" else 0)
        row["shot_dist"] = None if distance is None else round(float(distance))
    elif event_type == "free_throw":
        missed = str(action.get("shotResult") or "").lower() == "missed" or text.startswith("MISS")
        of = _FREE_THROW.search(row["subtype"] or text)
        technical = "technical" in f"{row['subtype']} {text}".lower()
        row["points"] = 0 if missed else 1
        row["subtype"] = "technical" if technical else f"{of.group(1)} of {of.group(2)}" if of else row["subtype"]
    elif event_type == "rebound":
        kind = (row["subtype"] or "").lower()
        if kind not in ("offensive", "defensive"):
            kind = "offensive" if shooting_team is not None and row["team"] == shooting_team else "defensive"
        row["subtype"] = kind if row["p1_id"] is not None else f"team_{kind}"
    elif event_type in ("period_start", "period_end", "substitution"):
        row["subtype"] = None


def _credit(row: Row | None, action: Mapping[str, Any], roster: Roster) -> None:
    """Add the stealer to the turnover, or the blocker to the missed shot, that has the same action number."""
    if row is None:
        return
    text = str(action.get("description") or "")
    slot = "p2" if "STEAL" in text else "p3" if "BLOCK" in text else None
    if slot:
        _put_person(row, slot, _person_id(action.get("personId")), roster, action.get("playerName"))
        row["description"] = f"{row['description']} | {text}"


def _named_in_text(row: Row, game: GameContext, roster: Roster) -> None:
    """People whom playbyplayv3 names only in the text: assister, substitute, the others of a jump ball."""
    text, both = row["description"] or "", (game.home_team, game.away_team)
    own = (row["team"],) if row["team"] else both
    if row["event_type"] == "made_shot" and (assist := _ASSIST.search(text)):
        _put_found(row, "p2", own, assist.group(1), roster)
    elif row["event_type"] == "substitution" and (substitute := _SUBSTITUTE.search(text)):
        _put_found(row, "p2", own, substitute.group(1), roster)
    elif row["event_type"] == "jump_ball" and (jump := _JUMP.search(text)):
        _put_found(row, "p2", both, jump.group(1), roster)
        _put_found(row, "p3", both, jump.group(2), roster)


def _put_found(row: Row, slot: str, teams: Sequence[str], short_name: str, roster: Roster) -> None:
    person = roster.find(teams, short_name)
    row[f"{slot}_id"] = person.player_id if person else None
    row[f"{slot}_name"] = person.name if person else short_name.strip() or None


def _put_person(row: Row, slot: str, player_id: int | None, roster: Roster, short_name: object) -> None:
    if player_id is not None:
        row[f"{slot}_id"] = player_id
        row[f"{slot}_name"] = roster.name(player_id) or str(short_name or "") or None


def _person_id(value: object) -> int | None:
    number = int(str(value or 0))
    return number if 0 < number < _FIRST_TEAM_ID else None


def _live_shot(kind: str, action: Mapping[str, Any]) -> str:
    if kind in ("2pt", "3pt"):
        return "made shot" if str(action.get("shotResult")).lower() == "made" else "missed shot"
    return kind


def _live_people(action: Mapping[str, Any], entering: bool) -> Row:
    """p1, p2, p3 of a live action by the archive's meaning."""
    people = (
        ("p1", ("personId",), "playerNameI"),
        ("p2", ("assistPersonId", "stealPersonId", "foulDrawnPersonId", "jumpBallLostPersonId"), ""),
        ("p3", ("blockPersonId", "jumpBallRecoverdPersonId"), ""),
    )
    if str(action.get("actionType")).lower() == "jumpball":
        people = (("p1", ("jumpBallWonPersonId",), ""), *people[1:])
    found: Row = {}
    for slot, fields, name in people:
        player_id = next((_person_id(action[field]) for field in fields if action.get(field)), None)
        found[f"{slot}_id"] = player_id
        found[f"{slot}_name"] = (action.get(name) or None) if player_id is not None and name else None
    if entering:
        found["p2_id"], found["p2_name"] = found.pop("p1_id"), found.pop("p1_name")
    return found


def _complete_substitution(rows: Sequence[Row], action: Mapping[str, Any]) -> bool:
    """Put the player coming in beside the earliest one of his team who left at the same clock without partner."""
    for row in rows[-12:]:
        waiting = row["event_type"] == "substitution" and row["p2_id"] is None and row["p1_id"] is not None
        here = (row["team"], row["period"], row["clock_s"])
        if waiting and here == (action.get("teamTricode"), action.get("period"), seconds(action.get("clock"))):
            row["p2_id"], row["p2_name"] = _person_id(action.get("personId")), action.get("playerNameI") or None
            return True
    return False


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None


def _eastern_minute(moment: datetime) -> int:
    """Minutes since midnight Eastern of the basketball day: the hours before 6:00 belong to the evening before."""
    local = moment.astimezone(ZoneInfo(EASTERN))
    day = (local - timedelta(hours=6)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((local.replace(tzinfo=None) - day.replace(tzinfo=None)).total_seconds() // 60)
