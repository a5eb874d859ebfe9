"""Projects slates with the champion now serving, on a thread of its own so that the event loop never waits.

What was computed is cached in Redis under model version, view versions, data timestamp and the slate's content,
so a swap or new data invalidates it by construction.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl
import torch
from fastapi.concurrency import run_in_threadpool

from features.errors import InvalidInput, NotMaterialized, StoreUnavailable
from features.recent import Recent, RecentOf
from features.slate import Slate
from features.sources.player_names import match_players
from features.stores.online import OnlineStamp, OnlineStore, ProjectionKey
from features.stores.slates import StoredSlate
from features.workspace import LEAGUES, League
from models.bundle import LoadedModel
from models.projection.slate import SlateProjections, project_slate
from models.win_probability.slate import slate_game_rows
from serving import projection_cache, telemetry
from serving.champion import Champions, FamilyName
from serving.experiment import Arms, Served
from serving.snapshot import Snapshot, Snapshots
from serving.stat_lines import stat_lines

log = logging.getLogger(__name__)
#: Answers kept in this process, by their question; and slates whose text is.
KEPT: Final = 16
#: Points of a game answered beside its winner, and their columns: mean, quantiles.
POINTS: Final = ("home_margin", "total_points")
MARGINS: Final = tuple(f"{target}_{name}" for target in POINTS for name in ("mean", "q10", "q50", "q90"))
#: Name under which the Elo baseline answers.
ELO: Final = "baseline-elo"
NOBODY: Final = pl.DataFrame(
    schema={"player_id": pl.Int32, "player_name": pl.String, "team": pl.String, "last_played": pl.Date}
)


@dataclass(frozen=True, slots=True)
class Projected:
    """A slate's projections, the names nobody could match, and how long the answer took.

    `lines` are the box lines (`serving.stat_lines`) of the champion's players, None where it does not answer them.
    `question` names everything the numbers depend on: equal questions have equal numbers.
    """

    stored: StoredSlate
    projections: SlateProjections
    unmatched: tuple[str, ...]
    lines: pl.DataFrame | None
    question: str
    view_versions: dict[str, str]
    latency_ms: float

    def prediction_id(self, site_id: str) -> UUID:
        """The id under which this player's projection is recorded."""
        return uuid5(NAMESPACE_URL, f"{self.question}/{site_id}")


@dataclass(frozen=True, slots=True)
class Winners:
    """P(home win) of every game of a slate: home_team, away_team, home_win_probability, and MARGINS (null where the
    model does not answer them).

    `fallback` says that no champion answered but the Elo baseline, of which `model_version` is the view's.
    """

    stored: StoredSlate
    model_name: str
    model_version: str
    view_versions: dict[str, str]
    fallback: bool
    games: pl.DataFrame
    question: str
    data_timestamp: datetime
    warnings: tuple[str, ...]
    latency_ms: float

    def prediction_id(self, game_id: str, target: str = "") -> UUID:
        """The id under which this game's probability, or another target of it, is recorded."""
        return uuid5(NAMESPACE_URL, f"{self.question}/{game_id}" + (f"/{target}" if target else ""))


