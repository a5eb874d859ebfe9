"""Whose projections enter a real contest, and what the evening of it was like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from features.scoring import fantasy_points
from features.slate import Slate
from features.sources.player_names import match_players
from features.tables import Tables
from features.views.entities import player_directory
from flows.drafting import DIRECTORY
from flows.own_projections import with_own_numbers
from flows.real_contests import RealContest
from models.lineups.rules import LineupRules
from models.projection.slate import OUT_STATUSES, SlateProjections, project_slate

if TYPE_CHECKING:
    from models.lineups.problem import Lineup
    from models.training.as_of import AsOfModels

SOURCES: Final = ("model", "averages", "third_party")
VARIANTS: Final = ("recorded", "inactives")
Basis = Literal["contest file and box scores", "contest file", "box scores", "nothing"]


@dataclass(frozen=True, slots=True)
class Evening:
    """What really happened: `points` by site id (who is not in it scored 0), `absent` the slate's players without a box
    row although their team has some (None: no box scores of that day). `slate` is matched to players."""

    contest: RealContest
    slate: Slate
    points: Mapping[str, float]
    absent: frozenset[str]
    known: bool
    directory: pl.DataFrame
    basis: Basis

    @property
    def active(self) -> frozenset[int]:
        """Person ids of the slate's players who appeared: those an active list would have shown."""
        present = (p for p in self.slate.players if self.known and p.site_id not in self.absent)
        return frozenset(p.player_id for p in present if p.player_id is not None)

    def score(self, lineup: Lineup) -> float:
        """Fantasy points of a lineup, captains multiplied."""
        times = {slot.name: slot.points_multiplier for slot in self.contest.contest.slots}
        return sum(times[player.slot] * self.points.get(player.id, 0.0) for player in lineup.players)


def evening_of(contest: RealContest, tables: Tables | None) -> Evening:
    """Points of every player of the slate: the contest's own where its file has them, else from the box scores."""
    slate = contest.slate
    official = dict(
        contest.standings.players.filter(~pl.col("name").is_duplicated()).select("name", "points").iter_rows()
    )
    points = {p.site_id: official[p.name] for p in slate.players if p.name in official}
    directory = pl.DataFrame(schema=DIRECTORY)
    box = pl.DataFrame()
    if tables is not None and slate.sport == "nba":
        past = tables.box.filter(pl.col("game_date") <= contest.day)
        directory = player_directory(Tables(tables.games, past))
        slate = match_players(slate, directory).slate
        box = past.filter(pl.col("game_date") == contest.day)
    if box.is_empty():
        basis: Basis = "contest file" if points else "nothing"
        return Evening(contest, slate, points, frozenset(), False, directory, basis)
    scored = box.select("player_id", points=fantasy_points(slate.site)).unique("player_id", keep="first")
    played = dict(scored.iter_rows())
    teams = set(box["team"])
    points = {p.site_id: played[p.player_id] for p in slate.players if p.player_id in played} | points
    absent = frozenset(p.site_id for p in slate.players if p.team in teams and p.player_id not in played)
    basis = "contest file and box scores" if official else "box scores"
    return Evening(contest, slate, points, absent, True, directory, basis)


@dataclass(frozen=True, slots=True)
class Entrants:
    """Makes the projections of each source; `rules` are the portfolio's."""

    sources: tuple[str, ...]
    models: AsOfModels | None
    max_exposure: float
    entries: int

    @property
    def rules(self) -> LineupRules:
        """So many lineups, nobody in more than the share of them."""
        return LineupRules(n=self.entries, max_exposure=self.max_exposure)

    @property
    def starts(self) -> tuple[date, ...]:
        """The days models end before."""
        return () if self.models is None else tuple(self.models.starts)

    def project(self, source: str, variant: str, evening: Evening) -> SlateProjections | str:
        """Projections as they could have been made before lock, or why they cannot be had."""
        slate = evening.slate
        if variant == "inactives":
            if not evening.known:
                return "no box scores of its day tell who was inactive"
            slate = replace(slate, players=tuple(
                replace(p, injury_status="OUT") if p.site_id in evening.absent else p for p in slate.players
            ))  # fmt: skip
        if source == "model":
            if self.models is None:
                return "no recorded seasons to train a model on"
            if slate.sport != "nba":
                return f"the model does not project {slate.sport}"
            model = self.models.before(evening.contest.day)
            active: frozenset[int] = evening.active if variant == "inactives" else frozenset()
            return project_slate(slate, model, self.models.views, evening.directory, active=active)
        base = project_slate(slate, None, {}, evening.directory)
        own = "salaries"
        if source == "third_party":
            if evening.contest.third_party is None:
                return "no third-party projections of its day"
            own = str(evening.contest.third_party)
        return without_the_out(with_own_numbers(base, slate, own), slate)


def without_the_out(projections: SlateProjections, slate: Slate) -> SlateProjections:
    """Nothing for those the slate marks out, whatever the numbers say."""
    out = [p.site_id for p in slate.players if p.injury_status.strip().upper() in OUT_STATUSES]
    here = pl.col("site_id").is_in(out)
    names = ("mean", "q10", "q50", "q90", "p_play")
    frame = projections.frame.with_columns(
        pl.when(here).then(0.0).otherwise(pl.col(name)).alias(name) for name in names
    )
    return replace(projections, frame=frame)
