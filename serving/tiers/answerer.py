"""One question in, one answer out: plans what a question needs, has the router choose, and asks that tier.

The same object answers `{"op": "ask"}` over a WebSocket (in a hub worker, over the worker's own topics) and
`POST /v1/ask` (in the HTTP process, over a mirror of them).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from features.errors import FantasyError, InvalidInput, NotMaterialized
from features.stores.database import Database
from features.stores.jobs import PRIORITIES, Job
from features.workspace import LEAGUES, League
from models import what_if
from models.lineups.jobs import PortfolioJob, SimulationJob
from models.live_win.rows import FEATURES
from serving import telemetry
from serving.errors import Late
from serving.settings import ServingSettings
from serving.tiers import cloud, edge, questions, regional, sessions
from serving.tiers.cloud import Cloud
from serving.tiers.costs import DEADLINE_MS, Clock, Tier
from serving.tiers.edge import Found, Topics
from serving.tiers.lanes import Lane, Ticket
from serving.tiers.regional import Regional
from serving.tiers.router import Choice, Router, Wanted
from serving.tiers.sessions import Session, Sessions

MOST_DEADLINE_MS: Final = 60_000.0
EDGE_WAITING: Final = 1 << 20
TopicsOf = Callable[[League], Topics]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a question needs, and how each tier would answer it."""

    wanted: Wanted
    at: Mapping[Tier, Callable[[Ticket], Awaitable[Found]]]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks, and what for."""

    league: League
    priority: str
    idempotency_key: str | None


class Answerer:
    """Answers questions within their deadlines. Wire it with `answerer`; `start` before the first, `close` at the end.

    `slates` (`serving.tiers.slates.Slates`) is there where this process can assemble a slate's rows.
    """

    def __init__(
        self,
        topics: TopicsOf,
        models: Sessions,
        lanes: Mapping[Tier, Lane],
        batches: Regional,
        heavy: Cloud,
        clock: Clock,
        slates: Any = None,
    ) -> None:
        self._topics = topics
        self._models = models
        self._lanes = lanes
        self._regional = batches
        self.cloud = heavy
        self._clock = clock
        self._slates = slates
        self._router = Router(lanes, clock)

    @property
    def lanes(self) -> Mapping[Tier, Lane]:
        """How busy each tier is."""
        return self._lanes

    @property
    def regional(self) -> Regional:
        """The regional tier."""
        return self._regional

    @property
    def models(self) -> Sessions:
        """The champions as ONNX sessions."""
        return self._models

    def with_slates(self, slates: Any) -> None:
        """Answer slates, too, at the regional tier."""
        self._slates = slates

    def start(self) -> None:
        """Load the models and start the inference thread."""
        self._models.start()
        self._regional.start()

    async def close(self) -> None:
        """Answer what is queued and stop."""
        self._models.stop()
        self._regional.stop()
        if self._slates is not None:
            self._slates.close()
        await self.cloud.close()

    async def answer(
        self,
        question: Mapping[str, Any],
        deadline_ms: float | None = None,
        claims: Mapping[str, Any] | None = None,
        *,
        arrived: float | None = None,
        priority: str = "usual",
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """The answer as plain JSON: kind, tier, degraded, deadline_ms, latency_ms, model, data_timestamp, fallback,
        warnings, answer.

        `claims["league"]` says whose data; `deadline_ms` counts from `arrived` (seconds of the clock; now), and is the
        tier's own where it is None. Raises `InvalidInput`, `NotMaterialized`, and what `Router.choose` raises.
        """
        now = self._clock()
        arrived = now if arrived is None else arrived
        kind = str(question.get("kind", ""))[:20] if isinstance(question, Mapping) else ""
        try:
            if deadline_ms is not None and now > arrived + deadline_ms / 1000 > arrived:
                # Before it costs anything at all: under overload most questions end here.
                raise Late(f"the deadline passed {1000 * (now - arrived) - deadline_ms:.0f} ms ago: ask again")
            asked = questions.parse(question)
            kind = asked.kind
            who = _Asker(_league(claims), _priority(priority), idempotency_key)
            plan = await self._plan(asked, who)
            allowed_ms = _allowed_ms(deadline_ms, plan.wanted)
            choice, found = await self._ask(plan, arrived + allowed_ms / 1000)
        except FantasyError as error:
            telemetry.TIER_REFUSED.labels(kind if kind in KINDS else "other", type(error).__name__).inc()
            raise
        took = self._clock() - arrived
        telemetry.TIER_ANSWERS.labels(choice.tier, kind, str(choice.degraded).lower()).inc()
        telemetry.TIER_LATENCY.labels(choice.tier).observe(took)
        return {
            "kind": kind,
            "tier": choice.tier,
            "degraded": choice.degraded,
            "deadline_ms": allowed_ms,
            "latency_ms": round(1000 * took, 3),
            "model": found.model,
            "data_timestamp": None if found.data_timestamp is None else found.data_timestamp.isoformat(),
            "fallback": found.fallback,
            "source": who.league,
            "warnings": list(found.warnings),
            "answer": found.answer,
        }

    __call__ = answer

    async def _ask(self, plan: _Plan, deadline_at: float) -> tuple[Choice, Found]:
        wanted = plan.wanted
        choice = self._router.choose(wanted, deadline_at)
        try:
            return choice, await self._at(choice.tier, plan, deadline_at)
        except Late:
            # It waited too long there; a rough answer may still be in time.
            rest = Wanted(wanted.kind, wanted.rows, (), wanted.cheaper)
            if not wanted.cheaper or choice.degraded:
                raise
            choice = self._router.choose(rest, deadline_at)
            return choice, await self._at(choice.tier, plan, deadline_at)

    async def _at(self, tier: Tier, plan: _Plan, deadline_at: float) -> Found:
        lane = self._lanes[tier]
        ticket = lane.admit(plan.wanted.kind, plan.wanted.rows, deadline_at)
        if tier != "edge":
            return await plan.at[tier](ticket)
        # Nothing waits in between: the queue of the edge is the event loop itself.
        number = lane.begin([ticket])
        try:
            return await plan.at[tier](ticket)
        finally:
            lane.end(number, ticket.kind, ticket.rows)

    async def _plan(self, asked: questions.Question, who: _Asker) -> _Plan:
        topics = self._topics(who.league)
        match asked:
            case questions.GameNow():
                return self._game(topics, asked, who.league)
            case questions.WhatIf():
                return self._what_if(topics, asked, who.league)
            case questions.PlayersNow():
                return _at_edge(asked.kind, len(asked.player_ids), lambda: edge.players(topics, asked.player_ids))
            case questions.LineNow():
                return _at_edge(asked.kind, 1, lambda: edge.line(topics, asked.player_id, asked.stat, asked.line))
            case questions.SlateNow():
                return await self._slate(topics, asked)
            case SimulationJob() | PortfolioJob():
                return self._job(asked, who)

    def _game(self, topics: Topics, asked: questions.GameNow, league: League) -> _Plan:
        found = edge.game(topics, asked.game_id)
        session = self._models.get(league, "live_win")
        if found.full or session is None or found.features is None:
            return _at_edge(asked.kind, 1, lambda: found)
        features, model = found.features, session

        async def ask(ticket: Ticket) -> Found:
            (told,) = await self._winners(model, what_if.row_of(features, model.features)[None], ticket)
            answer = {**found.answer, **told}
            return Found(answer, _ref(model), found.data_timestamp, features=features)

        return _regional_first(asked.kind, 1, ask, lambda: found)

    def _what_if(self, topics: Topics, asked: questions.WhatIf, league: League) -> _Plan:
        changes = [what_if.check_changes(each) for each in asked.changes]
        now = None if asked.features is not None else edge.game(topics, asked.game_id)
        features = asked.features if now is None else now.features
        if features is None:
            raise InvalidInput(f"game_id {asked.game_id!r} is over: there is nothing left to be otherwise")
        at = None if now is None else now.data_timestamp
        session, known, count = self._models.get(league, "live_win"), features, len(changes)

        def rough() -> Found:
            told = {"game_id": asked.game_id, "answers": edge.what_ifs(known, changes)}
            return Found(told, edge.BROWNIAN, at, fallback=True, full=False)

        if session is None:
            return _at_edge(asked.kind, count, rough)
        model = session

        async def ask(ticket: Ticket) -> Found:
            rows = what_if.changed_rows(known, changes)
            if model.features != FEATURES:
                rows = rows[:, [FEATURES.index(name) for name in model.features]]
            told = await self._winners(model, rows, ticket)
            return Found({"game_id": asked.game_id, "answers": told}, _ref(model), at)

        return _regional_first(asked.kind, count, ask, rough)

    async def _winners(self, model: Session, inputs: what_if.Row, ticket: Ticket) -> list[dict[str, Any]]:
        raw = await self._regional.ask(model, inputs, ticket)
        return what_if.answers(raw, inputs, model.features, model.calibration, model.config["levels"])

    async def _slate(self, topics: Topics, asked: questions.SlateNow) -> _Plan:
        found = edge.projections(topics, asked.slate_id)
        if found is not None:
            known = found
            return _at_edge(asked.kind, len(known.answer["players"]), lambda: known)
        if self._slates is None:
            raise NotMaterialized(
                f"slate_id {asked.slate_id!r} is not live here; GET /v1/projections has the slates that are known"
            )
        stored = await self._slates.find(asked.slate_id)
        session = self._models.get(stored.league, "projection")
        rows, before_s = max(len(stored.slate.players), 1), self._slates.before_s

        async def ask(ticket: Ticket) -> Found:
            given = await self._slates.project(stored, session, ticket)
            players = given.frame.sort("mean", descending=True, maintain_order=True).to_dicts()
            answer = {"slate_id": asked.slate_id, "players": players}
            source = {"name": given.model_name, "version": given.model_version}
            return Found(answer, source, given.data_timestamp, given.fallback, warnings=given.warnings)

        return _Plan(Wanted(asked.kind, rows, ("regional",), before_s=before_s), {"regional": ask})

    def _job(self, asked: SimulationJob | PortfolioJob, who: _Asker) -> _Plan:
        async def ask(ticket: Ticket) -> Found:
            job = await self.cloud.accept(
                asked.model_dump(mode="json"), who.league, ticket, priority=who.priority,
                idempotency_key=who.idempotency_key,
            )  # fmt: skip
            return Found(job_fields(job), None, job.asked_at)

        return _Plan(Wanted(asked.kind, 1, ("cloud",)), {"cloud": ask})


KINDS: Final = ("game", "players", "line", "projections", "what_if", "simulation", "portfolio")


def job_fields(job: Job) -> dict[str, Any]:
    """What is told of a job: how far it is, and where its result will be."""
    return {
        "job_id": str(job.job_id),
        "status": job.status,
        "topic": job.topic,
        "result_url": f"/v1/jobs/{job.job_id}",
        "priority": job.priority,
    }


def answerer(
    settings: ServingSettings,
    topics: TopicsOf,
    *,
    database: Database | None = None,
    clock: Clock = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Answerer:
    """The tiers of this process. `topics(league)` are the live topics it holds; nothing connects before it is used."""
    gpu = sessions.on_gpu(settings.inference_provider)
    lanes: dict[Tier, Lane] = {
        "edge": Lane("edge", clock, most=EDGE_WAITING),
        "regional": Lane("regional", clock, most=regional.MOST_WAITING, batch_rows=regional.BATCH_ROWS),
        "cloud": Lane("cloud", clock, most=cloud.MOST_WAITING, servers=cloud.SERVERS),
    }
    heavy = Cloud(settings.prefect_api_url, database or Database(settings.database_url), lanes["cloud"], now)
    batches = Regional(lanes["regional"], wait_s=regional.GPU_WAIT_S if gpu else 0.0)
    models = Sessions(settings.home, settings.inference_provider)
    return Answerer(topics, models, lanes, batches, heavy, clock)


def _at_edge(kind: str, rows: int, answer: Callable[[], Found]) -> _Plan:
    async def ask(_ticket: Ticket) -> Found:
        return answer()

    return _Plan(Wanted(kind, rows, ("edge",)), {"edge": ask})


def _regional_first(
    kind: str, rows: int, ask: Callable[[Ticket], Awaitable[Found]], rough: Callable[[], Found]
) -> _Plan:
    async def roughly(_ticket: Ticket) -> Found:
        return rough()

    return _Plan(Wanted(kind, rows, ("regional",), ("edge",)), {"regional": ask, "edge": roughly})


def _ref(model: Session) -> dict[str, str]:
    return {"name": model.name, "version": model.version}


def _league(claims: Mapping[str, Any] | None) -> League:
    league = (claims or {}).get("league", LEAGUES[0])
    if league not in LEAGUES:
        raise InvalidInput(f"league {league!r} is unknown; use one of {', '.join(LEAGUES)}")
    return cast(League, league)


def _priority(priority: str) -> str:
    if priority not in PRIORITIES:
        raise InvalidInput(f"priority {priority!r} is unknown; use one of {', '.join(PRIORITIES)}")
    return priority


def _allowed_ms(deadline_ms: float | None, wanted: Wanted) -> float:
    if deadline_ms is None:
        return DEADLINE_MS[wanted.adequate[0]]
    if not 0 < deadline_ms <= MOST_DEADLINE_MS:
        raise InvalidInput(
            f"deadline_ms is {deadline_ms!r}; give a number above 0, at most {MOST_DEADLINE_MS:.0f}"
        )
    return float(deadline_ms)
