"""Lineups: build them for a slate, download the file the site accepts, or have an entries file filled."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import polars as pl
from fastapi import APIRouter, File, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from pydantic_core import to_json

from features.contests import Contest, load_contest
from features.recent import RecentOf
from features.slate import Slate
from features.sources.upload import upload_text
from features.stores.lineups import load_lineups, save_lineups
from features.stores.slates import load_slate
from models.lineups.draft import draft
from models.lineups.problem import Lineup, LineupResult, RosteredPlayer, lineup_from_json, lineups_as_json
from models.lineups.rules import LineupRules
from serving import telemetry
from serving.cancellation import Cancelled, until_gone
from serving.context import Context, ContextDep
from serving.predictor import Projected
from serving.problem import READS, WRITES
from serving.routes.answers import Answer, source_fields
from serving.routes.projections import project
from serving.routes.rules_body import MOST_LINEUPS, RuledRequest, rules_document, with_own

router = APIRouter(prefix="/v1", tags=["lineups"])
Ids = Annotated[list[str], Field(max_length=1000)]
CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {}}, "description": "the file the site's upload accepts"}
}


class LineupRequest(RuledRequest):
    """The player's rules on top of the contest's. Each field after `rules` is short for the rule of its name.

    A short form that is given counts, whatever `rules` says.
    """

    n: int = Field(default=1, ge=1, le=MOST_LINEUPS)
    locked: Ids = Field(default=[])
    excluded: Ids = Field(default=[])
    max_exposure: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    min_salary: int = Field(default=0, ge=0, le=1_000_000, description="min_salary_usd of the rules")
    min_unique: int = Field(default=1, ge=1, le=20, description="players in which any two lineups differ")

    def every_rule(self) -> LineupRules:
        """The rules with the short forms in them."""
        short: dict[str, Any] = {
            "n": self.n,
            "locked": frozenset(self.locked),
            "excluded": frozenset(self.excluded),
            "max_exposure": self.max_exposure,
            "min_salary_usd": self.min_salary,
            "min_unique": self.min_unique,
        }
        given = self.model_fields_set | ({"min_salary_usd"} if "min_salary" in self.model_fields_set else set())
        return replace(self.rules, **{name: value for name, value in short.items() if name in given})


class RosterPlayer(BaseModel):
    """A player in his roster slot, with his projection there and its 80 % interval."""

    id: str
    name: str
    slot: str
    team: str
    salary: int
    projection: float
    q10: float
    q90: float


class LineupAnswer(BaseModel):
    """A legal lineup. No lineup that was still allowed scores above `bound`; `gap` 0 means proven optimal."""

    players: list[RosterPlayer]
    salary: int
    projection: float
    bound: float
    gap: float


class PlayerExposure(BaseModel):
    """How many of the lineups hold a player."""

    id: str
    name: str
    team: str
    count: int
    share: float


class RuleExposure(BaseModel):
    """How many lineups hold what an exposure rule names, and how many it asked for."""

    label: str
    count: int
    least: int
    most: int


class Lineups(Answer):
    """Lineups best first; `id` names them for download.

    `bound` and `gap` are of the whole set, where minimum exposures had it chosen jointly.
    """

    id: UUID
    slate_id: str
    lineups: list[LineupAnswer]
    players: list[PlayerExposure] = Field(description="everyone who is in a lineup, most used first")
    exposures: list[RuleExposure] = Field(description="what the exposure rules asked for and got")
    bound: float | None
    gap: float | None
    solve_ms: float


@router.post("/lineups", response_model=Lineups, responses=WRITES)
async def build_lineups(request: Request, context: ContextDep, wanted: LineupRequest) -> Response:
    """Build the best legal lineups of a slate; 422 names the rules that clash when there is none.

    The work stops when the client hangs up.
    """
    projected = with_own(await project(context, wanted.slate_id), wanted.projections)
    slate = projected.stored.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    rules = wanted.every_rule()

    def work(cancelled: Cancelled) -> LineupResult:
        return draft(slate, projected.projections, contest, rules, cancelled=cancelled)

    result = await until_gone(request, context.solver, context.wish(), work)
    telemetry.LINEUPS.labels(slate.site).inc(len(result.lineups))
    telemetry.SOLVE.labels(slate.site).observe(result.solve_ms / 1000)
    request_id = uuid4()
    # Kept before it is answered: whoever has the id can use it, on every replica.
    _, body = await asyncio.gather(
        run_in_threadpool(keep, context, projected, rules, result.lineups, request_id),
        run_in_threadpool(_rendered, request_id, result, projected, contest),
    )
    return Response(body, media_type="application/json")


def _rendered(request_id: UUID, result: LineupResult, projected: Projected, contest: Contest) -> bytes:
    """`Lineups` as JSON; its lineups, by far the most of it, go there without a model for each of their players."""
    fields = source_fields(projected)
    fields["warnings"] = [*fields["warnings"], *result.warnings]
    answer = Lineups(
        id=request_id,
        slate_id=projected.stored.slate.slate_id,
        lineups=[],
        players=player_exposures(result.lineups),
        exposures=[
            RuleExposure(label=each.label, count=each.count, least=each.least, most=each.most)
            for each in result.exposures
        ],
        bound=None if result.bound is None else round(result.bound, 4),
        gap=None if result.gap is None else round(result.gap, 6),
        solve_ms=round(result.solve_ms, 3),
        **fields,
    )
    return to_json(answer.model_dump() | {"lineups": lineup_documents(result.lineups, projected, contest)})


@router.get("/lineups/{request_id}/upload.csv", response_class=Response, responses={**CSV, **READS})
def download_lineups(context: ContextDep, request_id: UUID) -> Response:
    """Return the upload file of lineups built before."""
    slate, contest, lineups = kept(context, request_id)
    content = upload_text(lineups, slate, contest).encode()
    return csv_file(content, f"{slate.site}-{slate.sport}-{len(lineups)}-lineups.csv")


@router.post("/lineups/{request_id}/entries.csv", response_class=Response, responses={**CSV, **WRITES})
async def fill_entries_file(
    context: ContextDep,
    request_id: UUID,
    file: Annotated[UploadFile, File(description="the site's entries file, as downloaded")],
) -> Response:
    """Return the entries file with lineups built before in its entries, first to first, all else as it came."""
    content = await file.read()
    filled = await run_in_threadpool(_filled, context, request_id, content)
    return csv_file(filled, file.filename or "entries.csv")


def lineup_answers(lineups: Sequence[Lineup], projected: Projected, contest: Contest) -> list[LineupAnswer]:
    """The lineups as answered: each player with his interval, multiplied as his slot multiplies points."""
    return [LineupAnswer(**body) for body in lineup_documents(lineups, projected, contest)]


def lineup_documents(lineups: Sequence[Lineup], projected: Projected, contest: Contest) -> list[dict[str, Any]]:
    """`LineupAnswer`s as plain values; lineups may share the documents of their players."""
    known = _intervals(projected.projections.frame)
    times = {slot.name: slot.points_multiplier for slot in contest.slots}

    def player(seat: RosteredPlayer) -> dict[str, Any]:
        q10, q90 = (round(value * times[seat.slot], 4) for value in known[seat.id])
        return seat.as_json() | {"q10": q10, "q90": q90}

    return lineups_as_json(lineups, player)


def _intervals_of(frame: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """q10 and q90 by site id."""
    return {site_id: (q10, q90) for site_id, q10, q90 in frame.select("site_id", "q10", "q90").iter_rows()}


_intervals: Final = RecentOf(16, _intervals_of)


def player_exposures(lineups: tuple[Lineup, ...]) -> list[PlayerExposure]:
    """Everyone who is in a lineup, most used first."""
    used = Counter(player.id for lineup in lineups for player in lineup.players)
    who = {player.id: player for lineup in lineups for player in lineup.players}
    return [
        PlayerExposure(
            id=site_id,
            name=who[site_id].name,
            team=who[site_id].team,
            count=count,
            share=round(count / len(lineups), 4),
        )
        for site_id, count in used.most_common()
    ]


def keep(
    context: Context, projected: Projected, rules: LineupRules, lineups: tuple[Lineup, ...], request_id: UUID
) -> None:
    """Store lineups under an id, so that they can be downloaded, simulated and graded."""
    slate: Slate = projected.stored.slate
    save_lineups(
        context.database,
        request_id,
        slate,
        lineups_as_json(lineups),
        model=(projected.projections.model_name, projected.projections.model_version),
        rules=rules_document(rules),
        built_at=datetime.now(UTC),
    )


def kept(context: Context, request_id: UUID) -> tuple[Slate, Contest, tuple[Lineup, ...]]:
    """The slate, its contest and the lineups of a request. Raises `NotMaterialized` when they are not known."""
    slate_id, rows = load_lineups(context.database, request_id)
    slate = load_slate(context.database, slate_id).slate
    return slate, load_contest(slate.site, slate.sport, slate.mode), tuple(lineup_from_json(row) for row in rows)


def csv_file(content: bytes, name: str) -> Response:
    """A CSV the browser saves under `name`."""
    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_. ()") else "_" for letter in name
    )
    headers = {"Content-Disposition": f'attachment; filename="{plain}"'}
    return Response(content, media_type="text/csv", headers=headers)


def _filled(context: Context, request_id: UUID, content: bytes) -> bytes:
    from features.sources.entries import fill_entries, read_entries

    slate, contest, lineups = kept(context, request_id)
    entries = read_entries(content, slate, contest)
    pairs = zip(entries.entries, lineups, strict=False)
    text = fill_entries(entries, {entry.entry_id: lineup for entry, lineup in pairs})
    return entries.prefix + text.encode(entries.encoding, errors="replace")
