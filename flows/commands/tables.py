"""Readable tables of what the commands return."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from flows.drafting import BuiltLineups, ProjectedSlate
    from flows.grading import GradeReport
    from flows.line import LineOutcome

console = Console()


def show_lineups(built: BuiltLineups, out: Path | None) -> None:
    """Print each lineup with intervals, salary, model name and version."""
    projected = built.projected
    rows = {row["site_id"]: row for row in projected.projections.frame.to_dicts()}
    cap = built.contest.salary_cap_usd
    for number, lineup in enumerate(built.result.lineups, start=1):
        table = Table(
            title=f"Lineup {number} of {len(built.result.lineups)} · {built.contest.name} · "
            f"{lineup.projection:.2f} points · ${lineup.salary:,} of ${cap:,}",
            title_justify="left",
        )
        for heading in ("slot", "player", "team"):
            table.add_column(heading)
        for heading in ("salary", "projection", "80 % interval", "P(plays)"):
            table.add_column(heading, justify="right")
        for player in lineup.players:
            row = rows[player.id]
            table.add_row(
                player.slot,
                player.name,
                player.team,
                f"${player.salary:,}",
                f"{player.projection:.2f}",
                f"{row['q10']:.1f} – {row['q90']:.1f}",
                f"{row['p_play']:.2f}",
            )
        console.print(table)
    _footer(projected, [*projected.projections.warnings, *built.result.warnings])
    console.print(f"optimizer: {built.result.solve_ms:.1f} ms; every lineup optimal within its printed gap")
    if out is not None:
        console.print(f"written: {out}", highlight=False)


def show_projections(projected: ProjectedSlate) -> None:
    """Print every player, best first."""
    table = Table(title=f"{projected.slate.site} {projected.slate.sport} · lock {projected.slate.lock}")
    for heading in ("player", "team", "positions"):
        table.add_column(heading)
    for heading in ("salary", "projection", "80 % interval", "P(plays)", "basis"):
        table.add_column(heading, justify="right")
    for row in projected.projections.frame.sort("mean", descending=True).to_dicts():
        table.add_row(
            row["name"],
            row["team"],
            "/".join(row["positions"]),
            f"${row['salary']:,}",
            f"{row['mean']:.2f}",
            f"{row['q10']:.1f} – {row['q90']:.1f}",
            f"{row['p_play']:.2f}",
            row["basis"],
        )
    console.print(table)
    _footer(projected, list(projected.projections.warnings))


def show_line(outcome: LineOutcome) -> None:
    """Print what the line did with each model."""
    summary = outcome.summary
    label = " (simulated league, not real games)" if summary["source"] == "simulated" else ""
    table = Table(title=f"Daily line · source={summary['source']}{label} · known by {summary['as_of']}")
    for heading in ("model", "challenger", "decision", "champion", "why"):
        table.add_column(heading)
    for family, entry in summary["models"].items():
        table.add_row(
            family,
            f"version {entry['challenger']['version']}",
            entry["verdict"]["action"],
            f"version {entry['outcome']['champion']}",
            "; ".join(entry["verdict"]["reasons"]),
        )
    console.print(table)


def show_grades(report: GradeReport) -> None:
    """Print the real points of each lineup, and its percentile in the real field."""
    frame = report.lineups
    against = [name for name in ("rank", "field_percentile") if name in frame.columns]
    names = ["lineup", "projection", "points", *against, "unplayed"]
    table = Table(title=report.title, title_justify="left")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for row in frame.to_dicts():
        table.add_row(*(_cell(row[name]) for name in names))
    console.print(table)
    for name in ("mean_points", "best_points", "mean_percentile", "best_percentile", "field_size", "contest"):
        if name in report.summary:
            console.print(f"{name.replace('_', ' ')}: {_cell(report.summary[name])}", highlight=False)
    for line in report.notes:
        console.print(line, highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return str(value)


def _footer(projected: ProjectedSlate, warnings: list[str]) -> None:
    model = projected.model
    console.print(
        f"model: {model['name']} version {model['version']} · data known up to "
        f"{projected.projections.data_timestamp} · source={projected.workspace.league}",
        highlight=False,
    )
    if projected.match is not None and projected.match.unmatched:
        names = ", ".join(player.name for player in projected.match.unmatched)
        console.print(
            f"not matched to a known player ({len(projected.match.unmatched)}): {names}", highlight=False
        )
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
