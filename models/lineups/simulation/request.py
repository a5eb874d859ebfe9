"""What is asked of a contest simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from features.errors import InvalidInput
from models.lineups.pool import MAX_LINEUPS
from models.lineups.simulation.choose import Objective

if TYPE_CHECKING:
    from features.sources.payouts import Payouts
    from models.lineups.problem import Lineup

#: Entries of a contest whose payout table does not say.
FIELD_SIZE: Final = 10_000
MAX_FIELD: Final = 500_000
MAX_CANDIDATES: Final = 50_000
MIN_SCENARIOS: Final = 100
MAX_SCENARIOS: Final = 200_000


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """`entries` of ours among `field_size` in all (None: as many as `payouts` says, else 10,000).

    `candidates` lineups are generated to choose from, or `lineups` are judged as they are instead. `payouts` None is
    the preset `gpp`; a table for another field size is scaled. `objective`: see `choose`. Equal `seed`, equal result.
    Exposure caps are those of the `LineupRules`.
    """

    entries: int = MAX_LINEUPS
    scenarios: int = 10_000
    field_size: int | None = None
    candidates: int = 5_000
    payouts: Payouts | None = None
    seed: int = 0
    objective: Objective = "log_utility"
    lineups: Sequence[Lineup] | None = None

    def check(self) -> None:
        """Raise `InvalidInput` naming the field, its value and the fix."""
        size = self.size
        for name, value, least, most in (
            ("entries", self.own, 1, MAX_LINEUPS if self.lineups is None else size - 1),
            ("scenarios", self.scenarios, MIN_SCENARIOS, MAX_SCENARIOS),
            ("field_size", size, 2, MAX_FIELD),
            ("candidates", self.candidates, 1, MAX_CANDIDATES),
            ("seed", self.seed, 0, 2**31 - 1),
        ):
            if not least <= value <= most:
                raise InvalidInput(f"{name} is {value}; give {least:,} to {most:,}")
        if self.own >= size:
            raise InvalidInput(
                f"entries is {self.own} but field_size only {size}; a contest needs opponents: raise field_size"
            )
        if self.objective not in get_args(Objective):
            raise InvalidInput(
                f"objective {self.objective!r} is not known; choose one of {', '.join(get_args(Objective))}"
            )

    @property
    def size(self) -> int:
        """All entries of the contest, ours included."""
        if self.field_size is not None:
            return self.field_size
        return self.payouts.field_size if self.payouts is not None else FIELD_SIZE

    @property
    def own(self) -> int:
        """How many entries are ours."""
        return self.entries if self.lineups is None else len(self.lineups)
