"""`fantasy contests simulate` and `fantasy late-swap --simulate` on a made-up slate."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.contests import check_lineup, load_contest
from features.errors import InvalidInput
from features.sources.salaries import read_salaries
from features.sources.upload import read_upload
from flows.contest_simulation import open_payouts
from models.lineups.problem import lineup_from_json
from tests.unit.flows.conftest import Command

SMALL = ("--scenarios", "200", "--candidates", "60", "--field", "300")


@pytest.fixture
def payouts(tmp_path: Path) -> Path:
    path = tmp_path / "pay.csv"
    path.write_text("Place,Payout,Field Size,Entry Fee\n1,100,200,2\n2-5,25,,\n6-50,3,,\n")
    return path


def test_payouts_are_a_file_or_a_preset_for_any_field(payouts: Path) -> None:
    assert open_payouts(str(payouts), None).field_size == 200
    scaled = open_payouts(str(payouts), 400)
    assert scaled.field_size == 400 and scaled.entry_fee_usd == 2.0 and scaled.pool_usd > 300
    assert open_payouts("double_up", None).field_size == 10_000
    assert open_payouts("gpp", 77).field_size == 77
    for words, said in (("lottery", "presets are gpp"), ("nowhere.csv", "nowhere.csv")):
        with pytest.raises(InvalidInput, match=said):
            open_payouts(words, None)


def test_a_portfolio_is_chosen_and_judged(command: Command, salaries: Path, payouts: Path, tmp_path: Path) -> None:
    out = tmp_path / "upload.csv"
    words = ("contests", "simulate", "--salaries", salaries, "--payouts", payouts, "--entries-count", 4, *SMALL)
    done = command(*words, "--exclude", "Ada Abbot", "--seed", 3, "--out", out, "--json").json
    slate, contest = read_salaries(salaries), load_contest("draftkings")
    lineups = [lineup_from_json(body) for body in done["lineups"]]
    assert len(lineups) == 4 == len(read_upload(out, slate, contest))
    assert not [problem for lineup in lineups for problem in check_lineup(lineup, slate, contest)]
    assert not any(player.name == "Ada Abbot" for lineup in lineups for player in lineup.players)
    assert done["payouts"]["field_size"] == 300 and done["payouts"]["entry_fee_usd"] == 2.0
    assert done["portfolio"].keys() == done["baseline"].keys() and len(done["table"]) == 4
    assert {"roi", "p_profit", "p_any_first", "cash"} <= done["portfolio"].keys()
    assert done["fallback"] and done["slate"]["mode"] == "classic"
    again = command(*words, "--exclude", "Ada Abbot", "--seed", 3, "--json").json
    assert again["portfolio"] == done["portfolio"]
    shown = command(*words)
    assert shown.code == 0 and "by projection only" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--payouts", "lottery"), "lottery"),
        (("--entries-count", "0"), "entries"),
        (("--entries-count", "151"), "entries"),
        (("--scenarios", "1"), "scenarios"),
        (("--candidates", "0"), "candidates"),
        (("--choose-by", "luck"), "luck"),
        (("--field", "1"), "--field 1"),
        (("--exclude", "Nobody Here"), "Nobody Here"),
    ],
)
def test_words_that_make_no_sense_are_named(
    command: Command, salaries: Path, words: tuple[str, ...], said: str
) -> None:
    answer = command("contests", "simulate", "--salaries", salaries, *words)
    assert isinstance(answer.error, InvalidInput) and said in str(answer.error)


def test_a_late_swap_is_simulated_before_and_after(
    command: Command, two_tips: Path, tmp_path: Path, payouts: Path
) -> None:
    header = "Entry ID,Contest Name,Contest ID,Entry Fee,PG,SG,SF,PF,C,G,F,UTIL,,Instructions"
    entries = tmp_path / "DKEntries.csv"
    entries.write_text(
        "\n".join([header, *(f"{n},GPP,5,$2,,,,,,,,,," for n in range(4))]) + "\n", encoding="utf-8"
    )
    built = command("lineups", "--salaries", two_tips, "--entries", entries, "--json").json
    best = built["exposures"][0]["name"]
    words = ("late-swap", "--entries", entries, "--salaries", two_tips, "--now", "2024-12-15T17:00-05:00")
    done = command(
        *words, "--out-players", best, "--simulate", "--payouts", payouts, "--field", 100, "--scenarios", 200,
        "--out", tmp_path / "swapped.csv", "--json",
    ).json  # fmt: skip
    assert {"note", "before", "after"} == done["simulated"].keys()
    assert done["simulated"]["before"]["entries"] == done["simulated"]["after"]["entries"] == 4
    before, after = done["simulated"]["before"], done["simulated"]["after"]
    assert before.keys() == after.keys()
    # The best player of every lineup is out: what was uploaded must be worth less than what it was swapped for.
    assert done["swapped"] == 4 and before["expected_prize_usd"] < after["expected_prize_usd"]
    shown = command(*words, "--out", tmp_path / "swapped.csv")
    assert shown.code == 0 and "Late swap" in shown.out
