"""`fantasy contests backtest`: entered with what was known before lock, ranked among the entrants of the files."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.contests import load_contest
from features.errors import InvalidInput
from features.sources.payouts import Payouts, preset_payouts
from features.sources.salaries import read_salaries
from flows.contest_backtest import prizes_usd, summarize
from flows.entrants import Entrants, evening_of
from flows.real_contests import ContestFolder, RealContest, Skipped
from models.evaluation import Bootstrap
from models.lineups.draft import draft
from models.lineups.rules import LineupRules
from models.projection.slate import project_slate
from models.training.as_of import training_days
from tests.fixtures.salary_pool import pool
from tests.unit.flows.conftest import Command

HEAD = "Rank,EntryId,EntryName,TimeRemaining,Points,Lineup,,Player,Roster Position,%Drafted,FPTS"
MANIFEST = ("file", "site", "sport", "kind", "date", "mode", "entries", "slate_file")
DAY = "2024-12-15"


def standings(slate_file: Path, *, remaining: int = 0, stranger: str = "") -> bytes:
    """Sixty entries of legal lineups with made-up scores, and every player's points; `stranger` is drafted too."""
    slate = read_salaries(slate_file)
    draw = random.Random(4)
    points = {p.name: draw.randrange(0, 240) / 4 for p in slate.players}
    projections = project_slate(slate, None, {}, pl.DataFrame(schema={"player_id": pl.Int32}))
    lineups = draft(slate, projections, load_contest("draftkings"), LineupRules(n=60, max_exposure=0.6)).lineups
    scored = sorted(((sum(points[p.name] for p in x.players), x) for x in lineups), key=lambda pair: -pair[0])
    players = [f"{p.name},{p.positions[0]},5%,{points[p.name]}" for p in slate.players]
    players += [f"{stranger},PG,5%,3"] * bool(stranger)
    rows = [HEAD]
    for number in range(max(len(scored), len(players))):
        entry = ",,,,,"
        if number < len(scored):
            total, lineup = scored[number]
            text = " ".join(f"{p.slot} {p.name}" for p in lineup.players)
            entry = f"{number + 1},{7000 + number},user_{number},{remaining},{total},{text}"
        rows.append(f"{entry},,{players[number] if number < len(players) else ',,,'}")
    return gzip.compress(("\n".join(rows) + "\n").encode())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two contests of one slate that can be entered, and one of every kind that cannot."""
    dfs = tmp_path / "data" / "dfs"
    dfs.mkdir(parents=True)
    slate = dfs / f"{DAY}_slate.csv"
    slate.write_text(pool(), encoding="utf-8")
    (dfs / "other.csv").write_text(pool().replace("Ada", "Zed").replace("Ben", "Yan"), encoding="utf-8")
    for name, content in {
        "one.csv.gz": standings(slate),
        "two.csv.gz": standings(slate),
        "running.csv.gz": standings(slate, remaining=12),
        "cut.csv.gz": standings(slate)[:-200],
    }.items():
        (dfs / name).write_bytes(content)
    (dfs / "pay.csv").write_text("Place,Payout,Field Size,Entry Fee\n1,40,64,2\n2-3,15,,\n4-12,3,,\n")
    own = [f"{p.name},{p.average_points + 3:.2f},10" for p in read_salaries(slate).players]
    (dfs / "third.csv").write_text("\n".join(["Name,Fpts,StdDev", *own]) + "\n")
    finals = {"one": slate.name, "two": "", "running": slate.name, "cut": slate.name, "gone": slate.name,
              "other": "other.csv"}  # fmt: skip
    shutil.copy(dfs / "one.csv.gz", dfs / "other.csv.gz")
    rows = [(f"{name}.csv.gz", "draftkings", "nba", "contest_final", DAY, "", "60", file)
            for name, file in finals.items()]  # fmt: skip
    rows += [
        ("one.csv.gz", "draftkings", "nba", "contest_final", "long ago", "", "60", slate.name),
        ("nothing.csv.gz", "draftkings", "nba", "contest_final", "2024-12-16", "", "60", ""),
        (slate.name, "draftkings", "nba", "salary", DAY, "classic", "", ""),
        ("pay.csv", "draftkings", "nba", "payout_structure", "", "", "", ""),
        ("third.csv", "draftkings", "nba", "projections_third_party", DAY, "", "", ""),
    ]
    (dfs / "nothing.csv.gz").write_bytes(standings(slate))
    lines = [",".join(MANIFEST), *(",".join(row) for row in rows)]
    (dfs / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "data"


def opened(data: Path) -> tuple[dict[str, RealContest], dict[str, str]]:
    where = ContestFolder.open(data)
    found = [where.read(row) for row in where.finals()]
    skipped = [each for each in found if isinstance(each, Skipped)]
    return (
        {each.name: each for each in found if isinstance(each, RealContest)},
        {each.contest + str(number): each.reason for number, each in enumerate(skipped)},
    )


def test_contests_come_with_their_slates_or_a_reason(data: Path) -> None:
    found, skipped = opened(data)
    assert set(found) == {"one.csv.gz", "two.csv.gz"}, skipped
    assert found["two.csv.gz"].slate == found["one.csv.gz"].slate, "the slate of the same day"
    assert found["one.csv.gz"].field_size == 60 and found["one.csv.gz"].third_party is not None
    said = " | ".join(skipped.values())
    for words in ("exported while it ran", "cannot be read", "its file is not there", "of the players drafted",
                  "'long ago' is not a day", "no salary file"):  # fmt: skip
        assert words in said, words


def test_payouts_are_those_of_the_nearest_field(data: Path) -> None:
    where = ContestFolder.open(data)
    payouts, name = where.payouts("draftkings", "nba", 60)
    assert name == "pay.csv" and payouts.field_size == 64
    payouts, name = where.payouts("draftkings", "nfl", 5000)
    assert "preset" in name and payouts.field_size == 5000
    with pytest.raises(InvalidInput, match=r"manifest\.csv is missing"):
        ContestFolder.open(data / "dfs")


def brute(own: Sequence[float], field: Sequence[float], payouts: Payouts) -> list[float]:
    everyone = [*own, *field]
    return [
        payouts.prize_usd(1 + sum(x > s for x in everyone), sum(x == s for x in everyone)) for s in own
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_prizes_split_ties_with_the_field_and_among_ourselves(seed: int) -> None:
    draw = random.Random(seed)
    field = [draw.randrange(0, 40) / 4 for _ in range(draw.randrange(3, 60))]
    own = [draw.randrange(0, 44) / 4 for _ in range(draw.randrange(1, 9))]
    payouts = preset_payouts("gpp", field_size=len(field) + len(own), entry_fee_usd=2.0)
    found = prizes_usd(np.array(own), np.array(field), payouts)
    assert found.tolist() == pytest.approx(brute(own, field, payouts))


def test_points_are_the_contests_own_and_captains_count_more(data: Path) -> None:
    found, _ = opened(data)
    contest = found["one.csv.gz"]
    evening = evening_of(contest, None)
    assert evening.basis == "contest file" and not evening.known and not evening.absent
    official = dict(contest.standings.players.select("name", "points").iter_rows())
    assert evening.points == {p.site_id: official[p.name] for p in contest.slate.players}
    entrants = Entrants(("averages",), None, 0.5, 5)
    projections = entrants.project("averages", "recorded", evening)
    assert not isinstance(projections, str)
    lineup = draft(evening.slate, projections, contest.contest, entrants.rules).lineups[0]
    assert evening.score(lineup) == pytest.approx(sum(official[p.name] for p in lineup.players))
    assert "no box scores" in str(entrants.project("averages", "inactives", evening))
    assert "no recorded seasons" in str(entrants.project("model", "recorded", evening))


def test_a_summary_counts_contests_and_resamples_dates() -> None:
    rows = [
        {"source": "model", "variant": "recorded", "portfolio": "projection", "date": f"2024-12-{day:02}",
         "mean_percentile": value, "above_78": value / 2, "cash_rate": 0.1, "roi": -0.5}
        for day, value in ((1, 0.2), (1, 0.4), (2, 0.6))
    ]  # fmt: skip
    (figures,) = summarize(rows, Bootstrap(n_boot=500))
    assert figures["contests"] == 3 and figures["mean_percentile"]["blocks"] == 2
    assert figures["mean_percentile"]["value"] == pytest.approx(0.4)
    assert 0.3 <= figures["mean_percentile"]["low"] <= figures["mean_percentile"]["high"] <= 0.6
    assert (figures["cash_rate"]["low"], figures["cash_rate"]["high"]) == pytest.approx((0.1, 0.1))


def test_training_days_are_never_later_than_the_question() -> None:
    days = [date(2024, 12, 5), date(2024, 12, 20), date(2025, 1, 10), date(2025, 3, 1), date(2024, 12, 5)]
    assert training_days(days, 30) == (date(2024, 12, 5), date(2025, 1, 10), date(2025, 3, 1))
    assert training_days(days, 1000) == (date(2024, 12, 5),)
    assert training_days([], 30) == ()
    with pytest.raises(InvalidInput, match="retrain_days is 0"):
        training_days(days, 0)


def test_a_small_run_reports_every_portfolio(command: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "contests.json"
    report = command(
        "contests", "backtest", "--data", data, "--entries", 8, "--scenarios", 200, "--candidates", 40, "--out", out,
        "--json",
    ).json  # fmt: skip
    assert json.loads(out.read_text()) == report
    assert [each["contest"] for each in report["contests"]] == ["one.csv.gz", "two.csv.gz"]
    kinds = {(row["source"], row["variant"], row["portfolio"]) for row in report["rows"]}
    assert kinds == {(s, "recorded", p) for s in ("averages", "third_party") for p in ("projection", "simulation")}
    assert len(report["rows"]) == 8 and len(report["summary"]) == 4
    for row in report["rows"]:
        assert row["field_size"] == 60 and row["points_from"] == "contest file"
        # Forty candidates with nobody in more than half the entries need not hold eight.
        assert 1 <= row["lineups"] <= 8 and (row["lineups"] == 8 or row["portfolio"] == "simulation")
        assert 0 <= row["mean_percentile"] <= row["best_percentile"] <= 1
        assert row["payout_table"] == "pay.csv" and row["fees_usd"] == 2.0 * row["lineups"]
        assert row["roi"] == pytest.approx(row["prize_usd"] / row["fees_usd"] - 1, abs=1e-3)
    said = {each["contest"]: each["reason"] for each in report["skipped"]}
    assert "no recorded seasons" in said["one.csv.gz model recorded"]
    assert "no box scores" in said["one.csv.gz averages inactives"]
    shown = command(
        "contests", "backtest", "--data", data, "--entries", 3, "--scenarios", 200, "--candidates", 20, "--sources",
        "averages",
    )  # fmt: skip
    assert shown.code == 0 and "averages" in shown.out and "skipped" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sources", "luck"), "luck"),
        (("--entries", "151"), "--entries 151"),
        (("--exposure", "0"), "--exposure"),
        (("--choose-by", "luck"), "--choose-by 'luck'"),
        (("--retrain-days", "0"), "--retrain-days 0"),
    ],
)
def test_words_that_make_no_sense_are_named(
    command: Command, data: Path, words: tuple[str, ...], said: str
) -> None:
    answer = command("contests", "backtest", "--data", data, *words)
    assert isinstance(answer.error, InvalidInput) and said in str(answer.error)


def test_a_backtest_needs_contests(command: Command, tmp_path: Path) -> None:
    assert "--data" in str(command("contests", "backtest").error)
    assert "manifest.csv" in str(command("contests", "backtest", "--data", tmp_path).error)


@pytest.fixture
def one_real_contest(fantasy_data: Path, tmp_path: Path) -> Path:
    """The recorded data with only the smallest real contest in the manifest."""
    manifest = pl.read_csv(fantasy_data / "dfs" / "manifest.csv", infer_schema=False)
    day = pl.col("date") == "2024-12-14"
    rows = manifest.filter((day & pl.col("kind").is_in(["contest_final", "projections_third_party", "salary"]))
                           | (pl.col("kind") == "payout_structure"))  # fmt: skip
    if not rows.filter(pl.col("kind") == "contest_final").height:
        pytest.skip("the data hold no contest of 2024-12-14")
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "nba").symlink_to(fantasy_data / "nba")
    (folder / "dfs").mkdir()
    for part in (fantasy_data / "dfs").iterdir():
        if part.is_dir():
            (folder / "dfs" / part.name).symlink_to(part)
    rows.write_csv(folder / "dfs" / "manifest.csv")
    return folder


@pytest.mark.real_data
def test_a_real_contest_with_and_without_inactives(command: Command, one_real_contest: Path) -> None:
    report = command(
        "contests", "backtest", "--data", one_real_contest, "--entries", 20, "--scenarios", 300, "--candidates", 100,
        "--sources", "averages,third_party", "--json",
    ).json  # fmt: skip
    rows: dict[tuple[str, str, str], dict[str, Any]] = {
        (row["source"], row["variant"], row["portfolio"]): row for row in report["rows"]
    }
    assert len(rows) == 8 and not [s for s in report["skipped"] if "2024-12-14" in s["contest"]]
    for (_, variant, _), row in rows.items():
        assert row["points_from"] == "contest file and box scores" and row["field_size"] == 8917
        assert variant == "recorded" or row["seats_unplayed"] == 0
    assert all(row["payout_table"] == "30K_Four_Point_Play.csv" for row in rows.values())


@pytest.mark.slow
@pytest.mark.real_data
def test_the_model_of_a_real_contest_has_not_seen_it(command: Command, one_real_contest: Path) -> None:
    report = command(
        "contests", "backtest", "--data", one_real_contest, "--entries", 20, "--scenarios", 300, "--candidates", 100,
        "--sources", "model", "--json",
    ).json  # fmt: skip
    assert report["trained_before"] == ["2024-12-14"]
    assert [row["projected_by"] for row in report["rows"]] == ["nba-projection as-of-2024-12-14"] * 4
    assert not any(row["fallback"] for row in report["rows"])
