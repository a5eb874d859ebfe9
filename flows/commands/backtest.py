"""`fantasy backtest`: the walk-forward result on seasons the models had not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import Data, Json, Seasons, print_json


def backtest(
    data: Data = None,
    seasons: Seasons = None,
    families: Annotated[
        str | None, typer.Option(help="model families, with commas; default: all there are")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file: one row per prediction")] = None,
    report: Annotated[Path | None, typer.Option(help="JSON file of the result, for docs/results.md")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML file with the curves, complete in itself")] = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="run the leak controls on a sub-sample instead")
    ] = False,
    as_json: Json = False,
) -> None:
    """Walk forward over recorded seasons: train on what was before, predict, compare with the baselines."""
    from flows.backtest import Files, run_backtest, run_controls
    from flows.commands.options import parse_seasons
    from flows.commands.results import show_backtest, show_controls

    years = parse_seasons(seasons)
    if controls:
        found = run_controls(data, seasons=years)
        if as_json:
            print_json(found)
        else:
            show_controls(found)
        raise typer.Exit(0 if found["passed"] else 1)
    chosen = None if families is None else tuple(name.strip() for name in families.split(",") if name.strip())
    result = run_backtest(data, seasons=years, families=chosen, files=Files(out, report, page))
    if as_json:
        print_json(result)
    else:
        show_backtest(result)


def add_to(app: typer.Typer) -> None:
    """Register this command."""
    app.command("backtest")(backtest)
