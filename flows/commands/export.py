"""`fantasy export`: a trained model as one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import Json, print_json
from flows.progress import show_service

if TYPE_CHECKING:
    from models.bundle import LoadedModel


def export(
    family: Annotated[str, typer.Argument(help="model family, e.g. projection")],
    out: Annotated[Path, typer.Option(help="file to write, e.g. projection.onnx")],
    bundle: Annotated[
        Path | None, typer.Option(help="bundle folder; default: the champion kept beside the data")
    ] = None,
    version: Annotated[str | None, typer.Option(help="registered version instead of the champion")] = None,
    league: Annotated[str, typer.Option(help="nba or simulated")] = "nba",
    as_json: Json = False,
) -> None:
    """Write a model as ONNX, checked against torch on its golden batch before the file appears."""
    from models.families import check_family
    from models.onnx_export import export as to_onnx

    report = to_onnx(_found(check_family(family), bundle, version, league), out).as_json()
    if as_json:
        print_json(report)
    else:
        typer.echo(f"{out}: {report['model']} {report['version']}, {report['bytes']:,} bytes")
        typer.echo(f"outputs: {', '.join(report['outputs'])}")
        typer.echo(f"largest difference from torch on the golden batch: {report['worst_difference']:.1e}")


def _found(family: str, bundle: Path | None, version: str | None, league: str) -> LoadedModel:
    from features.errors import InvalidInput
    from features.workspace import Workspace
    from flows.commands.registry import check_league
    from flows.settings import FlowSettings
    from models.bundle import load_bundle
    from models.champion import find_champion
    from models.errors import NoChampion

    settings = FlowSettings()
    workspace = Workspace(settings.home, check_league(league))
    if bundle is not None:
        model = load_bundle(bundle)
        if model.family != family or version is not None:
            raise InvalidInput(f"--bundle {bundle} holds {model.family}; name that family, and no --version")
        return model
    if version is not None:
        from flows.services import embedded_services
        from models.champion import model_name
        from models.lifecycle import open_registry

        servers = embedded_services(settings, which=("postgres", "mlflow"), on_progress=show_service)
        with servers, open_registry(settings) as registry:
            wanted = registry.version(model_name(workspace.league, family), version)
            folder = registry.download(wanted, workspace.bundles / "cache")
        return load_bundle(folder, version=version)
    champion = find_champion(workspace, family, None)
    if champion is None:
        raise NoChampion(
            f"no champion of {league}-{family} is kept in {workspace.root}; name --version or --bundle"
        )
    return champion.model
