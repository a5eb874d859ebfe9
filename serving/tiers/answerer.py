"""One question in, one answer out: plans what a question needs, has the router choose, and asks that tier.

The same object answers `{"op": "ask"}` over a WebSocket (in a hub worker, over the worker's own topics) and
`POST /v1/ask` (in the HTTP process, over a mirror of them).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NoReturn

from features.errors import FantasyError, InvalidInput, NotMaterialized
from features.stores.database import Database
from features.stores.jobs import PRIORITIES, Job
from features.workspace import LEAGUES, League
from models import what_if
from models.lineups.jobs import PortfolioJob, SimulationJob
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
from serving.tiers.sessions import Sessions, Winners

MOST_DEADLINE_MS: Final = 60_000.0
EDGE_WAITING: Final = 1 << 20
TopicsOf = Callable[[League], Topics]
Answer = dict[str, Any]


def _no_way(*_: object) -> NoReturn:
    raise AssertionError("the router chose a tier that the question's plan does not name")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a question needs; how the edge would answer it, and how the tier in whose queue it would wait. `wanted`
    names only tiers that have a way."""

    wanted: Wanted
    edge: Callable[[], Found] = _no_way
    wait: Callable[[Ticket], Awaitable[Found]] = _no_way


@dataclass(slots=True)
class _Asker:
    """Who asks, what for, since when (seconds of the clock) and how long the answer may take."""

    kind: str
    league: League
    priority: str
    idempotency_key: str | None
    arrived: float
    deadline_ms: float | None

    def deadline_at(self, wanted: Wanted) -> float:
        """When the answer is due; the adequate tier's promise counts where nothing was said."""
        if self.deadline_ms is None:
            self.deadline_ms = DEADLINE_MS[wanted.adequate[0]]
        return self.arrived + self.deadline_ms / 1000


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
        self._in_game: dict[League, Winners] = {}

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
    ) -> Answer:
        """The answer as plain JSON: kind, tier, degraded, deadline_ms, latency_ms, model, data_timestamp, fallback,
        warnings, answer.

        `claims["league"]` says whose data; `deadline_ms` counts from `arrived` (seconds of the clock; now), and is the
        tier's own where it is None. Raises `InvalidInput`, `NotMaterialized`, and what `Router.choose` raises.
        """
        league = (claims or {}).get("league", LEAGUES[0])
        said = self.begin(
            question, deadline_ms, league, arrived=arrived, priority=priority, idempotency_key=idempotency_key
        )
        return said if isinstance(said, dict) else await said

    __call__ = answer

    def begin(
        self,
        question: Mapping[str, Any],
        deadline_ms: float | None,
        league: str,
        *,
        arrived: float | None = None,
        priority: str = "usual",
        idempotency_key: str | None = None,
    ) -> Answer | Coroutine[Any, Any, Answer]:
        """The answer where the edge has it, else, once it has a place in a queue, what to await. As `answer`."""
        kind = question.get("kind") if isinstance(question, Mapping) else None
        try:
            arrived = self._clock() if arrived is None else arrived
            deadline_ms = _checked(deadline_ms)
            asked = questions.parse(question)
            kind = asked.kind
            who = _Asker(kind, _league(league), _priority(priority), idempotency_key, arrived, deadline_ms)
            if isinstance(asked, questions.SlateNow):
                found = edge.projections(self._topics(who.league), asked.slate_id)
                if found is None:
                    return self._stored_slate(asked, who)
                return self._begun(_at_edge(kind, len(found.answer["players"]), lambda: found), who)
            return self._begun(self._plan(asked, who), who)
        except FantasyError as error:
            _count_refused(kind, error)
            raise

    def _begun(self, plan: _Plan, who: _Asker) -> Answer | Coroutine[Any, Any, Answer]:
        deadline_at = who.deadline_at(plan.wanted)
        choice = self._router.choose(plan.wanted, deadline_at, deadline_at - who.arrived)
        if choice.tier == "edge":
            return self._said(who, choice, self._at_edge(plan))
        wanted = plan.wanted
        ticket = self._lanes[choice.tier].admit(wanted.kind, wanted.rows, deadline_at)
        return self._waited(plan, who, choice, ticket)

    async def _waited(self, plan: _Plan, who: _Asker, choice: Choice, ticket: Ticket) -> Answer:
        try:
            try:
                return self._said(who, choice, await plan.wait(ticket))
            except Late:
                if not plan.wanted.cheaper:
                    raise
            # It waited too long there; a rough answer may still be in time.
            rest = Wanted(plan.wanted.kind, plan.wanted.rows, (), plan.wanted.cheaper)
            choice = self._router.choose(rest, who.deadline_at(plan.wanted))
            return self._said(who, choice, self._at_edge(plan))
        except FantasyError as error:
            _count_refused(who.kind, error)
            raise

    def _at_edge(self, plan: _Plan) -> Found:
        """Nothing waits here: the queue of the edge is the event loop itself."""
        began = self._clock()
        found = plan.edge()
        self._lanes["edge"].ran(plan.wanted.kind, plan.wanted.rows, self._clock() - began)
        return found

    def _said(self, who: _Asker, choice: Choice, found: Found) -> Answer:
        took = self._clock() - who.arrived
        answers, latency = _metrics(choice.tier, who.kind, choice.degraded)
        answers.inc()
        latency.observe(took)
        return {
            "kind": who.kind,
            "tier": choice.tier,
            "degraded": choice.degraded,
            "deadline_ms": who.deadline_ms,
            "latency_ms": round(1000 * took, 3),
            "model": found.model,
            "data_timestamp": None if found.data_timestamp is None else found.data_timestamp.isoformat(),
            "fallback": found.fallback,
            "source": who.league,
            "warnings": list(found.warnings),
            "answer": found.answer,
        }

    def _plan(self, asked: questions.Planned, who: _Asker) -> _Plan:
        topics = self._topics(who.league)
        match asked:
            case questions.PlayersNow():
                return _at_edge(asked.kind, len(asked.player_ids), lambda: edge.players(topics, asked.player_ids))
            case questions.LineNow():
                return _at_edge(asked.kind, 1, lambda: edge.line(topics, asked.player_id, asked.stat, asked.line))
            case questions.GameNow():
                return self._game(topics, asked, who.league)
            case questions.WhatIf():
                return self._what_if(topics, asked, who.league)
            case SimulationJob() | PortfolioJob():
                return self._job(asked, who)

    def _game(self, topics: Topics, asked: questions.GameNow, league: League) -> _Plan:
        found = edge.game(topics, asked.game_id)
        features, model = found.features, self._winners(league)
        if found.full or model is None or features is None:
            return _at_edge(asked.kind, 1, lambda: found)
        known, session = features, model

        async def ask(ticket: Ticket) -> Found:
            row = what_if.row_of(known, session.session.features)[None]
            told = await self._regional.ask(session, row, ticket)
            answer = {**found.answer, **what_if.listed(told["numbers"])[0]}
            return Found(answer, session.ref, found.data_timestamp, features=known)

        return _regional_first(asked.kind, 1, ask, lambda: found)

    def _what_if(self, topics: Topics, asked: questions.WhatIf, league: League) -> _Plan:
        changes = [what_if.check_changes(each) for each in asked.changes]
        known, at = (asked.features, None) if asked.features is not None else edge.inputs(topics, asked.game_id)
        count, model = len(changes), self._winners(league)

        def rough() -> Found:
            told = {"game_id": asked.game_id, "answers": edge.what_ifs(known, changes)}
            return Found(told, edge.BROWNIAN, at, fallback=True, full=False)

        if model is None:
            return _at_edge(asked.kind, count, rough)
        session = model

        async def ask(ticket: Ticket) -> Found:
            rows = session.rows(what_if.changed_rows(known, changes))
            told = await self._regional.ask(session, rows, ticket)
            answer = {"game_id": asked.game_id, "answers": what_if.listed(told["numbers"])}
            return Found(answer, session.ref, at)

        return _regional_first(asked.kind, count, ask, rough)

    def _winners(self, league: League) -> Winners | None:
        session = self._models.get(league, "live_win")
        if session is None:
            return None
        kept = self._in_game.get(league)
        if kept is None or kept.session is not session:
            kept = self._in_game[league] = Winners(session)
        return kept

    async def _stored_slate(self, asked: questions.SlateNow, who: _Asker) -> Answer:
        try:
            if self._slates is None:
                raise NotMaterialized(
                    f"slate_id {asked.slate_id!r} is not live here; GET /v1/projections has the slates that are known"
                )
            stored = await self._slates.find(asked.slate_id)
            session = self._models.get(stored.league, "projection")

            async def ask(ticket: Ticket) -> Found:
                given = await self._slates.project(stored, session, ticket)
                players = given.frame.sort("mean", descending=True, maintain_order=True).to_dicts()
                answer = {"slate_id": asked.slate_id, "players": players}
                source = {"name": given.model_name, "version": given.model_version}
                return Found(answer, source, given.data_timestamp, given.fallback, warnings=given.warnings)

            rows = max(len(stored.slate.players), 1)
            wanted = Wanted(asked.kind, rows, ("regional",), before_s=self._slates.before_s)
            said = self._begun(_Plan(wanted, wait=ask), who)
        except FantasyError as error:
            _count_refused(who.kind, error)
            raise
        return said if isinstance(said, dict) else await said

    def _job(self, asked: SimulationJob | PortfolioJob, who: _Asker) -> _Plan:
        async def ask(ticket: Ticket) -> Found:
            job = await self.cloud.accept(
                asked.model_dump(mode="json"), who.league, ticket, priority=who.priority,
                idempotency_key=who.idempotency_key,
            )  # fmt: skip
            return Found(job_fields(job), None, job.asked_at)

        return _Plan(Wanted(asked.kind, 1, ("cloud",)), wait=ask)


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
    return _Plan(Wanted(kind, rows, ("edge",)), edge=answer)


