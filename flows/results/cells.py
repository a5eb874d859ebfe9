"""How figures are written in the tables of the results page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def verdict(value: float, bar: float, sense: str) -> str:
    """The bar and whether `value` meets it; `sense` is ≤ or ≥."""
    met = value <= bar if sense == "≤" else value >= bar
    return f"{sense} {bar:g}: {'met' if met else '**missed**'}"


def interval(figure: dict[str, Any]) -> str:
    """A value with its 95 % interval."""
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"


def optional(value: float | None) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"


def listed(values: list[Any]) -> str:
    """Values with commas between them."""
    return ", ".join(map(str, values))


def milliseconds(timing: dict[str, Any] | None, clock: str = "cpu_ms") -> str:
    """Median / 99th percentile; a dash where nothing was timed."""
    return f"{timing[f'{clock}_p50']:.3g} / {timing[f'{clock}_p99']:.3g}" if timing else "–"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table. Raises `ValueError` for a row with more or fewer cells than the header."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells under {len(header)} headings: {row}")
    lines = [header, tuple("---" for _ in header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def machine(report: dict[str, Any]) -> str:
    """What a report was measured on."""
    hardware = report["hardware"]
    return f"{hardware.get('cpu', 'cpu')}, {hardware.get('cores', '?')} cores (shared)"
