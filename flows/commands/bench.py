"""Commands that measure the live part on the user's own machine: `fantasy bench stream|hub|tiers`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from flows.commands.options import Json, print_json
from flows.progress import console, step

Out = Annotated[Path | None, typer.Option(help="keep the report in this file (JSON)")]
Quick = Annotated[bool, typer.Option("--quick", help="small and short: checks that it runs, measures nothing")]

#: Largest load that may be asked for: more is a slip of the finger, and infinity no number at all.
MOST_PER_S: Final = 1_000_000_000
MOST_S: Final = 86_400

bench = typer.Typer(
    help="Measure events per second, open screens and deadlines on this machine.", no_args_is_help=True
)


@bench.command()
def stream(
    rate: Annotated[float, typer.Option(min=1, max=MOST_PER_S, help="events a second")] = 1_000_000,
    seconds: Annotated[float, typer.Option(min=1, max=MOST_S, help="how long")] = 60.0,
    rivals: Annotated[bool, typer.Option("--rivals", help="other ways and brokers beside it")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Events through producer, Redis Streams and consumer into state: rate, latency, nothing lost."""
    options = ["--rate", rate, "--seconds", seconds, "--rivals", "all" if rivals else "none"]
    _run("stream", f"{rate:,.0f} events a second for {seconds:g} s", options, out, as_json)


@bench.command()
def hub(
    clients: Annotated[int, typer.Option(min=1, help="WebSocket connections")] = 10_000,
    updates: Annotated[int, typer.Option(min=1, max=MOST_PER_S, help="updates a second")] = 500,
    seconds: Annotated[float, typer.Option(min=1, max=MOST_S, help="how long each fan-out takes")] = 20.0,
    rivals: Annotated[bool, typer.Option("--rivals", help="other servers beside it (Node ws from npm)")] = False,
    quick: Quick = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Updates through the live hub to open sockets: latency, memory, stuck clients, a reconnect storm."""
    from flows.benchmarking import needs_compiler, script

    script("hub")
    needs_compiler("hub")
    options = ["--clients", clients, "--updates", updates, "--seconds", seconds]
    options += [*([] if rivals else ["--no-rivals"]), *(["--quick"] if quick else [])]
    _run("hub", f"{clients:,} clients, {updates:,} updates a second", options, out, as_json)


@bench.command()
def tiers(
    rate: Annotated[
        float, typer.Option(min=1, max=MOST_PER_S, help="questions a second, besides the ladder above it")
    ] = 3000.0,
    seconds: Annotated[float, typer.Option(min=1, max=MOST_S, help="how long each load takes")] = 10.0,
    cloud: Annotated[bool, typer.Option("--cloud/--no-cloud", help="heavy work, too (starts Prefect)")] = True,
    quick: Quick = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Questions to the three tiers: how many are answered within their deadline, also when overloaded."""
    from flows.benchmarking import needs_compiler, script

    script("tiers")
    needs_compiler("tiers")
    options = ["--rate", rate, "--seconds", seconds]
    options += [*([] if cloud else ["--no-cloud"]), *(["--quick"] if quick else [])]
    _run("tiers", "questions to the three tiers", options, out, as_json)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(bench, name="bench")


def _run(name: str, title: str, options: list[Any], out: Path | None, as_json: bool) -> None:
    """Measure with progress, show the report, and end with 1 when the benchmark itself found something wrong."""
    from flows.benchmarking import measure
    from flows.commands.bench_tables import show

    with step(title) as current:
        measured = measure(name, options, out=out, on_line=current.update)
    if as_json:
        print_json(measured.report)
    else:
        show(name, measured.report)
    if measured.complaint is not None:
        console.print(measured.complaint, style="bold red", markup=False, soft_wrap=True)
        raise typer.Exit(1)
