"""The results page: no figure on it is typed by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flows.results import contests
from flows.results.backtest_page import backtest_page
from flows.results.batch import batch_section
from flows.results.charts import ticks
from flows.results.lineups import http_section, late_swap_section, lineups_section
from flows.results.page import HEAD, RESULTS, page
from flows.results.seasons import grades_section
from flows.results.simulation import SIDES, contests_section
from flows.results.walk_forward import backtest_section

TIMING = {"cpu_ms_p50": 0.5, "cpu_ms_p99": 0.75, "wall_ms_p50": 0.5, "wall_ms_p99": 0.75}


def test_the_committed_page_is_what_the_committed_results_give(repository: Path) -> None:
    assert page(RESULTS) == (repository / "docs" / "results.md").read_text(encoding="utf-8")


def test_a_section_appears_only_with_its_file(tmp_path: Path) -> None:
    assert page(tmp_path) == HEAD
    (tmp_path / "lineups.json").write_text(json.dumps(lineups_report({})), encoding="utf-8")
    assert page(tmp_path).startswith(f"{HEAD}\n## Optimizer\n")


def test_a_slate_without_a_contest_has_no_percentile() -> None:
    grades = [
        {"slate": {"date": "2024-12-05"}, "n": 2, "mean_points": 1.0, "best_points": 2.0, "field_size": 10,
         "mean_percentile": 0.25, "best_percentile": 0.5},
        {"slate": {"date": "2024-12-06"}, "n": 2, "mean_points": 1.0, "best_points": 2.0},
    ]  # fmt: skip
    section = grades_section(grades)
    assert "over the 2 slates: 0.250" in section
    assert "| 2024-12-06 | 2 | 1.0 | 2.0 | – | – | – |" in section


def test_the_walk_forward_is_judged_on_the_rows_its_bars_name() -> None:
    section = backtest_section(walk_forward())
    assert "macro: game winner, before lock | pregame | Brier | 5,251 | 0.2124 [0.2074, 0.2174] |" in section
    assert "≤ 0.216: met | ≤ 0.207: **missed** | elo 0.2198 | 2021-10-19 to 2025-06-05 |" in section
    # Player bars are set on the regular season, which the report has as a slice.
    assert "before lock | pregame | MAE of the median | 90 | 7.5000 [7.4950, 7.5050]" in section
    assert (
        "before lock | pregame | MAE of the mean | 90 | 7.5500 [7.5450, 7.5550] | – | – | ewma 7.7000 |" in section
    )
    assert "≤ 7.45: **missed** | ≤ 7.1: **missed** | ewma 7.7000 |" in section
    assert "* live_win is left out: there is no play-by-play" in section
    assert "| home win | pregame | elo | 5,251 | Brier | 0.2124 | 0.2198 | 0.0074 [0.0024, 0.0124] |" in section


def test_the_page_of_curves_needs_nothing_from_elsewhere() -> None:
    page = backtest_page(walk_forward())
    assert page.startswith("<!doctype html>") and page.count("<svg viewBox") == 4
    assert not re.search(r"(src|href)=.?https?:|@import|<script|<link", page)
    assert page.count("<section") == page.count("</section>") == 4
    assert "ten equal parts" in page and "nan" not in page.lower().split()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.113, 0.247), (-3.2, 41.0), (7.0, 7.0), (0.0, 52.5)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 6 and found == sorted(set(found))
    assert low - 1e-9 <= found[0] and found[-1] <= high + 1e-9


def test_peers_are_judged_in_the_same_run() -> None:
    peers = {
        "pydfs (PuLP)": done(60.0, 120.0, "equal"),
        "pydfs (python-mip)": done(45.0, 90.0, "equal"),
        "draftfast": done(30.0, 60.0, "not comparable: 3 duplicates"),
        "CP-SAT": {"status": "not run: budget of 150 s", "built": 4},
    }
    section = lineups_section(lineups_report(peers))
    assert "| DK | 1 | 0.0005 | 0.06 (120×) = | 0.045 (90×) = | 0.03 (60×) | not run: budget of 150 s |" in section
    assert "* DK, 1: draftfast: not comparable: 3 duplicates; 17 distinct, total 298.05" in section
    # The faster backend of pydfs decides, and a missed stretch is said.
    assert "| DK | 1 lineup, times pydfs | 90 | ≥ 100: **missed** | – |" in section
    assert "| DK | search alone, p50 ms | 0.5 | – | ≤ 0.05: **missed** |" in section
    assert "| DK | search alone, noisy, p99 ms | 0.75 | – | ≤ 1: met |" in section


def test_without_other_optimizers_the_page_says_so() -> None:
    assert "Other optimizers were not installed in this run." in lineups_section(lineups_report({}))


def test_http_is_judged_by_its_99th_percentile() -> None:
    row = {"wall_ms_p50": 9.0, "wall_ms_p99": 16.0, "solve_ms_p50": 1.0, "solve_ms_p99": 2.0}
    report = machine() | {"players": 352, "projected": 300, "requests": {"20": row}}
    assert "| 20 | 9 / 16 | 1 / 2 | ≤ 100: met | ≤ 15: **missed** |" in http_section(report)


def test_late_swap_says_what_became_of_the_entries() -> None:
    row = {
        "entries": 150, "entries_hit": 149, "statuses": {"swapped": 149, "unswappable": 1}, "swap": TIMING,
        "news_to_file": TIMING, "news_to_file_simulated": TIMING | {"wall_ms_p50": 1500.0},
        "highs": {"entries": 40, "largest_difference": 0.0},
    }  # fmt: skip
    section = late_swap_section(machine() | {"slates": {"DK": row}})
    assert "| DK | 150 (149 hit) | 149 swapped, 1 unswappable | 0.5 / 0.75 | ≤ 100: met |" in section
    assert "≤ 1000: **missed** | 40: 0 |" in section


def test_batches_are_judged_at_ten_thousand_scenarios_only() -> None:
    def slate(scenarios: int) -> dict[str, Any]:
        timing = {"scenarios": scenarios, "cpu_s": 2.0, "wall_s": 1.5, "cpu_us_per_scenario": 200.0}
        return {
            "rows": 282, "compiled": timing | {"by_highs": 0, "unproven": 0}, "distinct_lineups": 9_990,
            "highs": {"cpu_us_per_scenario": 61_000.0, "ratio_to_compiled": 305.0},
        }  # fmt: skip

    whole = slate(10_000) | {"torch_cuda": {"scenarios": 10_000, "wall_s": 0.005}}
    section = batch_section(machine() | {"slates": {"whole": whole, "short": slate(500)}})
    assert "| whole | 282 | 10,000 | 2.00 | 1.50 | 200 | 9,990 | 0 / 0 | – | 2,000,000 | 61.0 | 305× |" in section
    assert "| whole | ≤ 10: met | ≤ 1: **missed** | ≥ 1e+06: met |" in section
    assert "| short | not judged: 500 scenarios | not judged: 500 scenarios | not run |" in section


def test_a_simulation_is_judged_by_its_time_its_field_and_its_choice() -> None:
    took = {"wall_ms": 700.0, "cpu_ms": 1100.0}
    side = {"roi": 0.25, "p_profit": 0.5, "p_any_first": 0.04, "p_any_top10": 0.3, "cash": 0.25}
    world = {"world": "A\n  made-up one.", "worlds": 4, "p_any_first_ratio": 2.0}
    ownership = {
        "contests": 8, "mae_points": 3.0, "top20_mae_points": 6.0, "optimal_share_alone_mae_points": 4.0,
        "optimal_share_alone_top20": 9.0,
    }  # fmt: skip
    report = {
        "hardware": {"cores": 2},
        "payouts": {
            "scenarios": 10_000, "candidates": 5_000, "field": 10_000, "kernel": took,
            "kernel_keeping_every_prize": took, "sorting": {"numpy": took | {"cpu_ratio": 12.5}},
            "field_ownership_error_points": {"top20_mean": 0.8, "top50_mean": 0.6},
        },
        "world": {"win": world | dict.fromkeys(SIDES, side)},
        "ownership": {"averages_value_only": ownership},
    }  # fmt: skip
    section = contests_section(report)
    assert "| sorting, numpy | 700 | 1,100 | 12.5 |" in section
    assert "| contest, wall s on these cores | 0.70 | – | ≤ 0.5: **missed** |" in section
    assert "top 50, points | 0.60 | – | ≤ 0.5: **missed** |" in section
    assert "chosen for win | 2.00 | ≥ 1.5: met | ≥ 2.5: **missed** |" in section
    assert "| averages value only | 8 | 3.00 | 6.00 | 4.00 | 9.00 |" in section
    assert "The world: A made-up one." in section


def test_real_contests_are_judged_by_our_own_projections_alone() -> None:
    def mean(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    def row(source: str, portfolio: str, percentile: float) -> dict[str, Any]:
        shares = {"above_78": 0.3, "cash_rate": 0.2, "roi": -0.25, "mean_percentile": percentile}
        figures = {name: mean(value) for name, value in shares.items()}
        return {"source": source, "variant": "recorded", "portfolio": portfolio, "contests": 8} | figures

    report = {
        "contests": [{"date": "2024-12-05", "contest": "a.csv.gz"}, {"date": "2024-12-15", "contest": "b.csv.gz"}],
        "entries": 150, "max_exposure": 0.5, "scenarios": 10_000, "candidates": 5_000,
        "summary": [
            row("model", "simulation", 0.6), row("model", "projection", 0.4), row("averages", "simulation", 0.3),
        ],
        "notes": ["a note"], "skipped": [{"contest": "c.csv.gz", "reason": "no salary file of its slate"}],
    }  # fmt: skip
    section = contests.backtest_section(report)
    said = "| as the salary file says |"
    assert f"| model {said} simulation | 8 | 0.600 [0.500, 0.700] | 30.0% [20.0%, 40.0%] |" in section
    assert f"{said} mean percentile | 0.600 | ≥ 0.55: met | ≥ 0.62: **missed** |" in section
    assert f"{said} ROI at real payouts | -25.0% | – | > 0: **missed** |" in section
    assert section.count("mean percentile |") == 2  # the table's head, and one judged row
    assert "* not entered: c.csv.gz: no salary file of its slate" in section


def spread(value: float) -> dict[str, float | int]:
    return {"value": value, "low": value - 0.005, "high": value + 0.005, "blocks": 700}


def winners() -> dict[str, Any]:
    """Figures of one yes-no target."""
    return {
        "family": "win_probability", "kind": "probability", "primary": "elo", "n": 5251, "dates": 700,
        "first_date": "2021-10-19", "last_date": "2025-06-05", "accuracy": spread(0.66), "base_rate": 0.55,
        "brier": spread(0.2124), "log_loss": spread(0.6), "ece": spread(0.02), "augrc": 0.13,
        "gated": {name: spread(0.7) for name in ("accuracy", "coverage", "honesty")},
        "baselines": {"elo": {"n": 5251, "accuracy": 0.648, "brier": 0.2198, "log_loss": 0.63,
                              "gated_accuracy": None, "gated_coverage": 0.3, "saved": spread(0.0074)}},
        "slices": {}, "by_season": {}, "cases": {},
        "curves": {"reliability": [{"claimed": 0.3, "observed": 0.31, "n": 9}],
                   "risk_coverage": [{"coverage": 0.5, "error": 0.2}, {"coverage": 1.0, "error": 0.34}]},
    }  # fmt: skip


def points() -> dict[str, Any]:
    """Figures of one target of points, better on all rows than in the regular season."""

    def figures(mae: float, n: int) -> dict[str, Any]:
        return {
            "n": n, "dates": 30, "first_date": "2024-10-22", "last_date": "2025-04-13", "mae": spread(mae + 0.05),
            "mae_of_median": spread(mae), "bias": spread(0.0), "crps": spread(5.0),
            "interval_80_coverage": spread(0.8), "interval_80_width": 20.0,
            "baselines": {"ewma": {"n": n, "mae": 7.7, "saved": spread(0.2), "crps": 5.3,
                                   "crps_skill": spread(0.05)}},
        }  # fmt: skip

    return {
        **figures(7.0, 100), "family": "projection", "kind": "points", "primary": "ewma", "rmse": 9.0, "r2": 0.6,
        "adaptive_80_coverage": spread(0.8), "slices": {"phase": {"regular season": figures(7.5, 90)}},
        "by_season": {}, "cases": {}, "curves": {"pit": [0.05] * 20},
    }  # fmt: skip


def walk_forward() -> dict[str, Any]:
    """A report of two targets, with one stretch of game time."""
    stretch = {"from_s": 0, "to_s": 240, "n": 50, "loss": 0.2, "baseline": 0.22, "accuracy": 0.7}
    later = stretch | {"from_s": 2880, "to_s": None, "loss": 0.1, "baseline": None}
    return {
        "seasons": [2023, 2024], "cadence": "trained before", "retrained_on": {"win_probability": ["2023-10-24"]},
        "training_seasons": {"win_probability": 10}, "sub_sampling": "every question is asked",
        "left_out": {"live_win": "there is no play-by-play"}, "seconds": 174.0, "peak_memory_mb": 1200,
        "targets": {"home_win": {"pregame": winners()}, "fantasy_points_draftkings": {"pregame": points()}},
        "over_time": {"home_win": {"family": "live_win", "loss": "Brier score", "n": 100, "primary": "logistic",
                                   "stretches": [stretch, later], "surface": []}},
    }  # fmt: skip


def machine() -> dict[str, Any]:
    return {"hardware": {"cpu": "some CPU", "cores": 2}}


def done(cpu_ms: float, ratio: float, agreement: str) -> dict[str, Any]:
    return {
        "status": "done", "cpu_ms_p50": cpu_ms, "ratio": ratio, "agreement": agreement, "distinct": 17,
        "total_projection": 298.05, "versions": {"tool": "1"},
    }  # fmt: skip


def lineups_report(peers: dict[str, Any]) -> dict[str, Any]:
    """One slate, one lineup."""
    ours = TIMING | {"distinct": 1, "max_gap": 0.0}
    slate = {
        "players": 282, "contest": "draftkings nba classic", "search_1": TIMING, "search_1_noisy": TIMING,
        "requests": {"1": {"ours": ours, "ours_again": TIMING, "peers": peers}},
    }  # fmt: skip
    return machine() | {"budget_s": 150.0, "slates": {"DK": slate}}
