"""Commands of continuous learning: learn from new games, live accuracy, experiments, model cards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.options import Data, Json, Seasons, Source, Through, line_spec, print_json
from flows.commands.registry import League, check_league
from flows.progress import show_service

FineTune = Annotated[
    bool, typer.Option(help="also train each champion on from its own weights, not only its calibration")
]


def learn(
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    fine_tune: FineTune = True,
    as_json: Json = False,
) -> None:
    """After final scores: collect, update states, record outcomes, and let each champion learn; the gate decides."""
    from flows.commands.line import end_if_failed
    from flows.learn import learn_here
    from flows.services import embedded_services
    from flows.settings import FlowSettings
    from models.learning import KINDS

    spec = line_spec(source, data, seasons, through)
    with embedded_services(FlowSettings(), which=("redis", "postgres", "mlflow"), on_progress=show_service):
        summary = learn_here(spec, KINDS if fine_tune else KINDS[:1])
    if as_json:
        print_json(summary)
    else:
        show_lessons(summary)
    end_if_failed(summary["collected"])


def accuracy(
    league: League = "nba",
    target: Annotated[str | None, typer.Option(help="one target only, such as home_win")] = None,
    asked_at: Annotated[str | None, typer.Option(help="pregame, q1, half, q3 or event only")] = None,
    as_json: Json = False,
) -> None:
    """Print how right the served answers were, by confidence band; nothing is shown below 200 answers."""
    from flows.accuracy import accuracy_of
    from flows.services import embedded_services
    from flows.settings import FlowSettings
    from models.prequential import LEAST

    with embedded_services(FlowSettings(), which=("postgres",), on_progress=show_service):
        cells = accuracy_of(check_league(league), target=target, asked_at=asked_at)
    if as_json:
        print_json({"league": league, "least_n": LEAST, "cells": [cell.as_json() for cell in cells]})
    else:
        show_accuracy(league, cells)


def experiments(as_json: Json = False) -> None:
    """Print who was served which arm, and whether the split is as promised; exit code 1 when one is not."""
    from flows.experiments import experiments_served
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    settings = FlowSettings()
    with embedded_services(settings, which=("postgres",), on_progress=show_service):
        found = experiments_served(settings)
    if as_json:
        print_json({"experiments": [each.as_json() for each in found]})
    else:
        show_experiments(found)
    if any(each.healthy is False for each in found):
        raise typer.Exit(1)


def cards(
    league: League = "nba",
    out: Annotated[Path, typer.Option(help="folder for one Markdown file per registered model")] = Path(
        "docs/models"
    ),
    backtest: Annotated[
        Path, typer.Option(help="JSON report of `fantasy backtest --report`, for the walk-forward figures")
    ] = Path("benchmarks/results/backtest.json"),
    as_json: Json = False,
) -> None:
    """Write a model card per registered model of a league, from MLflow and the backtest report."""
    from flows.cards import write_cards
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    with embedded_services(FlowSettings(), which=("postgres", "mlflow"), on_progress=show_service):
        written = write_cards(check_league(league), out=out, report=backtest)
    if as_json:
        print_json({"cards": [str(path) for path in written]})
    else:
        for path in written:
            typer.echo(str(path))


def show_lessons(summary: dict[str, Any]) -> None:
    """Print what each family made of the new games, and what the gate said."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"learned from {summary['source']} · {summary['as_of'][:10]}", title_justify="left")
    for heading in ("model", "kind", "version", "decision", "champion", "why"):
        table.add_column(heading)
    for family, entries in summary["models"].items():
        for each in entries:
            lesson, verdict, outcome = each["lesson"], each["verdict"], each["outcome"]
            table.add_row(
                family, lesson["kind"], lesson["version"] or "–", verdict["action"] if verdict else "skipped",
                (outcome["champion"] if outcome else lesson["parent"]) or "–",
                "; ".join(verdict["reasons"]) if verdict else lesson["reason"],
            )  # fmt: skip
    Console().print(table)


def show_accuracy(league: str, cells: Any) -> None:
    """Print the cells as one table: n first, then the figures with their intervals."""
    from rich.console import Console
    from rich.table import Table

    if not cells:
        typer.echo(f"league {league}: no prediction served before its event has a known outcome yet")
        return
    table = Table(title=f"live accuracy · {league}", title_justify="left")
    for heading in ("target", "asked at", "model", "band", "n", "dates", "figures (95 %, dates resampled)"):
        table.add_column(heading)
    for cell in cells:
        model = f"{cell.model_name} {cell.model_version}" + (" (fallback)" if cell.fallback else "")
        told = cell.note or ", ".join(
            f"{name} {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
            for name, value in (cell.figures or {}).items()
        )
        table.add_row(cell.target, cell.asked_at, model, cell.band, f"{cell.n:,}", str(cell.dates), told)
    Console().print(table)


def show_experiments(found: Any) -> None:
    """Print a row per experiment."""
    from rich.console import Console
    from rich.table import Table

    if not found:
        typer.echo("no arm of an experiment was served yet; FANTASY_EXPERIMENT_RAMP opens one (docs/learning.md)")
        return
    table = Table(title="experiments served", title_justify="left")
    for heading in (
        "experiment",
        "units per arm",
        "promised",
        "split by chance, p",
        "met several arms",
        "verdict",
    ):
        table.add_column(heading)
    words = {True: "sound", False: "broken: compare nothing", None: "too few units to say"}
    for each in found:
        units, shares = each.arms.units, each.arms.shares
        table.add_row(
            f"{each.arms.experiment} ({each.arms.first:%Y-%m-%d} to {each.arms.last:%Y-%m-%d})",
            ", ".join(f"{arm} {n:,}" for arm, n in units.items()),
            ", ".join(f"{arm} {share:.0%}" for arm, share in shares.items()),
            f"{each.ratio.p_value:.4f}", f"{each.several_share:.2%}", words[each.healthy],
        )  # fmt: skip
    Console().print(table)


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (learn, accuracy, experiments, cards):
        app.command(command.__name__)(command)
