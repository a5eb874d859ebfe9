"""Heavy lineup work as data, and doing it: what the cloud tier accepts and a flow carries out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from features.contests import load_contest
from features.errors import InvalidInput
from features.sources.payouts import Preset, preset_payouts

if TYPE_CHECKING:
    from features.slate import Slate
    from models.lineups.problem import Lineup
    from models.projection.slate import SlateProjections

MOST_LINEUPS: Final = 150
MOST_SCENARIOS: Final = 50_000
MOST_FIELD: Final = 200_000
MOST_CANDIDATES: Final = 20_000
USUAL_FIELD: Final = 10_000
#: Prizes kept while lineups are chosen: half of these, 4 bytes each.
MOST_PRIZES: Final = 200_000_000
Progress = Callable[[str, int, int], None]


class _Job(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    slate_id: str = Field(pattern=r"^[A-Za-z0-9._:@-]{1,200}$", description="id from GET /v1/slates")
    rules: dict[str, Any] = Field(default={}, description="as `rules` of POST /v1/lineups")

    @model_validator(mode="after")
    def _rules_are_known(self) -> Self:
        from models.lineups.rules_json import parse_rules

        try:
            parse_rules(self.rules)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return self


class PortfolioJob(_Job):
    """Build a portfolio of lineups, the best first."""

    kind: Literal["portfolio"]
    n: int = Field(default=MOST_LINEUPS, ge=1, le=MOST_LINEUPS)


class SimulationJob(_Job):
    """Simulate a contest and choose `entries` lineups for it."""

    kind: Literal["simulation"]
    entries: int = Field(default=MOST_LINEUPS, ge=1, le=MOST_LINEUPS)
    scenarios: int = Field(default=10_000, ge=100, le=MOST_SCENARIOS)
    field_size: int = Field(default=USUAL_FIELD, ge=2, le=MOST_FIELD)
    candidates: int = Field(default=5_000, ge=1, le=MOST_CANDIDATES)
    objective: Literal["log_utility", "roi", "win"] = "log_utility"
    payouts: Preset = "gpp"
    seed: int = Field(default=0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.candidates * self.scenarios > MOST_PRIZES:
            raise ValueError(
                f"candidates {self.candidates} x scenarios {self.scenarios} is more than {MOST_PRIZES:,}: lower one"
            )
        if self.entries >= self.field_size:
            raise ValueError(f"entries {self.entries} leave no opponents in {self.field_size}: raise field_size")
        return self


LineupJob = Annotated[PortfolioJob | SimulationJob, Field(discriminator="kind")]
_parse: Final[TypeAdapter[PortfolioJob | SimulationJob]] = TypeAdapter(LineupJob)


def parse_job(question: object) -> PortfolioJob | SimulationJob:
    """The job as it was stored. Raises `InvalidInput` when it is none."""
    try:
        return _parse.validate_python(question)
    except ValidationError as error:
        raise InvalidInput(f"this is no job that can be done ({error}); ask for it again") from error


def run_job(
    job: PortfolioJob | SimulationJob,
    slate: Slate,
    projections: SlateProjections,
    *,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[tuple[Lineup, ...], dict[str, Any]]:
    """The lineups, best first, and the result as plain JSON.

    Raises `InvalidInput`, `Infeasible` where no lineup keeps the rules, and `Cancelled` soon after `cancelled` says so.
    """
    from models.lineups.rules_json import parse_rules

    contest = load_contest(slate.site, slate.sport, slate.mode)
    told = {
        "slate_id": slate.slate_id,
        "model": {"name": projections.model_name, "version": projections.model_version},
        "data_timestamp": None if projections.data_timestamp is None else projections.data_timestamp.isoformat(),
        "fallback": projections.fallback,
    }
    if isinstance(job, PortfolioJob):
        from models.lineups.draft import draft

        built = draft(slate, projections, contest, parse_rules({**job.rules, "n": job.n}), cancelled=cancelled)
        body = {
            "lineups": [lineup.as_json() for lineup in built.lineups], "bound": built.bound, "gap": built.gap,
            "solve_ms": round(built.solve_ms, 3),
        }  # fmt: skip
        warnings = [*projections.warnings, *built.warnings]
        return built.lineups, {**told, **body, "warnings": warnings}
    from models.lineups.simulation.contest_run import simulate_contest
    from models.lineups.simulation.request import SimulationRequest

    wanted = SimulationRequest(
        entries=job.entries, scenarios=job.scenarios, field_size=job.field_size, candidates=job.candidates,
        payouts=preset_payouts(job.payouts, field_size=job.field_size), seed=job.seed, objective=job.objective,
    )  # fmt: skip
    found = simulate_contest(
        slate, projections, contest, parse_rules(job.rules), wanted, on_progress=on_progress, cancelled=cancelled
    )
    return found.lineups, {**told, **found.as_json(), "warnings": [*projections.warnings, *found.warnings]}
