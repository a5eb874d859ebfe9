"""The bars of the project's targets for predictions, and which of them a walk-forward report meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flows.results.cells import interval, verdict
from flows.results.figures import at

_ROTATION: Final = ("slices", "role", "rotation, regular season")
_REGULAR: Final = ("slices", "phase", "regular season")
_CRPS: Final = ("baselines", "ewma", "crps_skill")
#: The point forecast that absolute error asks for is the median; the mean's error stands beside it, without a bar.
_MEDIAN: Final = ("mae_of_median",)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: which figure (`path`) of which answers, on all rows or a slice, and what it must reach.

    `low` judges the lower end of the interval instead of the value: a claim that must hold with confidence.
    """

    question: str
    target: str
    moment: str
    figure: str
    path: tuple[str, ...]
    sense: str
    bar: float | None
    stretch: float | None = None
    part: tuple[str, ...] = ()
    rival: str | None = None
    low: bool = False
    case: str | None = None


def _gate(question: str, target: str, moment: str, hit: float, share: float, **more: Any) -> tuple[Bar, ...]:
    return (
        Bar(question, target, moment, "accuracy at claimed ≥ .70", ("gated", "accuracy"), "≥", hit,
            rival="gated_accuracy", **more),
        Bar(question, target, moment, "coverage at claimed ≥ .70", ("gated", "coverage"), "≥", share,
            rival="gated_coverage", **more),
    )  # fmt: skip


def _honest(question: str, target: str, moment: str, **more: Any) -> Bar:
    return Bar(question, target, moment, "claimed − hit inside the gate", ("gated", "honesty"), "≤", 0.02, **more)


def _winner(moment: str, bar: float, stretch: float) -> tuple[Bar, ...]:
    question = "game: winner"
    return (
        Bar(question, "home_win", moment, "accuracy, all", ("accuracy",), "≥", None, rival="accuracy"),
        Bar(question, "home_win", moment, "Brier", ("brier",), "≤", bar, stretch, rival="brier"),
        _honest(question, "home_win", moment),
    )


def _live_points(moment: str, bar: float, stretch: float) -> tuple[Bar, ...]:
    question, target = "game: fantasy points, rotation", "fantasy_points_draftkings"
    return (
        Bar(question, target, moment, "MAE of the median", _MEDIAN, "≤", bar, stretch, _ROTATION, "mae"),
        Bar(question, target, moment, "MAE of the mean", ("mae",), "≤", None, None, _ROTATION, "mae"),
    )


#: What a player's line is, by target: the targets name the projection, and measured their baseline on the mean.
_LINES: Final[dict[str, str]] = {
    "over_projection": "micro: over own projection",
    "over_season_mean": "micro: over own season mean (the line that the target's baseline was measured on)",
}


def _line(target: str, moment: str) -> tuple[Bar, ...]:
    question = _LINES[target]
    more: dict[str, Any] = {"part": _REGULAR}
    found = (Bar(question, target, moment, "accuracy, all", ("accuracy",), "≥", None, rival="accuracy",
                 **more),)  # fmt: skip
    if moment == "half":
        return (
            *found,
            Bar(question, target, moment, "accuracy at claimed ≥ .70", ("gated", "accuracy"), "≥", 0.855,
                0.86, rival="gated_accuracy", **more),
            Bar(question, target, moment, "coverage at claimed ≥ .70", ("gated", "coverage"), "≥", 0.64,
                0.70, rival="gated_coverage", **more),
            Bar(question, target, moment, "Brier", ("brier",), "≤", 0.160, rival="brier", **more),
            _honest(question, target, moment, **more),
        )  # fmt: skip
    return (
        *found,
        Bar(question, target, moment, "accuracy at claimed ≥ .70", ("gated", "accuracy"), "≥", None,
            rival="gated_accuracy", **more),
        Bar(question, target, moment, "coverage at claimed ≥ .70", ("gated", "coverage"), "≥", None,
            rival="gated_coverage", **more),
        _honest(question, target, moment, **more),
    )  # fmt: skip


def _points(question: str, case: str | None) -> tuple[Bar, ...]:
    target = "fantasy_points_draftkings"
    # Of answers with something hidden, the slices are told without their dimension.
    where = ("slices",) if case is not None else ("slices", "phase")
    part = (*where, "regular season")
    settled = ("slices", *(() if case is not None else ("role",)), "5 earlier games or more, regular season")
    return (
        Bar(question, target, "pregame", "MAE of the median", _MEDIAN, "≤", 7.45, 7.1, part, "mae", case=case),
        Bar(question, target, "pregame", "MAE of the mean", ("mae",), "≤", None, None, part, "mae", case=case),
        Bar(question, target, "pregame", "MAE of the median, 5 earlier games or more", _MEDIAN, "≤", 7.45, 7.1,
            settled, "mae", case=case),
        Bar(question, target, "pregame", "CRPS saved of EWMA's", _CRPS, "≥", 0.04, None, part, case=case),
    )  # fmt: skip


