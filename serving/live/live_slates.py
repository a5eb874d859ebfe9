"""Projections of players who have not begun, renewed when news touches them.

News marks players as a salary file would (features.sources.injuries); the slate is then projected by the same code that
answers `GET /v1/projections`. Topic `slate:{id}` holds what differs from that answer, a field per player.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from features.errors import NotMaterialized
from features.slate import Slate, SlateGame, SlatePlayer
from features.sources.injuries import FRESH, MARKS, status_said
from features.sources.player_names import normalize_name
from features.stores.database import Database
from features.stores.slates import StoredSlate, newest_slates
from features.stream.news import News
from features.workspace import League
from models.lineups.draft import game_key
from serving.kept_slates import KeptSlates
from serving.live.seen import Seen
from serving.predictor import Projected, SlatePredictor

log = logging.getLogger(__name__)
#: Slates whose lock is this near are looked after without being asked for.
BEFORE: Final = timedelta(hours=36)
AFTER: Final = timedelta(hours=12)
#: A slate locked longer ago is being replayed: only what the stream says is then taken for begun.
REPLAYED: Final = timedelta(hours=36)
#: Seconds between looks at which slates are stored.
LISTED_S: Final = 30.0
#: Points that count as a change.
CHANGE: Final = 0.05
DECIMALS: Final = 2
#: What sources write, as the status of an injury list (`features.sources.injuries.STATUSES`).
WORDS: Final[Mapping[str, str]] = {
    **{status: status for status in MARKS}, **{mark.lower(): status for status, mark in MARKS.items() if mark},
    "day-to-day": "questionable", "dtd": "questionable", "gtd": "questionable", "active": "available",
    "inactive": "out", "ofs": "out", "yes": "available", "": "available",
}  # fmt: skip
#: Field of injury news that is prose.
COMMENT: Final = "injury_comment"
_SHOWN: Final = ("mean", "q10", "q50", "q90", "p_play")


@dataclass(frozen=True, slots=True)
class Told:
    """The newest status of players, by id and by name (`normalize_name`)."""

    by_id: Mapping[int, str]
    by_name: Mapping[str, str]

    def of(self, player: SlatePlayer) -> str | None:
        """His status, None where nothing was told."""
        if player.player_id is not None and player.player_id in self.by_id:
            return self.by_id[player.player_id]
        return self.by_name.get(normalize_name(player.name))


def told_by(news: Iterable[News], *, lock: datetime | None = None) -> Told:
    """What injury and starter news say of every player: a mark that rules out goes first, then what a comment names,
    then any other mark. That somebody starts says that he plays; that he does not says nothing.

    News more than `FRESH` before the slate's `lock` is none any more, as in a list of injuries.
    """
    by_id: dict[int, str] = {}
    by_name: dict[str, str] = {}
    players: dict[str, list[News]] = {}
    for each in sorted(news, key=lambda n: n.at):
        if each.kind in ("injury", "starter") and (lock is None or _at(each) >= lock - FRESH):
            players.setdefault(each.subject, []).append(each)
    for subject, told in players.items():
        status = _status(told)
        if status is None:
            continue
        what, _, who = subject.partition(":")
        if what == "player" and who.isdecimal():
            by_id[int(who)] = status
        name = told[-1].name or (who if what == "name" else "")
        if name:
            by_name[normalize_name(name)] = status
    return Told(by_id, by_name)


def marked(stored: StoredSlate, ids: Mapping[str, int | None], told: Told, begun: frozenset[str]) -> StoredSlate:
    """The slate with the marks that were told of players whose games (`AWAY@HOME`) are not in `begun`.

    `ids` are the players' NBA ids by site id, of slates that do not carry them. The same object comes back when no
    mark differs.
    """
    players = []
    for player in stored.slate.players:
        known = player if player.player_id is not None else replace(player, player_id=ids.get(player.site_id))
        status = None if game_key(player) in begun else told.of(known)
        mark = player.injury_status if status is None else MARKS[status]
        players.append(player if mark == player.injury_status else replace(player, injury_status=mark))
    if all(new is old for new, old in zip(players, stored.slate.players, strict=True)):
        return stored
    return StoredSlate(stored.league, replace(stored.slate, players=tuple(players)))


def begun_games(slate: Slate, seen: Seen, now: datetime) -> frozenset[str]:
    """`AWAY@HOME` of the slate's games that have begun: a play of them was told, or their tip has passed.

    Of a slate that is long over, and so replayed, the clock on the wall says nothing.
    """
    replayed = slate.lock is not None and slate.lock < now - REPLAYED
    return frozenset(
        f"{game.away_team}@{game.home_team}"
        for game in slate.games
        if (game.tip is not None and game.tip <= now and not replayed) or live_id(game, slate, seen) is not None
    )


def live_id(game: SlateGame, slate: Slate, seen: Seen) -> str | None:
    """Id of the live game that this game of the slate is; None before its first play."""
    return seen.game_between(game.home_team, game.away_team, game.tip or slate.lock)


def slate_topic(before: Projected, now: Projected) -> dict[str, Any]:
    """Fields of topic `slate:{id}`: by site id, the projections that news has changed, and who made them."""
    shown = ("site_id", "basis", *_SHOWN)
    marks = {player.site_id: player.injury_status for player in now.stored.slate.players}
    changed: dict[str, Any] = {}
    pairs = zip(
        before.projections.frame.select(shown).iter_rows(),
        now.projections.frame.select(shown).iter_rows(),
        strict=True,
    )
    for (_, old_basis, *old), (site_id, basis, *new) in pairs:
        if basis != old_basis or any(abs(a - b) >= CHANGE for a, b in zip(old, new, strict=True)):
            numbers = {name: round(value, DECIMALS) for name, value in zip(_SHOWN, new, strict=True)}
            changed[site_id] = {**numbers, "basis": basis, "injury_status": marks[site_id]}
    if not changed:
        return {}
    given = now.projections
    return {**changed, "model": {"name": given.model_name, "version": given.model_version}}


class LiveSlates:
    """The slates looked after, as projected now. `refresh` is for one thread; the rest for any."""

    def __init__(
        self,
        league: League,
        database: Database,
        predictor: SlatePredictor,
        seen: Seen,
        clock: Callable[[], datetime],
    ) -> None:
        self._league = league
        self._database = database
        self._slates = KeptSlates(database)
        self._predictor = predictor
        self._seen = seen
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._upcoming: tuple[datetime, tuple[str, ...]] | None = None
        self._now: dict[str, Projected] = {}
        self._heard: dict[tuple[str, str], News] = {}

    def hear(self, news: Iterable[News]) -> None:
        """Remember news: what is stored forgets a field of a player once another of the same kind changed."""
        with self._lock:
            for each in news:
                try:
                    _at(each)
                except ValueError as error:
                    log.warning("news %s of %s is left aside: %s", each.id, each.subject, error)
                    continue
                key = (each.subject, each.field)
                if key not in self._heard or each.at >= self._heard[key].at:
                    self._heard[key] = each

    def want(self, slate_id: str) -> bool:
        """Look after this slate too, whenever it locks; whether it was not looked after so far."""
        with self._lock:
            self._wanted.add(slate_id)
        return slate_id not in self._now

    def current(self, slate_id: str) -> Projected | None:
        """The slate as projected with the news so far, None before it was."""
        return self._now.get(slate_id)

    def refresh(self) -> dict[str, dict[str, Any]]:
        """Project every slate looked after as the news has it; returns their topics. Raises `StoreUnavailable`."""
        with self._lock:
            heard = list(self._heard.values())
        topics: dict[str, dict[str, Any]] = {}
        with asyncio.Runner() as runner:
            for slate_id in self._looked_after():
                try:
                    stored = self._slates.get(slate_id)
                except NotMaterialized:
                    continue
                before = runner.run(self._predictor.project(stored))
                ids = {player.site_id: player.player_id for player in before.stored.slate.players}
                begun = begun_games(stored.slate, self._seen, self._clock())
                wanted = marked(stored, ids, told_by(heard, lock=stored.slate.lock), begun)
                now = before if wanted is stored else runner.run(self._predictor.project(wanted))
                self._now[slate_id] = now
                topics[f"slate:{slate_id}"] = slate_topic(before, now)
        return topics

    def _looked_after(self) -> list[str]:
        now = self._clock()
        if self._upcoming is None or now - self._upcoming[0] >= timedelta(seconds=LISTED_S):
            near = [
                stored.slate.slate_id
                for stored in newest_slates(self._database)
                if stored.league == self._league
                and stored.slate.lock is not None
                and now - AFTER <= stored.slate.lock <= now + BEFORE
            ]
            self._upcoming = (now, tuple(near))
        with self._lock:
            return sorted(self._wanted | set(self._upcoming[1]))


def _at(news: News) -> datetime:
    moment = datetime.fromisoformat(news.at)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _status(told: list[News]) -> str | None:
    """The status of one player from his news, oldest first."""
    mark = said = None
    for each in told:
        text = (each.new or "").strip()
        if each.kind == "starter":
            mark, said = ("available", None) if text.lower() == "yes" else (mark, said)
        elif each.field == COMMENT:
            said = status_said(text)
        elif text.lower() in WORDS:
            mark = WORDS[text.lower()]
        else:
            log.warning("injury news %s says %r of %s, which is no status known", each.id, text, each.subject)
    return mark if mark in ("out", "available") else said or mark
