"""The `fantasy` command: wiring only; each command lives in `flows/commands/`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import NoReturn

import typer
from pydantic import ValidationError
from rich.logging import RichHandler

from features.errors import FantasyError
from flows.commands import backtest, bench, contest, contests, explain, learning, line, registry, services, stream
from flows.progress import console
from flows.services import quiet_environment

app = typer.Typer(
    name="fantasy",
    help="Live basketball to calibrated projections and provably optimal fantasy lineups.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (line, contest, contests, explain, backtest, registry, learning, services, stream, bench):
    module.add_to(app)


def main() -> None:
    """Run the command line; a `FantasyError` becomes one line on stderr and exit code 1 (75: try again)."""
    for name, value in quiet_environment().items():
        os.environ.setdefault(name, value)
    level = os.environ.get("FANTASY_LOG_LEVEL", "WARNING").upper()
    # The handler has the level, too: libraries that lower their own loggers' level must not flood the terminal.
    handler = RichHandler(level=level, console=console, show_path=False)
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except FantasyError as error:
        _give_up(type(error).__name__, str(error), retryable=error.retryable)
    except ValidationError as error:
        wrong = "; ".join(f"FANTASY_{str(e['loc'][0]).upper()} {e['input']!r}: {e['msg']}" for e in error.errors())
        _give_up("InvalidInput", f"{wrong}; correct or unset it", retryable=False)


def _give_up(name: str, message: str, *, retryable: bool) -> NoReturn:
    """Say what went wrong on stderr, for a machine on stdout too, and exit."""
    if "--json" in sys.argv:
        typer.echo(json.dumps({"error": name, "message": message, "retryable": retryable}))
    console.print(f"{name}: {message}", style="bold red", markup=False, soft_wrap=True)
    sys.exit(75 if retryable else 1)


def _terminate(_signum: int, _frame: object) -> None:
    """Unwind, so that services started here are stopped."""
    sys.exit(143)
