"""`fantasy lineups --entries` and `fantasy late-swap`: a file in, the same file with only roster cells changed out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from features.contests import check_lineup, load_contest
from features.errors import InvalidInput, SalaryFileError
from features.sources.entries import read_entries
from features.sources.salaries import read_salaries
from models.lineups.problem import lineup_from_json
from tests.unit.flows.conftest import Command

CONTEST = load_contest("draftkings")
EARLY = "2024-12-15T17:00-05:00"
FIRST_UNDER_WAY = "2024-12-15T18:30-05:00"
ALL_UNDER_WAY = "2024-12-15T23:30-05:00"
HEADER = "Entry ID,Contest Name,Contest ID,Entry Fee,PG,SG,SF,PF,C,G,F,UTIL,,Instructions"


@pytest.fixture
def reserved(tmp_path: Path) -> Path:
    """Twelve reserved entries of two contests, instructions beside them."""
    rows = [f"{900 + n},GPP {n % 2},{50 + n % 2},$4,,,,,,,,,,{n}. Do this" for n in range(12)]
    path = tmp_path / "DKEntries.csv"
    path.write_bytes(("\r\n".join([HEADER, *rows]) + "\r\n").encode())
    return path


def cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_entries_are_filled_in_place_and_nothing_else_changes(
    command: Command, two_tips: Path, reserved: Path
) -> None:
    before = cells(reserved)
    built = command(
        "lineups", "--salaries", two_tips, "--entries", reserved, "--max-exposure", "0.5", "--json"
    ).json
    assert len(built["lineups"]) == 12
    after = cells(reserved)
    for old, new in zip(before, after, strict=True):
        assert old[:4] == new[:4] and old[12:] == new[12:]
    slate = read_salaries(two_tips)
    entries = read_entries(reserved, slate, CONTEST).entries
    for entry, body in zip(entries, built["lineups"], strict=True):
        assert set(entry.players) == {player["id"] for player in body["players"]}
        assert check_lineup(lineup_from_json(body), slate, CONTEST) == ()


def test_fewer_lineups_than_entries_start_anew_in_every_contest(
    command: Command, two_tips: Path, reserved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "filled.csv"
    before = reserved.read_bytes()
    built = command(
        "lineups", "--salaries", two_tips, "--entries", reserved, "-n", 4, "--out", out, "--json"
    ).json  # fmt: skip
    assert reserved.read_bytes() == before
    assert any("4 of 12 entries keep what they held" in said for said in built["warnings"])
    entries = read_entries(out, read_salaries(two_tips), CONTEST).entries
    filled = [entry for entry in entries if entry.filled]
    assert len(filled) == 8
    for contest in ("50", "51"):
        held = [frozenset(entry.players) for entry in filled if entry.contest_id == contest]
        assert len(held) == len(set(held)) == 4


@pytest.fixture
def running(command: Command, two_tips: Path, reserved: Path) -> Path:
    """The entries filled, as they stand when the first game tips off."""
    command("lineups", "--salaries", two_tips, "--entries", reserved, "--max-exposure", "0.5", "--json")
    return reserved


def test_late_swap_keeps_what_has_started_and_replaces_who_is_out(
    command: Command, two_tips: Path, running: Path, tmp_path: Path
) -> None:
    out = tmp_path / "swapped.csv"
    slate = read_salaries(two_tips)
    before = read_entries(running, slate, CONTEST).entries
    team = {p.site_id: p.team for p in slate.players}
    name = {p.site_id: p.name for p in slate.players}
    held = [id_ for entry in before for id_ in entry.players if id_ and team[id_] in ("LAL", "MEM")]
    gone = max(set(held), key=held.count)
    words = ("late-swap", "--entries", running, "--salaries", two_tips, "--now", FIRST_UNDER_WAY)
    done = command(*words, "--out-players", name[gone], "--out", out, "--mode", "replace_out", "--json").json
    assert done["swapped"] == sum(gone in entry.players for entry in before) > 0
    assert done["unswappable"] == 0 and done["swapped"] + done["kept"] == 12
    after = read_entries(out, slate, CONTEST).entries
    for old, new, body in zip(before, after, done["entries"], strict=True):
        assert gone not in new.players
        assert (old.players != new.players) == (body["status"] == "swapped")
        for was, now in zip(old.players, new.players, strict=True):
            if team[str(was)] in ("BOS", "WAS"):
                assert now == was
        assert check_lineup(lineup_from_json(body["lineup"]), slate, CONTEST) == ()
    assert all(pair["out"] for body in done["entries"] for pair in body["replaced"])
    assert command(*words, "--out", out).code == 0


def test_everything_locked_is_kept_and_the_file_stays(command: Command, two_tips: Path, running: Path) -> None:
    before = running.read_bytes()
    done = command(
        "late-swap", "--entries", running, "--salaries", two_tips, "--now", ALL_UNDER_WAY, "--json"
    ).json  # fmt: skip
    assert done["kept"] == 12 and running.read_bytes() == before
    assert {body["reason"] for body in done["entries"]} == {"every slot is locked"}


def test_one_entry_that_cannot_be_read_stops_nobody(
    command: Command, two_tips: Path, running: Path, tmp_path: Path
) -> None:
    lines = running.read_bytes().decode().split("\r\n")
    first = next(csv.reader([lines[1]]))
    first[4], first[11] = "Somebody Else (777777) (LOCKED)", "Another One (888888)"
    lines[1] = ",".join(first)
    running.write_bytes("\r\n".join(lines).encode())
    out = tmp_path / "swapped.csv"
    done = command(
        "late-swap", "--entries", running, "--salaries", two_tips, "--now", EARLY, "--out", out, "--json"
    ).json  # fmt: skip
    stuck, *others = done["entries"]
    assert stuck["status"] == "unswappable" and "left as uploaded" in stuck["reason"]
    assert cells(out)[1] == cells(running)[1]
    assert {body["status"] for body in others} <= {"kept", "swapped"} and len(others) == 11
    assert any("not in the salary file" in said for said in done["warnings"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mode", "all"), "--mode 'all'"),
        (("--now", "2024-12-15T19:00"), "time zone"),
        (("--now", "tonight"), "tonight"),
        (("--out-players", "Ada Abot"), "did you mean 'Ada Abbot'"),
        (("--simulate", "--payouts", "lottery"), "--payouts 'lottery'"),
        (("--simulate", "--field", "1"), "--field 1"),
        (("--rules", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_words_that_make_no_sense_change_no_file(
    command: Command, two_tips: Path, running: Path, words: tuple[str, ...], said: str
) -> None:
    before = running.read_bytes()
    answer = command("late-swap", "--entries", running, "--salaries", two_tips, "--now", EARLY, *words)
    assert answer.code == 1 and isinstance(answer.error, InvalidInput) and said in str(answer.error)
    assert running.read_bytes() == before


def test_entries_under_way_are_not_filled_from_scratch(command: Command, two_tips: Path, running: Path) -> None:
    lines = running.read_bytes().decode().split("\r\n")
    lines[1] = lines[1].replace(",,", " (LOCKED),,", 1)
    running.write_bytes("\r\n".join(lines).encode())
    answer = command("lineups", "--salaries", two_tips, "--entries", running)
    assert isinstance(answer.error, InvalidInput | SalaryFileError) and "late-swap" in str(answer.error)


def test_lineups_take_rules_from_a_file_and_words(command: Command, two_tips: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('n = 6\nmax_exposure = 0.5\nlocked = ["Ada Abbot"]\n[[stacks]]\nsize = 2\n', encoding="utf-8")
    built = command(
        "lineups",
        "--salaries",
        two_tips,
        "--projections",
        "salaries",
        "--rules",
        rules,
        "--stack",
        "3:BOS",
        "--json",
    ).json
    assert len(built["lineups"]) == 6
    for lineup in built["lineups"]:
        assert "Ada Abbot" in {player["name"] for player in lineup["players"]}
        assert sum(player["team"] == "BOS" for player in lineup["players"]) >= 3
    assert {"lineups", "solve_ms", "model", "fallback", "warnings", "exposures"} <= built.keys()
    assert built["exposures"][0]["share"] == 1.0 and built["model"]["name"] == "salaries"
    shown = command("lineups", "--salaries", two_tips, "--rules", rules, "-n", 2)
    assert shown.code == 0 and "Exposure" in shown.out and "Ada Abbot" in shown.out


def test_own_numbers_bring_floor_ceiling_and_ownership(command: Command, two_tips: Path, tmp_path: Path) -> None:
    slate = read_salaries(two_tips)
    own = tmp_path / "mine.csv"
    lines = ["Name,Team,Fpts,Floor,Ceiling,Own%"]
    lines += [f"{p.name},{p.team},{p.average_points:.2f},{n % 7},{40 + 3 * (n % 11)},{n % 40}"
              for n, p in enumerate(slate.players)]  # fmt: skip
    own.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ("lineups", "--salaries", two_tips, "--projections", own, "--json")
    mean, ceiling = (command(*words, "--objective", kind).json["lineups"][0] for kind in ("mean", "ceiling"))
    high = {p.site_id: 40 + 3 * (n % 11) for n, p in enumerate(slate.players)}
    total = {kind: sum(high[player["id"]] for player in lineup["players"])
             for kind, lineup in (("mean", mean), ("ceiling", ceiling))}  # fmt: skip
    assert total["ceiling"] > total["mean"] and ceiling["projection"] < mean["projection"]
    owned = {p.site_id: n % 40 for n, p in enumerate(slate.players)}
    fade = command(*words, "--leverage", "100").json["lineups"][0]
    assert sum(owned[p["id"]] for p in fade["players"]) < sum(owned[p["id"]] for p in mean["players"])
    projected = command("project", "--salaries", two_tips, "--projections", own, "--json").json["projections"]
    assert {row["site_id"]: row["ownership"] for row in projected}["1001"] == pytest.approx(0.01)


def test_contests_are_listed(command: Command) -> None:
    listed = command("contests", "list", "--json").json["contests"]
    (nba,) = [c for c in listed if (c["site"], c["sport"], c["mode"]) == ("draftkings", "nba", "classic")]
    assert nba["roster"] == ["PG", "SG", "SF", "PF", "C", "G", "F", "UTIL"] and nba["salary_cap_usd"] == 50_000
    assert all(c["source"].startswith("http") for c in listed)
    only = command("contests", "list", "--site", "yahoo", "--sport", "nba")
    assert only.code == 0 and "yahoo" in only.out and "draftkings" not in only.out
    unknown = command("contests", "list", "--sport", "curling")
    assert isinstance(unknown.error, InvalidInput) and "curling" in str(unknown.error)
    assert json.dumps(listed)
