"""The walk-forward report as one HTML page: tables and curves, with everything it needs inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

from flows.results.bars import BARS, judged_rows
from flows.results.charts import Axes, Line, bar_chart, line_chart
from flows.results.figures import TOLD, at, moments, shown

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #66727f; --rule: #dde3e9; --back: #fbfcfd; --card: #fff;
  --own: #1666b8; --rival: #c4551d; --good: #18794e; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa7b4; --rule: #33404d; --back: #12181f;
  --card: #1a222b; --own: #6cb2f5; --rival: #f09a63; --good: #5fcf9a; --bad: #ff8f85; } }
* { box-sizing: border-box; } body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; } main { max-width: 1520px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 6px; } h2 { font-size: 20px; margin: 40px 0 8px; } h3 { font-size: 15px; margin: 18px 0 6px; }
p { max-width: 85ch; margin: 6px 0; } .soft, figcaption, th { color: var(--soft); }
nav a { display: inline-block; margin: 0 14px 4px 0; color: var(--own); text-decoration: none; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 4px 18px 16px; margin-top: 18px; }
section h2 { margin-top: 14px; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 6px 0; }
th, td { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 500; } .wrapped td:nth-child(n + 8) { white-space: normal; min-width: 11em; } .charts { display: flex; flex-wrap: wrap; gap: 10px 22px; }
figure { margin: 8px 0; width: 380px; max-width: 100%; } figure > svg { width: 100%; height: auto; }
figcaption { font-size: 12.5px; } .key { margin-right: 12px; white-space: nowrap; } .key svg { margin-right: 4px; }
polyline, .key line { fill: none; stroke-width: 2; } circle { fill: var(--card); stroke-width: 1.5; } .own { stroke: var(--own); } circle.own { fill: var(--own); }
.rival { stroke: var(--rival); } circle.rival { fill: var(--rival); } .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
.bar { fill: var(--own); opacity: .75; } .grid { stroke: var(--rule); } .axis { fill: none; stroke: var(--soft); }
.hue-0 { stroke: #6a3d9a; } .hue-1 { stroke: #1f78b4; } .hue-2 { stroke: #2a9d5c; } .hue-3 { stroke: #e08b1f; }
.hue-4 { stroke: #d1366b; } .hue-5 { stroke: #7d8790; }
text { fill: var(--soft); font-size: 11px; } .tick { text-anchor: middle; } .tick.end { text-anchor: end; }
.name { text-anchor: middle; font-size: 11.5px; } .met { color: var(--good); } .missed { color: var(--bad); font-weight: 600; }
details summary { cursor: pointer; color: var(--own); margin-top: 8px; }
"""  # noqa: E501
#: Stretches of game time drawn together in the reliability surface, by their first second.
SURFACE_STRETCHES: Final = (0, 720, 1440, 2160, 2640, 2880)


def backtest_page(report: dict[str, Any]) -> str:
    """The page of a report of `models.training.walk_forward`."""
    found = list(moments(report))
    links = "".join(
        f'<a href="#{_anchor(target, moment)}">{escape(_words(target))}, {moment}</a>'
        for target, moment, _ in found
    )
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>Backtest {_years(report)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>Backtest of seasons {_years(report)}</h1>",
        *(f"<p>{line}</p>" for line in _opening(report)),
        f"<nav>{links}</nav>",
        _bars(report),
        *(_section(report, target, moment, told) for target, moment, told in found),
        *_times(report),
        "</main></body></html>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _years(report: dict[str, Any]) -> str:
    return ", ".join(f"{year}-{(year + 1) % 100:02d}" for year in report["seasons"])


def _opening(report: dict[str, Any]) -> Iterator[str]:
    learned = ", ".join(f"{name} {count}" for name, count in report["training_seasons"].items())
    yield f"Every question is answered by a model {escape(report['cadence'])}."
    yield (
        f"{escape(report['sub_sampling'][0].upper() + report['sub_sampling'][1:])}. Seasons before the tested one, at "
        f"most: {escape(learned)}. Intervals are 95 %, from resampling game dates."
    )
    for family, reason in report["left_out"].items():
        yield f"<b>{escape(family)} is left out:</b> {escape(reason)}"


def _anchor(target: str, moment: str) -> str:
    return f"{target}-{moment}"


def _words(target: str) -> str:
    return target.replace("_", " ")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, marked: bool = False) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(_cell(cell, marked) for cell in row) + "</tr>" for row in rows)
    kind = "scroll wrapped" if marked else "scroll"
    return f'<div class="{kind}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str, marked: bool) -> str:
    plain = escape(text.replace("**", ""))
    kind = ("missed" if text.endswith("missed**") else "met" if text.endswith(": met") else "") if marked else ""
    return f'<td class="{kind}">{plain}</td>' if kind else f"<td>{plain}</td>"


def _bars(report: dict[str, Any]) -> str:
    rows = list(judged_rows(report))
    return f"<section><h2>Bars</h2>{_table(BARS, rows, marked=True)}</section>" if rows else ""


def _section(report: dict[str, Any], target: str, moment: str, told: dict[str, Any]) -> str:
    rivals = list(told["baselines"])
    rows = [shown(told, figure, rivals) for figure in TOLD[told["kind"]]]
    lines = [
        f'<section id="{_anchor(target, moment)}"><h2>{escape(_words(target))}, {moment}</h2>',
        f'<p class="soft">{escape(told["family"])} · n = {told["n"]:,} · {told["dates"]} dates, '
        f"{told['first_date']} to {told['last_date']}</p>",
        _table(("figure", "model", "95 % interval (dates)", *rivals), rows),
        f'<div class="charts">{"".join(_charts(told))}</div>',
        _slices(told),
        "</section>",
    ]
    return "\n".join(lines)


