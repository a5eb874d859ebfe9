"""Commands around running processes: serve, deploy, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.options import Data, Json, Seasons, Source, line_spec, print_json
from flows.progress import show_service


def serve(
    live: Annotated[bool, typer.Option(help="also run the stream consumers, the live models and the hub")] = True,
) -> None:
    """Serve the API, the page and the live hub, with the services they need, until Ctrl-C."""
    from flows.serve import serve_until_interrupted
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    settings = FlowSettings()
    with embedded_services(settings, on_progress=show_service):
        serve_until_interrupted(settings, live=live)


def deploy(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    daily_cron: Annotated[str, typer.Option(help="when the daily line runs (cron, US Eastern)")] = "0 9 * * *",
    live_cron: Annotated[
        str, typer.Option(help="when live collection runs (cron, US Eastern)")
    ] = "*/5 18-23,0-1 * * *",
    learn_cron: Annotated[
        str,
        typer.Option(help="when champions learn from the night's games, after final scores (cron, US Eastern)"),
    ] = "0 4 * * *",
    worker: Annotated[bool, typer.Option(help="afterwards run them here until Ctrl-C")] = True,
) -> None:
    """Register the schedules with Prefect (concurrency 1, one catch-up run at most) and run them."""
    from flows.deployments import deploy_schedules
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    settings = FlowSettings()
    spec = line_spec(source, data, seasons, None)
    with embedded_services(settings, on_progress=show_service):
        deploy_schedules(
            spec, settings, daily_cron=daily_cron, live_cron=live_cron, learn_cron=learn_cron, run_worker=worker
        )


def doctor(as_json: Json = False) -> None:
    """Check devices, versions, services and state; exit code 1 when something needed is missing."""
    from flows.doctor import examine

    findings = examine()
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.subject}: {finding.detail}")
    if not all(finding.ok or not finding.required for finding in findings):
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (serve, deploy, doctor):
        app.command(command.__name__)(command)
