"""Readable tables of what the commands return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from flows.drafting import BuiltLineups, ProjectedSlate
    from flows.grading import GradeReport
    from flows.late_swapping import LateSwapped
    from flows.line import LineOutcome
    from models.lineups.problem import Lineup

console = Console()
#: Short words for where a projection comes from.
BASIS: Final = {"champion": "model", "file_average": "file", "user": "yours", "prior": "newcomer"}
#: Words after a last name.
SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv", "v"})
#: Lineups printed as a table each; the others get a line.
FULL_TABLES: Final = 3
#: Players of the exposure table and entries of the swap table; `--all` and `--json` have the others.
EXPOSURES_SHOWN: Final = 15
SWAPS_SHOWN: Final = 40


def show_lineups(built: BuiltLineups, *, everything: bool = False) -> None:
    """Print the best lineups as tables with intervals and the others a line each (`everything`: all as tables)."""
    projected = built.projected
    rows = {row["site_id"]: row for row in projected.projections.frame.to_dicts()}
    shown = built.result.lineups if everything else built.result.lineups[:FULL_TABLES]
    cap = built.contest.salary_cap_usd
    for number, lineup in enumerate(shown, start=1):
        spent = "" if cap is None else f" · ${lineup.salary:,} of ${cap:,}"
        _title(
            f"Lineup {number} of {len(built.result.lineups)} · {built.contest.name} · "
            f"{lineup.projection:.2f} points{spent}"
        )
        console.print(_lineup_table(lineup, rows))
    if rest := built.result.lineups[len(shown) :]:
        _title("The other lineups")
        console.print(_short_table(rest, len(shown) + 1))
        console.print("a table of every lineup: --all; everything for a machine: --json", highlight=False)
    if len(built.result.lineups) > 1:
        _title("Exposure")
        console.print(_exposure_table(built, everything=everything))
    for rule in built.result.exposures:
        console.print(f"{rule.label}: {rule.count} lineups, asked {rule.least} to {rule.most}", highlight=False)
    _footer(projected, built.warnings)
    proof = (
        "every lineup optimal within its printed gap"
        if built.result.gap is None
        else (f"chosen together: at most {built.result.gap:.3%} below the best possible total")
    )
    console.print(f"optimizer: {built.result.solve_ms:.1f} ms; {proof}")
    if built.written is not None:
        console.print(f"written: {built.written}", highlight=False)


def show_swap(done: LateSwapped) -> None:
    """Print what became of each entry, and the figures before and after where they were simulated."""
    result = done.result
    counts = ", ".join(f"{result.count(status)} {status}" for status in ("swapped", "kept", "unswappable"))
    _title(f"Late swap · {done.contest.name} · {len(result.entries)} entries: {counts}")
    table = _table(left=("entry", "status", "what"), right=("before", "after"), widest="what")
    for entry in result.entries[:SWAPS_SHOWN]:
        changes = ", ".join(
            f"{r.slot} {_last_name(r.out_name) or 'empty'} → {_last_name(r.into_name)}" for r in entry.replaced
        )
        after = f"{entry.lineup.projection:.2f}" if entry.lineup else "–"
        table.add_row(entry.entry_id, entry.status, _cut(changes or entry.reason), f"{entry.before:.2f}", after)
    console.print(table)
    if len(result.entries) > SWAPS_SHOWN:
        console.print(f"and {len(result.entries) - SWAPS_SHOWN} more: --json has them all", highlight=False)
    for entry in result.entries:
        if entry.status == "unswappable":
            console.print(f"entry {entry.entry_id}: {entry.reason}", style="yellow", highlight=False, markup=False)
    for name in ("before", "after"):
        if done.simulated and name in done.simulated:
            figures = " · ".join(f"{key} {value:.4f}" for key, value in done.simulated[name].items())
            console.print(f"simulated {name}: {figures}", highlight=False)
    _footer(done.projected, done.warnings)
    console.print(f"swap: {result.solve_ms:.1f} ms")
    console.print(f"written: {done.written}", highlight=False)


def _exposure_table(built: BuiltLineups, *, everything: bool) -> Table:
    table = _table(left=("player", "team"), right=("lineups", "exposure"), widest="player")
    rows = built.exposures()
    for row in rows if everything else rows[:EXPOSURES_SHOWN]:
        table.add_row(_cut(row["name"]), row["team"], str(row["count"]), f"{row['share']:.0%}")
    return table


def _lineup_table(lineup: Lineup, rows: Mapping[str, dict[str, Any]]) -> Table:
    table = _table(left=("slot", "player", "team"), right=("salary", "points", "80 %", "plays"), widest="player")
    for player in lineup.players:
        row = rows[player.id]
        # A captain's interval is multiplied as his points are.
        times = player.projection / row["mean"] if row["mean"] > 0 else 1.0
        table.add_row(
            player.slot,
            _cut(player.name),
            player.team,
            f"${player.salary:,}",
            f"{player.projection:.2f}",
            f"{times * row['q10']:.1f} – {times * row['q90']:.1f}",
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
    # A league is whose games a champion learned; with no champion's number it says nothing.
    origin = "file" if projected.projections.fallback else projected.workspace.league
    console.print(f"model: {model['name']}{version}{until} · source={origin}", highlight=False)
    if projected.match is not None and projected.match.unmatched:
        names = ", ".join(player.name for player in projected.match.unmatched)
        console.print(
            f"not matched to a known player ({len(projected.match.unmatched)}): {names}", highlight=False
        )
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