_WINNER: Final = "macro: game winner, before lock"
_OVER: Final = "macro: player over own season mean"
_POINTS: Final = "macro: fantasy points, before lock"
_COVERS: Final = ("interval_80_coverage",)
ALL: Final[tuple[Bar, ...]] = (
    Bar(_WINNER, "home_win", "pregame", "accuracy, all", ("accuracy",), "≥", None, rival="accuracy"),
    Bar(_WINNER, "home_win", "pregame", "Brier", ("brier",), "≤", 0.216, 0.207, rival="brier"),
    *_gate(_WINNER, "home_win", "pregame", 0.75, 0.33),
    _honest(_WINNER, "home_win", "pregame"),
    Bar(f"{_WINNER}, nothing announced", "home_win", "pregame", "Brier", ("brier",), "≤", 0.216, 0.207,
        case="without_announcements"),
    Bar(_OVER, "over_season_mean", "pregame", "accuracy, all", ("accuracy",), "≥", 0.565, None, _REGULAR, "accuracy"),
    Bar(_OVER, "over_season_mean", "pregame", "accuracy at claimed ≥ .70", ("gated", "accuracy"), "≥", None, None,
        _REGULAR, "gated_accuracy"),
    Bar(_OVER, "over_season_mean", "pregame", "coverage at claimed ≥ .70", ("gated", "coverage"), "≥", 0.08, 0.15,
        _REGULAR, "gated_coverage"),
    _honest(_OVER, "over_season_mean", "pregame", part=_REGULAR),
    *_points(_POINTS, None),
    Bar(_POINTS, "fantasy_points_draftkings", "pregame", "80 % interval covers", _COVERS, "≥", 0.78, None, _REGULAR),
    Bar(_POINTS, "fantasy_points_draftkings", "pregame", "80 % interval covers", _COVERS, "≤", 0.82, None, _REGULAR),
    *_points(f"{_POINTS}, line-ups only", "line_ups_only"),
    *_points(f"{_POINTS}, nothing announced", "without_announcements"),
    *_winner("q1", 0.192, 0.188), *_winner("half", 0.166, 0.161), *_winner("q3", 0.123, 0.119),
    *_live_points("q1", 7.2, 6.9), *_live_points("half", 5.7, 5.4), *_live_points("q3", 4.0, 3.7),
    *(bar for target in _LINES for moment in ("q1", "half", "q3") for bar in _line(target, moment)),
    Bar("micro: next possession", "next_possession_points", "possession", "accuracy, all", ("accuracy",), "≥", None,
        rival="accuracy"),
    Bar("micro: next possession", "next_possession_points", "possession", "log-loss skill, lower end of interval",
        ("baselines", "*", "skill"), ">", 0.0, low=True),
    Bar("micro: next possession", "next_possession_points", "possession", "ECE, worst class", ("ece",), "≤", 0.01),
    Bar("micro: next possession", "next_possession_points", "possession", "coverage at claimed ≥ .70",
        ("gated", "coverage"), "≥", None),
    Bar("micro: shot made", "shot_made", "shot", "accuracy, all", ("accuracy",), "≥", None, 0.63, rival="accuracy"),
    Bar("micro: shot made", "shot_made", "shot", "Brier", ("brier",), "≤", None, rival="brier"),
)  # fmt: skip
#: Heading of the rows that `judged_rows` gives.
BARS: Final = ("question", "asked at", "figure", "n", "value [95 %]", "bar", "stretch", "baselines", "dates")


def judged_rows(report: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row per bar whose question the report answers."""
    for bar in ALL:
        told = at(report, ("targets", bar.target, bar.moment))
        if told is None:
            continue
        cut = _cut(told, bar)
        path = tuple(cut["primary"] if key == "*" else key for key in bar.path) if cut is not None else ()
        figure = None if cut is None else at(cut, path)
        if cut is None or figure is None or figure["value"] is None:
            yield bar.question, bar.moment, bar.figure, "–", "no answer", "–", "–", "–", "–"
            continue
        value = figure["low"] if bar.low else figure["value"]
        yield (
            bar.question, bar.moment, bar.figure, f"{cut['n']:,}", interval(figure),
            _verdict(value, bar.bar, bar.sense), _verdict(value, bar.stretch, bar.sense), _rivals(cut, bar.rival),
            f"{cut['first_date']} to {cut['last_date']}",
        )  # fmt: skip


def _cut(told: dict[str, Any], bar: Bar) -> dict[str, Any] | None:
    """The figures the bar is set on; None when too few rows fall into its slice."""
    whole = told if bar.case is None else at(told, ("cases", bar.case))
    found: dict[str, Any] | None = at(whole, bar.part) if whole is not None and bar.part else whole
    return found


def _verdict(value: float, bar: float | None, sense: str) -> str:
    if bar is None:
        return "–"
    if sense == ">":
        return f"> {bar:g}: {'met' if value > bar else '**missed**'}"
    return verdict(value, bar, sense)


def _rivals(cut: dict[str, Any], name: str | None) -> str:
    known = {rival: found.get(name) for rival, found in cut["baselines"].items()} if name else {}
    return ", ".join(f"{rival} {value:.4f}" for rival, value in known.items() if value is not None) or "–"
