"""The backtest's figures as readable tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from flows.results.figures import TOLD, moments, shown


def show_backtest(report: dict[str, Any]) -> None:
    """Print each target and moment: n and dates first, then the ungated figure, intervals and baselines."""
    console = Console()
    console.print(f"seasons {report['seasons']}: {report['cadence']}", highlight=False)
    for family, reason in report["left_out"].items():
        console.print(f"[yellow]{family} is left out:[/yellow] {reason}", highlight=False)
    for target, moment, told in moments(report):
        table = Table(
            title=f"{target}, {moment} · {told['family']} · n={told['n']:,} · {told['first_date']} to "
            f"{told['last_date']}",
            title_justify="left",
        )
        rivals = list(told["baselines"])
        for heading in ("figure", "model", "95 % interval (dates)", *rivals):
            table.add_column(heading)
        for figure in TOLD[told["kind"]]:
            table.add_row(*shown(told, figure, rivals))
        console.print(table)
    console.print(
        f"took {report['seconds']:.0f} s, at most {report['peak_memory_mb']:,} MB of memory", highlight=False
    )


def show_controls(found: dict[str, Any]) -> None:
    """Print each control: what was done, its figure, and whether it passed."""
    table = Table(title=f"leak controls · seasons {found['seasons']}", title_justify="left")
    for heading in ("control", "model", "figure", "must be", "passed"):
        table.add_column(heading)
    for each in found["controls"]:
        table.add_row(
            each["control"], each["family"], each["figure"], each["must"], "yes" if each["passed"] else "[red]NO[/red]"
        )  # fmt: skip
    Console().print(table)