def _regional_first(
    kind: str, rows: int, ask: Callable[[Ticket], Awaitable[Found]], rough: Callable[[], Found]
) -> _Plan:
    return _Plan(Wanted(kind, rows, ("regional",), ("edge",)), edge=rough, wait=ask)


@cache
def _metrics(tier: Tier, kind: str, degraded: bool) -> tuple[Any, Any]:
    """Counter and histogram of such answers; looking them up by label costs more than a line's answer."""
    answers = telemetry.TIER_ANSWERS.labels(tier, kind, str(degraded).lower())
    return answers, telemetry.TIER_LATENCY.labels(tier)


def _count_refused(kind: object, error: FantasyError) -> None:
    known = kind if isinstance(kind, str) and kind in KINDS else "other"
    telemetry.TIER_REFUSED.labels(known, type(error).__name__).inc()


def _league(league: str) -> League:
    if league not in LEAGUES:
        raise InvalidInput(f"league {league!r} is unknown; use one of {', '.join(LEAGUES)}")
    return league


def _priority(priority: str) -> str:
    if priority not in PRIORITIES:
        raise InvalidInput(f"priority {priority!r} is unknown; use one of {', '.join(PRIORITIES)}")
    return priority


def _checked(deadline_ms: float | None) -> float | None:
    if deadline_ms is not None and not 0 < deadline_ms <= MOST_DEADLINE_MS:
        raise InvalidInput(
            f"deadline_ms is {deadline_ms!r}; give a number above 0, at most {MOST_DEADLINE_MS:.0f}"
        )
    return None if deadline_ms is None else float(deadline_ms)
