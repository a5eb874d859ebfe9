"""Contests on the results page: real ones entered after the fact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flows.results.cells import table, verdict

#: Mean percentile and share of entries above the 78th: bar and stretch (TARGETS §3), for our own projections chosen
#: from by simulation.
PERCENTILE: Final = (0.55, 0.62)
ABOVE_78: Final = 0.28
OUT: Final = {"recorded": "as the salary file says", "inactives": "inactive lists, reconstructed"}


def backtest_section(report: dict[str, Any]) -> str:
    """Every real contest of the data, entered with lineups from before its lock."""
    lines = [
        "## Real contests, entered after the fact\n",
        "`fantasy contests backtest --data DIR --out benchmarks/results/contests-backtest.json`; "
        f"{len(report['contests'])} contests, {report['contests'][0]['date']} to {report['contests'][-1]['date']}, "
        f"{report['entries']} entries in each, nobody in more than {report['max_exposure']:.0%}, "
        f"{report['scenarios']:,} scenarios, {report['candidates']:,} candidates. Means over contests, intervals from "
        "resampling their dates: with so few contests they are wide. Percentiles are against the real entries.\n",
        *table(
            ("projections", "known to be out", "portfolio", "contests", "mean percentile", "above the 78th", "cashed",
             "ROI"),
            [_summary_row(row) for row in report["summary"]],
        ),
        "",
        *(["### Bars, our own projections chosen from by simulation\n", *table(JUDGED, judged), ""]
          if (judged := list(_judged(report["summary"]))) else []),
        *[f"* {note}" for note in report["notes"]],
        *[f"* not entered: {each['contest']}: {each['reason']}" for each in report["skipped"]],
        "",
    ]  # fmt: skip
    return "\n".join(lines)


JUDGED: Final = ("known to be out", "figure", "value", "bar", "stretch")


def _summary_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["source"].replace("_", "-"),
        OUT.get(row["variant"], row["variant"]),
        row["portfolio"],
        str(row["contests"]),
        _share(row["mean_percentile"], ".3f"),
        _share(row["above_78"], ".1%"),
        _share(row["cash_rate"], ".1%"),
        _share(row["roi"], "+.1%"),
    )


def _share(figure: dict[str, Any], form: str) -> str:
    return f"{figure['value']:{form}} [{figure['low']:{form}}, {figure['high']:{form}}]"


def _judged(summary: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for row in summary:
        if (row["source"], row["portfolio"]) != ("model", "simulation"):
            continue
        out = OUT.get(row["variant"], row["variant"])
        percentile, above, roi = (row[name]["value"] for name in ("mean_percentile", "above_78", "roi"))
        bar, stretch = PERCENTILE
        yield (out, "mean percentile", f"{percentile:.3f}", verdict(percentile, bar, "≥"),
               verdict(percentile, stretch, "≥"))  # fmt: skip
        yield out, "entries above the 78th", f"{above:.1%}", verdict(above, ABOVE_78, "≥"), "–"
        yield out, "ROI at real payouts", f"{roi:+.1%}", "–", "> 0: met" if roi > 0 else "> 0: **missed**"
