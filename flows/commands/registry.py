"""Commands around model versions: train, sweep, evaluate, promote, roll back, list, export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.export import export
from flows.commands.options import Data, Json, Seasons, Source, Through, line_spec, print_json
from flows.progress import show_service

if TYPE_CHECKING:
    from flows.settings import FlowSettings
    from flows.spec import LineSpec

Family = Annotated[
    str, typer.Argument(help="projection, win_probability, live_win, live_line, possession or shot")
]
Precision = Annotated[str, typer.Option(help="auto, 32, bf16-mixed, or 16-mixed (GPU only)")]
Accumulate = Annotated[int | None, typer.Option(min=1, help="batches per step, instead of params.yaml's")]
Epochs = Annotated[int | None, typer.Option(min=1, help="most epochs, instead of params.yaml's")]
Devices = Annotated[int, typer.Option(min=1, help="GPUs, or CPU processes, that share every batch")]
Sweep = Annotated[
    int | None,
    typer.Option(
        min=1, help="search so many sets of parameters instead, judged by calibration loss; registers nothing"
    ),
]
Version = Annotated[str, typer.Argument(help="version number")]
League = Annotated[str, typer.Option(help="nba or simulated")]


def train(
    family: Family,
    source: Source = "simulated",
    data: Data = None,
    seasons: Seasons = None,
    through: Through = None,
    retrain: Annotated[bool, typer.Option(help="train even when nothing changed since the last version")] = False,
    resume: Annotated[
        bool, typer.Option(help="continue a training that was killed; the curve is the same")
    ] = False,
    precision: Precision = "auto",
    accumulate: Accumulate = None,
    max_epochs: Epochs = None,
    devices: Devices = 1,
    sweep: Sweep = None,
    as_json: Json = False,
) -> None:
    """Train and register a challenger from what was collected."""
    from flows import train as steps
    from flows.pin import pin
    from flows.settings import FlowSettings
    from models.device import resolve_device, training_precision
    from models.training.config import TrainingChoices

    spec = line_spec(source, data, seasons, through, retrain=retrain)
    check_family(family)
    training_precision(resolve_device(FlowSettings().device), precision)
    check_sweep(sweep, resume=resume, devices=devices)
    choices = TrainingChoices(resume, precision, devices, accumulate, max_epochs)
    with _models_open():
        quarantined = _quarantined(spec)
        lineage = pin.fn(spec)
        if sweep is None:
            _report(steps.train.fn(spec, family, lineage, quarantined, choices), as_json)
        else:
            _report(steps.sweep(spec, family, lineage, quarantined, sweep, choices), as_json)


def evaluate(
    family: Family,
    version: Version,
    source: Source = "simulated",
    data: Data = None,
    through: Through = None,
    as_json: Json = False,
) -> None:
    """Pair a version with the champion (or the best baseline) and print the evidence and the decision."""
    from flows.evaluate import evaluate as step

    spec = line_spec(source, data, None, through)
    with _models_open():
        quarantined = _quarantined(spec)
        _report(step.fn(spec, check_family(family), version, quarantined), as_json)


def promote(
    family: Family,
    version: Version,
    source: Source = "simulated",
    data: Data = None,
    through: Through = None,
    as_json: Json = False,
) -> None:
    """Evaluate a version and move the champion alias to it if, and only if, the gate says promote."""
    from flows.evaluate import evaluate as judge
    from flows.promote import promote as step

    spec = line_spec(source, data, None, through)
    with _models_open():
        quarantined = _quarantined(spec)
        verdict = judge.fn(spec, check_family(family), version, quarantined)
        _report({"verdict": verdict, "outcome": step.fn(spec, family, verdict)}, as_json)


def rollback(family: Family, league: League = "nba", as_json: Json = False) -> None:
    """Move the champion alias back to the version before, and say so in the audit."""
    from features.workspace import Workspace
    from models.lifecycle import roll_back

    with _models_open() as settings:
        workspace = Workspace(settings.home, check_league(league))
        _report(roll_back(check_family(family), workspace, settings, actor="cli"), as_json)


def models(league: League = "nba", as_json: Json = False) -> None:
    """List the registered versions of a league with their aliases and headline figures."""
    from models.lifecycle import list_versions

    with _models_open() as settings:
        _report({"models": list_versions(check_league(league), settings)}, as_json)


def check_family(family: str) -> str:
    """Return `family`. Raises `InvalidInput` when no such model is trained."""
    from models.families import check_family as known

    return known(family)


def check_sweep(sweep: int | None, *, resume: bool, devices: int) -> None:
    """Raises `InvalidInput` when a sweep is combined with what it cannot do."""
    from features.errors import InvalidInput

    if sweep is not None and (resume or devices > 1):
        raise InvalidInput(f"--sweep {sweep} trains each trial anew in one process; drop --resume and --devices")


def check_league(league: str) -> Any:
    """Return `league`. Raises `InvalidInput` when it is not one."""
    from features.errors import InvalidInput
    from features.workspace import LEAGUES

    if league not in LEAGUES:
        raise InvalidInput(f"league {league!r} is not known; choose one of {', '.join(LEAGUES)}")
    return league


@contextmanager
def _models_open() -> Iterator[FlowSettings]:
    """The settings, while the registry and its database answer."""
    from flows.services import embedded_services
    from flows.settings import FlowSettings

    settings = FlowSettings()
    with embedded_services(settings, which=("postgres", "mlflow"), on_progress=show_service):
        yield settings


def _quarantined(spec: LineSpec) -> list[int]:
    """Seasons whose data fail their expectations."""
    from flows.validate import validate

    seasons: list[int] = validate.fn(spec)["quarantined_seasons"]
    return seasons


def _report(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(value)
        return
    from rich.console import Console
    from rich.pretty import Pretty

    Console().print(Pretty(value, expand_all=True))


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (train, evaluate, promote, rollback, models, export):
        app.command(command.__name__)(command)
