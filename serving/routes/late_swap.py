"""Late swap: an entries file as it is now in, the same file with every open slot filled anew out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from features.contests import Contest, load_contest
from features.errors import InvalidInput
from models.lineups.rules import LineupRules
from serving import telemetry
from serving.cancellation import Cancelled, until_gone
from serving.context import ContextDep
from serving.predictor import Projected
from serving.problem import WRITES
from serving.routes.answers import SLATE_ID, Answer, source_fields
from serving.routes.lineups import LineupAnswer, lineup_answers
from serving.routes.projections import project
from serving.routes.rules_body import OwnProjection, OwnProjections, parsed_rules, with_own

if TYPE_CHECKING:
    from models.lineups.late_swap import EntrySwap, Mode, SwapResult

router = APIRouter(prefix="/v1", tags=["lineups"])
#: The whole of a form field that holds JSON.
JSON_TEXT = 1_000_000
_OWN: TypeAdapter[dict[str, OwnProjection]] = TypeAdapter(OwnProjections)


class ReplacedPlayer(BaseModel):
    """Who left a slot and who came; `out` is null where the slot was empty."""

    slot: str
    out: str | None
    out_name: str
    into: str
    into_name: str


class SwappedEntry(BaseModel):
    """What became of one entry, and why. `lineup` is null where the row cannot be read and stays as it was."""

    entry_id: str
    status: Literal["kept", "swapped", "unswappable"]
    reason: str
    replaced: list[ReplacedPlayer]
    projection_before: float
    lineup: LineupAnswer | None


class SwapAnswer(Answer):
    """Every entry in the file's order; `file` is the entries file with the swapped lineups in it, to be uploaded."""

    slate_id: str
    now: datetime
    entries: list[SwappedEntry]
    swapped: int
    kept: int
    unswappable: int
    solve_ms: float
    file_name: str
    file: str


@dataclass(frozen=True, slots=True)
class _Swap:
    """What is asked for."""

    content: bytes
    rules: LineupRules
    now: datetime
    out: frozenset[str]
    mode: Mode


@router.post("/lineups/late-swap", responses=WRITES)
async def swap_late(
    request: Request,
    context: ContextDep,
    slate_id: Annotated[str, Form(pattern=SLATE_ID, description="id from GET /v1/slates")],
    file: Annotated[UploadFile, File(description="the site's entries file, as downloaded")],
    now: Annotated[
        AwareDatetime | None,
        Form(description="moment to swap at, with time zone; the server's clock where absent"),
    ] = None,
    out: Annotated[
        list[str], Form(max_length=1000, description="ids of players newly out, beside those the slate marks")
    ] = [],  # noqa: B006 - FastAPI copies it
    mode: Annotated[
        Literal["optimize", "replace_out"], Form(description="every entry, or only those that hold somebody out")
    ] = "optimize",
    rules: Annotated[
        str, Form(max_length=JSON_TEXT, description="JSON of the rules, as in POST /v1/lineups")
    ] = "{}",
    projections: Annotated[
        str, Form(max_length=JSON_TEXT, description="JSON of your own projections, as in POST /v1/lineups")
    ] = "null",
) -> SwapAnswer:
    """Fill the open slots of every entry with the best players whose games have not started.

    Locked slots stay as they are. An entry that cannot be swapped is left alone and says why.
    """
    content = await file.read()
    wanted = _Swap(content, _rules(rules), now or datetime.now(UTC), frozenset(out), mode)
    projected = with_own(await project(context, slate_id), _own(projections))

    def work(cancelled: Cancelled) -> _Swapped:
        return _swapped(projected, wanted, cancelled)

    swapped = await until_gone(request, context.solver, context.wish(), work)
    result = swapped.result
    telemetry.SOLVE.labels(projected.stored.slate.site).observe(result.solve_ms / 1000)
    fields = source_fields(projected)
    fields["warnings"] = [*fields["warnings"], *swapped.problems, *result.warnings]
    return SwapAnswer(
        slate_id=slate_id,
        now=wanted.now,
        entries=swapped.answers,
        swapped=result.count("swapped"),
        kept=result.count("kept"),
        unswappable=result.count("unswappable"),
        solve_ms=round(result.solve_ms, 3),
        file_name=file.filename or "entries.csv",
        file=swapped.text,
        **fields,
    )


@dataclass(frozen=True, slots=True)
class _Swapped:
    """What became of the entries, as answered; `problems` are what the file's reader had to say."""

    result: SwapResult
    answers: list[SwappedEntry]
    problems: tuple[str, ...]
    text: str


def _swapped(projected: Projected, wanted: _Swap, cancelled: Cancelled) -> _Swapped:
    from features.sources.entries import fill_entries
    from models.lineups.late_swap import late_swap
    from models.lineups.seated import read_for_swap

    listed = projected.stored.slate
    contest = load_contest(listed.site, listed.sport, listed.mode)
    entries, projections = read_for_swap(wanted.content, listed, projected.projections, contest)
    result = late_swap(
        entries,
        entries.slate,
        projections,
        contest,
        wanted.rules,
        now=wanted.now,
        out=wanted.out,
        mode=wanted.mode,
        cancelled=cancelled,
    )
    # The text travels as UTF-8; a file that said so by its mark keeps saying so.
    mark = "\ufeff" if entries.prefix else ""
    answers = _answers(result, replace(projected, projections=projections), contest)
    return _Swapped(result, answers, entries.problems, mark + fill_entries(entries, result.swapped))


def _answers(result: SwapResult, projected: Projected, contest: Contest) -> list[SwappedEntry]:
    lineups = iter(lineup_answers(result.lineups, projected, contest))
    return [_answer(entry, None if entry.lineup is None else next(lineups)) for entry in result.entries]


def _answer(entry: EntrySwap, lineup: LineupAnswer | None) -> SwappedEntry:
    return SwappedEntry(
        entry_id=entry.entry_id,
        status=entry.status,
        reason=entry.reason,
        replaced=[
            ReplacedPlayer(slot=r.slot, out=r.out, out_name=r.out_name, into=r.into, into_name=r.into_name)
            for r in entry.replaced
        ],
        projection_before=round(entry.before, 4),
        lineup=lineup,
    )


def _rules(text: str) -> LineupRules:
    rules = parsed_rules(_json("rules", text))
    if rules.fixed:
        raise InvalidInput(
            f"rules.fixed {dict(list(rules.fixed.items())[:3])}: the entries file says who is locked"
        )
    return replace(rules, n=1)


def _own(text: str) -> dict[str, OwnProjection] | None:
    given = _json("projections", text)
    if given is None:
        return None
    try:
        return _OWN.validate_python(given)
    except ValidationError as error:
        wrong = error.errors()[0]
        path = ".".join(["projections", *map(str, wrong["loc"])])
        raise InvalidInput(f"{path} is {str(wrong['input'])[:80]!r}: {wrong['msg']}") from error


def _json(field: str, text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{field} is no JSON ({error}): send the text of a JSON object") from error
    except RecursionError as error:
        raise InvalidInput(f"{field} is nested too deep: send a JSON object of a few levels") from error
    return found
