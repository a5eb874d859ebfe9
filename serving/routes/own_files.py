"""A player's own files, read into what the other routes take: projections (CSV) and a contest's payout table (CSV)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, ValidationError

from features.errors import SalaryFileError
from features.sources.payouts import read_payouts
from features.sources.projections_file import read_own_numbers
from serving.context import Context, ContextDep
from serving.problem import WRITES
from serving.routes.answers import SLATE_ID
from serving.routes.contests import PayoutTable
from serving.routes.rules_body import OwnProjection

router = APIRouter(prefix="/v1")


class OwnProjectionsRead(BaseModel):
    """`projections` as `POST /v1/lineups`, `/v1/lineups/late-swap` and `/v1/contests/simulate` take them."""

    slate_id: str
    projections: dict[str, OwnProjection] = Field(description="by site id; who is not named projects 0")
    unnamed: int = Field(description="players of the slate the file has no number for")


class PayoutsRead(BaseModel):
    """`payouts` as `POST /v1/contests/simulate` takes them; `problems` says what looks wrong with them."""

    payouts: PayoutTable
    pool_usd: float
    paid_places: int
    problems: list[str]


@router.post("/projections/file", tags=["projections"], responses=WRITES)
async def read_projections_file(
    context: ContextDep,
    slate_id: Annotated[str, Form(pattern=SLATE_ID, description="id from GET /v1/slates")],
    file: Annotated[
        UploadFile, File(description="CSV with names or ids and points; floor, ceiling, ownership too")
    ],
) -> OwnProjectionsRead:
    """Read a file of your own projections for a slate; nothing is stored. 422 names the row, the field and the fix."""
    content = await file.read()
    return await run_in_threadpool(_projections, context, slate_id, content)


@router.post("/contests/payouts", tags=["contests"], responses={code: WRITES[code] for code in (400, 413, 422)})
async def read_payouts_file(
    file: Annotated[UploadFile, File(description="CSV of Place (7-8), Payout, Field Size, Entry Fee")],
) -> PayoutsRead:
    """Read a contest's payout table; nothing is stored. 422 names the row, the field and the fix."""
    content = await file.read()
    return await run_in_threadpool(_payouts, content)


def _projections(context: Context, slate_id: str, content: bytes) -> OwnProjectionsRead:
    slate = context.slates.get(slate_id).slate
    numbers = read_own_numbers(content, slate)
    found = {}
    for site_id, own in numbers.items():
        try:
            found[site_id] = OwnProjection(
                mean=own.points, floor=own.floor, ceiling=own.ceiling, ownership=own.ownership
            )
        except ValidationError as error:
            raise SalaryFileError(
                f"the projections file, player {site_id}: {_said(error)}; correct the row"
            ) from error
    return OwnProjectionsRead(
        slate_id=slate_id, projections=found, unnamed=sum(p.site_id not in found for p in slate.players)
    )


def _payouts(content: bytes) -> PayoutsRead:
    payouts = read_payouts(content)
    try:
        table = PayoutTable(
            tiers=list(payouts.tiers), field_size=payouts.field_size, entry_fee_usd=payouts.entry_fee_usd
        )
    except ValidationError as error:
        raise SalaryFileError(f"the payout file, {_said(error)}; correct the file") from error
    return PayoutsRead(
        payouts=table,
        pool_usd=round(payouts.pool_usd, 2),
        paid_places=payouts.paid_places,
        problems=list(payouts.problems()),
    )


def _said(error: ValidationError) -> str:
    wrong = error.errors()[0]
    field = ".".join(map(str, wrong["loc"]))
    return f"{field or 'numbers'}, value {str(wrong['input'])[:80]}: {wrong['msg']}"
