"""The `fantasy` command: wiring only; each command lives in `flows/commands/`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys

import typer
from rich.logging import RichHandler

from features.errors import FantasyError
from flows.commands import backtest, contest, line, registry, services
from flows.progress import console
from flows.services import quiet_environment

app = typer.Typer(
    name="fantasy",
    help="Live basketball to calibrated projections and provably optimal fantasy lineups.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (line, contest, backtest, registry, services):
    module.add_to(app)


def main() -> None:
    """Run the command line; a `FantasyError` becomes one line on stderr and exit code 1 (75: try again)."""
    for name, value in quiet_environment().items():
        os.environ.setdefault(name, value)
    logging.basicConfig(
        level=os.environ.get("FANTASY_LOG_LEVEL", "WARNING"),
        format="%(message)s",
        handlers=[RichHandler(console=console, show_path=False)],
    )
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except FantasyError as error:
        if "--json" in sys.argv:
            body = {"error": type(error).__name__, "message": str(error), "retryable": error.retryable}
            typer.echo(json.dumps(body))
        console.print(f"{type(error).__name__}: {error}", style="bold red", markup=False, soft_wrap=True)
        sys.exit(75 if error.retryable else 1)


def _terminate(_signum: int, _frame: object) -> None:
    """Unwind, so that services started here are stopped."""
    sys.exit(143)
