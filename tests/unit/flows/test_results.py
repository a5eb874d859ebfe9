"""The results page: no figure on it is typed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import results


def test_the_committed_page_is_what_the_committed_results_give(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "PAGE", tmp_path / "results.md")
    results.main()
    committed = (repository / "docs" / "results.md").read_text(encoding="utf-8")
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == committed


def test_a_slate_without_a_contest_has_no_percentile() -> None:
    grades = [
        {"slate": {"date": "2024-12-05"}, "n": 2, "mean_points": 1.0, "best_points": 2.0, "field_size": 10,
         "mean_percentile": 0.25, "best_percentile": 0.5},
        {"slate": {"date": "2024-12-06"}, "n": 2, "mean_points": 1.0, "best_points": 2.0},
    ]  # fmt: skip
    section = results.grades_section(grades)
    assert "over the 2 slates: 0.250" in section
    assert "| 2024-12-06 | 2 | 1.0 | 2.0 | – | – | – |" in section
