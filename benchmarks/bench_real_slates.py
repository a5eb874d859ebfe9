"""Lineups on every real DraftKings NBA slate with a final contest file, graded against its real entrants.

Claim: how our as-of projections and plain optimal lineups stand in the real field, no injury news, no simulation.
Needs recorded data (`FANTASY_DATA` or `../shared/data`); runs the commands a user would, one line run through the day
before the last contest, so that no model has seen any of the slates. Writes `results/grade-DATE.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("FANTASY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
LINEUPS = 20


def fantasy(home: Path, *words: str) -> dict[str, Any]:
    """Run one command with `--json` and return what it prints."""
    command = [str(Path(sys.executable).parent / "fantasy"), *words, "--json"]
    done = subprocess.run(
        command, env={**os.environ, "FANTASY_HOME": str(home)}, stdout=subprocess.PIPE, check=True
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def slates() -> pl.DataFrame:
    """Date and salary file of every final NBA contest that has its slate."""
    manifest = pl.read_csv(DATA / "dfs" / "manifest.csv", infer_schema=False)
    finals = manifest.filter(kind="contest_final", site="draftkings", sport="nba", slate_cov="1.0")
    return finals.select("date", "slate_file").unique().sort("date")


def main() -> None:
    """Build and grade lineups for each slate."""
    if not (DATA / "dfs" / "manifest.csv").is_file():
        print(f"no recorded slates at {DATA}; set FANTASY_DATA")
        return
    found = slates()
    last = date.fromisoformat(found["date"][-1]) + timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="fantasy-slates-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        run = fantasy(home, "run", "--source", "archive", "--data", str(DATA), "--through", last.isoformat())
        champion = run["models"]["projection"]["outcome"]["champion"]
        print(f"projection champion: {champion}")
        for day, slate_file in found.iter_rows():
            salaries = str(DATA / "dfs" / slate_file)
            built = fantasy(home, "lineups", "--salaries", salaries, "--date", day, "-n", str(LINEUPS))
            grade = fantasy(home, "grade", "--data", str(DATA))
            grade["warnings"] = built["warnings"]
            (RESULTS / f"grade-{day}.json").write_text(json.dumps(grade, indent=1) + "\n", encoding="utf-8")
            print(day, round(grade["mean_points"], 1), grade.get("mean_percentile"), built["warnings"])


if __name__ == "__main__":
    main()
