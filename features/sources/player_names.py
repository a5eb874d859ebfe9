"""Player names as people, sites and vendors write them, and matching a slate's players to NBA.com ids.

Strong evidence claims a player first (same name and team), weak evidence later (same last name and team, a first
name that abbreviates the other); two slate players never get one id, and what stays unsure is reported.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final

import polars as pl
from rapidfuzz import fuzz

from features.slate import Slate, SlatePlayer

logger = logging.getLogger(__name__)

_SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "v"})
#: Letters that carry no combining mark in Unicode, so stripping accents leaves them.
_LETTERS: Final = str.maketrans(
    {"đ": "d", "Đ": "D", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "ı": "i", "æ": "ae", "Æ": "Ae"}
)
#: First names no rule of spelling can join; initials and abbreviations (Alex/Alexandre) need no entry.
FIRST_NAMES: Final[dict[str, str]] = {
    "bub": "carlton", "moe": "maurice", "mo": "mohamed", "patty": "patrick", "bones": "nahshon",
    "svi": "sviatoslav", "willy": "guillermo", "joe": "joseph", "gg": "gregory", "ej": "elijah",
}  # fmt: skip
#: People who changed their name; archives carry the newer one for every season.
RENAMED: Final[dict[str, str]] = {"enes kanter": "enes freedom", "ron artest": "metta world peace"}
#: rapidfuzz similarity (0..100) of whole names within one team: one typing slip in a usual name scores above it.
FUZZY_FLOOR: Final = 90.0
#: Of two people with one name, the one who played at least this much later is meant.
NAMESAKE_GAP: Final = timedelta(days=200)


def normalize_name(name: str, *, suffix: bool = False) -> str:
    """Lower-case ASCII words without accents, punctuation, generational suffix ('P.J. Tucker Jr.' -> 'pj tucker').

    `suffix=True` keeps 'jr', 'iii', ... . A name of one word is never reduced to nothing.
    """
    text = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    text = "".join(c for c in text if not unicodedata.combining(c)).lower()
    words = re.sub(r"[^a-z0-9 ]", "", re.sub(r"[-_/]", " ", text)).split()
    while not suffix and len(words) > 1 and words[-1] in _SUFFIXES:
        words.pop()
    merged: list[str] = []
    for word in words:  # 'P. J.' and 'PJ' are one first name
        if len(word) == 1 and merged and len(merged[-1]) <= 2 and len(merged) == 1 and len(words) > 2:
            merged[-1] += word
        else:
            merged.append(word)
    plain = " ".join(merged)
    return RENAMED.get(plain, plain)


@dataclass(frozen=True, slots=True)
class MatchReport:
    """`slate` with `player_id` filled where known. `ambiguous` pairs a player with the ids he might be.

    `rules` counts matched players by the rule that matched them.
    """

    slate: Slate
    unmatched: tuple[SlatePlayer, ...]
    ambiguous: tuple[tuple[SlatePlayer, tuple[int, ...]], ...]
    rules: dict[str, int]

    @property
    def matched(self) -> int:
        """Number of slate rows with an id."""
        return sum(p.player_id is not None for p in self.slate.players)


@dataclass(frozen=True, slots=True)
class _Entry:
    player_id: int
    name: str
    exact: str
    team: str
    last_played: date


@dataclass(frozen=True, slots=True)
class _Person:
    """One person on a slate; a showdown lists him once per roster slot."""

    name: str
    exact: str
    team: str


@dataclass(slots=True)
class _Matching:
    entries: list[_Entry]
    ids: dict[_Person, int] = field(default_factory=dict)
    rules: dict[_Person, str] = field(default_factory=dict)
    unsure: dict[_Person, tuple[int, ...]] = field(default_factory=dict)

    def free(self) -> list[_Entry]:
        """Directory entries nobody has claimed."""
        taken = set(self.ids.values())
        return [e for e in self.entries if e.player_id not in taken]


_Rule = Callable[[_Person, list[_Entry]], list[_Entry]]


def match_players(slate: Slate, directory: pl.DataFrame) -> MatchReport:
    """Fill `player_id` from a directory of player_id, player_name, team (latest) and last_played.

    Raises `polars.exceptions.ColumnNotFoundError` for a directory without these columns.
    """
    columns = ("player_id", "player_name", "team", "last_played")
    entries = [
        _Entry(i, normalize_name(n), normalize_name(n, suffix=True), t or "", d or date.min)
        for i, n, t, d in directory.select(columns).iter_rows()
        if i is not None and n
    ]
    people = [_person(p) for p in slate.players]
    matching = _Matching(entries)
    for label, rule in _RULES:
        open_people = [p for p in dict.fromkeys(people) if p not in matching.ids]
        _apply(matching, label, rule, open_people)
    players = tuple(replace(p, player_id=matching.ids.get(q)) for p, q in zip(slate.players, people, strict=True))
    pairs = list(zip(players, people, strict=True))
    counts: dict[str, int] = defaultdict(int)
    for person in people:
        if person in matching.rules:
            counts[matching.rules[person]] += 1
    ambiguous = tuple((p, matching.unsure[q]) for p, q in pairs if p.player_id is None and q in matching.unsure)
    unmatched = tuple(p for p, q in pairs if p.player_id is None and q not in matching.unsure)
    logger.info("matched names slate_id=%s players=%d rules=%s", slate.slate_id, len(players), dict(counts))
    return MatchReport(replace(slate, players=players), unmatched, ambiguous, dict(counts))


def _person(player: SlatePlayer) -> _Person:
    return _Person(normalize_name(player.name), normalize_name(player.name, suffix=True), player.team)


def _apply(matching: _Matching, label: str, rule: _Rule, people: Iterable[_Person]) -> None:
    """Give ids where the rule names one free entry and no other open person wants the same one."""
    free = matching.free()
    wishes: dict[int, list[_Person]] = defaultdict(list)
    for person in people:
        found = _latest(rule(person, free))
        if len(found) == 1:
            wishes[found[0].player_id].append(person)
        elif found:
            matching.unsure[person] = tuple(e.player_id for e in found)
    for player_id, claimants in wishes.items():
        if len(claimants) == 1:
            matching.ids[claimants[0]] = player_id
            matching.rules[claimants[0]] = label
            matching.unsure.pop(claimants[0], None)
        else:
            for person in claimants:
                matching.unsure[person] = (player_id,)


def _latest(found: list[_Entry]) -> list[_Entry]:
    """Namesakes of different times are no ambiguity: keep those near the latest."""
    newest = max((e.last_played for e in found), default=date.min)
    if newest - date.min < NAMESAKE_GAP:
        return found
    return [e for e in found if e.last_played > newest - NAMESAKE_GAP]


def _full_name_and_team(person: _Person, free: list[_Entry]) -> list[_Entry]:
    return [e for e in free if e.exact == person.exact and e.team == person.team]


def _name_and_team(person: _Person, free: list[_Entry]) -> list[_Entry]:
    return [e for e in free if e.name == person.name and e.team == person.team]


def _name_anywhere(person: _Person, free: list[_Entry]) -> list[_Entry]:
    """The same name on another team: a trade the directory has not seen, or a slate without teams."""
    same = [e for e in free if e.name == person.name]
    return [e for e in same if e.exact == person.exact] or same


def _short_first_name_and_team(person: _Person, free: list[_Entry]) -> list[_Entry]:
    return [e for e in free if e.team == person.team and _same_person(person.name, e.name)]


def _similar_and_team(person: _Person, free: list[_Entry]) -> list[_Entry]:
    scored = [(fuzz.ratio(_joined(person.name), _joined(e.name)), e) for e in free if e.team == person.team]
    best = max((score for score, _ in scored), default=0.0)
    return [e for score, e in scored if score == best and score >= FUZZY_FLOOR]


def _one_word_name_and_team(person: _Person, free: list[_Entry]) -> list[_Entry]:
    """Seasons whose directory holds last names only ('Doncic'), and people of one name ('Nene')."""
    words = person.name.split()
    return [e for e in free if " " not in e.name and e.team == person.team and e.name in words]


def _short_first_name_anywhere(person: _Person, free: list[_Entry]) -> list[_Entry]:
    return [e for e in free if _same_person(person.name, e.name)]


_RULES: Final[tuple[tuple[str, _Rule], ...]] = (
    ("full name and team", _full_name_and_team),
    ("name and team", _name_and_team),
    ("name", _name_anywhere),
    ("short first name and team", _short_first_name_and_team),
    ("similar name and team", _similar_and_team),
    ("one-word name and team", _one_word_name_and_team),
    ("short first name", _short_first_name_anywhere),
)


def _joined(name: str) -> str:
    return name.replace(" ", "")


def _last(name: str) -> str:
    return name.rsplit(maxsplit=1)[-1] if name else ""


def _same_person(one: str, other: str) -> bool:
    """Same last name and a first name that abbreviates, initials or is a known short form of the other's."""
    if " " not in one or " " not in other or _last(one) != _last(other):
        return False
    first, second = one.split()[:-1], other.split()[:-1]
    a, b = first[0], second[0]
    if {FIRST_NAMES.get(a, a)} == {FIRST_NAMES.get(b, b)}:
        return True
    short, long = sorted((a, b), key=len)
    initials = "".join(w[0] for w in (first if a == long else second))
    return (len(short) >= 2 and long.startswith(short)) or (len(initials) >= 2 and short == initials)
