"""An entries file after lock in, the same file with its open slots filled anew out: `fantasy late-swap`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from features.contests import Contest, load_contest
from features.errors import InvalidInput
from features.sources.entries import Entries, write_entries
from features.sources.payouts import Payouts
from flows.contest_simulation import SimulationWords, open_payouts, run_simulation
from flows.drafting import ProjectedSlate, open_slate, project
from flows.rules_file import PlayerRules, find_player

if TYPE_CHECKING:
    from models.lineups.late_swap import Mode, SwapResult
    from models.lineups.rules import LineupRules
    from models.projection.slate import SlateProjections

#: Fantasy points that count as a projection to the simulator and as none to everybody else.
_NOTHING: Final = 1e-6
#: Likewise a chance to play; the simulator refuses points of somebody who never plays.
_NEVER: Final = 1e-3


@dataclass(frozen=True, slots=True)
class SwapRequest:
    """What to swap. `salaries` may be the entries file, which holds the player pool too; `now` is aware; `out_players`
    are names or ids; `mode` is optimize or replace_out; `out` None means the entries file itself."""

    entries: Path
    salaries: Path
    now: datetime
    out_players: tuple[str, ...] = ()
    mode: str = "optimize"
    site: str | None = None
    sport: str | None = None
    day: date | None = None
    injuries: tuple[Path, ...] = ()
    projections: str | None = None
    league: str = "auto"
    rules: PlayerRules = field(default_factory=PlayerRules)
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class LateSwapped:
    """A finished swap; `simulated` holds the portfolio's figures `before` and `after` where they were asked for."""

    projected: ProjectedSlate
    contest: Contest
    entries: Entries
    result: SwapResult
    written: Path
    simulated: dict[str, Any] | None = None

    @property
    def warnings(self) -> list[str]:
        """What the projections, the entries file and the swap have to say."""
        return [*self.projected.projections.warnings, *self.entries.problems, *self.result.warnings]

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy late-swap --json`."""
        slate = self.projected.slate
        return {
            **self.result.as_json(),
            "slate": {"id": slate.slate_id, "site": slate.site, "sport": slate.sport, "mode": slate.mode},
            "model": self.projected.model,
            "fallback": self.projected.projections.fallback,
            "simulated": self.simulated,
            "written": str(self.written),
            "warnings": self.warnings,
        }


def swap(request: SwapRequest, simulation: SimulationWords | None = None) -> LateSwapped:
    """Swap every entry of the file and write it; an entry that cannot be swapped keeps its row as it is.

    Raises `InvalidInput` for words that make no sense; nothing is written then.
    """
    from models.lineups.late_swap import MODES, late_swap
    from models.lineups.seated import read_for_swap

    mode: Mode | None = next((known for known in MODES if known == request.mode), None)
    if mode is None:
        raise InvalidInput(f"--mode {request.mode!r} is not known; choose one of {', '.join(MODES)}")
    payouts = None if simulation is None else open_payouts(simulation.payouts, simulation.field)
    slate = open_slate(request.salaries, site=request.site, sport=request.sport, day=request.day)
    out = frozenset(id_ for who in request.out_players for id_ in find_player(slate, who, "--out-players"))
    rules = request.rules.resolve(slate)
    contest = load_contest(slate.site, slate.sport, slate.mode)
    projected = project(slate, league=request.league, own=request.projections, injuries=request.injuries)
    entries, projections = read_for_swap(request.entries, projected.slate, projected.projections, contest)
    slate = entries.slate
    projected = replace(projected, slate=slate, projections=projections)
    result = late_swap(entries, slate, projected.projections, contest, rules, now=request.now, out=out, mode=mode)
    simulated = None
    if simulation is not None and payouts is not None:
        simulated = _simulated(projected, contest, rules, result, out, simulation, payouts)
    written = request.out or request.entries
    write_entries(written, entries, result.swapped)
    return LateSwapped(projected, contest, entries, result, written, simulated)


def _simulated(
    projected: ProjectedSlate,
    contest: Contest,
    rules: LineupRules,
    result: SwapResult,
    out: frozenset[str],
    words: SimulationWords,
    payouts: Payouts,
) -> dict[str, Any]:
    """The contest with the entries as they were and as they are now, in the same scenarios."""
    slate = projected.slate
    projections = _scoring_nothing(projected.projections, out)
    found: dict[str, Any] = {"note": "games under way are simulated from their projections, not from live scores"}
    for name, lineups in (("before", result.uploaded), ("after", result.lineups)):
        if lineups:
            judged = run_simulation(slate, projections, contest, rules, words, payouts, lineups=lineups)
            found[name] = judged.portfolio
    return found


def _scoring_nothing(projections: SlateProjections, out: frozenset[str]) -> SlateProjections:
    """Those who are out, or project nothing, play no minute; the simulator leaves out who projects exactly 0, and the
    uploaded lineups may still hold him."""
    here = pl.col("site_id").is_in(list(out)) | (pl.col("mean") <= 0)
    values = {"mean": _NOTHING, "q10": 0.0, "q50": 0.0, "q90": 0.0, "p_play": _NEVER}
    frame = projections.frame.with_columns(
        pl.when(here).then(value).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )
    return replace(projections, frame=frame)
