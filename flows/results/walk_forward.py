"""What the models reach on recorded seasons: bars, baselines, slices and public models beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flows.results.bars import BARS, judged_rows
from flows.results.cells import interval, listed, optional, table
from flows.results.figures import TOLD, at, moments

COMMAND: Final = "fantasy backtest --data DIR --seasons {seasons} --out predictions.parquet --report \
benchmarks/results/backtest.json --page backtest.html"
ANNOUNCED: Final = """Before lock means asked shortly before tip-off, when inactives and starting line-ups are \
published. The recorded seasons hold no such lists, so who is out is taken from who appeared and who starts from \
the box score; only regulars (12 minutes a game and more) count as missing, because a deep reserve who does not \
appear may just not have been called upon. A regular scratched or benched without notice makes these figures \
somewhat too good. Line-ups only: starters known, who is out hidden, which is the safer claim. Nothing announced: \
neither is known, as on the morning of a game.
"""
BARS_SAID: Final = """Bars of player questions are set on the regular season, as the targets were measured; the \
playoffs are among the slices. Figures without a bar stand there for completeness. `> 0` for the skill means that the \
lower end of its interval must be above 0.
"""
#: Slices on the results page; the HTML report has those of every target.
SLICED: Final = (
    ("home_win", "pregame"), ("fantasy_points_draftkings", "pregame"), ("home_win", "half"),
    ("over_projection", "half"),
)  # fmt: skip
_LOSS: Final = {"probability": ("Brier", "brier"), "points": ("MAE", "mae"), "classes": ("log loss", "log_loss")}


def backtest_section(report: dict[str, Any]) -> str:
    """The walk-forward result: bars first, then every target, its baselines and slices."""
    seasons = ",".join(str(season) for season in report["seasons"])
    retrained = sorted({day for days in report["retrained_on"].values() for day in days})
    learned = ", ".join(f"{family} {count}" for family, count in report["training_seasons"].items())
    lines = [
        "## Walk-forward on real NBA seasons\n",
        f"`{COMMAND.format(seasons=seasons)}`\n",
        f"Test seasons {listed(report['seasons'])} (start years): {report['cadence']} ({listed(retrained)}). "
        f"{report['sub_sampling'][0].upper()}{report['sub_sampling'][1:]}; seasons before the tested one, at most: "
        f"{learned}. Took {report['seconds']:.0f} s and at most {report['peak_memory_mb']:,} MB on 2 cores.\n",
        *(f"* {family} is left out: {reason}" for family, reason in report["left_out"].items()),
        ANNOUNCED,
        "### Bars\n",
        BARS_SAID,
        *table(BARS, list(judged_rows(report))),
        "",
        *_targets(report),
        *_baselines(report),
        *_slices(report),
        *_published(report),
    ]
    return "\n".join(lines)


def _targets(report: dict[str, Any]) -> Iterator[str]:
    """Every target and moment on all its rows, one table per kind."""
    for kind, heading in (("probability", "Yes or no"), ("points", "Points"), ("classes", "Classes")):
        found = [each for each in moments(report) if each[2]["kind"] == kind]
        if not found:
            continue
        names = [figure.name for figure in TOLD[kind]]
        rows = [
            (
                target.replace("_", " "),
                moment,
                f"{told['n']:,}",
                *(_cell(told, figure.path) for figure in TOLD[kind]),
            )
            for target, moment, told in found
        ]
        yield f"### {heading}: every question, playoffs included\n"
        yield from table(("target", "asked at", "n", *names), rows)
        yield ""


def _cell(told: dict[str, Any], path: tuple[str, ...]) -> str:
    value = at(told, path)
    if isinstance(value, dict):
        return "–" if value["value"] is None else interval(value)
    return optional(value)


def _baselines(report: dict[str, Any]) -> Iterator[str]:
    rows = []
    for target, moment, told in moments(report):
        name, key = _LOSS[told["kind"]]
        for rival, found in told["baselines"].items():
            same = found["n"] == told["n"]
            own = f"{told[key]['value']:.4f}" if same else "–"
            rows.append((target.replace("_", " "), moment, rival, f"{found['n']:,}", name, own, f"{found[key]:.4f}",
                         interval(found["saved"])))  # fmt: skip
    if rows:
        yield "### Against every baseline, on the same questions\n"
        yield "Saved is the baseline's loss minus the model's, paired by game date: above 0 the model is better. The "
        yield "market is the closing line, which no model sees.\n"
        yield from table(
            ("target", "asked at", "baseline", "n", "loss", "model", "baseline's", "saved [95 %]"), rows
        )
        yield ""


def _slices(report: dict[str, Any]) -> Iterator[str]:
    rows = []
    for target, moment in SLICED:
        told = at(report, ("targets", target, moment))
        if told is None:
            continue
        name, key = _LOSS[told["kind"]]
        for dimension, cuts in told["slices"].items():
            for part, cut in cuts.items():
                rival = at(cut, ("baselines", told["primary"], key))
                rows.append((target.replace("_", " "), moment, dimension, part, f"{cut['n']:,}", name,
                             interval(cut[key]), optional(rival)))  # fmt: skip
    if rows:
        yield "### Slices\n"
        yield from table(
            ("target", "asked at", "slice", "", "n", "loss", "model [95 %]", "primary baseline"), rows
        )
        yield ""


def _published(report: dict[str, Any]) -> Iterator[str]:
    found: dict[str, Any] = report.get("published", {})
    if found:
        rows = [
            (name, each["target"].replace("_", " "), f"{each['games']:,}", f"{each['n']:,}", interval(each["own"]),
             interval(each["theirs"]), interval(each["saved"]))
            for name, each in found.items()
        ]  # fmt: skip
        yield "### Against published models, at the same plays of the same games\n"
        yield from table(
            ("model", "target", "games", "plays", "Brier, ours", "Brier, theirs", "saved [95 %]"), rows
        )
        yield ""
