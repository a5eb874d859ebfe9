"""What can be asked of the tiers, as data: `kind` tells which."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from features.errors import InvalidInput
from models.lineups.jobs import PortfolioJob, SimulationJob

GAME_ID: Final = r"^[A-Za-z0-9_-]{1,40}$"
MOST_PLAYERS: Final = 500
MOST_CHANGES: Final = 500
GameId = Annotated[str, Field(pattern=GAME_ID, examples=["0022400001"])]
PlayerId = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GameNow(_Question):
    """How does a game in progress stand, and who wins it?"""

    kind: Literal["game"]
    game_id: GameId


class PlayersNow(_Question):
    """What do players have, and how do they end?"""

    kind: Literal["players"]
    player_ids: list[PlayerId] = Field(min_length=1, max_length=MOST_PLAYERS)


class LineNow(_Question):
    """Does a player end above a line? `stat` is draftkings, fanduel, yahoo, or one of the box line as published."""

    kind: Literal["line"]
    player_id: PlayerId
    stat: str = Field(default="draftkings", max_length=40)
    line: float = Field(allow_inf_nan=False, ge=-1000, le=1000)


class SlateNow(_Question):
    """The projections of a slate's players."""

    kind: Literal["projections"]
    slate_id: str = Field(pattern=r"^[A-Za-z0-9._:@-]{1,200}$")


class WhatIf(_Question):
    """Who would win if the game stood otherwise? One answer per change, e.g. `{"lead": 5, "left_s": 120}`.

    `features` are the model's inputs (topic `game:{id}`), those of the game now when absent.
    """

    kind: Literal["what_if"]
    game_id: GameId
    changes: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_CHANGES)
    features: dict[str, float | None] | None = Field(default=None, max_length=200)


#: What can be planned without looking anything up.
Planned = GameNow | PlayersNow | LineNow | WhatIf | SimulationJob | PortfolioJob
Question = Annotated[Planned | SlateNow, Field(discriminator="kind")]
_parse: Final[TypeAdapter[Question]] = TypeAdapter(Question)


def parse(question: object) -> Question:
    """The question. Raises `InvalidInput` naming the field, its value and what is wrong with it."""
    try:
        return _parse.validate_python(question)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in wrong["loc"]) or "question"
        value = "" if wrong["type"] == "missing" else f" is {str(wrong.get('input'))[:80]!r}"
        raise InvalidInput(
            f"question {field}{value}: {wrong['msg']}; docs/tiers.md lists what can be asked"
        ) from error
