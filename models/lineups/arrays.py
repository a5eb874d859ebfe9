"""What the compiled functions pass to one another: named tuples of arrays, which numba takes as they are."""

from __future__ import annotations

from typing import NamedTuple

from models.lineups.compile import Flags, Floats, Ints


class Players(NamedTuple):
    """One row per player: points, salary units, slot bits, kind (equal slot bits), team and game codes.

    `quota` has one entry per kind: how many of its players a relaxed lineup can need, and one more.
    """

    projection: Floats
    salary: Ints
    mask: Ints
    kind: Ints
    quota: Ints
    team: Ints
    game: Ints
    locked: Flags


class Limits(NamedTuple):
    """Salary units a lineup may and must cost, and its spread over teams and games."""

    cap: int
    floor: int
    per_team: int
    teams: int
    games: int


class Prices(NamedTuple):
    """Per roster slot: its price, who sits there in the relaxed lineup and his premium."""

    price: Floats
    premium: Floats
    seat: Ints


class Core(NamedTuple):
    """The players worth a look, slot by slot in search `order`: rows start[k]..start[k + 1] by growing loss.

    suffix[k, left]: least loss of slots k.. with `left` salary units; `least` is its row minimum. bit_of and forfeit:
    see `table.premium_table`.
    """

    order: Ints
    start: Ints
    player: Ints
    loss: Floats
    suffix: Floats
    least: Floats
    bit_of: Ints
    forfeit: Floats


class Counts(NamedTuple):
    """Players seated so far per team, per game, per earlier lineup; `spread` = teams and games in use.

    member[start[i]..start[i + 1]] lists the earlier lineups player i is in.
    """

    team: Ints
    game: Ints
    spread: Ints
    overlap: Ints
    start: Ints
    member: Ints


class Best(NamedTuple):
    """Room for the best lineups: projection, players ascending, players in roster-slot order."""

    value: Floats
    players: Ints
    seats: Ints
