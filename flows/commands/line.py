"""Commands of the ML engineer: the daily line, whole or one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from flows.commands.options import Data, Json, Seasons, Source, Through, line_spec, print_json
from flows.commands.tables import show_line, show_lineups
from flows.progress import console, show_service

#: Exit code of what may succeed when tried again (EX_TEMPFAIL).
TRY_AGAIN: Final = 75


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
                show_lineups(outcome.built)
            else:
                typer.echo(
                    "no salary file is known for this day: `fantasy lineups --salaries FILE` builds from yours"
                )
        if serve:
            serve_until_interrupted(settings)
    end_if_failed(outcome.summary["collected"])


def collect(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    as_json: Json = False,
) -> None:
    """Bring in new games and slates."""
    from flows.collect import collect as step

    counts = step.fn(line_spec(source, data, seasons, through))
    _report(counts, as_json)
    end_if_failed(counts)


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
    """Validate what was collected and compute the feature views from what passed (offline store only)."""
    from features.materialize import materialize as build_views
    from flows.validate import validate as check

    spec = line_spec(source, data, seasons, through)
    quarantined = check.fn(spec)["quarantined_seasons"]
    built = build_views(spec.store, None, league=spec.league, as_of=spec.as_of(), excluded_seasons=quarantined)
    _report({**built.as_json(), "quarantined_seasons": quarantined}, as_json)


def end_if_failed(counts: Mapping[str, Any]) -> None:
    """End with exit code 75 (try again) when records could not be written; they are not marked as seen."""
    if counts["failed"]:
        console.print(
            f"{counts['failed']} records could not be written and are not marked as seen: free disk space or mend "
            "permissions, then run the command again",
            style="bold red",
            soft_wrap=True,
        )
        raise typer.Exit(TRY_AGAIN)


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
