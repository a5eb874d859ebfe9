"""The player's rules and own projections as a request carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator, model_validator

from features.errors import InvalidInput
from features.sources.projections_file import OwnNumbers
from models.lineups.rules import LineupRules
from models.projection.own_numbers import use_own_numbers, with_spread
from serving.predictor import Projected
from serving.routes.answers import SLATE_ID

MOST_LINEUPS: Final = 150
#: Rules of one kind, such as stacks or groups.
MOST_RULES: Final = 200
#: Players one rule, or the projections, may name; the longest real slate has fewer.
MOST_PLAYERS: Final = 5000
POINTS: Final = 10_000.0
GREATEST: Final = 1e9
Points = Annotated[float, Field(ge=-POINTS, le=POINTS, allow_inf_nan=False)]
OWN: Final = "your projections"


def parsed_rules(body: object) -> LineupRules:
    """Return the rules a JSON document asks for.

    Raises `InvalidInput` naming the field, for a field nobody knows as for more than one request may ask.
    """
    from models.lineups.rules_json import parse_rules

    if isinstance(body, LineupRules):
        return body
    if not isinstance(body, Mapping):
        raise InvalidInput(f'rules is {str(body)[:80]!r}: give an object, such as {{"max_exposure": 0.5}}')
    rules = parse_rules(body)
    if rules.n > MOST_LINEUPS:
        raise InvalidInput(f"rules.n is {rules.n}: ask for at most {MOST_LINEUPS} lineups at once")
    _check_bounds("rules", rules)
    return rules


#: Documented field by field in `/openapi.json`, read by the parser that also reads the command line's rule files.
RulesBody = Annotated[LineupRules, WrapValidator(lambda body, _by_type: parsed_rules(body))]


class OwnProjection(BaseModel):
    """A player's points as you project them. Where only the mean is given, the model's interval moves with it."""

    model_config = ConfigDict(extra="forbid")

    mean: Points
    floor: Points | None = Field(default=None, description="10 % quantile")
    ceiling: Points | None = Field(default=None, description="90 % quantile")
    ownership: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="share of the field's lineups that hold him"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low = self.mean if self.floor is None else self.floor
        high = self.mean if self.ceiling is None else self.ceiling
        if not low <= self.mean <= high:
            raise ValueError(
                f"mean {self.mean} does not lie between floor {self.floor} and ceiling {self.ceiling}"
            )
        return self


def _as_projection(given: object) -> object:
    return {"mean": given} if isinstance(given, int | float) and not isinstance(given, bool) else given


#: Site id -> points, or -> an `OwnProjection`.
OwnProjections = Annotated[
    dict[
        str,
        Annotated[OwnProjection, BeforeValidator(_as_projection, json_schema_input_type=float | OwnProjection)],
    ],
    Field(max_length=MOST_PLAYERS, min_length=1),
]


class RuledRequest(BaseModel):
    """A slate, the player's rules and, where he has them, his own projections. Ids are the site's."""

    model_config = ConfigDict(extra="forbid")

    slate_id: str = Field(pattern=SLATE_ID, description="id from GET /v1/slates")
    rules: RulesBody = Field(
        default=LineupRules(), description="every rule, as `fantasy lineups --rules` reads it"
    )
    projections: OwnProjections | None = Field(
        default=None, description="points by site id, instead of the model's; who is not named projects 0"
    )


def with_own(projected: Projected, own: Mapping[str, OwnProjection] | None) -> Projected:
    """Return `projected` with the player's own numbers in it. Raises `InvalidInput` for an id not on the slate."""
    if own is None:
        return projected
    slate = projected.stored.slate
    unknown = sorted(own.keys() - {player.site_id for player in slate.players})
    if unknown:
        raise InvalidInput(f"projections {unknown[0]!r} is not on slate {slate.slate_id}; use its players' ids")
    numbers = {
        site_id: OwnNumbers(given.mean, given.floor, given.ceiling, given.ownership)
        for site_id, given in own.items()
    }
    moved = use_own_numbers(
        projected.projections, {site_id: each.points for site_id, each in numbers.items()}, source=OWN
    )
    return replace(projected, projections=with_spread(moved, numbers))


def _check_bounds(path: str, value: object) -> None:
    """Refuse numbers no arithmetic holds, and collections no real request needs: work grows with their product."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            _check_bounds(f"{path}.{field.name}", getattr(value, field.name))
    elif isinstance(value, int | float) and not abs(value) <= GREATEST:
        raise InvalidInput(f"{path} is {value:g}: give a number from {-GREATEST:g} to {GREATEST:g}")
    elif isinstance(value, tuple | frozenset | dict):
        most = MOST_RULES if isinstance(value, tuple) else MOST_PLAYERS
        if len(value) > most:
            raise InvalidInput(f"{path} holds {len(value)} entries: give at most {most}")
        named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, tuple) else ()
        for name, each in named:
            _check_bounds(f"{path}.{name}", each)


def rules_document(rules: LineupRules) -> dict[str, Any]:
    """The rules as JSON, to be kept with the lineups they made."""
    from models.lineups.rules_json import rules_as_json

    return dict(rules_as_json(rules))