class SlatePredictor:
    """Answers from the online store and the champion now serving. Raises `StoreUnavailable` when Redis is down."""

    def __init__(
        self,
        champions: Champions,
        online: OnlineStore,
        snapshots: Snapshots | None = None,
        arms: Arms | None = None,
        *,
        torch_threads: int = 1,
    ) -> None:
        self._champions, self._arms = champions, arms
        self._online = online
        self._snapshots = snapshots or Snapshots(online)
        self._known: Recent[str, projection_cache.Kept] = Recent(KEPT)
        self._thread = ThreadPoolExecutor(1, "inference", initializer=_limit_threads, initargs=(torch_threads,))

    async def project(self, stored: StoredSlate) -> Projected:
        """Project a slate as of its lock; the model is taken once and kept to the end."""
        started = time.perf_counter()
        served = self._served(stored.league, "projection")
        model = served.model
        found = await run_in_threadpool(self._cached, stored, model)
        if found is None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._thread, self._compute, stored, model)
        self._expose(served)
        return replace(found, latency_ms=1000 * (time.perf_counter() - started))

    async def winners(self, stored: StoredSlate) -> Winners:
        """P(home win) of a slate's games as of its lock, by Elo while no model has beaten it.

        Raises `NotMaterialized` and `InvalidInput`.
        """
        started = time.perf_counter()
        if stored.slate.sport != "nba":
            raise InvalidInput(f"slate {stored.slate.slate_id}: sport {stored.slate.sport!r} has no such model")
        served = self._served(stored.league, "win_probability")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, self._winners, stored, served.model)
        self._expose(served)
        return replace(found, latency_ms=1000 * (time.perf_counter() - started))

    def league_of(self, slate: Slate) -> League:
        """The league that knows most of the slate's players; the real one when none knows any."""
        known = {league: self._known_players(league, slate) for league in LEAGUES}
        return max(LEAGUES, key=lambda league: known[league])

    def close(self) -> None:
        """Finish what is under way and stop the thread."""
        self._thread.shutdown(wait=True)

    def _served(self, league: League, family: FamilyName) -> Served:
        """The model for who asks; the champion where no experiment can run."""
        if self._arms is None:
            return Served(self._champions.get(league, family))
        return self._arms.choose(league, family)

    def _expose(self, served: Served) -> None:
        if self._arms is not None:
            self._arms.expose(served)

    def _cached(self, stored: StoredSlate, model: LoadedModel | None) -> Projected | None:
        """What the cache holds for the question; None too when there is nothing to ask it."""
        stamp = self._snapshots.stamp(stored.league)
        if stamp is None or model is None:
            return None
        key = _key(stored, model, stamp)
        question = str(key)
        known = self._known.get(question)
        if known is None:
            payload = self._online.cached_projection(key)
            if payload is not None:
                known = projection_cache.decode(payload)
                self._known.put(question, known)
        telemetry.CACHE.labels("miss" if known is None else "hit").inc()
        if known is None:
            return None
        return Projected(stored, *known, question, stamp.view_versions, 0.0)

    def _compute(self, stored: StoredSlate, model: LoadedModel | None) -> Projected:
        try:
            snapshot = self._snapshots.get(stored.league)
        except NotMaterialized as error:
            return _without_features(stored, str(error))
        if model is None:
            return _projected(stored, None, snapshot)
        key = _key(stored, model, snapshot.stamp)
        waiting = self._online.cached_projection(key)
        if waiting is not None:  # computed while this request stood in line
            return Projected(
                stored, *projection_cache.decode(waiting), str(key), snapshot.stamp.view_versions, 0.0
            )
        with telemetry.INFERENCE.labels("projection").time():
            found = _projected(stored, model, snapshot)
        try:
            self._online.cache_projection(
                key, projection_cache.encode(found.projections, found.unmatched, found.lines)
            )
        except StoreUnavailable as error:
            log.warning("slate=%s not cached: %s", stored.slate.slate_id, error)
        return found

    def _winners(self, stored: StoredSlate, model: LoadedModel | None) -> Winners:
        snapshot = self._snapshots.get(stored.league)
        slate = stored.slate
        if slate.source != "simulated":
            slate = match_players(slate, snapshot.directory).slate
        rows = slate_game_rows(slate, snapshot.views)
        with telemetry.INFERENCE.labels("win_probability").time():
            games = _by_elo(rows) if model is None else model.predict(rows)
        known = set(snapshot.views["team_strength"]["team"].to_list())
        strangers = sorted({*games["home_team"], *games["away_team"]} - known)
        warnings = [f"nothing is known of teams {', '.join(strangers)}"] if strangers else []
        if model is None:
            warnings.append(
                "no winner model of this league is champion: these are the Elo baseline's probabilities"
            )
        views = snapshot.stamp.view_versions
        return Winners(
            stored=stored,
            model_name=ELO if model is None else model.name,
            model_version=views["team_strength"] if model is None else model.version,
            view_versions=views,
            fallback=model is None,
            games=games.select(
                "game_id",
                "home_team",
                "away_team",
                "home_win_probability",
                *(pl.col(n) if n in games.columns else pl.lit(None, pl.Float64).alias(n) for n in MARGINS),
            ),
            question=str(_key(stored, model, snapshot.stamp)),
            data_timestamp=snapshot.stamp.data_timestamp,
            warnings=(*warnings, *_lies_before(stored.slate, snapshot.stamp)),
            latency_ms=0.0,
        )

    def _known_players(self, league: League, slate: Slate) -> int:
        try:
            directory = self._snapshots.get(league).directory
        except NotMaterialized:
            return 0
        matched = match_players(slate, directory).slate
        return sum(player.player_id is not None for player in matched.players)


