"""Readable tables of contests: rules known, a simulation, a backtest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from features.contests import Contest
    from flows.contest_simulation import SimulatedContest

console = Console()
#: Chosen lineups printed; `--json` has them all.
SHOWN: Final = 10


def show_contests(contests: Sequence[Contest]) -> None:
    """Print a line per contest."""
    table = _table(("site", "sport", "mode", "roster"), ("cap",))
    for contest in contests:
        cap = "–" if contest.salary_cap_usd is None else f"{contest.salary_cap_usd:,}"
        table.add_row(contest.site, contest.sport, contest.mode, " ".join(s.name for s in contest.slots), cap)
    console.print(table)
    console.print("rules are data: features/contests/*.toml, one file a contest", highlight=False)


def show_simulation(done: SimulatedContest) -> None:
    """Print the portfolio beside the projection-only one, and its best lineups."""
    result, payouts = done.result, done.payouts
    console.print(
        f"{done.contest.name} · {payouts.field_size:,} entries at ${payouts.entry_fee_usd:g} · "
        f"${payouts.pool_usd:,.0f} to {payouts.paid_places:,} places",
        style="bold", highlight=False,
    )  # fmt: skip
    table = _table(("figure",), ("chosen by simulation", "by projection only"))
    for name, value in result.portfolio.items():
        table.add_row(name.replace("_", " "), _cell(value), _cell(result.baseline.get(name)))
    console.print(table)
    frame = result.table.head(SHOWN)
    table = _table((), tuple(frame.columns))
    for row in frame.iter_rows():
        table.add_row(*map(_cell, row))
    console.print(table)
    if result.table.height > SHOWN:
        console.print(f"and {result.table.height - SHOWN} more: --json, or --out for the upload file")
    for warning in [*done.projected.projections.warnings, *result.warnings]:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)
    if done.written is not None:
        console.print(f"written: {done.written}", highlight=False)


def show_contest_backtest(report: dict[str, Any]) -> None:
    """Print the summary per source, variant and portfolio, then the contests of the main ones."""
    console.print(
        f"{report['entries']} entries in each of {len(report['contests'])} real contests, "
        f"{report['max_exposure']:.0%} exposure at most",
        style="bold", highlight=False,
    )  # fmt: skip
    table = _table(
        ("projections", "known to be out", "portfolio"),
        ("contests", "mean percentile", "95 % interval", "above .78", "cash", "ROI"),
    )
    for row in report["summary"]:
        percentile = row["mean_percentile"]
        table.add_row(
            row["source"], row["variant"], row["portfolio"], str(row["contests"]), f"{percentile['value']:.3f}",
            f"{percentile['low']:.3f} – {percentile['high']:.3f}", f"{row['above_78']['value']:.1%}",
            f"{row['cash_rate']['value']:.1%}", f"{row['roi']['value']:+.1%}",
        )  # fmt: skip
    console.print(table)
    table = _table(
        ("contest", "projections", "out", "portfolio"), ("field", "percentile", "above .78", "best rank")
    )
    for row in report["rows"]:
        table.add_row(
            row["contest"], row["source"], row["variant"], row["portfolio"], f"{row['field_size']:,}",
            f"{row['mean_percentile']:.3f}", f"{row['above_78']:.1%}", f"{row['best_rank']:,}",
        )  # fmt: skip
    console.print(table)
    for skipped in report["skipped"]:
        console.print(f"skipped {skipped['contest']}: {skipped['reason']}", highlight=False, markup=False)
    for note in report["notes"]:
        console.print(note, highlight=False, markup=False)


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in (*left, *right):
        table.add_column(heading.replace("_", " "), justify="right" if heading in right else "left")
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
