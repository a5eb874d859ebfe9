"""`fantasy backtest`: the walk-forward result on seasons the models had not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import Data, Json, Seasons, print_json


def backtest(
    data: Data = None,
    seasons: Seasons = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file: one row per prediction")] = None,
    report: Annotated[Path | None, typer.Option(help="JSON file of the result, for docs/results.md")] = None,
    as_json: Json = False,
) -> None:
    """Walk forward over recorded seasons: train on what was before, predict, compare with the baselines."""
    from flows.backtest import run_backtest
    from flows.commands.options import parse_seasons
    from flows.commands.results import show_backtest

    result = run_backtest(data, seasons=parse_seasons(seasons), out=out)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")
    if as_json:
        print_json(result)
    else:
        show_backtest(result)


def add_to(app: typer.Typer) -> None:
    """Register this command."""
    app.command("backtest")(backtest)