def _charts(told: dict[str, Any]) -> Iterator[str]:
    curves = told["curves"]
    if curves.get("reliability"):
        yield reliability_chart(
            [_reliability("model", curves["reliability"], "own")], "Reliability: ten equal parts"
        )
    for number, curve in enumerate(curves.get("reliability_by_class", ())):
        yield reliability_chart([_reliability(f"class {number}", curve, "own")], f"Reliability of class {number}")
    if curve := curves.get("risk_coverage"):
        points = tuple((point["coverage"], point["error"]) for point in curve)
        axes = Axes("share answered, most confident first", "error rate", (0.0, 1.0), percent=True)
        yield line_chart([Line("model", points)], axes, label="Risk and coverage")
    if pit := curves.get("pit"):
        axes = Axes("predicted probability of what happened", "share of answers")
        yield bar_chart(pit, axes, level=1 / len(pit), label="PIT histogram: flat when calibrated")


def _reliability(name: str, curve: Sequence[dict[str, Any]], style: str) -> Line:
    points = tuple((point["claimed"], point["observed"]) for point in curve)
    notes = tuple(f"claimed {p['claimed']:.3f}, observed {p['observed']:.3f}, n = {p['n']:,}" for p in curve)
    return Line(name, points, style, marked=True, notes=notes)


def reliability_chart(lines: Sequence[Line], label: str) -> str:
    """Claimed against observed frequency, with the diagonal."""
    most = max((max(x, y) for line in lines for x, y in line.points), default=1.0)
    end = 1.0 if most > 0.5 else most * 1.1
    axes = Axes("claimed probability", "observed frequency", (0.0, end), (0.0, end), percent=True)
    return line_chart([Line("as claimed", ((0.0, 0.0), (end, end)), "ideal"), *lines], axes, label=label)


def _slices(told: dict[str, Any]) -> str:
    parts = {"season": told["by_season"], **told["slices"]}
    header = ("slice", "", "n", "dates", *SLICE_HEADS[told["kind"]], told["primary"])
    rows = [
        (dimension, name, f"{cut['n']:,}", str(cut["dates"]), *slice_cells(told["kind"], cut), _rival(told, cut))
        for dimension, cuts in parts.items()
        for name, cut in cuts.items()
    ]
    return f"<details open><summary>Slices</summary>{_table(header, rows)}</details>" if rows else ""


SLICE_HEADS: Final = {
    "probability": ("accuracy [95 %]", "Brier [95 %]", "at ≥ .70", "coverage", "claimed − hit"),
    "points": ("MAE [95 %]", "bias", "80 % covers"),
    "classes": ("accuracy [95 %]", "log loss [95 %]", "ECE"),
}
_SLICE_PATHS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "probability": (("accuracy",), ("brier",), ("gated", "accuracy"), ("gated", "coverage"), ("gated", "honesty")),
    "points": (("mae",), ("bias",), ("interval_80_coverage",)),
    "classes": (("accuracy",), ("log_loss",), ("ece",)),
}
_LOSS: Final = {"probability": "brier", "points": "mae", "classes": "log_loss"}


def slice_cells(kind: str, cut: dict[str, Any]) -> tuple[str, ...]:
    """The figures of one slice; intervals where the heading promises them."""
    cells = []
    for head, path in zip(SLICE_HEADS[kind], _SLICE_PATHS[kind], strict=True):
        figure = at(cut, path)
        value = None if figure is None else figure["value"]
        ends = f" [{figure['low']:.3f}, {figure['high']:.3f}]" if value is not None and "[95" in head else ""
        cells.append("–" if value is None else f"{value:.3f}{ends}")
    return tuple(cells)


def _rival(told: dict[str, Any], cut: dict[str, Any]) -> str:
    value = at(cut, ("baselines", told["primary"], _LOSS[told["kind"]]))
    return "–" if value is None else f"{value:.3f}"


def _times(report: dict[str, Any]) -> Iterator[str]:
    for target, time in report["over_time"].items():
        stretches = time["stretches"]
        if not stretches:
            continue
        middles = [_minutes(point) for point in stretches]
        own = tuple(zip(middles, (point["loss"] for point in stretches), strict=True))
        rival = tuple(
            (x, point["baseline"])
            for x, point in zip(middles, stretches, strict=True)
            if point["baseline"] is not None
        )
        lines = [Line("model", own, marked=True), Line(time["primary"], rival, "rival")]
        charts = [line_chart(lines, Axes("minutes played", time["loss"]), label="Error over game time")]
        shown_at = [start for start in SURFACE_STRETCHES if any(c["from_s"] == start for c in time["surface"])]
        surface = [
            _reliability(
                _from(start), [cell for cell in time["surface"] if cell["from_s"] == start], f"hue-{number}"
            )
            for number, start in enumerate(shown_at)
        ]
        if surface:
            charts.append(reliability_chart(surface, "Reliability over game time"))
        yield (
            f"<section><h2>{escape(_words(target))} over game time</h2><p class='soft'>{escape(time['family'])} · "
            f"{time['n']:,} questions at random moments</p><div class='charts'>{''.join(charts)}</div></section>"
        )


def _minutes(point: dict[str, Any]) -> float:
    end = point["to_s"] if point["to_s"] is not None else point["from_s"] + 300
    return float((point["from_s"] + end) / 120)


def _from(start: float) -> str:
    return "overtime" if start >= 2880 else f"from minute {start / 60:.0f}"
