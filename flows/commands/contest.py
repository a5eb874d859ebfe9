"""Commands of the DFS player: project a salary file, build lineups from it, grade them afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.errors import InvalidInput
from flows.commands.options import Data, Json, parse_day, print_json
from flows.commands.tables import show_grades, show_lineups, show_projections

Salaries = Annotated[Path, typer.Option(help="salary file as downloaded from the site")]
Site = Annotated[str | None, typer.Option(help="draftkings, fanduel or yahoo (default: told by the file)")]
Sport = Annotated[str, typer.Option(help="sport of the contest")]
Day = Annotated[str | None, typer.Option("--date", help="slate day (ISO) when the file does not say")]
Projections = Annotated[
    str | None, typer.Option(help="your own numbers: a CSV with a name or id and points; or `salaries`")
]
League = Annotated[str, typer.Option(help="auto, nba or simulated: whose champion projects")]


def lineups(
    salaries: Salaries,
    site: Site = None,
    sport: Sport = "nba",
    n: Annotated[int, typer.Option("-n", "--count", help="lineups, 1 to 150")] = 1,
    out: Annotated[Path | None, typer.Option(help="file to upload to the site")] = None,
    day: Day = None,
    projections: Projections = None,
    league: League = "auto",
    lock: Annotated[list[str] | None, typer.Option(help="player name or id that every lineup must hold")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="player name or id to leave out")] = None,
    max_exposure: Annotated[float, typer.Option(help="most a player may appear, as a share of lineups")] = 1.0,
    min_salary: Annotated[int, typer.Option(help="least salary a lineup must use")] = 0,
    unique: Annotated[int, typer.Option(help="players in which any two lineups differ at least")] = 1,
    everything: Annotated[
        bool, typer.Option("--all", help="print a table of every lineup, not of the best three")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build legal, optimal lineups from a salary file and write the file the site accepts."""
    from flows.drafting import PlayerRules, build, open_slate, project

    if out is not None and out.is_dir():
        raise InvalidInput(f"--out {out} is a folder; name the file to write, e.g. {out / 'upload.csv'}")
    slate = open_slate(salaries, site=site, sport=sport, day=parse_day(day))
    projected = project(slate, league=league, own=projections)
    rules = PlayerRules(
        n=n,
        lock=tuple(lock or ()),
        exclude=tuple(exclude or ()),
        max_exposure=max_exposure,
        min_salary_usd=min_salary,
        min_unique=unique,
    )
    built = build(projected, rules, out=out)
    if as_json:
        print_json(built.as_json())
    else:
        show_lineups(built, out, everything=everything)


def project_file(
    salaries: Salaries,
    site: Site = None,
    sport: Sport = "nba",
    day: Day = None,
    league: League = "auto",
    projections: Projections = None,
    as_json: Json = False,
) -> None:
    """Project every player of a salary file as of the slate's lock."""
    from flows.drafting import open_slate, project

    projected = project(
        open_slate(salaries, site=site, sport=sport, day=parse_day(day)), league=league, own=projections
    )
    if as_json:
        print_json(projected.as_json())
    else:
        show_projections(projected)


def grade(
    data: Data = None,
    lineups_file: Annotated[
        Path | None, typer.Option("--lineups", help="built lineups (default: the newest built)")
    ] = None,
    contest_file: Annotated[
        Path | None, typer.Option("--contest", help="contest standings CSV of the site")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score built lineups with the real box scores, and against a real contest's field when there is one."""
    from flows.grading import grade_built

    report = grade_built(data, lineups_file=lineups_file, contest_file=contest_file)
    if as_json:
        print_json(report.as_json())
    else:
        show_grades(report)


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command("lineups")(lineups)
    app.command("project")(project_file)
    app.command("grade")(grade)
