"""What the models reach on recorded seasons: the walk-forward result, and lineups graded on real slates."""

from __future__ import annotations

from typing import Any, Final

from flows.results.cells import interval, listed, optional, verdict

ANNOUNCED: Final = """Announced means asked shortly before tip-off, when inactives and starting line-ups are \
published. The recorded seasons hold no such lists, so who is out is taken from who appeared and who starts from \
the box score; only regulars (12 minutes a game and more) count as missing, because a deep reserve who does not \
appear may just not have been called upon. A regular scratched or benched without notice makes these figures \
somewhat too good. Line-ups only: starters known, who is out hidden, which is the safer claim. Before: neither is \
known, as on the morning of a game.
"""


def backtest_section(report: dict[str, Any]) -> str:
    """The walk-forward result, ungated figures first."""
    winners, points = report["home_win"], report["fantasy_points_draftkings"]
    lines = [
        "## Walk-forward on real NBA seasons\n",
        "`fantasy backtest --data DIR --json --out predictions.parquet --report benchmarks/results/backtest.json`\n",
        f"Test seasons {listed(report['seasons'])} (start years); learned from {report['learned_from']} on; "
        f"retrained on {listed(report['retrained_on'])}. {report['rows']} Took {report['seconds']:.0f} s on 2 cores.\n",
        ANNOUNCED,
        f"### Game winner, before lock: n = {winners['n']:,}, {winners['first_date']} to {winners['last_date']}\n",
        "| figure | announced [95 %] | before announcements [95 %] | Elo | home | closing line | bar, announced |",
        "|---|---|---|---|---|---|---|",
        *_winner_rows(winners),
        "",
        f"### DraftKings points, before lock: n = {points['n']:,}, {points['first_date']} to {points['last_date']}\n",
        "Regular-season player-games of everybody who played and had an earlier game that season.\n",
        "| figure | model [95 %] | EWMA | season mean | bar |",
        "|---|---|---|---|---|",
        *_point_rows(points),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def grades_section(grades: list[dict[str, Any]]) -> str:
    """Lineups built before lock, scored with real box scores."""
    lines = [
        "## Lineups on real slates, against the real field\n",
        "`python benchmarks/bench_real_slates.py`: one run of the line through the day after the last contest (its "
        "newest 28 game dates are never fitted, so the model learned from none of these slates; "
        "the promotion gate judged it on those dates), then `fantasy lineups` and "
        "`fantasy grade` per slate. Salary files of DraftKings do not say who is out and no injury feed is used yet; "
        f"mean percentile over the {len(grades)} slates: {_mean_percentile(grades)}.\n",
        "| date | lineups | mean points | best | field | mean percentile | best percentile |",
        "|---|---|---|---|---|---|---|",
    ]
    for grade in grades:
        field = f"{grade['field_size']:,}" if "field_size" in grade else "–"
        lines.append(
            f"| {grade['slate']['date']} | {grade['n']} | {grade['mean_points']:.1f} | {grade['best_points']:.1f} | "
            f"{field} | {optional(grade.get('mean_percentile'))} | {optional(grade.get('best_percentile'))} |"
        )
    return "\n".join([*lines, ""])


def _mean_percentile(grades: list[dict[str, Any]]) -> str:
    known = [grade["mean_percentile"] for grade in grades if "mean_percentile" in grade]
    return f"{sum(known) / len(known):.3f}" if known else "–"


def _winner_rows(winners: dict[str, Any]) -> list[str]:
    """Ungated figures first; the honesty of the gate beside its accuracy."""
    early = winners["without_announcements"]

    def row(name: str, path: tuple[str, ...], rival: str | None, bar: tuple[float, str] | None) -> str:
        shown, before = _at(winners, path), _at(early, path)
        rivals = (winners["baselines"].get(each, {}).get(rival) for each in ("elo", "home", "market"))
        judged = "–" if bar is None else verdict(shown["value"], *bar)
        cells = (name, interval(shown), interval(before), *map(optional, rivals), judged)
        return f"| {' | '.join(cells)} |"

    return [
        row("accuracy, all", ("accuracy",), "accuracy", None),
        row("Brier", ("brier",), "brier", (0.216, "≤")),
        row("coverage at claimed ≥ .70", ("gated", "coverage"), "gated_coverage", (0.33, "≥")),
        row("accuracy at claimed ≥ .70", ("gated", "accuracy"), "gated_accuracy", (0.75, "≥")),
        row("claimed − hit inside the gate", ("gated", "honesty"), None, (0.02, "≤")),
        f"| ECE | {winners['ece']:.4f} | {early['ece']:.4f} | – | – | – | – |",
        f"| base rate (home wins) | {winners['base_rate']:.4f} | {early['base_rate']:.4f} | – | – | – | – |",
    ]


def _at(report: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path:
        report = report[key]
    return report


def _point_rows(points: dict[str, Any]) -> list[str]:
    """All three answers on the same rows, then the players with enough games to be known."""
    ewma, season = points["baselines"]["ewma"], points["baselines"]["season_mean"]
    covered = points["interval_80_coverage"]
    inside = (
        verdict(covered["value"], 0.78, "≥") if covered["value"] < 0.8 else verdict(covered["value"], 0.82, "≤")
    )
    rows = []
    for case, words in (
        ("", "announced"),
        ("line_ups_only", "line-ups only"),
        ("without_announcements", "before"),
    ):
        found = points[case] if case else points
        rows += [
            f"| MAE, {words} | {interval(found['mae'])} | {ewma['mae']:.4f} | {season['mae']:.4f} | "
            f"{verdict(found['mae']['value'], 7.45, '≤')} |",
            f"| CRPS, {words} | {interval(found['crps'])} | {ewma['crps']:.4f} | – | "
            f"{verdict(found['baselines']['ewma']['crps_skill'], 0.04, '≥')} better than EWMA |",
        ]
    rows += [
        f"| 80 % interval covers, announced | {interval(covered)} | – | – | {inside} |",
        f"| R², announced | {points['r2']:.4f} | – | – | – |",
    ]
    for case, words in (
        ("", "announced"),
        ("_line_ups_only", "line-ups only"),
        ("_without_announcements", "before"),
    ):
        settled = points[f"at_least_5_earlier_games{case}"]
        rivals = settled["baselines"]
        rows.append(
            f"| MAE, players with ≥ 5 earlier games (n = {settled['n']:,}), {words} | {interval(settled['mae'])} | "
            f"{rivals['ewma']['mae']:.4f} | {rivals['season_mean']['mae']:.4f} | "
            f"{verdict(settled['mae']['value'], 7.45, '≤')} |"
        )
    return rows
