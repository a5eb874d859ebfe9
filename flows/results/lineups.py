"""The optimizer's own speed: against every other optimizer, over HTTP, and in a late swap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flows.results.cells import machine, milliseconds, table, verdict

#: Bar and stretch in CPU milliseconds of a whole request, by lineups asked for (TARGETS §3).
BAR_MS: Final = {"1": 1.0, "150": 100.0}
STRETCH_SEARCH_P50_MS: Final = 0.05
STRETCH_SEARCH_P99_MS: Final = 1.0
STRETCH_150_MS: Final = 10.0
STRETCH_150_STACK_MS: Final = 25.0
#: Times faster than pydfs-lineup-optimizer, the faster of its two backends.
BAR_RATIO: Final = {"1": 100.0, "150": 500.0}
NAMED: Final = "draftkings nba classic"
HTTP_BAR_MS: Final = 100.0
HTTP_STRETCH_MS: Final = {"1": 10.0, "20": 15.0, "150": 40.0}
SWAP_BAR_MS: Final = 100.0
NEWS_STRETCH_MS: Final = 1000.0


def lineups_section(report: dict[str, Any]) -> str:
    """Ours alone, ours against the others, and the bars."""
    slates: dict[str, dict[str, Any]] = report["slates"]
    tools = list(dict.fromkeys(tool for _, _, request in _requests(slates) for tool in request["peers"]))
    lines = [
        "## Optimizer\n",
        "`python benchmarks/bench_lineups.py` (the other optimizers after `make bench-peers`); CPU time of one core; "
        f"{machine(report)}. Projections are the salary file's own average points; 20 and 150 lineups are distinct, "
        "with nobody in more than half of them.\n",
        "Milliseconds, p50 / p99. A request goes from player rows to lineups, each time with projections not seen "
        "before; slate known: its arrays were kept from an earlier request. The search alone works on compiled "
        "arrays; noisy: over 300 draws of the projections (25 % log-normal).\n",
        *table(
            (
                "slate",
                "players",
                "1 lineup",
                "slate known",
                "search alone",
                "noisy",
                "20 lineups",
                "150 lineups",
                "distinct",
                "largest gap",
            ),
            [_own_row(name, slate) for name, slate in slates.items()],
        ),
        "",
        *(
            _peer_tables(report, slates, tools)
            if tools
            else ["Other optimizers were not installed in this run.\n"]
        ),
        "### Bars\n",
        *table(("slate", "figure", "value", "bar", "stretch"), list(_judged(slates))),
        "",
    ]
    return "\n".join(lines)


def http_section(report: dict[str, Any]) -> str:
    """`POST /v1/lineups` as a client sees it."""
    rows = [
        (
            n,
            milliseconds(row, "wall_ms"),
            milliseconds(row, "solve_ms"),
            verdict(row["wall_ms_p99"], HTTP_BAR_MS, "≤"),
            verdict(row["wall_ms_p99"], HTTP_STRETCH_MS[n], "≤"),
        )
        for n, row in report["requests"].items()
    ]
    lines = [
        "## Lineups over HTTP\n",
        f"`python benchmarks/bench_http_lineups.py`; {machine(report)}; uvicorn, PostgreSQL, Redis and MLflow on the "
        f"same machine, warm, one client; DraftKings slate of {report['players']} players, {report['projected']} with "
        "a projection above 0. Every answer is projected, optimized, recorded and sent; wall milliseconds.\n",
        *table(("lineups", "p50 / p99", "of which solving", "bar for p99", "stretch for p99"), rows),
        "",
    ]
    return "\n".join(lines)


def late_swap_section(report: dict[str, Any]) -> str:
    """150 entries after bad news."""
    rows = [
        (
            name,
            f"{row['entries']} ({row['entries_hit']} hit)",
            ", ".join(f"{count} {status}" for status, count in sorted(row["statuses"].items())),
            milliseconds(row["swap"]),
            verdict(row["swap"]["cpu_ms_p50"], SWAP_BAR_MS, "≤"),
            milliseconds(row["news_to_file"], "wall_ms"),
            milliseconds(row["news_to_file_simulated"], "wall_ms"),
            verdict(row["news_to_file_simulated"]["wall_ms_p50"], NEWS_STRETCH_MS, "≤"),
            f"{row['highs']['entries']}: {row['highs']['largest_difference']:g}",
        )
        for name, row in report["slates"].items()
    ]
    lines = [
        "## Late swap\n",
        f"`python benchmarks/bench_late_swap.py`; {machine(report)}; 4 games under way, the 12 most used players of "
        "the others newly out. News to file: the entries file read, every entry solved anew, the file filled; "
        "simulated: and the new lineups judged in a contest simulation, 10,000 scenarios against a field of 10,000.\n",
        *table(
            ("slate", "entries", "outcome", "swap, CPU ms p50 / p99", "bar for p50", "news to file, wall ms p50 / p99",
             "simulated, wall ms p50 / p99", "stretch for that p50", "entries against HiGHS: largest difference"),
            rows,
        ),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _requests(slates: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, slate in slates.items():
        for n, request in slate["requests"].items():
            yield name, n, request


def _own_row(name: str, slate: dict[str, Any]) -> tuple[str, ...]:
    ours = {n: request["ours"] for n, request in slate["requests"].items()}
    return (
        name,
        str(slate["players"]),
        milliseconds(ours.get("1")),
        milliseconds(slate["requests"].get("1", {}).get("ours_again")),
        milliseconds(slate["search_1"]),
        milliseconds(slate["search_1_noisy"]),
        milliseconds(ours.get("20")),
        milliseconds(ours.get("150")),
        " / ".join(str(row["distinct"]) for row in ours.values()),
        f"{max(row['max_gap'] for row in ours.values()):g}",
    )


def _peer_tables(report: dict[str, Any], slates: dict[str, dict[str, Any]], tools: list[str]) -> list[str]:
    rows, notes = [], []
    for name, n, request in _requests(slates):
        cells = [_peer_cell(request["peers"].get(tool)) for tool in tools]
        rows.append((name, n, f"{request['ours']['cpu_ms_p50'] / 1e3:.3g}", *cells))
        notes += [
            f"* {name}, {n}: {tool}: {note}" for tool in tools if (note := _note(request["peers"].get(tool)))
        ]
    versions: dict[str, str] = {}
    for _, _, request in _requests(slates):
        for found in request["peers"].values():
            versions |= found.get("versions", {})
    return [
        "### Against other optimizers, same run\n",
        f"CPU seconds (child processes included) and times ours; {', '.join(f'{k} {v}' for k, v in versions.items())}. "
        f"One that did not end within {report['budget_s']:g} s is not run: nothing is extrapolated. = means the same "
        "optimum, rank by rank.\n",
        *table(("slate", "lineups", "ours", *tools), rows),
        "",
        *([*notes, ""] if notes else []),
    ]


def _peer_cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    if found["status"] != "done":
        return str(found["status"])
    equal = " =" if found["agreement"] == "equal" else ""
    return f"{found['cpu_ms_p50'] / 1e3:.3g} ({found['ratio']:,.0f}×){equal}"


def _note(found: dict[str, Any] | None) -> str:
    """What keeps a finished run from being the same optimum."""
    if found is None or found.get("agreement", "equal") == "equal":
        return ""
    if found["agreement"] == "tie":
        return (
            f"equal optima up to a tie before rank {found['parted_at_rank']}, broken otherwise; total "
            f"{found['total_projection']:.2f}"
        )
    return f"{found['agreement']}; {found['distinct']} distinct, total {found['total_projection']:.2f}"


def _judged(slates: dict[str, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for name, n, request in _requests(slates):
        if n not in BAR_MS:
            continue
        asked = "1 lineup" if n == "1" else f"{n} lineups"
        p50 = request["ours"]["cpu_ms_p50"]
        stretch = "–" if n == "1" else verdict(p50, _stretch_ms(name), "≤")
        yield name, f"{asked}, p50 ms", f"{p50:.3g}", verdict(p50, BAR_MS[n], "≤"), stretch
        if n == "1":
            p50, p99 = slates[name]["search_1"]["cpu_ms_p50"], slates[name]["search_1_noisy"]["cpu_ms_p99"]
            yield name, "search alone, p50 ms", f"{p50:.3g}", "–", verdict(p50, STRETCH_SEARCH_P50_MS, "≤")
            yield name, "search alone, noisy, p99 ms", f"{p99:.3g}", "–", verdict(p99, STRETCH_SEARCH_P99_MS, "≤")
        ratio = _times_pydfs(request)
        if ratio is not None:
            # The target for one lineup names DraftKings NBA classic; a smaller problem takes any solver less.
            bar = "–" if n == "1" and slates[name]["contest"] != NAMED else verdict(ratio, BAR_RATIO[n], "≥")
            yield name, f"{asked}, times pydfs", f"{ratio:,.0f}", bar, "–"


def _stretch_ms(name: str) -> float:
    return STRETCH_150_STACK_MS if "stack" in name else STRETCH_150_MS


def _times_pydfs(request: dict[str, Any]) -> float | None:
    """Against the faster of its backends that ended."""
    ratios = [
        found["ratio"] for tool, found in request["peers"].items() if tool.startswith("pydfs") and "ratio" in found
    ]
    return min(ratios) if ratios else None
