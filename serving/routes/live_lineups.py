"""Following lineups: they are kept for the live hub, which tells how they stand on topic `lineup:{id}`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from features.contests import load_contest
from features.errors import InvalidInput
from features.sources.entries import read_entries
from features.stores.slates import StoredSlate
from serving import security
from serving.context import Context, ContextDep
from serving.live.live_lineups import KEPT_S, MOST_AT_ONCE, Followed, LineupStore, seated
from serving.problem import WRITES
from serving.routes.answers import SLATE_ID

router = APIRouter(prefix="/v1/live", tags=["live"], responses=WRITES)
#: More slots than any contest has.
MOST_PLAYERS: Final = 20
SiteId = Annotated[str, Field(min_length=1, max_length=60)]


class LineupsToFollow(BaseModel):
    """Lineups of one slate, each as the site's player ids, in any order that fills the contest's slots."""

    slate_id: str = Field(pattern=SLATE_ID, description="id from GET /v1/slates")
    lineups: list[Annotated[list[SiteId], Field(min_length=1, max_length=MOST_PLAYERS)]] = Field(
        min_length=1, max_length=MOST_AT_ONCE
    )


class FollowedLineup(BaseModel):
    """A lineup that is followed. `key` is told only once; `POST /v1/live/token` wants it to allow `topic`."""

    lineup_id: str
    key: str
    topic: str
    entry_id: str | None = None


class FollowedLineups(FollowedLineup):
    """Every lineup in the order given; the fields beside `lineups` are the first one's."""

    slate_id: str
    expires_at: datetime
    lineups: list[FollowedLineup]
    skipped: list[str] = Field(default=[], description="entries of the file that cannot be followed, and why")


def _store(request: Request) -> LineupStore:
    store: LineupStore = request.app.state.lineups
    return store


StoreDep = Annotated[LineupStore, Depends(_store)]


@router.post("/lineups", status_code=201)
def follow_lineups(context: ContextDep, store: StoreDep, wanted: LineupsToFollow) -> FollowedLineups:
    """Follow lineups live: points so far, expected end and best late swap, for 36 hours."""
    stored = context.slates.get(wanted.slate_id)
    slate = stored.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    lineups = [seated(players, slate, contest) for players in wanted.lineups]
    return _follow(context, store, stored, lineups)


@router.post("/lineups/entries", status_code=201)
async def follow_entries(
    context: ContextDep,
    store: StoreDep,
    slate_id: Annotated[str, Form(pattern=SLATE_ID, description="id from GET /v1/slates")],
    file: Annotated[UploadFile, File(description="the site's entries file, as downloaded")],
) -> FollowedLineups:
    """Follow every entry of an entries file; those with an empty or unknown player are named in `skipped`."""
    content = await file.read()

    def work() -> FollowedLineups:
        return _follow_file(context, store, context.slates.get(slate_id), content)

    return await run_in_threadpool(work)


def _follow_file(context: Context, store: LineupStore, stored: StoredSlate, content: bytes) -> FollowedLineups:
    slate = stored.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    lineups, entry_ids, skipped = [], [], []
    for entry in read_entries(content, slate, contest).entries:
        players = [player for player in entry.players if player is not None]
        try:
            lineups.append(seated(players, slate, contest))
        except InvalidInput as error:
            skipped.append(f"entry {entry.entry_id}: {entry.problem or error}")
        else:
            entry_ids.append(entry.entry_id)
    if not lineups:
        raise InvalidInput(f"file: none of its {len(skipped)} entries can be followed; {skipped[0]}")
    if len(lineups) > MOST_AT_ONCE:
        raise InvalidInput(f"file: {len(lineups)} entries, {MOST_AT_ONCE} at most are followed at once; split it")
    return _follow(context, store, stored, lineups, entry_ids, skipped)


def _follow(
    context: Context,
    store: LineupStore,
    stored: StoredSlate,
    lineups: Sequence[Sequence[str]],
    entry_ids: Sequence[str] = (),
    skipped: Sequence[str] = (),
) -> FollowedLineups:
    added = store.add(stored.league, stored.slate.slate_id, lineups, entry_ids)
    told = [_told(context, each) for each in added]
    return FollowedLineups(
        **told[0].model_dump(),
        slate_id=stored.slate.slate_id,
        expires_at=datetime.now(UTC) + timedelta(seconds=KEPT_S),
        lineups=told,
        skipped=list(skipped),
    )


def _told(context: Context, lineup: Followed) -> FollowedLineup:
    return FollowedLineup(
        lineup_id=lineup.lineup_id,
        key=security.lineup_key(context.settings, lineup.lineup_id),
        topic=lineup.topic,
        entry_id=lineup.entry_id or None,
    )
