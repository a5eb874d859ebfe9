"""A salary file in, projected slate and lineups out, without any server: what `fantasy lineups` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import polars as pl

from features.contests import Contest, load_contest
from features.errors import InvalidInput, NotMaterialized
from features.files import replace_file
from features.scoring import SITES, Site
from features.slate import Slate
from features.sources.player_names import MatchReport, match_players, normalize_name
from features.sources.projections_file import read_projections
from features.sources.salaries import date_from_name, read_salaries
from features.sources.upload import write_upload
from features.stores.offline import OfflineStore
from features.workspace import LEAGUES, Workspace
from flows.settings import FlowSettings
from models.champion import Champion, find_champion
from models.lineups.draft import draft
from models.lineups.problem import LineupResult, LineupRules
from models.projection.own_numbers import use_own_numbers
from models.projection.slate import SlateProjections, project_slate

#: A directory of nobody, for the time before the first run.
DIRECTORY: Final = {"player_id": pl.Int32, "player_name": pl.String, "team": pl.String, "last_played": pl.Date}


@dataclass(frozen=True, slots=True)
class ProjectedSlate:
    """A slate with its players matched and projected."""

    slate: Slate
    match: MatchReport | None
    projections: SlateProjections
    workspace: Workspace

    @property
    def model(self) -> dict[str, str]:
        """Name and version of what projected."""
        return {"name": self.projections.model_name, "version": self.projections.model_version}

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy project --json`."""
        return {
            "slate": {
                "id": self.slate.slate_id,
                "site": self.slate.site,
                "sport": self.slate.sport,
                "lock": self.slate.lock,
                "players": len(self.slate.players),
                "games": len(self.slate.games),
            },
            "projections": self.projections.frame.to_dicts(),
            "unmatched": [p.name for p in self.match.unmatched] if self.match else [],
            "model": self.model,
            "data_timestamp": self.projections.data_timestamp,
            "fallback": self.projections.fallback,
            "warnings": list(self.projections.warnings),
        }


@dataclass(frozen=True, slots=True)
class PlayerRules:
    """The player's wishes in his own words: names or ids, turned into ids against the slate."""

    n: int = 1
    lock: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_exposure: float = 1.0
    min_salary_usd: int = 0
    min_unique: int = 1

    def resolve(self, slate: Slate) -> LineupRules:
        """Return the rules in site ids. Raises `InvalidInput` naming a player who is not on the slate."""
        return LineupRules(
            n=self.n,
            locked=frozenset(_site_id(slate, who, "lock") for who in self.lock),
            excluded=frozenset(_site_id(slate, who, "exclude") for who in self.exclude),
            max_exposure=self.max_exposure,
            min_salary_usd=self.min_salary_usd,
            min_unique=self.min_unique,
        )


@dataclass(frozen=True, slots=True)
class BuiltLineups:
    """Lineups with everything needed to print, upload and grade them."""

    projected: ProjectedSlate
    contest: Contest
    result: LineupResult

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy lineups --json`."""
        slate = self.projected.slate
        return {
            "league": self.projected.workspace.league,
            "lineups": [lineup.as_json() for lineup in self.result.lineups],
            "solve_ms": round(self.result.solve_ms, 3),
            "model": self.projected.model,
            "slate": {"id": slate.slate_id, "site": slate.site, "sport": slate.sport, "lock": slate.lock},
            "data_timestamp": self.projected.projections.data_timestamp,
            "fallback": self.projected.projections.fallback,
            "warnings": [*self.projected.projections.warnings, *self.result.warnings],
            "unmatched": [p.name for p in self.projected.match.unmatched] if self.projected.match else [],
        }


def open_slate(salaries: Path, *, site: str | None, sport: str, day: date | None) -> Slate:
    """Read a salary file. Raises `SalaryFileError` when it is not what it claims to be."""
    if site is not None and site not in SITES:
        raise InvalidInput(f"site {site!r} is not known; choose one of {', '.join(SITES)}")
    known: Site | None = next((s for s in SITES if s == site), None)
    return read_salaries(salaries, site=known, sport=sport, slate_date=day or date_from_name(salaries))


def project(slate: Slate, *, league: str, own: str | None = None) -> ProjectedSlate:
    """Match and project a slate as of its lock; `own` names a file of the player's numbers, or `salaries`."""
    settings = FlowSettings()
    workspace, champion = _choose(settings, league)
    store = OfflineStore(workspace)
    try:
        views = store.read_views()
    except NotMaterialized:
        views = {}
    match: MatchReport | None = None
    directory = views.pop("player_directory", None)
    if directory is not None and slate.source != "simulated":
        match = match_players(slate, directory)
        slate = match.slate
    known = directory if directory is not None else pl.DataFrame(schema=DIRECTORY)
    projections = project_slate(slate, champion.model if champion else None, views, known)
    if own is not None:
        numbers = (
            {p.site_id: p.average_points for p in slate.players}
            if own == "salaries"
            else read_projections(Path(own), slate)
        )
        projections = use_own_numbers(projections, numbers, source=own)
    return ProjectedSlate(slate, match, projections, workspace)


def build(projected: ProjectedSlate, rules: PlayerRules, *, out: Path | None = None) -> BuiltLineups:
    """Optimize, write the upload file `out`, and keep the result as the workspace's newest lineups for grading.

    When the upload file cannot be written nothing is kept either.
    """
    slate = projected.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    result = draft(slate, projected.projections, contest, rules.resolve(slate))
    built = BuiltLineups(projected, contest, result)
    if out is not None:
        write_upload(out, result.lineups, projected.slate, contest)
    _remember(built)
    return built


def _choose(settings: FlowSettings, league: str) -> tuple[Workspace, Champion | None]:
    if league != "auto" and league not in LEAGUES:
        raise InvalidInput(f"league {league!r} is not known; choose auto, {' or '.join(LEAGUES)}")
    wanted: Sequence[Any] = LEAGUES if league == "auto" else (league,)
    for name in wanted:
        workspace = Workspace(settings.home, name)
        champion = find_champion(workspace, "projection", None)
        if champion is not None:
            return workspace, champion
    return Workspace(settings.home, wanted[0]), None


def _site_id(slate: Slate, who: str, rule: str) -> str:
    wanted, name = who.strip().casefold(), normalize_name(who)
    found = [p.site_id for p in slate.players if wanted == p.site_id.casefold() or name == normalize_name(p.name)]
    if len(found) != 1:
        near = get_close_matches(name, {normalize_name(p.name): p.name for p in slate.players}, n=1)
        hint = f"; did you mean {near[0].title()!r}?" if near else "; give a name or id of the salary file"
        problem = f"is not on this slate{hint}" if not found else f"names {len(found)} players; use an id"
        raise InvalidInput(f"--{rule} {who!r} {problem}")
    return found[0]


def _remember(built: BuiltLineups) -> None:
    folder = built.projected.workspace.lineups
    OfflineStore(built.projected.workspace).write_slate(built.projected.slate)
    text = json.dumps(built.as_json(), default=str)
    for name in (f"{built.projected.slate.slate_id}.json", "latest.json"):
        replace_file(folder / name, lambda temporary: temporary.write_text(text, encoding="utf-8"))
