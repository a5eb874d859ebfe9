"""Readable tables of what the commands return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from flows.drafting import BuiltLineups, ProjectedSlate
    from flows.grading import GradeReport
    from flows.line import LineOutcome
    from models.lineups.problem import Lineup

console = Console()
#: Short words for where a projection comes from.
BASIS: Final = {"champion": "model", "file_average": "file", "user": "yours"}
#: Words after a last name.
SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "v"})
#: Lineups printed as a table each; the others get a line.
FULL_TABLES: Final = 3


def show_lineups(built: BuiltLineups, out: Path | None, *, everything: bool = False) -> None:
    """Print the best lineups as tables with intervals and the others a line each (`everything`: all as tables)."""
    projected = built.projected
    rows = {row["site_id"]: row for row in projected.projections.frame.to_dicts()}
    shown = built.result.lineups if everything else built.result.lineups[:FULL_TABLES]
    for number, lineup in enumerate(shown, start=1):
        _title(
            f"Lineup {number} of {len(built.result.lineups)} · {built.contest.name} · "
            f"{lineup.projection:.2f} points · ${lineup.salary:,} of ${built.contest.salary_cap_usd:,}"
        )
        console.print(_lineup_table(lineup, rows))
    if rest := built.result.lineups[len(shown) :]:
        _title("The other lineups")
        console.print(_short_table(rest, len(shown) + 1))
        console.print("a table of every lineup: --all; everything for a machine: --json", highlight=False)
    _footer(projected, [*projected.projections.warnings, *built.result.warnings])
    console.print(f"optimizer: {built.result.solve_ms:.1f} ms; every lineup optimal within its printed gap")
    if out is not None:
        console.print(f"written: {out}", highlight=False)


def _lineup_table(lineup: Lineup, rows: Mapping[str, dict[str, Any]]) -> Table:
    table = _table(left=("slot", "player", "team"), right=("salary", "points", "80 %", "plays"), widest="player")
    for player in lineup.players:
        row = rows[player.id]
        table.add_row(
            player.slot,
            _cut(player.name),
            player.team,
            f"${player.salary:,}",
            f"{player.projection:.2f}",
            _interval(row),
            f"{row['p_play']:.2f}",
        )
    return table


def _short_table(lineups: Sequence[Lineup], first: int) -> Table:
    """One line per lineup: the players by last name, as many as the terminal's width shows."""
    table = _table(left=("#", "players"), right=("salary", "points"), widest="players")
    for number, lineup in enumerate(lineups, start=first):
        names = ", ".join(_last_name(player.name) for player in lineup.players)
        table.add_row(str(number), _cut(names), f"${lineup.salary:,}", f"{lineup.projection:.2f}")
    return table


def _last_name(name: str) -> str:
    words = [word for word in name.split() if word.rstrip(".").casefold() not in SUFFIXES]
    return words[-1] if words else name


def _table(*, left: Sequence[str], right: Sequence[str], widest: str) -> Table:
    """A table whose figures stay whole at 80 columns: only `widest`, filled with `_cut` text, gives way."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in (*left, *right):
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=heading != widest)
    return table


def _cut(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _title(text: str) -> None:
    console.print(text, style="bold", highlight=False, soft_wrap=True)


def _interval(row: Mapping[str, Any]) -> str:
    return f"{row['q10']:.1f} – {row['q90']:.1f}"


def show_projections(projected: ProjectedSlate) -> None:
    """Print every player, best first."""
    _title(f"{projected.slate.site} {projected.slate.sport} · lock {projected.slate.lock}")
    table = _table(
        left=("player", "team", "pos"), right=("salary", "points", "80 %", "plays", "basis"), widest="player"
    )
    for row in projected.projections.frame.sort("mean", descending=True).to_dicts():
        table.add_row(
            _cut(row["name"]),
            row["team"],
            "/".join(row["positions"]),
            f"${row['salary']:,}",
            f"{row['mean']:.2f}",
            _interval(row),
            f"{row['p_play']:.2f}",
            BASIS.get(row["basis"], row["basis"]),
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
    known = projected.projections.data_timestamp
    version = f" version {model['version']}" if model["version"] else ""
    until = f" · data known up to {known:%Y-%m-%d %H:%M} UTC" if known else ""
    console.print(f"model: {model['name']}{version}{until} · source={projected.workspace.league}", highlight=False)
    if projected.match is not None and projected.match.unmatched:
        names = ", ".join(player.name for player in projected.match.unmatched)
        console.print(
            f"not matched to a known player ({len(projected.match.unmatched)}): {names}", highlight=False
        )
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
