"""The live hub from HTTP: tokens for its sockets, its topics as server-sent events, and how its workers are doing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from features.errors import InvalidInput
from features.workspace import League
from serving import security
from serving.context import ContextDep
from serving.errors import Busy, Forbidden
from serving.live import protocol
from serving.live.client import Change, LiveClient
from serving.live.counts import total
from serving.live.feed import worker_states
from serving.live.protocol import Position
from serving.problem import READS, WRITES, Problem
from serving.settings import ServingSettings

router = APIRouter(prefix="/v1", tags=["live"])
#: Topics of one event stream: each event's id names a position in all of them.
EVENT_TOPICS: Final = 20
#: Event streams of one process; sockets are for thousands.
MOST_STREAMS: Final = 500
REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Problem, "description": "the token is missing, forged or expired"},
    403: {"model": Problem, "description": "the token or key does not cover a topic"},
    422: READS[422],
    503: READS[503],
}
#: With `model` FastAPI would say that a refusal is an event stream, too.
_PROBLEM: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
STREAM_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": told["description"], "content": _PROBLEM} for status, told in REFUSED.items()
}


class LineupKey(BaseModel):
    """A lineup that was subscribed, and the key handed out for it."""

    lineup_id: str = Field(max_length=64)
    key: str = Field(max_length=64)


class TokenWish(BaseModel):
    """Whose games to hear of, and which lineups besides the public topics."""

    league: League = "nba"
    lineups: list[LineupKey] = Field(default=[], max_length=50)


class Token(BaseModel):
    """What to connect with: `url` + `?token=` + `token`, until `expires_at`."""

    token: str
    url: str = Field(examples=["ws://127.0.0.1:8001/v1/live"])
    topics: list[str]
    expires_at: datetime


class HubStatus(BaseModel):
    """The hub's workers as they said of themselves within the last seconds, and their sums."""

    running: bool
    workers: list[dict[str, Any]]
    total: dict[str, Any]


@router.post("/live/token", responses={**WRITES, 403: REFUSED[403]})
def live_token(context: ContextDep, request: Request, wish: TokenWish) -> Token:
    """Hand out a token for the public topics of a league, and for the lineups whose keys are given."""
    settings = context.settings
    topics = [*security.PUBLIC]
    topics += [security.lineup_topic(settings, lineup.lineup_id, lineup.key) for lineup in wish.lineups]
    token = security.issue(settings, league=wish.league, topics=topics)
    expires_s = security.verify(security.secret(settings), token).expires_s
    scheme = "wss" if request.url.scheme == "https" else "ws"
    host = request.url.hostname or settings.host
    return Token(
        token=token,
        url=_url(settings, scheme, host),
        topics=topics,
        expires_at=datetime.fromtimestamp(expires_s, UTC),
    )


@router.get("/live/status", responses={503: REFUSED[503]})
async def live_status(context: ContextDep) -> HubStatus:
    """Say how the hub's workers are doing."""
    states = await worker_states(context.settings.redis_url)
    workers = [{name: getattr(state, name) for name in state.__struct_fields__} for state in states]
    return HubStatus(running=bool(states), workers=workers, total=total(states))


async def _stream(
    context: ContextDep,
    request: Request,
    topics: Annotated[
        str, Query(max_length=2000, description="topics, `,` between them", examples=["game:1,model"])
    ],
    token: Annotated[str | None, Query(description="from POST /v1/live/token; or `Authorization: Bearer`")] = None,
    authorization: Annotated[str | None, Header()] = None,
    last_event_id: Annotated[str | None, Header(description="id of the last event that was read")] = None,
) -> AsyncIterator[LiveClient]:
    """A connection to the hub for the stream's topics: whatever is wrong is answered before the stream begins."""
    given = token or (authorization or "").removeprefix("Bearer ").strip()
    claims = security.verify(security.secret(context.settings), given)
    names = list(dict.fromkeys(name for name in topics.split(",") if name))
    if not 0 < len(names) <= EVENT_TOPICS:
        raise InvalidInput(f"topics: {len(names)} given; ask for 1 to {EVENT_TOPICS}, or use the WebSocket")
    for name in names:
        if not protocol.TOPIC.match(name):
            raise InvalidInput(f"topics: {name[:80]!r} is no topic; see docs/live_protocol.md")
        if not claims.allows(name):
            raise Forbidden(f"topics: the token does not cover {name!r}; ask POST /v1/live/token for one")
    state = request.app.state
    if getattr(state, "event_streams", 0) >= MOST_STREAMS:
        raise Busy(f"event streams: {MOST_STREAMS} are open; use the WebSocket, or try again")
    state.event_streams = getattr(state, "event_streams", 0) + 1
    try:
        url = _url(context.settings, "ws", _reachable(context.settings.host))
        async with LiveClient(url, given, names, connect_s=1.0, since=_positions(last_event_id, names)) as live:
            yield live
    finally:
        state.event_streams -= 1


@router.get("/live/events", response_class=EventSourceResponse, responses=STREAM_REFUSED)
async def live_events(live: Annotated[LiveClient, Depends(_stream)]) -> AsyncIterator[ServerSentEvent]:
    """Tell what changes as server-sent events `snapshot` and `delta`; resumes after `Last-Event-ID`."""
    positions: dict[str, Position] = {}
    async for change in live:
        positions[change.topic] = Position(change.epoch, change.offset)
        yield ServerSentEvent(raw_data=_said(change), event=change.kind, id=_event_id(positions))


def _said(change: Change) -> str:
    return protocol.encode(
        {
            "op": change.kind,
            "topic": change.topic,
            "epoch": change.epoch,
            "offset": change.offset,
            "at": change.at_ns,
            "data": change.data,
        }
    ).decode()


def _event_id(positions: dict[str, Position]) -> str:
    return ",".join(f"{topic}@{at.epoch}@{at.offset}" for topic, at in positions.items())


def _positions(event_id: str | None, names: list[str]) -> dict[str, Position]:
    """What `_event_id` made; what cannot be read is left out: of that the client is told all."""
    found = {}
    for part in (event_id or "").split(","):
        topic, _, rest = part.partition("@")
        epoch, _, offset = rest.partition("@")
        if topic in names and offset:
            found[topic] = Position(epoch, offset)
    return found


def _url(settings: ServingSettings, scheme: str, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{settings.live_port}{protocol.PATH}"


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
