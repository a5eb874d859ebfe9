"""Contest simulation on the results page: its speed, the field, the choice of entries, projected ownership."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flows.results.cells import table, verdict

#: Bar and stretch (TARGETS §3): seconds of the contest, points of ownership missed, times the chance of a first place.
SIMULATION_S: Final = (5.0, 0.5)
TOP20_POINTS: Final = 1.0
TOP50_POINTS: Final = 0.5
FIRST_RATIO: Final = (1.5, 2.5)
SIDES: Final = {
    "simulation": "chosen by simulation, in the true world",
    "projection": "best projections, in the true world",
    "believed": "chosen by simulation, as it believed itself",
    "believed_projection": "best projections, as the simulation believed",
}


def contests_section(report: dict[str, Any]) -> str:
    """What `benchmarks/bench_contests.py` measured."""
    speed = report["payouts"]
    lines = [
        "## Contest simulation\n",
        f"`python benchmarks/bench_contests.py`; {report['hardware']['cores']} cores (shared). {speed['scenarios']:,} "
        f"scenarios, {speed['candidates']:,} candidates against a field of {speed['field']:,}, exact ranks, ties "
        "split; a plain simulation gives the same mean prizes.\n",
        *table(("path", "wall ms", "CPU ms", "CPU, times ours"), list(_paths(speed))),
        "",
        "### Entries chosen by simulation, judged out of sample\n",
        *table(
            ("chosen for", "worlds", "entries", "ROI", "P(profit)", "P(any first)", "P(any top 10)", "cashed"),
            [row for objective, found in report["world"].items() for row in _world_rows(objective, found)],
        ),
        "",
        *(_ownership(report["ownership"]) if "ownership" in report else []),
        "### Bars\n",
        *table(("figure", "value", "bar", "stretch"), list(_judged(report))),
        "",
        f"The world: {' '.join(next(iter(report['world'].values()))['world'].split())}\n",
    ]
    return "\n".join(lines)


def _paths(speed: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "ours", f"{speed['kernel']['wall_ms']:,.0f}", f"{speed['kernel']['cpu_ms']:,.0f}", "1"
    kept = speed["kernel_keeping_every_prize"]
    yield "ours, every prize kept", f"{kept['wall_ms']:,.0f}", f"{kept['cpu_ms']:,.0f}", "–"
    for name, found in speed["sorting"].items():
        yield f"sorting, {name}", f"{found['wall_ms']:,.0f}", f"{found['cpu_ms']:,.0f}", f"{found['cpu_ratio']:g}"


def _world_rows(objective: str, found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for side, words in SIDES.items():
        figures = found[side]
        yield (objective, str(found["worlds"]), words, f"{figures['roi']:+.1%}",
               *(f"{figures[name]:.2%}" for name in ("p_profit", "p_any_first", "p_any_top10", "cash")))  # fmt: skip


def _ownership(found: dict[str, Any]) -> list[str]:
    rows = [
        (name.replace("_", " "), str(one["contests"]), f"{one['mae_points']:.2f}", f"{one['top20_mae_points']:.2f}",
         f"{one['optimal_share_alone_mae_points']:.2f}", f"{one['optimal_share_alone_top20']:.2f}")
        for name, one in found.items()
    ]  # fmt: skip
    return [
        "### Projected ownership against real contests\n",
        "Mean absolute error in points; each contest day judged by weights fitted to the others.\n",
        *table(("projections", "contests", "all", "20 highest-owned", "optimal share alone, all",
                "optimal share alone, 20"), rows),
        "",
    ]  # fmt: skip


def _judged(report: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    speed = report["payouts"]
    seconds, wall = speed["kernel"]["cpu_ms"] / 1e3, speed["kernel"]["wall_ms"] / 1e3
    yield "contest, CPU s", f"{seconds:.2f}", verdict(seconds, SIMULATION_S[0], "≤"), "–"
    yield "contest, wall s on these cores", f"{wall:.2f}", "–", verdict(wall, SIMULATION_S[1], "≤")
    missed = speed["field_ownership_error_points"]
    top20, top50 = missed["top20_mean"], missed["top50_mean"]
    yield (
        "field against projected ownership, top 20, points",
        f"{top20:.2f}",
        verdict(top20, TOP20_POINTS, "≤"),
        "–",
    )
    yield (
        "field against projected ownership, top 50, points",
        f"{top50:.2f}",
        "–",
        verdict(top50, TOP50_POINTS, "≤"),
    )
    for objective, found in report["world"].items():
        ratio = found["p_any_first_ratio"]
        bar, stretch = (verdict(ratio, each, "≥") for each in FIRST_RATIO)
        yield f"P(any first) over best projections, chosen for {objective}", f"{ratio:.2f}", bar, stretch