def _by_elo(rows: pl.DataFrame) -> pl.DataFrame:
    """The baseline every winner model must beat; teams nothing is known of are even."""
    return rows.with_columns(home_win_probability=pl.col("elo_home_win").cast(pl.Float64).fill_null(0.5))


def _limit_threads(count: int) -> None:
    """Torch keeps its number of threads per calling thread; more than cores share small matrices badly."""
    torch.set_num_threads(count)
    telemetry.INFERENCE_THREADS.set(torch.get_num_threads())


def _projected(stored: StoredSlate, model: LoadedModel | None, snapshot: Snapshot) -> Projected:
    slate, unmatched = _matched(stored.slate, snapshot)
    projections = project_slate(slate, model, snapshot.views, snapshot.directory)
    answered = projections.answered
    warnings = (*projections.warnings, *_lies_before(slate, snapshot.stamp))
    name = "none" if model is None else model.name
    for basis, rows in projections.frame.group_by("basis").len().iter_rows():
        telemetry.PROJECTED.labels(name, basis).inc(rows)
    return Projected(
        StoredSlate(stored.league, slate),
        replace(projections, warnings=warnings, answered=None),
        unmatched,
        None if model is None or answered is None else stat_lines(model, answered),
        str(_key(stored, model, snapshot.stamp)),
        snapshot.stamp.view_versions,
        0.0,
    )


def _matched(slate: Slate, snapshot: Snapshot) -> tuple[Slate, tuple[str, ...]]:
    """The slate with player ids, and the names nobody could match; the simulated league's own slates have ids."""
    if slate.source == "simulated":
        return slate, ()
    report = match_players(slate, snapshot.directory)
    return report.slate, tuple(player.name for player in report.unmatched)


def _without_features(stored: StoredSlate, why: str) -> Projected:
    """The file's own averages, for the time before the first run."""
    projections = project_slate(stored.slate, None, {}, NOBODY)
    warnings = (f"projections are the file's own average points: {why}",)
    telemetry.PROJECTED.labels("none", "file_average").inc(projections.frame.height)
    question = f"{stored.league}:file_average:{_content(stored.slate, '')}"
    return Projected(stored, replace(projections, warnings=warnings), (), None, question, {}, 0.0)


def _lies_before(slate: Slate, stamp: OnlineStamp) -> list[str]:
    """Online features know only each player's newest game, so a slate of the past finds them in its future."""
    if slate.lock is None or slate.lock >= stamp.data_timestamp:
        return []
    newest = f"{stamp.data_timestamp:%Y-%m-%d %H:%M} UTC"
    return [
        f"the slate locked at {slate.lock:%Y-%m-%d %H:%M} UTC, before the newest data ({newest}): players and teams "
        "who have played since are not known as they were at that lock. `fantasy lineups` looks back for past slates"
    ]


def _key(stored: StoredSlate, model: LoadedModel | None, stamp: OnlineStamp) -> ProjectionKey:
    return ProjectionKey(
        league=stored.league,
        model_name="file_average" if model is None else model.name,
        model_version="none" if model is None else model.version,
        slate_id=f"{stored.slate.slate_id}@{_content(stored.slate, stamp.generation)}",
        data_timestamp=stamp.data_timestamp,
        view_versions=stamp.view_versions,
    )


def _content(slate: Slate, generation: str) -> str:
    """Digest of all that a slate holds, since injury marks change under the same slate id."""
    return hashlib.sha256(f"{generation}|{_text_of(slate)}".encode()).hexdigest()[:16]


def _text(slate: Slate) -> str:
    return repr(slate)


_text_of: Final = RecentOf(KEPT, _text)
