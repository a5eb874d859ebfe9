"""The player's rules from a file and from command-line words, with names turned into the slate's ids.

A rules file is TOML or JSON with the fields of `models.lineups.rules.LineupRules`; wherever that wants ids a name of
the slate does as well. Words of the command line add to the file's lists and win over its single values.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from features.errors import InvalidInput
from features.slate import Slate, SlatePlayer
from features.sources.player_names import normalize_name
from models.lineups.rules import LineupRules

#: A rules file longer than this is not one.
MAX_BYTES: Final = 1_000_000
#: Characters of an unknown name that its message quotes.
SHOWN: Final = 80
_STACK: Final = re.compile(r"(?P<size>\d+)(?::(?P<team>[^+:]+))?(?:\+(?P<back>\d+))?")
#: Per rule that lists players, which of its fields do.
_NAMED: Final[dict[str, tuple[str, ...]]] = {"groups": ("players",), "conditions": ("when", "then")}


@dataclass(frozen=True, slots=True)
class PlayerRules:
    """The player's wishes in his own words, names or ids; None and empty mean that he did not say.

    `max_exposure` and `min_exposure` hold `0.5` (everybody) or `PLAYER=0.3`; `stack` holds `SIZE[:TEAM][+BRING_BACK]`.
    `file` is the rules file's content.
    """

    n: int | None = None
    lock: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_exposure: tuple[str, ...] = ()
    min_exposure: tuple[str, ...] = ()
    min_salary_usd: int | None = None
    min_unique: int | None = None
    stack: tuple[str, ...] = ()
    objective: str | None = None
    randomness: float | None = None
    leverage: float | None = None
    seed: int | None = None
    file: Mapping[str, Any] | None = None

    def resolve(self, slate: Slate) -> LineupRules:
        """Return the rules in site ids. Raises `InvalidInput` naming the flag or field, its value and the fix."""
        from models.lineups.rules_json import parse_rules

        document = _named_in_file(dict(self.file or {}), slate)
        single = {"n": self.n, "min_salary_usd": self.min_salary_usd, "min_unique": self.min_unique}
        document |= {field: value for field, value in single.items() if value is not None}
        for who in self.lock:
            _lock(document, find_player(slate, who, "--lock"), who)
        excluded = [id_ for who in self.exclude for id_ in find_player(slate, who, "--exclude")]
        if excluded:
            document["excluded"] = _more(document, "excluded", excluded)
        for flag, words in (("max", self.max_exposure), ("min", self.min_exposure)):
            for word in words:
                _expose(document, slate, flag, word)
        if self.stack:
            document["stacks"] = _more(document, "stacks", [parse_stack(word, slate) for word in self.stack])
        asked = {
            "measure": self.objective, "randomness": self.randomness, "leverage": self.leverage, "seed": self.seed,
        }  # fmt: skip
        asked = {field: value for field, value in asked.items() if value is not None}
        if asked:
            document["objective"] = {**document.get("objective", {}), **asked}
        return parse_rules(document)


def read_rules(path: Path) -> dict[str, Any]:
    """The document in a rules file: JSON where the name ends in .json, else TOML.

    Raises `InvalidInput` naming the file and the line for one that cannot be read as that.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InvalidInput(
                f"--rules {path} is longer than {MAX_BYTES:,} bytes, the most a rules file may have"
            )
        text = data.decode("utf-8-sig")
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InvalidInput(f"--rules {path} cannot be read: {error.strerror}; check the name") from error
    except ValueError as error:  # undecodable bytes, TOML and JSON errors alike
        raise InvalidInput(f"--rules {path} is neither TOML nor (as .json) JSON: {error}; correct it") from error
    except RecursionError as error:
        raise InvalidInput(f"--rules {path} is nested too deep to be rules; take levels out") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"--rules {path} holds a {type(document).__name__}; it must be an object of rules")
    return document


def find_player(slate: Slate, who: str, field: str) -> tuple[str, ...]:
    """Site ids of the one person `who` names by id or name; several where the slate lists a captain apart.

    Raises `InvalidInput` with a near name where nobody is meant, or where two people are.
    """
    wanted, name = who.strip().casefold(), normalize_name(who)
    exact = [p for p in slate.players if wanted == p.site_id.casefold()]
    found = exact or [p for p in slate.players if name and name == normalize_name(p.name)]
    if len({_person(p) for p in found}) == 1:
        return tuple(p.site_id for p in found)
    if found:
        ids = ", ".join(f"{p.site_id} ({p.team})" for p in found[:4])
        raise InvalidInput(f"{field} {who!r} names {len(found)} players; use an id: {ids}")
    near = get_close_matches(name, {normalize_name(p.name): p.name for p in slate.players}, n=1)
    hint = f"; did you mean {near[0].title()!r}?" if near else "; give a name or id of the salary file"
    raise InvalidInput(f"{field} {who[:SHOWN]!r} is not on this slate{hint}")


