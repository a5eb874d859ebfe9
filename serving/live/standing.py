"""How a followed lineup stands: points so far, what it should end with, and its best late swap.

A player whose game has begun is locked. His points are the stream's, his end is the model's; of whoever has not
begun it is the slate's projection, as news has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from features.contests import Contest, Slot
from features.slate import SlatePlayer
from features.sources.entries import Entries, Entry
from models.lineups.draft import game_key
from models.lineups.rules import LineupRules
from serving.live.live_lineups import Followed
from serving.live.live_slates import begun_games, live_id
from serving.live.seen import Seen
from serving.predictor import Projected

DECIMALS: Final = 2
#: Points that make a swap worth telling.
WORTH: Final = 0.005
#: Before every game: which games have begun is told by the slate's own marks.
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SlateNow:
    """A slate as it stands: the games that have begun and, of those the stream tells of, their live ids; `listed` and
    `means` are its players and their projections for a whole game, by site id."""

    projected: Projected
    contest: Contest
    begun: frozenset[str]
    live: Mapping[str, str]
    listed: Mapping[str, SlatePlayer]
    means: Mapping[str, float]

    @property
    def question(self) -> str:
        """What the best swap depends on beside the lineup: projections, and which games have begun."""
        return f"{self.projected.question}|{','.join(sorted(self.begun))}"


def slate_now(projected: Projected, contest: Contest, seen: Seen, now: datetime) -> SlateNow:
    """The slate at `now`."""
    slate = projected.stored.slate
    live = {f"{g.away_team}@{g.home_team}": found for g in slate.games if (found := live_id(g, slate, seen))}
    listed = {player.site_id: player for player in slate.players}
    means = dict(projected.projections.frame.select("site_id", "mean").iter_rows())
    return SlateNow(projected, contest, begun_games(slate, seen, now), live, listed, means)


def lineup_topic(
    followed: Followed,
    now: SlateNow,
    seen: Seen,
    swap: dict[str, Any] | None,
    known: dict[tuple[str, str], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Fields of topic `lineup:{id}`; every player must be listed.

    `known` are players of the slate in their slots (site id, slot) worked out for other lineups at the same moment;
    what is worked out is added.
    """
    known = {} if known is None else known
    players = []
    for site_id, slot in zip(followed.players, now.contest.slots, strict=True):
        if (site_id, slot.name) not in known:
            player = player_now(now.listed[site_id], slot, now.means[site_id], now, seen)
            known[site_id, slot.name] = player
        players.append(known[site_id, slot.name])
    given = now.projected.projections
    return {
        "slate_id": followed.slate_id,
        "points": round(sum(player["points"] for player in players), DECIMALS),
        "projected": round(sum(player["projected"] for player in players), DECIMALS),
        "players": players,
        "best_swap": swap,
        "model": {"name": given.model_name, "version": given.model_version},
        "fallback": given.fallback,
    }


def player_now(player: SlatePlayer, slot: Slot, before: float, now: SlateNow, seen: Seen) -> dict[str, Any]:
    """One player of a lineup; `before` is his projection for a whole game. Points count as the slot multiplies."""
    game = game_key(player)
    locked = game in now.begun
    points = projected = 0.0
    if locked:
        points, projected = _played(player, before, now, seen)
    return {
        "id": player.site_id,
        "name": player.name,
        "slot": slot.name,
        "team": player.team,
        "player_id": player.player_id,
        "locked": locked,
        "points": round(slot.points_multiplier * points, DECIMALS),
        "projected": round(slot.points_multiplier * (projected if locked else before), DECIMALS),
    }


def best_swap(
    followed: Followed, now: SlateNow, seen: Seen, cancelled: Callable[[], bool]
) -> dict[str, Any] | None:
    """The swap of open slots that gains most, None when none gains. Raises `Cancelled`, and `InvalidInput` where the
    lineup cannot be searched."""
    from models.lineups.late_swap import late_swap

    stored, contest = now.projected.stored, now.contest
    slate = stored.slate
    # The search tells begun games by their players' marks, whatever the clock says.
    players = tuple(replace(player, started=game_key(player) in now.begun) for player in slate.players)
    listed = replace(slate, players=players)
    by_id = {player.site_id: player for player in players}
    locked = tuple(by_id[site_id].started for site_id in followed.players)
    if all(locked):
        return None
    entry = Entry(followed.lineup_id, contest.name, "", None, followed.players, locked, 1)
    entries = Entries((entry,), listed, contest, "a followed lineup", "", b"", "utf-8", ())
    given = now.projected.projections
    means = {
        site_id: player_now(player, _PLAIN, now.means[site_id], now, seen)["projected"]
        for site_id, player in by_id.items()
        if player.started
    }
    frame = given.frame.with_columns(
        mean=pl.col("site_id").replace_strict(means, default=pl.col("mean"), return_dtype=pl.Float64)
    )
    projections = replace(given, frame=frame)
    result = late_swap(entries, listed, projections, contest, LineupRules(), now=LONG_AGO, cancelled=cancelled)
    (found,) = result.entries
    if found.status != "swapped" or found.lineup is None:
        return None
    gain = found.lineup.projection - found.before
    if gain < WORTH:
        return None
    return {
        "gain": round(gain, DECIMALS),
        "swaps": [
            {"slot": r.slot, "out": r.out, "out_name": r.out_name, "in": r.into, "in_name": r.into_name}
            for r in found.replaced
        ],
        "players": [player.id for player in found.lineup.players],
        "reason": found.reason,
    }


_PLAIN: Final = Slot("", frozenset())


def _played(player: SlatePlayer, before: float, now: SlateNow, seen: Seen) -> tuple[float, float]:
    """Points so far, and what he should end with, of a player whose game has begun."""
    site, game_id = now.contest.site, now.live.get(game_key(player))
    if game_id is None or player.player_id is None:
        return 0.0, before  # nothing is told of his game, or nobody knows who he is
    topic = f"player:{player.player_id}"
    state, model = seen.of(topic, "state"), seen.of(topic, "model")
    points = float(state["fantasy_points"][site]) if state.get("game_id") == game_id else 0.0
    left = seen.share_left(game_id)
    if left <= 0 and seen.of(f"game:{game_id}", "state").get("status") == "final":
        return points, points
    told = model.get("expected", {}).get(site) if model.get("game_id") == game_id else None
    if told is None or told.get("mean") is None:
        return points, points + before * left
    if not model.get("appeared"):
        # The model answers as if he came in; he may not, which the projection counts.
        return points, min(float(told["mean"]), before * left)
    return points, float(told["mean"])
