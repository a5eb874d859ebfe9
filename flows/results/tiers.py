"""Three tiers under load: the results page's section."""

from __future__ import annotations

from typing import Any, Final

from flows.results.cells import machine, table, verdict

#: Share of admitted questions answered within 10, 100 and 500 ms, and goodput at 5x overload (TARGETS §4).
IN_TIME: Final = {"edge": 0.999, "regional": 1.0, "cloud": 1.0}
OF_PEAK: Final = 0.95


def tiers_section(report: dict[str, Any]) -> str:
    """What `benchmarks/bench_tiers.py` measured of its mixes."""
    rows, bars = [], []
    loads = report["mixes"] | ({"mix, Prefect beside it": report["cloud"]["mix"]} if "cloud" in report else {})
    for name, mix in loads.items():
        for tier, found in mix["tiers"].items():
            share = found["share_in_time_of_admitted"]
            told = "–" if share is None else f"{share:.4f}"
            rows.append((name, f"{mix['rate_per_s']:,.0f}", tier, f"{found['asked']:,}", f"{found['admitted']:,}", told,
                         *(milliseconds_of(found[at]) for at in ("p50_ms", "p99_ms"))))  # fmt: skip
            if (name == "mix" or tier == "cloud") and share is not None:
                bars.append((f"{tier}: in time of admitted", told, verdict(share, IN_TIME[tier], "≥"), "–"))
    over = report["mixes"]["overload_5x"]["goodput_of_peak"]
    if over is not None:
        bars.append(("goodput at 5× overload, of its peak", f"{over:.3f}", "–", verdict(over, OF_PEAK, "≥")))
    lines = [
        "## Three tiers under load\n",
        f"`python benchmarks/bench_tiers.py`; {machine(report)}. Deadlines of 10, 100 and 500 ms; open loop,"
        " over WebSockets from a process of its own.\n",
        *table(
            ("mix", "questions/s", "tier", "asked", "admitted", "in time of admitted", "p50 ms", "p99 ms"), rows
        ),
        "",
        *table(("figure", "value", "bar", "stretch"), bars),
        "",
    ]
    return "\n".join(lines)


def milliseconds_of(value: float | None) -> str:
    """A latency, or a dash where nothing was answered."""
    return "–" if value is None else f"{value:.2f}"
