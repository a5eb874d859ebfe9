"""Commands that say why: a player's projection, a game's win probability, a lineup, an answer that was served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from features.errors import InvalidInput
from flows.commands.contest_options import ContestMode, Day, League, Site
from flows.commands.options import Json, parse_day, print_json
from flows.progress import show_service

if TYPE_CHECKING:
    from rich.table import Table

    from flows.explaining import Explained, ExplainedLineup

explain = typer.Typer(
    name="explain",
    help="Why an answer is what it is: what each group of inputs adds to the model's answer for usual ones.",
    no_args_is_help=True,
)
Salaries = Annotated[
    Path | None, typer.Option(help="salary file (default: the newest slate that was collected or built from)")
]


@explain.command()
def player(
    who: Annotated[str, typer.Argument(help="name or id of a player of the slate")],
    salaries: Salaries = None,
    site: Site = None,
    mode: ContestMode = None,
    day: Day = None,
    league: League = "auto",
    as_json: Json = False,
) -> None:
    """Why a player's projected fantasy points are what they are."""
    from flows.explaining import choose_slate, explain_player

    slate = choose_slate(salaries, league=league, site=site, mode=mode, day=parse_day(day))
    _tell(explain_player(slate, who), as_json)


@explain.command()
def game(
    which: Annotated[str, typer.Argument(help="AWAY@HOME, or one of the teams")],
    salaries: Salaries = None,
    site: Site = None,
    mode: ContestMode = None,
    day: Day = None,
    league: League = "auto",
    as_json: Json = False,
) -> None:
    """Why the home team's win probability before lock is what it is."""
    from flows.explaining import choose_slate, explain_game

    slate = choose_slate(salaries, league=league, site=site, mode=mode, day=parse_day(day))
    _tell(explain_game(slate, which), as_json)


@explain.command()
def lineup(
    rank: Annotated[int, typer.Argument(help="which of the lineups built together; 1 is the best")] = 1,
    lineups_file: Annotated[
        Path | None, typer.Option("--lineups", help="built lineups (default: the newest built)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Why a lineup that `fantasy lineups` built projects what it does, player by player."""
    from flows.explaining import explain_lineup

    found = explain_lineup(rank, lineups_file)
    if as_json:
        print_json(found.as_json())
    else:
        show_lineup_reasons(found)


@explain.command()
def prediction(
    prediction_id: Annotated[str, typer.Argument(help="prediction_id of an answer of the API")],
    as_json: Json = False,
) -> None:
    """Why the API served this projection or winner before lock: rebuilt from what was known then."""
    from flows.explaining import explain_prediction
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    try:
        wanted = UUID(prediction_id)
    except ValueError as error:
        raise InvalidInput(f"prediction_id {prediction_id!r} is not a UUID; copy it from an answer") from error
    settings = FlowSettings()
    with embedded_services(settings, which=("postgres", "mlflow"), on_progress=show_service):
        found = explain_prediction(wanted, settings)
    _tell(found, as_json)


def show_reasons(found: Explained) -> None:
    """Print the answer, and what adds up to it."""
    from rich.console import Console

    unit = _unit(found.target)
    table = _table(f"{found.subject} · {found.target} · {_number(found.answer, unit)}", ("adds", "because of"))
    table.add_row("usual inputs" if found.explanation else found.basis, _number(found.base, unit), "")
    for each in found.explanation.contributions if found.explanation else ():
        why = ", ".join(f"{one.feature} {one.value:.4g} ({one.deviations:+.1f} sd)" for one in each.inputs)
        table.add_row(each.group, _number(each.amount, unit, sign=True), why or "nothing known")
    table.add_row("sum", _number(found.answer, unit), "")
    console = Console()
    console.print(table)
    console.print(
        f"{found.model['name']} version {found.model['version'] or '–'} · asked as of {found.as_of} · "
        f"data up to {found.data_timestamp}",
        highlight=False,
    )
    _warn(found.warnings)


def show_lineup_reasons(found: ExplainedLineup) -> None:
    """Print a row per player and what the groups add to all of them."""
    from rich.console import Console

    groups = list(found.contributions())
    table = _table(f"Lineup {found.rank} · {found.answer:.2f} points", ("points", "usual", *groups))
    for each, factor in found.players:
        reasons = each.explanation.contributions if each.explanation else ()
        amounts = {one.group: f"{factor * one.amount:+.2f}" for one in reasons}
        name = each.subject if each.basis == "champion" else f"{each.subject} [{each.basis}]"
        shown = (f"{factor * each.answer:.2f}", f"{factor * each.base:.2f}")
        table.add_row(name, *shown, *(amounts.get(group, "–") for group in groups))
    whole = found.contributions().values()
    table.add_row("sum", f"{found.answer:.2f}", f"{found.base:.2f}", *(f"{each:+.2f}" for each in whole))
    Console().print(table)
    _warn(found.warnings)


def _tell(found: Explained, as_json: bool) -> None:
    if as_json:
        print_json(found.as_json())
    else:
        show_reasons(found)


def _table(title: str, headings: tuple[str, ...]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in ("", *headings):
        table.add_column(heading)
    return table


def _unit(target: str) -> str:
    return "%" if target == "home_win" else " points"


def _number(value: float, unit: str, *, sign: bool = False) -> str:
    shown, digits = (100 * value, 1) if unit == "%" else (value, 2)
    return f"{shown:{'+' if sign else ''}.{digits}f}{unit}"


def _warn(warnings: tuple[str, ...]) -> None:
    for each in warnings:
        typer.echo(f"note: {each}")


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.add_typer(explain)
