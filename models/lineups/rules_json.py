"""The player's rules as JSON or TOML documents: the fields of `LineupRules`, sets as lists."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from features.errors import InvalidInput
from models.lineups.rules import LineupRules

# Characters of a wrong value that its message quotes.
SHOWN = 80
# Levels of lists and objects within the rules; stack roles use five.
DEEPEST = 8


def parse_rules(document: Mapping[str, Any]) -> LineupRules:
    """Return the rules a document asks for; what it leaves out keeps its default.

    Raises `InvalidInput` naming the field's path, its value and what it should be; unknown fields are refused.
    """
    from pydantic import ValidationError

    if not isinstance(document, Mapping):
        raise InvalidInput(f"rules are {type(document).__name__}; give an object with fields such as n and stacks")
    _refuse_unknown("rules", document, LineupRules)
    _refuse_flags("rules", document)
    try:
        rules: LineupRules = _adapter().validate_python(dict(document))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = "".join(
            f"[{part}]" if isinstance(part, int) else f".{_trimmed(part)}"
            for part in first["loc"]
            if part != "[key]"
        )
        said = f"rules{path} is {_trimmed(repr(first['input']))}: {_lower(first['msg'])}; correct it"
        raise InvalidInput(said) from error
    return rules


def rules_as_json(rules: LineupRules) -> dict[str, Any]:
    """Return the document that `parse_rules` reads back as equal rules; sets are sorted, so equal rules print alike."""
    document: dict[str, Any] = _plain(rules)
    return document


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(LineupRules)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in sorted(value)}
    return value


def _refuse_unknown(path: str, document: Mapping[str, Any], kind: type) -> None:
    """Raise on a field the dataclass does not have, at any depth."""
    hints = _hints(kind)
    unknown = sorted(str(name) for name in document if name not in hints)
    if unknown:
        raise InvalidInput(f"{path}.{_trimmed(unknown[0])} is no rule; {path} may have {', '.join(sorted(hints))}")
    for name, value in document.items():
        inner = _rule_type(hints[name])
        if inner is None:
            continue
        if isinstance(value, Mapping):
            _refuse_unknown(f"{path}.{name}", value, inner)
        elif isinstance(value, list | tuple):
            for at, item in enumerate(value):
                if isinstance(item, Mapping):
                    _refuse_unknown(f"{path}.{name}[{at}]", item, inner)


def _refuse_flags(path: str, value: Any, depth: int = 0) -> None:
    """Raise on true and false, at any depth: no rule is one, and as a number `true` would pass for 1."""
    if depth > DEEPEST:
        raise InvalidInput(f"{path} is nested too deep: no rule has more than {DEEPEST} levels; take some out")
    if isinstance(value, bool):
        raise InvalidInput(f"{path} is {str(value).lower()}: no rule is true or false; give what it asks for")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_flags(f"{path}.{_trimmed(str(name))}", item, depth + 1)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            _refuse_flags(f"{path}[{at}]", item, depth + 1)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _rule_type(hint: Any) -> type | None:
    """The rule dataclass in a field's type (Objective, tuple[Group, ...], Spacing | None); None where it has none."""
    if dataclasses.is_dataclass(hint):
        return hint if isinstance(hint, type) else None
    if typing.get_origin(hint) in {tuple, types.UnionType, typing.Union}:
        return next((found for part in typing.get_args(hint) if (found := _rule_type(part))), None)
    return None


def _trimmed(text: str) -> str:
    """The text, cut to what a message has room for."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]} ..."


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
