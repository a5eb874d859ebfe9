"""Benchmark reports as tables and bars for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from flows.results.realtime import HEADER, hub_bars, stream_bars

#: Widest bar, in characters.
WIDTH: Final = 40
EIGHTHS: Final = " ▏▎▍▌▋▊▉"
#: Parts of a report that are not figures.
UNDRAWN: Final = frozenset({"hardware", "versions", "histogram"})
PERCENTILES: Final = (("p50", "p50_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"), ("longest", "max_ms"))


def show(name: str, report: dict[str, Any]) -> None:
    """Print what `bench_{name}.py` reports: the bars of the targets, then latency."""
    console = Console()
    match name:
        case "stream":
            console.print(_table(HEADER, stream_bars(report)))
            console.print(_percentiles("creation to state", report))
        case "hub":
            console.print(_table(HEADER, hub_bars(report)))
            for server, rates in report["fan_out"].items():
                for rate, row in rates.items():
                    console.print(_percentiles(f"{server}, {rate} updates/s: until it is on the socket", row))
                    console.print(_histogram(row["histogram"]))
        case "tiers":
            console.print(_table(("questions/s", "goodput/s", ""), _goodput(report)))
            console.print(_table(("tier", "in time", "p50", "p99", ""), _in_time(report)))
        case _:
            console.print(_table(("figure", "value"), flat(report)))
    for rival, why in report.get("skipped", {}).items():
        console.print(f"{rival} is left out: {why}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    hardware = report["hardware"]
    console.print(f"{hardware['cpu']}, {hardware['cores']} cores, load {hardware['load_1min']:g}", highlight=False)


def flat(report: dict[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """(name, value) of every number, text and truth in a report, nested names joined with " · "."""
    for name, value in report.items():
        where = f"{within} · {name}" if within else name
        if isinstance(value, dict):
            if name not in UNDRAWN:
                yield from flat(value, where)
        elif not isinstance(value, list):
            yield where, f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def bar(share: float) -> str:
    """A bar of `share` (0 to 1) of the full width, in eighths of a character; something for any share above 0."""
    eighths = max(round(min(share, 1.0) * WIDTH * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


def histogram_rows(drawn: dict[str, Sequence[float]]) -> Iterator[tuple[str, str, str]]:
    """(latency, share, bar) of each step from the first to the last with any message in it."""
    edges, counts = drawn["edges_ms"], drawn["counts"]
    total = sum(counts)
    filled = [at for at, count in enumerate(counts) if count]
    if not filled:
        return
    highest = max(counts)
    for at in range(filled[0], filled[-1] + 1):
        label = f"≤ {edges[at]:g} ms" if at < len(edges) else f"> {edges[-1]:g} ms"
        yield label, f"{counts[at] / total:.2%}", bar(counts[at] / highest)


def _goodput(report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Goodput of each load, with and without admission; the full width is the highest."""
    mixes: dict[str, Any] = report.get("mixes", {})
    most = max((mix["goodput_per_s"] for mix in mixes.values()), default=0.0) or 1.0
    for name, mix in mixes.items():
        asked = f"{mix['rate_per_s']:,.0f}" + (", no admission" if name.startswith("no_admission") else "")
        yield asked, f"{mix['goodput_per_s']:,.0f}", bar(mix["goodput_per_s"] / most)


def _in_time(report: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Each tier at the rate asked for; heavy work where it was measured."""
    tiers = dict(report.get("mixes", {}).get("mix", {}).get("tiers", {}))
    tiers |= {k: v for k, v in report.get("cloud", {}).get("mix", {}).get("tiers", {}).items() if k == "cloud"}
    for tier, row in tiers.items():
        share = row["share_in_time_of_admitted"]
        times = ("–" if row[at] is None else f"{row[at]:,.2f} ms" for at in ("p50_ms", "p99_ms"))
        told = "–" if share is None else f"{share:.2%} of {row['admitted']:,} admitted ({row['asked']:,} asked)"
        yield tier, told, *times, bar(share or 0.0)


def _percentiles(title: str, report: dict[str, Any]) -> Table:
    """Percentiles with bars; the full width is the largest."""
    found = [(label, report[key]) for label, key in PERCENTILES if report.get(key) is not None]
    most = max((value for _, value in found), default=0.0) or 1.0
    rows = ((label, f"{value:,.2f} ms", bar(value / most)) for label, value in found)
    return _table(("latency", "", ""), rows, title)


def _histogram(drawn: dict[str, Sequence[float]]) -> Table:
    return _table(("within", "messages", ""), histogram_rows(drawn))


def _table(header: Sequence[str], rows: Iterator[tuple[str, ...]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in header:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    return table
