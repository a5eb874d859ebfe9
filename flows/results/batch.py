"""The optimum of each of many simulated slates: the results page's section on batches."""

from __future__ import annotations

from typing import Any, Final

from flows.results.cells import machine, table, verdict

#: 10,000 score vectors (TARGETS §3): CPU seconds, wall seconds on two cores, lineups a second on one H100.
SCENARIOS: Final = 10_000
BAR_CPU_S: Final = 10.0
STRETCH_WALL_S: Final = 1.0
STRETCH_GPU_PER_S: Final = 1_000_000.0


def batch_section(report: dict[str, Any]) -> str:
    """The compiled path against torch and HiGHS, and the bars."""
    slates: dict[str, dict[str, Any]] = report["slates"]
    lines = [
        "## The optimum of every simulated slate\n",
        f"`python benchmarks/bench_batch.py`; {machine(report)}. Score vectors are correlated scenarios of the slate, "
        "the same for every path; torch and HiGHS solve the first of them only, and their optima must be equal.\n",
        *table(
            ("slate", "rows", "scenarios", "CPU s", "wall s", "µs each, CPU", "distinct lineups", "left to HiGHS / "
             "unproven", "torch on the CPU, µs each", "torch on a GPU, lineups a second", "HiGHS, ms each",
             "HiGHS over ours"),
            [_row(name, slate) for name, slate in slates.items()],
        ),
        "",
        *table(("slate", "bar, CPU s", "stretch, wall s", "stretch, lineups a second on one GPU"),
               [_judged(name, slate) for name, slate in slates.items()]),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(name: str, slate: dict[str, Any]) -> tuple[str, ...]:
    ours, torch, highs = slate["compiled"], slate.get("torch_cpu"), slate["highs"]
    gpu = _per_second(slate)
    return (
        name,
        str(slate["rows"]),
        f"{ours['scenarios']:,}",
        f"{ours['cpu_s']:.2f}",
        f"{ours['wall_s']:.2f}",
        f"{ours['cpu_us_per_scenario']:.0f}",
        f"{slate['distinct_lineups']:,}",
        f"{ours['by_highs']} / {ours['unproven']}",
        f"{torch['cpu_us_per_scenario']:,.0f}" if torch else "–",
        f"{gpu:,.0f}" if gpu else "–",
        f"{highs['cpu_us_per_scenario'] / 1e3:.1f}",
        f"{highs['ratio_to_compiled']:,.0f}×",
    )


def _judged(name: str, slate: dict[str, Any]) -> tuple[str, ...]:
    ours, gpu = slate["compiled"], _per_second(slate)
    graphics = verdict(gpu, STRETCH_GPU_PER_S, "≥") if gpu else "not run"
    if ours["scenarios"] != SCENARIOS:
        short = f"not judged: {ours['scenarios']:,} scenarios"
        return name, short, short, graphics
    return name, verdict(ours["cpu_s"], BAR_CPU_S, "≤"), verdict(ours["wall_s"], STRETCH_WALL_S, "≤"), graphics


def _per_second(slate: dict[str, Any]) -> float | None:
    """Lineups a second on the GPU, the faster of kernel and torch; None where there was none."""
    found = [slate.get(name) for name in ("cuda", "torch_cuda")]
    return max((one["scenarios"] / one["wall_s"] for one in found if isinstance(one, dict)), default=None)
