"""Contests: which ones' rules are known, and simulating one on a slate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.contests import Contest, known_contests, load_contest
from features.errors import InvalidInput
from features.sources.payouts import Payouts, Preset, preset_payouts
from models.lineups.problem import Lineup
from serving.cancellation import Cancelled
from serving.context import Context, ContextDep
from serving.errors import Busy
from serving.predictor import Projected
from serving.problem import WRITES
from serving.progress import MEDIA_TYPE, Report, Telling
from serving.routes.answers import Answer, source_fields
from serving.routes.lineups import LineupAnswer, PlayerExposure, keep, kept, lineup_answers, player_exposures
from serving.routes.projections import project
from serving.routes.rules_body import MOST_LINEUPS, RuledRequest, with_own

if TYPE_CHECKING:
    from models.lineups.simulation.request import SimulationRequest
    from models.lineups.simulation.result import SimulationResult

router = APIRouter(prefix="/v1/contests", tags=["contests"])
ROUTE: Final = "/v1/contests/simulate"
#: Memory and time of a simulation grow with these; they are those of the largest run that is measured.
MOST_SCENARIOS: Final = 20_000
MOST_FIELD: Final = 50_000
USUAL_FIELD: Final = 10_000
MOST_CANDIDATES: Final = 10_000
#: Prizes kept while lineups are chosen: half of these, 4 bytes each.
MOST_PRIZES: Final = 100_000_000
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Place = Annotated[int, Field(ge=1, le=10_000_000)]


class SlotRules(BaseModel):
    """A roster slot; `points_multiplier` is a captain's."""

    name: str
    positions: list[str]
    points_multiplier: float
    salary_multiplier: float


class ContestRules(BaseModel):
    """Roster rules of one contest type. `salary_cap` is null where salaries do not count."""

    site: str
    sport: str
    mode: str
    slots: list[SlotRules]
    salary_cap: int | None
    max_per_team: int
    min_teams: int
    min_games: int
    source: str = Field(description="the site's page the rules are from")


class ContestList(BaseModel):
    """Every contest type whose rules are known."""

    contests: list[ContestRules]


class PayoutTable(BaseModel):
    """Which places win what. `tiers` are [first place, last place, prize in USD], best first, without a gap."""

    model_config = ConfigDict(extra="forbid")

    tiers: list[tuple[Place, Place, Money]] = Field(min_length=1, max_length=1000)
    field_size: int = Field(ge=2, le=500_000)
    entry_fee_usd: float = Field(gt=0, le=1e6, allow_inf_nan=False)

    @model_validator(mode="after")
    def _goes_on(self) -> Self:
        expected = 1
        for first, last, _ in self.tiers:
            if first != expected or last < first:
                raise ValueError(f"places {first}-{last} do not go on from {expected}")
            expected = last + 1
        return self


class SimulationBody(RuledRequest):
    """Simulate a contest and choose `entries` lineups for it, or value those of `lineups_id` instead."""

    entries: int = Field(default=150, ge=1, le=MOST_LINEUPS)
    scenarios: int = Field(
        default=10_000, ge=100, le=MOST_SCENARIOS, description="simulated outcomes of the slate"
    )
    field_size: int | None = Field(
        default=None,
        ge=2,
        le=MOST_FIELD,
        description="entries in all, yours among them; else as `payouts`, or 10,000",
    )
    candidates: int = Field(default=5_000, ge=1, le=MOST_CANDIDATES, description="own lineups to choose from")
    objective: Literal["log_utility", "roi", "win"] = "log_utility"
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    payouts: PayoutTable | Preset = Field(
        default="gpp", description="the contest's own, scaled where field_size differs, or a usual one by name"
    )
    lineups_id: UUID | None = Field(default=None, description="`id` of POST /v1/lineups: value these lineups")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.candidates * self.scenarios > MOST_PRIZES:
            raise ValueError(
                f"candidates {self.candidates} x scenarios {self.scenarios} is more than {MOST_PRIZES:,}: lower one"
            )
        return self


class SimulationAnswer(Answer):
    """The `result` line. `table` has a row per lineup, in the order of `lineups`; `portfolio` is all of them together,
    `baseline` as many lineups chosen by projection alone. Shares are 0..1; `roi` 0.2 means 20 % above the fees.
    Chosen lineups are reported on scenarios they were not chosen on.
    """

    event: Literal["result"] = "result"
    id: UUID | None = Field(description="names the lineups for download; null where they were kept before")
    slate_id: str
    lineups: list[LineupAnswer]
    players: list[PlayerExposure]
    table: list[dict[str, Any]]
    portfolio: dict[str, Any]
    baseline: dict[str, Any]
    ownership: list[dict[str, Any]]
    optimal_share: list[dict[str, Any]]
    contest: dict[str, Any]
    timings_ms: dict[str, float]


STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "NDJSON: lines {event: progress, stage, done, total}, last a SimulationAnswer or "
        "{event: error, error, message, retryable}",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


@router.get("")
def list_contests() -> ContestList:
    """List the contest types whose roster rules are known."""
    return ContestList(contests=[_rules(load_contest(*key)) for key in known_contests()])


@router.post("/simulate", response_class=Response, responses={**STREAMED, **WRITES})
async def simulate(context: ContextDep, wanted: SimulationBody) -> Response:
    """Play a contest many times over and say what lineups win in it, telling of progress line by line.

    One simulation runs at a time; others get 503 with Retry-After. The work stops when the client hangs up.
    """
    projected = with_own(await project(context, wanted.slate_id), wanted.projections)
    asked = await run_in_threadpool(_request, context, wanted, projected)
    if not context.simulating.acquire(blocking=False):
        raise Busy("a contest is being simulated already, and one at a time is as many as this process does: wait")

    def work(report: Report, cancelled: Cancelled) -> dict[str, Any]:
        return _simulated(context, projected, wanted, asked, report, cancelled)

    return Telling(context.simulator, context.wish(), ROUTE, work, context.simulating.release)


def _simulated(
    context: Context,
    projected: Projected,
    wanted: SimulationBody,
    asked: SimulationRequest,
    report: Report,
    cancelled: Cancelled,
) -> dict[str, Any]:
    from models.lineups.simulation.contest_run import simulate_contest

    slate = projected.stored.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    result = simulate_contest(
        slate, projected.projections, contest, wanted.rules, asked, on_progress=report, cancelled=cancelled
    )
    kept_as = uuid4() if wanted.lineups_id is None else None
    if kept_as is not None:
        keep(context, projected, wanted.rules, result.lineups, kept_as)
    return _answer(result, projected, contest, kept_as).model_dump(mode="json")


def _answer(
    result: SimulationResult, projected: Projected, contest: Contest, kept_as: UUID | None
) -> SimulationAnswer:
    fields = source_fields(projected)
    fields["warnings"] = [*fields["warnings"], *result.warnings]
    body = result.as_json()
    return SimulationAnswer(
        id=kept_as,
        slate_id=projected.stored.slate.slate_id,
        lineups=lineup_answers(result.lineups, projected, contest),
        players=player_exposures(result.lineups),
        **{name: body[name] for name in SHOWN},
        **fields,
    )


#: Fields of `SimulationResult.as_json` that are answered as they are.
SHOWN: Final = ("table", "portfolio", "baseline", "ownership", "optimal_share", "contest", "timings_ms")


def _request(context: Context, wanted: SimulationBody, projected: Projected) -> SimulationRequest:
    """The simulation asked for, in the simulation's own terms."""
    from models.lineups.simulation.request import SimulationRequest

    made = SimulationRequest(
        entries=wanted.entries,
        scenarios=wanted.scenarios,
        field_size=wanted.field_size,
        candidates=wanted.candidates,
        payouts=_payouts(wanted),
        seed=wanted.seed,
        objective=wanted.objective,
        lineups=_lineups(context, wanted, projected),
    )
    made.check()
    return made


def _payouts(wanted: SimulationBody) -> Payouts:
    given = wanted.payouts
    if isinstance(given, str):
        return preset_payouts(given, field_size=wanted.field_size or USUAL_FIELD)
    return Payouts(tuple(given.tiers), given.field_size, given.entry_fee_usd)


def _lineups(context: Context, wanted: SimulationBody, projected: Projected) -> tuple[Lineup, ...] | None:
    if wanted.lineups_id is None:
        return None
    slate, _, lineups = kept(context, wanted.lineups_id)
    if slate.slate_id != projected.stored.slate.slate_id:
        raise InvalidInput(f"lineups_id {wanted.lineups_id} are of slate {slate.slate_id}: give that slate_id")
    return lineups


def _rules(contest: Contest) -> ContestRules:
    return ContestRules(
        site=contest.site,
        sport=contest.sport,
        mode=contest.mode,
        slots=[
            SlotRules(
                name=slot.name,
                positions=sorted(slot.positions),
                points_multiplier=slot.points_multiplier,
                salary_multiplier=slot.salary_multiplier,
            )
            for slot in contest.slots
        ],
        salary_cap=contest.salary_cap_usd,
        max_per_team=contest.max_per_team,
        min_teams=contest.min_teams,
        min_games=contest.min_games,
        source=contest.source,
    )
