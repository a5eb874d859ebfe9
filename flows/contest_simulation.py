"""Simulates a contest on a salary file's slate: what `fantasy contests simulate` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from features.contests import Contest, load_contest
from features.errors import InvalidInput
from features.slate import Slate
from features.sources.payouts import Payouts, Preset, preset_payouts, read_payouts
from features.sources.upload import write_upload
from flows.drafting import ProjectedSlate
from flows.progress import step
from flows.rules_file import PlayerRules

if TYPE_CHECKING:
    from models.lineups.problem import Lineup
    from models.lineups.rules import LineupRules
    from models.lineups.simulation.result import SimulationResult
    from models.projection.slate import SlateProjections

#: Entries of a contest whose payouts are a preset and whose size is not told.
FIELD: Final = 10_000
PRESETS: Final[tuple[Preset, ...]] = get_args(Preset)


@dataclass(frozen=True, slots=True)
class SimulationWords:
    """What to simulate: `payouts` is a file or a preset, `field` the contest's entries (None: the payout file's)."""

    payouts: str = "gpp"
    field: int | None = None
    scenarios: int = 10_000
    entries: int = 150
    candidates: int = 5_000
    objective: str = "log_utility"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SimulatedContest:
    """A simulated contest with everything needed to print it."""

    projected: ProjectedSlate
    contest: Contest
    payouts: Payouts
    result: SimulationResult
    written: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy contests simulate --json`."""
        slate, projections = self.projected.slate, self.projected.projections
        body = self.result.as_json()
        return {
            **body,
            "slate": {"id": slate.slate_id, "site": slate.site, "sport": slate.sport, "mode": slate.mode},
            "payouts": {
                "field_size": self.payouts.field_size,
                "entry_fee_usd": self.payouts.entry_fee_usd,
                "pool_usd": round(self.payouts.pool_usd, 2),
                "paid_places": self.payouts.paid_places,
            },
            "model": self.projected.model,
            "fallback": projections.fallback,
            "warnings": [*projections.warnings, *body.get("warnings", ())],
        }


def simulate(
    projected: ProjectedSlate, rules: PlayerRules, words: SimulationWords, *, out: Path | None = None
) -> SimulatedContest:
    """Choose a portfolio on simulated contests and judge it; `out` gets its upload file.

    Raises `InvalidInput` for words that make no sense, before anything is simulated.
    """
    slate = projected.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    payouts = open_payouts(words.payouts, words.field)
    wanted = rules.resolve(slate)
    result = run_simulation(slate, projected.projections, contest, wanted, words, payouts)
    if out is not None:
        write_upload(out, result.lineups, slate, contest)
    return SimulatedContest(projected, contest, payouts, result, out)


def run_simulation(
    slate: Slate,
    projections: SlateProjections,
    contest: Contest,
    rules: LineupRules,
    words: SimulationWords,
    payouts: Payouts,
    *,
    lineups: Sequence[Lineup] | None = None,
) -> SimulationResult:
    """Simulate with progress on stderr; `lineups` are judged as they are instead of choosing some."""
    with step("load the simulator"):
        from models.lineups.simulation.contest_run import simulate_contest
        from models.lineups.simulation.request import SimulationRequest

    request = SimulationRequest(
        entries=words.entries if lineups is None else len(lineups),
        scenarios=words.scenarios,
        field_size=payouts.field_size,
        candidates=words.candidates,
        payouts=payouts,
        seed=words.seed,
        objective=words.objective,  # type: ignore[arg-type]  # checked by the simulator
        lineups=None if lineups is None else tuple(lineups),
    )
    with step("simulate the contest") as shown:
        result = simulate_contest(slate, projections, contest, rules, request, on_progress=shown.update)
        shown.summary = f"{words.scenarios:,} scenarios, {payouts.field_size:,} entries"
    return result


def open_payouts(words: str, field: int | None) -> Payouts:
    """The payouts of a file, or of a preset, scaled to `field` entries where that is given.

    Raises `InvalidInput` for what is neither.
    """
    if field is not None and field < 2:
        raise InvalidInput(f"--field {field}: a contest needs 2 entries or more")
    if words in PRESETS:
        return preset_payouts(words, field_size=field or FIELD)
    path = Path(words)
    if not path.is_file():
        raise InvalidInput(f"--payouts {words!r} is no file and no preset; presets are {', '.join(PRESETS)}")
    payouts = read_payouts(path)
    return payouts if field is None else payouts.scaled(field)
