"""A sequence backbone against the plain models: the results page's section."""

from __future__ import annotations

from typing import Any, Final

from flows.results.cells import listed, machine, optional, table

_ASKED: Final = {
    "home_win": "home win, ends of the first three quarters",
    "home_margin": "final margin, ends of the first three quarters",
    "next_possession_points": "points of the possession that begins",
}
_MOMENTS: Final = ("q1", "half", "q3", "event")


def backbone_section(report: dict[str, Any]) -> str:
    """Losses of all models on the same questions, the paired differences, and what the rule keeps."""
    games, runs = report["games"], report["backbones"]
    trained = "; ".join(
        f"{name}: {run['parameters']:,} parameters, best epoch {run['best_epoch'] + 1} of {len(run['curve'])}, "
        f"{run['seconds']} s"
        for name, run in runs.items()
    )
    lines = [
        "## A sequence backbone against the plain models\n",
        f"`python -m benchmarks.compare_backbone`; {machine(report)}. Models learn from {games['fit']:,} games of "
        f"seasons {listed(report['fit_seasons'])}, are stopped and calibrated on the {games['stop']:,} of their last "
        f"{report['stop_days']} regular-season dates (Brownian, the winner's logistic and rates learn from both) and "
        f"are asked about the {games['test']:,} of {report['test_season']}; one possession in four is asked about. "
        f"Seed {report['seed']}, one training each. Took {report['seconds']['all']} s and at most "
        f"{report['peak_memory_mb']:,} MB ({trained}).\n",
        f"Rule, fixed before: {report['rule']}. `ours − its` is the loss of the model that ships minus the model's: "
        "above 0 it is better than what ships.\n",
        *table(("question", "rule keeps", "lowest loss", "n", "dates"),
               [_kept(target, told) for target, told in report["targets"].items()]),
        "",
    ]  # fmt: skip
    for target, told in report["targets"].items():
        lines += [*_models(target, told), ""]
    return "\n".join(lines)


def _kept(target: str, told: dict[str, Any]) -> tuple[str, ...]:
    return _ASKED.get(target, target), told["kept"], told["best"], f"{told['n']:,}", str(told["dates"])


def _models(target: str, told: dict[str, Any]) -> list[str]:
    """One row per model, from the simplest; the loss at each moment where there are moments."""
    at_moments = any("by_moment" in entry for entry in told["models"].values())
    shown = _MOMENTS if at_moments else ()
    header = (f"{_ASKED.get(target, target)}: {told['metric']}", "all", *shown, "above the lowest", "ours − its")
    rows = []
    for name, entry in told["models"].items():
        moments = [optional(entry.get("by_moment", {}).get(moment)) for moment in shown]
        rows.append(
            (
                name,
                optional(entry["loss"]),
                *moments,
                _signed(entry.get("above_best")),
                _signed(entry.get("saved")),
            )
        )
    return table(header, rows)


def _signed(figure: dict[str, float] | None) -> str:
    """A difference with its interval; a dash where a model would be compared with itself."""
    if figure is None:
        return "–"
    return f"{figure['value']:+.4f} [{figure['low']:+.4f}, {figure['high']:+.4f}]"
