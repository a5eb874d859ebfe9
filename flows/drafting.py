"""A salary file in, projected slate and lineups out, without any server: what `fantasy lineups` does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from features.contests import Contest, load_contest
from features.errors import InvalidInput, NotMaterialized
from features.files import replace_file
from features.scoring import SITES, Site
from features.slate import Slate
from features.sources.entries import write_entries
from features.sources.injuries import injury_table, mark_slate, read_injuries
from features.sources.player_names import MatchReport, match_players
from features.sources.salaries import date_from_name, read_salaries
from features.sources.upload import write_upload
from features.stores.offline import OfflineStore
from features.workspace import LEAGUES, Workspace
from flows.entering import assign, lineups_for, open_entries
from flows.own_projections import with_own_numbers
from flows.rules_file import PlayerRules
from flows.settings import FlowSettings
from models.champion import Champion, find_champion
from models.lineups.draft import draft
from models.lineups.problem import LineupResult
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
class BuiltLineups:
    """Lineups with everything needed to print, upload and grade them."""

    projected: ProjectedSlate
    contest: Contest
    result: LineupResult
    notes: tuple[str, ...] = ()
    written: Path | None = None

    @property
    def warnings(self) -> list[str]:
        """What the projections, the optimizer and the entries file have to say."""
        return [*self.projected.projections.warnings, *self.result.warnings, *self.notes]

    def exposures(self) -> list[dict[str, Any]]:
        """Everybody who is in a lineup, most used first: id, name, team, count, share."""
        held = Counter(player.id for lineup in self.result.lineups for player in lineup.players)
        named = {p.id: (p.name, p.team) for lineup in self.result.lineups for p in lineup.players}
        total = len(self.result.lineups)
        return [
            {"id": id_, "name": named[id_][0], "team": named[id_][1], "count": count, "share": count / total}
            for id_, count in sorted(held.items(), key=lambda item: (-item[1], named[item[0]][0]))
        ]

    def as_json(self) -> dict[str, Any]:
        """Machine form of `fantasy lineups --json`."""
        slate, result = self.projected.slate, self.result
        return {
            "league": self.projected.workspace.league,
            "lineups": [lineup.as_json() for lineup in result.lineups],
            "solve_ms": round(result.solve_ms, 3),
            "bound": result.bound,
            "gap": result.gap,
            "exposures": self.exposures(),
            "rule_exposures": [asdict(rule) for rule in result.exposures],
            "model": self.projected.model,
            "slate": {
                "id": slate.slate_id,
                "site": slate.site,
                "sport": slate.sport,
                "mode": slate.mode,
                "lock": slate.lock,
            },
            "data_timestamp": self.projected.projections.data_timestamp,
            "fallback": self.projected.projections.fallback,
            "warnings": self.warnings,
            "unmatched": [p.name for p in self.projected.match.unmatched] if self.projected.match else [],
        }


def open_slate(
    salaries: Path, *, site: str | None, sport: str | None = None, mode: str | None = None, day: date | None
) -> Slate:
    """Read a salary file; what is None the file tells. Raises `SalaryFileError` when it is not what it claims to be."""
    if site is not None and site not in SITES:
        raise InvalidInput(f"site {site!r} is not known; choose one of {', '.join(SITES)}")
    known: Site | None = next((s for s in SITES if s == site), None)
    slate_date = day or date_from_name(salaries)
    return read_salaries(salaries, site=known, sport=sport, mode=mode, slate_date=slate_date)


def project(slate: Slate, *, league: str, own: str | None = None, injuries: Sequence[Path] = ()) -> ProjectedSlate:
    """Match and project a slate as of its lock.

    `own` names a file of the player's numbers, or `salaries`; `injuries` are reports that mark whom the salary file
    does not mark itself, as far as they were published before lock.
    """
    settings = FlowSettings()
    workspace, champion = _choose(settings, league)
    store = OfflineStore(workspace)
    try:
        views = store.read_views()
    except NotMaterialized:
        views = {}
    match: MatchReport | None = None
    directory = views.pop("player_directory", None)
    if directory is not None and slate.source != "simulated" and slate.sport == "nba":
        match = match_players(slate, directory)
        slate = match.slate
        if injuries:
            slate = mark_slate(slate, injury_table([read_injuries(path) for path in injuries], directory))
    elif injuries:
        raise InvalidInput(
            f"--injuries marks NBA players that a run has collected, and this slate is {slate.sport} with "
            f"{'no players collected yet: run `fantasy run` first' if directory is None else 'its own marks'}"
        )
    known = directory if directory is not None else pl.DataFrame(schema=DIRECTORY)
    projections = project_slate(slate, champion.model if champion else None, views, known)
    if own is not None:
        projections = with_own_numbers(projections, slate, own)
    return ProjectedSlate(slate, match, projections, workspace)


def build(
    projected: ProjectedSlate, rules: PlayerRules, *, out: Path | None = None, entries: Path | None = None
) -> BuiltLineups:
    """Optimize, write the upload file, and keep the result as the workspace's newest lineups for grading.

    With `entries`, an entries file of the site, its entries get the lineups in order, and it is written to `out`, or in
    place. When a file cannot be written nothing is kept either.
    """
    slate = projected.slate
    contest = load_contest(slate.site, slate.sport, slate.mode)
    wanted = rules.resolve(slate)
    template = None if entries is None else open_entries(entries, slate, contest)
    if template is not None and rules.n is None and "n" not in (rules.file or {}):
        wanted = replace(wanted, n=lineups_for(template))
    result = draft(slate, projected.projections, contest, wanted)
    built = BuiltLineups(projected, contest, result)
    if template is not None and entries is not None:
        filled, notes = assign(template, result.lineups)
        write_entries(out or entries, template, filled)
        built = replace(built, notes=notes, written=out or entries)
    elif out is not None:
        write_upload(out, result.lineups, slate, contest)
        built = replace(built, written=out)
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


def _remember(built: BuiltLineups) -> None:
    folder = built.projected.workspace.lineups
    OfflineStore(built.projected.workspace).write_slate(built.projected.slate)
    text = json.dumps(built.as_json(), default=str)
    for name in (f"{built.projected.slate.slate_id}.json", "latest.json"):
        replace_file(folder / name, lambda temporary: temporary.write_text(text, encoding="utf-8"))
