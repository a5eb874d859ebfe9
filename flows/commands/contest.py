"""Commands of the DFS player: project a salary file, build lineups from it, grade them afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.errors import InvalidInput
from flows.commands.contest_options import (
    ContestMode,
    Day,
    Exclude,
    Field,
    Injuries,
    League,
    Leverage,
    Lock,
    MaxExposure,
    MinExposure,
    MinSalary,
    Objective,
    Payouts,
    Projections,
    Randomness,
    RulesFile,
    Salaries,
    Scenarios,
    Seed,
    Site,
    Sport,
    Stack,
    Unique,
)
from flows.commands.options import Data, Json, parse_day, parse_moment, print_json
from flows.commands.tables import show_grades, show_lineups, show_projections, show_swap


def lineups(
    salaries: Salaries,
    site: Site = None,
    sport: Sport = None,
    mode: ContestMode = None,
    n: Annotated[int | None, typer.Option("-n", "--count", help="lineups, 1 to 150 (default 1)")] = None,
    out: Annotated[Path | None, typer.Option(help="file to upload to the site")] = None,
    entries: Annotated[
        Path | None, typer.Option(help="entries file of the site: filled in place, or as --out")
    ] = None,
    day: Day = None,
    projections: Projections = None,
    injuries: Injuries = None,
    league: League = "auto",
    rules: RulesFile = None,
    lock: Lock = None,
    exclude: Exclude = None,
    max_exposure: MaxExposure = None,
    min_exposure: MinExposure = None,
    min_salary: MinSalary = None,
    unique: Unique = None,
    stack: Stack = None,
    objective: Objective = None,
    randomness: Randomness = None,
    leverage: Leverage = None,
    seed: Seed = None,
    everything: Annotated[
        bool, typer.Option("--all", help="print a table of every lineup, not of the best three")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build legal, optimal lineups from a salary file and write the file the site accepts."""
    from flows.drafting import build, open_slate, project
    from flows.rules_file import PlayerRules, read_rules

    if out is not None and out.is_dir():
        raise InvalidInput(f"--out {out} is a folder; name the file to write, e.g. {out / 'upload.csv'}")
    _keep_salaries(out, salaries)
    wishes = PlayerRules(
        n=n,
        lock=tuple(lock or ()),
        exclude=tuple(exclude or ()),
        max_exposure=tuple(max_exposure or ()),
        min_exposure=tuple(min_exposure or ()),
        min_salary_usd=min_salary,
        min_unique=unique,
        stack=tuple(stack or ()),
        objective=objective,
        randomness=randomness,
        leverage=leverage,
        seed=seed,
        file=None if rules is None else read_rules(rules),
    )
    slate = open_slate(salaries, site=site, sport=sport, mode=mode, day=parse_day(day))
    projected = project(slate, league=league, own=projections, injuries=injuries or ())
    built = build(projected, wishes, out=out, entries=entries)
    if as_json:
        print_json(built.as_json())
    else:
        show_lineups(built, everything=everything)


def late_swap(
    entries: Annotated[Path, typer.Option(help="entries file as downloaded after lock")],
    salaries: Annotated[
        Path | None, typer.Option(help="salary file of the same contest (default: the pool in the entries file)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="file to upload (default: the entries file itself)")] = None,
    now: Annotated[str | None, typer.Option(help="moment to swap at, ISO with time zone (default: now)")] = None,
    out_players: Annotated[
        list[str] | None, typer.Option("--out-players", help="who is newly out: names or ids, commas between")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="optimize every entry, or replace_out: only those that hold somebody out")
    ] = "optimize",
    simulate: Annotated[bool, typer.Option(help="simulate the contest before and after the swap")] = False,
    payouts: Payouts = "gpp",
    field: Field = None,
    scenarios: Scenarios = 10_000,
    site: Site = None,
    sport: Sport = None,
    day: Day = None,
    projections: Projections = None,
    injuries: Injuries = None,
    league: League = "auto",
    rules: RulesFile = None,
    max_exposure: MaxExposure = None,
    unique: Unique = None,
    as_json: Json = False,
) -> None:
    """Fill the open slots of entries anew after lock: locked slots stay, players who are out are replaced."""
    from flows.contest_simulation import SimulationWords
    from flows.late_swapping import SwapRequest, swap
    from flows.rules_file import PlayerRules, read_rules

    _keep_salaries(out, salaries)
    wishes = PlayerRules(
        max_exposure=tuple(max_exposure or ()),
        min_unique=unique,
        file=None if rules is None else read_rules(rules),
    )
    request = SwapRequest(
        entries=entries,
        salaries=salaries or entries,
        now=parse_moment(now),
        out_players=tuple(who.strip() for words in out_players or () for who in words.split(",") if who.strip()),
        mode=mode,
        site=site,
        sport=sport,
        day=parse_day(day),
        projections=projections,
        injuries=tuple(injuries or ()),
        league=league,
        rules=wishes,
        out=out,
    )
    simulation = SimulationWords(payouts, field, scenarios) if simulate else None
    done = swap(request, simulation)
    if as_json:
        print_json(done.as_json())
    else:
        show_swap(done)


def _keep_salaries(out: Path | None, salaries: Path | None) -> None:
    if out is not None and salaries is not None and out.exists() and salaries.exists() and out.samefile(salaries):
        raise InvalidInput(f"--out {out} is the salary file, which it would replace; name another file")


def project_file(
    salaries: Salaries,
    site: Site = None,
    sport: Sport = None,
    mode: ContestMode = None,
    day: Day = None,
    league: League = "auto",
    projections: Projections = None,
    injuries: Injuries = None,
    as_json: Json = False,
) -> None:
    """Project every player of a salary file as of the slate's lock."""
    from flows.drafting import open_slate, project

    slate = open_slate(salaries, site=site, sport=sport, mode=mode, day=parse_day(day))
    projected = project(slate, league=league, own=projections, injuries=injuries or ())
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
    app.command("late-swap")(late_swap)
    app.command("project")(project_file)
    app.command("grade")(grade)
