"""Commands around whole contests: which are known, simulating one, and the real ones of the past."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.errors import InvalidInput
from flows.commands.contest_options import (
    ContestMode,
    Day,
    Exclude,
    Field,
    Injuries,
    League,
    Lock,
    MaxExposure,
    Payouts,
    Projections,
    RulesFile,
    Salaries,
    Scenarios,
    Seed,
    Site,
    Sport,
    Unique,
)
from flows.commands.contest_tables import show_contest_backtest, show_contests, show_simulation
from flows.commands.options import Data, Json, parse_day, print_json

if TYPE_CHECKING:
    from features.contests import Contest

contests = typer.Typer(
    name="contests", help="Contests: rules known, simulation, and a backtest on real ones.", no_args_is_help=True
)


@contests.command("list")
def list_contests(
    site: Annotated[str | None, typer.Option(help="only this site's")] = None,
    sport: Annotated[str | None, typer.Option(help="only this sport's")] = None,
    as_json: Json = False,
) -> None:
    """List the contests whose rules are known: site, sport, mode, roster, salary cap and limits."""
    from features.contests import known_contests, load_contest

    found = [load_contest(*key) for key in known_contests()]
    found = [c for c in found if site in (None, c.site) and sport in (None, c.sport)]
    if not found:
        raise InvalidInput(
            f"no rules are known for site {site!r} and sport {sport!r}; leave one out to see others"
        )
    if as_json:
        print_json({"contests": [contest_json(contest) for contest in found]})
    else:
        show_contests(found)


@contests.command("simulate")
def simulate_contest(
    salaries: Salaries,
    payouts: Payouts = "gpp",
    entries_count: Annotated[int, typer.Option(help="entries of yours, 1 to 150")] = 150,
    field: Field = None,
    scenarios: Scenarios = 10_000,
    candidates: Annotated[int, typer.Option(help="lineups to choose the entries from")] = 5_000,
    choose_by: Annotated[str, typer.Option(help="log_utility, roi or win")] = "log_utility",
    out: Annotated[Path | None, typer.Option(help="file to upload to the site")] = None,
    site: Site = None,
    sport: Sport = None,
    mode: ContestMode = None,
    day: Day = None,
    projections: Projections = None,
    injuries: Injuries = None,
    league: League = "auto",
    rules: RulesFile = None,
    lock: Lock = None,
    exclude: Exclude = None,
    max_exposure: MaxExposure = None,
    unique: Unique = None,
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Simulate a contest on a slate and choose the entries that do best in it."""
    from flows.contest_simulation import SimulationWords, simulate
    from flows.drafting import open_slate, project
    from flows.rules_file import PlayerRules, read_rules

    wishes = PlayerRules(
        lock=tuple(lock or ()),
        exclude=tuple(exclude or ()),
        max_exposure=tuple(max_exposure or ()),
        min_unique=unique,
        file=None if rules is None else read_rules(rules),
    )
    words = SimulationWords(payouts, field, scenarios, entries_count, candidates, choose_by, seed or 0)
    slate = open_slate(salaries, site=site, sport=sport, mode=mode, day=parse_day(day))
    projected = project(slate, league=league, own=projections, injuries=injuries or ())
    done = simulate(projected, wishes, words, out=out)
    if as_json:
        print_json(done.as_json())
    else:
        show_simulation(done)


@contests.command("backtest")
def backtest_contests(
    data: Data = None,
    entries: Annotated[int, typer.Option(help="lineups a contest, 1 to 150")] = 150,
    scenarios: Scenarios = 10_000,
    candidates: Annotated[int, typer.Option(help="lineups the simulation chooses from")] = 5_000,
    exposure: Annotated[float, typer.Option(help="most a player may appear, as a share of lineups")] = 0.5,
    retrain_days: Annotated[
        int, typer.Option(help="train anew where a contest is this many days past the last training")
    ] = 30,
    sources: Annotated[
        str, typer.Option(help="whose projections, commas between: model, averages, third_party")
    ] = "model,averages,third_party",
    choose_by: Annotated[str, typer.Option(help="what the simulation chooses by: log_utility, roi or win")] = (
        "log_utility"
    ),
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="file for the report (JSON)")] = None,
    as_json: Json = False,
) -> None:
    """Enter every real contest of the data with lineups from before its lock; rank them among its real entrants."""
    from flows.contest_backtest import BacktestWords, backtest_contests

    words = BacktestWords(
        entries=entries,
        scenarios=scenarios,
        candidates=candidates,
        max_exposure=exposure,
        retrain_days=retrain_days,
        sources=tuple(word.strip() for word in sources.split(",") if word.strip()),
        seed=seed or 0,
        objective=choose_by,
    )
    report = backtest_contests(data, words, out=out)
    if as_json:
        print_json(report)
    else:
        show_contest_backtest(report)


def contest_json(contest: Contest) -> dict[str, Any]:
    """A contest's rules as plain JSON values."""
    return {
        "site": contest.site,
        "sport": contest.sport,
        "mode": contest.mode,
        "roster": [slot.name for slot in contest.slots],
        "salary_cap_usd": contest.salary_cap_usd,
        "max_per_team": contest.max_per_team,
        "min_teams": contest.min_teams,
        "min_games": contest.min_games,
        "max_per_game": contest.max_per_game,
        "source": contest.source,
    }


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.add_typer(contests)
