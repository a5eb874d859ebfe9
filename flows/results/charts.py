"""Charts as inline SVG: a page made of them needs nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 380
HEIGHT: Final = 270
LEFT, RIGHT, TOP, BOTTOM = 46, 20, 14, 40
#: Steps that ticks may have, times a power of ten.
_NICE: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: points (x, y) with a name; `style` is a CSS class of the page (`own`, `rival`, `ideal`)
    or a colour `hue-N`; `marked` draws the points themselves, each with its note."""

    name: str
    points: tuple[tuple[float, float], ...]
    style: str = "own"
    marked: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Axes:
    """Labels and ranges; a range left out is that of the points, `percent` writes ticks as shares."""

    x: str
    y: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    percent: bool = False


def line_chart(lines: Sequence[Line], axes: Axes, *, label: str) -> str:
    """An SVG of `lines`; `label` says what it shows to who cannot see it. Empty without points."""
    drawn = [line for line in lines if line.points]
    if not drawn:
        return ""
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]
    frame = _Frame(axes.x_range or _padded(xs, 0.0), axes.y_range or _padded(ys, 0.06))
    body = [_grid(frame, axes)]
    for line in drawn:
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line.points)
        body.append(f'<polyline class="{line.style}" points="{path}"/>')
        if line.marked:
            notes = line.notes or tuple(f"{x:.3g}, {y:.3g}" for x, y in line.points)
            body += [
                f'<circle class="{line.style}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.2">'
                f"<title>{escape(note)}</title></circle>"
                for (x, y), note in zip(line.points, notes, strict=True)
            ]
    return _figure(body, drawn, label)


def bar_chart(heights: Sequence[float], axes: Axes, *, level: float, label: str) -> str:
    """An SVG of bars of equal width from 0 to 1, with a dashed line at `level`."""
    if not heights:
        return ""
    frame = _Frame((0.0, 1.0), axes.y_range or (0.0, max(*heights, level) * 1.15))
    width = (frame.x(1) - frame.x(0)) / len(heights)
    body = [_grid(frame, axes)]
    for number, height in enumerate(heights):
        top = frame.y(height)
        body.append(
            f'<rect class="bar" x="{frame.x(0) + number * width + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" '
            f'height="{frame.y(0) - top:.1f}"><title>{height:.3f}</title></rect>'
        )
    ideal = Line("calibrated", ((0.0, level), (1.0, level)), "ideal")
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in ideal.points)
    body.append(f'<polyline class="ideal" points="{path}"/>')
    return _figure(body, [ideal], label)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values of the ranges lie in the picture."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + (value - low) / ((high - low) or 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1.0) * (HEIGHT - TOP - BOTTOM)


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * share
    return low - room, high + room


def ticks(low: float, high: float) -> list[float]:
    """At most TICKS + 1 round numbers from `low` to `high`."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** len(str(int(span))) / 1e6
    steps = [nice * power * 10.0**k for k in range(8) for nice in _NICE]
    step = next(step for step in steps if span / step <= TICKS)
    first = -(-low // step)
    found = [round(step * k, 10) for k in range(int(first), int(first) + TICKS + 2)]
    return [value for value in found if low - 1e-9 <= value <= high + 1e-9]


def _grid(frame: _Frame, axes: Axes) -> str:
    parts = []
    for value in ticks(*frame.x_range):
        x = frame.x(value)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}">{_number(value, axes)}</text>')
    for value in ticks(*frame.y_range):
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 5}" y="{y + 3.5:.1f}">{_number(value, axes)}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text class="name" x="{middle:.0f}" y="{HEIGHT - 8}">{escape(axes.x)}</text>')
    up = TOP + (HEIGHT - TOP - BOTTOM) / 2
    parts.append(
        f'<text class="name" transform="translate(11 {up:.0f}) rotate(-90)">{escape(axes.y)}</text>'
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    )
    return "".join(parts)


def _number(value: float, axes: Axes) -> str:
    return f"{value:.0%}" if axes.percent else f"{value:g}"


def _figure(body: Sequence[str], lines: Sequence[Line], label: str) -> str:
    names = "".join(
        f'<span class="key"><svg width="22" height="8" aria-hidden="true"><line class="{line.style}" x1="1" x2="21" '
        f'y1="4" y2="4"/></svg>{escape(line.name)}</span>'
        for line in lines
        if line.name
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{''.join(body)}</svg><figcaption>{escape(label)}<br>{names}</figcaption></figure>"
    )
