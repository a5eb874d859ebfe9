"""Commands of the ML engineer: the daily line, whole or one step at a time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.commands.options import Data, Json, Seasons, Source, Through, line_spec, print_json
from flows.commands.tables import show_line, show_lineups
from flows.progress import show_service


def run(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    retrain: Annotated[bool, typer.Option(help="train even when nothing changed since the last version")] = False,
    serve: Annotated[bool, typer.Option(help="afterwards serve the API and page until Ctrl-C")] = False,
    as_json: Json = False,
) -> None:
    """Run the daily line once: collect, validate, materialize, train, evaluate, promote; then print a lineup."""
    from flows.line import run_line
    from flows.serve import serve_until_interrupted
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    spec = line_spec(source, data, seasons, through, retrain=retrain)
    settings = FlowSettings()
    with embedded_services(settings, on_progress=show_service):
        outcome = run_line(spec, prefect_api_url=settings.prefect_api_url)
        if as_json:
            print_json(outcome.as_json())
        else:
            show_line(outcome)
            if outcome.built is not None:
                show_lineups(outcome.built, None)
        if serve:
            serve_until_interrupted(settings)


def collect(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    as_json: Json = False,
) -> None:
    """Bring in new games and slates."""
    from flows.collect import collect as step

    _report(step.fn(line_spec(source, data, seasons, through)), as_json)


def validate(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    as_json: Json = False,
) -> None:
    """Run every expectation over what was collected; exit code 1 when a batch fails."""
    from flows.validate import validate as step

    report = step.fn(line_spec(source, data, seasons, through))
    _report(report, as_json)
    if not report["passed"]:
        raise typer.Exit(1)


def materialize(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    as_json: Json = False,
) -> None:
    """Compute the feature views from what was collected (offline store only)."""
    from features.materialize import materialize as build_views

    spec = line_spec(source, data, seasons, through)
    built = build_views(spec.store, None, league=spec.league, as_of=spec.as_of())
    _report(built.as_json(), as_json)


def _report(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(value)
        return
    for name, entry in value.items():
        typer.echo(f"{name}: {entry}")


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command("run")(run)
    app.command("collect")(collect)
    app.command("validate")(validate)
    app.command("materialize")(materialize)
