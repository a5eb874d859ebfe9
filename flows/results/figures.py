"""The figures of a walk-forward report that are shown, by kind of answer: the ungated one always first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flows.results.cells import optional

#: Targets in the order of the horizons; others follow.
ORDER: Final = (
    "home_win", "home_margin", "total_points", "fantasy_points_draftkings", "over_season_mean", "over_projection",
)  # fmt: skip
MOMENTS: Final = ("pregame", "q1", "half", "q3", "possession", "shot")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: its name, where it stands in the report, and the baselines' name for it."""

    name: str
    path: tuple[str, ...]
    rival: str | None = None


TOLD: Final[dict[str, tuple[Figure, ...]]] = {
    "probability": (
        Figure("accuracy, all", ("accuracy",), "accuracy"),
        Figure("base rate", ("base_rate",)),
        Figure("Brier", ("brier",), "brier"),
        Figure("log loss", ("log_loss",), "log_loss"),
        Figure("ECE", ("ece",)),
        Figure("accuracy at claimed ≥ .70", ("gated", "accuracy"), "gated_accuracy"),
        Figure("coverage at claimed ≥ .70", ("gated", "coverage"), "gated_coverage"),
        Figure("claimed − hit inside the gate", ("gated", "honesty")),
        Figure("AUGRC", ("augrc",)),
    ),
    "points": (
        Figure("MAE of the mean", ("mae",), "mae"),
        Figure("MAE of the median", ("mae_of_median",), "mae"),
        Figure("RMSE", ("rmse",)),
        Figure("R²", ("r2",)),
        Figure("bias", ("bias",)),
        Figure("CRPS", ("crps",), "crps"),
        Figure("80 % interval covers", ("interval_80_coverage",)),
        Figure("80 % interval, width", ("interval_80_width",)),
        Figure("adaptive 80 % interval covers", ("adaptive_80_coverage",)),
    ),
    "classes": (
        Figure("accuracy, all", ("accuracy",), "accuracy"),
        Figure("majority class", ("majority_accuracy",)),
        Figure("log loss", ("log_loss",), "log_loss"),
        Figure("ECE, worst class", ("ece",)),
        Figure("coverage at claimed ≥ .70", ("gated", "coverage")),
        Figure("accuracy at claimed ≥ .70", ("gated", "accuracy")),
    ),
}


def moments(report: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Target, moment and figures, in the order of ORDER and of the game."""
    names = report["targets"]
    for target in [*(name for name in ORDER if name in names), *(name for name in names if name not in ORDER)]:
        asked = names[target]
        for moment in sorted(asked, key=lambda each: MOMENTS.index(each) if each in MOMENTS else len(MOMENTS)):
            yield target, moment, asked[moment]


def at(told: dict[str, Any], path: tuple[str, ...]) -> Any:
    """The figure at `path`; None where there is none."""
    value: Any = told
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def shown(told: dict[str, Any], figure: Figure, rivals: list[str]) -> tuple[str, ...]:
    """Name, value, interval and every baseline's value of one figure."""
    value = at(told, figure.path)
    others = (told["baselines"][name].get(figure.rival) if figure.rival else None for name in rivals)
    if isinstance(value, dict):
        ends = "–" if value["low"] is None else f"{value['low']:.4f} – {value['high']:.4f} ({value['blocks']})"
        return figure.name, optional(value["value"]), ends, *map(optional, others)
    return figure.name, optional(value), "", *map(optional, others)