def parse_stack(word: str, slate: Slate) -> dict[str, Any]:
    """The team stack in `SIZE[:TEAM][+BRING_BACK]`. Raises `InvalidInput` for anything else or an unknown team."""
    found = _STACK.fullmatch(word.strip())
    if found is None:
        raise InvalidInput(
            f"--stack {word!r} is not SIZE[:TEAM][+BRING_BACK]; write 5, 4:BOS or 4:BOS+1 (one opponent beside them)"
        )
    stack: dict[str, Any] = {"size": int(found["size"])}
    if found["team"]:
        team = found["team"].strip().upper()
        known = sorted({player.team for player in slate.players if player.team})
        if team not in known:
            raise InvalidInput(
                f"--stack {word!r}: {team} plays in no game of this slate; it has {', '.join(known)}"
            )
        stack["teams"] = [team]
    if found["back"]:
        stack["bring_back"] = int(found["back"])
    return stack


def _person(player: SlatePlayer) -> str:
    return player.person or player.site_id


def _more(document: Mapping[str, Any], field: str, added: Iterable[Any]) -> list[Any]:
    held = document.get(field, [])
    if not isinstance(held, list):
        raise InvalidInput(f"rules field {field} is {held!r}; it must be a list")
    return [*held, *added]


def _lock(document: dict[str, Any], ids: tuple[str, ...], who: str) -> None:
    """A lock on every row of a person would ask for him twice; any one of them is what is meant."""
    if len(ids) == 1:
        document["locked"] = _more(document, "locked", ids)
    else:
        group = {"name": f"lock {who}", "players": list(ids), "at_least": 1}
        document["groups"] = _more(document, "groups", [group])


def _expose(document: dict[str, Any], slate: Slate, bound: str, word: str) -> None:
    who, equals, share = word.rpartition("=")
    flag = f"--{bound}-exposure"
    try:
        value = float(share)
    except ValueError as error:
        raise InvalidInput(f"{flag} {word!r}: {share!r} is not a share; write 0.5 or 'Name=0.5'") from error
    if not equals:
        if bound == "min":
            raise InvalidInput(f"{flag} {word!r} says nobody; write 'Name=0.2'")
        document["max_exposure"] = value
        return
    ids = find_player(slate, who, flag)
    if not 0 <= value <= 1 or (bound == "max" and value == 0):
        raise InvalidInput(
            f"{flag} {word!r}: a share of lineups is above 0 and at most 1; --exclude leaves him out"
        )
    _expose_ids(document, ids, who, f"{bound}_exposure", value)


def _expose_ids(document: dict[str, Any], ids: tuple[str, ...], who: str, bound: str, value: float) -> None:
    if len(ids) == 1:
        document[f"player_{bound}"] = {**document.get(f"player_{bound}", {}), ids[0]: value}
    else:
        group = {"name": who, "players": list(ids), bound: value}
        document["groups"] = _more(document, "groups", [group])


def _named_in_file(document: dict[str, Any], slate: Slate) -> dict[str, Any]:
    """The file's document with names replaced by ids; what is of the wrong shape is left for `parse_rules` to name."""

    def ids(value: Any, field: str) -> Any:
        if not _is_names(value):
            return value
        return [id_ for who in value for id_ in find_player(slate, who, f"rules field {field}")]

    if _is_names(document.get("locked")):
        for who in document.pop("locked"):
            _lock(document, find_player(slate, who, "rules field locked"), who)
    if "excluded" in document:
        document["excluded"] = ids(document["excluded"], "excluded")
    for bound in ("max_exposure", "min_exposure"):
        field = f"player_{bound}"
        if isinstance(document.get(field), dict):
            for who, value in document.pop(field).items():
                _expose_ids(document, find_player(slate, who, f"rules field {field}"), who, bound, value)
    for rule, fields in _NAMED.items():
        document = _each(document, rule, fields, ids)
    return _fixed_by_id(document, slate)


def _fixed_by_id(document: dict[str, Any], slate: Slate) -> dict[str, Any]:
    fixed = document.get("fixed")
    if not isinstance(fixed, dict):
        return document
    named = {
        slot: find_player(slate, who, f"rules field fixed.{slot}")[0] if isinstance(who, str) else who
        for slot, who in fixed.items()
    }
    return {**document, "fixed": named}


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(who, str) for who in value)


def _each(
    document: dict[str, Any], rule: str, fields: tuple[str, ...], ids: Callable[[Any, str], Any]
) -> dict[str, Any]:
    listed = document.get(rule)
    if not isinstance(listed, list):
        return document
    named = [
        {key: ids(value, f"{rule}.{at}.{key}") if key in fields else value for key, value in each.items()}
        if isinstance(each, dict)
        else each
        for at, each in enumerate(listed)
    ]
    return {**document, rule: named}
