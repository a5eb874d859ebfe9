"""Lineups graded on real slates."""

from __future__ import annotations

from typing import Any

from flows.results.cells import optional


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
