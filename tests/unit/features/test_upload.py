"""Upload files: what the site accepts, whole or not at all, and read back to the same lineups."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from features.contests import Contest, check_lineup, load_contest
from features.errors import InvalidInput, SalaryFileError
from features.slate import Slate, SlatePlayer
from features.sources.salaries import read_salaries
from features.sources.upload import UploadLineup, UploadPlayer, read_upload, upload_text, write_upload

TEAMS = ("BOS", "DET", "LAL", "GSW")
OPPONENT = {"BOS": "DET", "DET": "BOS", "LAL": "GSW", "GSW": "LAL"}
POSITIONS = ("PG", "SG", "SF", "PF", "C")


def pool(site: str, salary: int) -> Slate:
    """Two players per team and position."""
    players = []
    for i in range(40):
        position, team = POSITIONS[i % 5], TEAMS[i // 10]
        site_id = f"nba.p.{i}" if site == "yahoo" else f"{i + 100}"
        name = f"Player {'ABCDEFGHIJ'[i // 5]} {position}"
        upload_name = f"{name} ({site_id})" if site == "draftkings" else site_id
        players.append(
            SlatePlayer(
                site_id, name, (position,), salary, team, OPPONENT[team], False, 20.0, upload_name=upload_name
            )
        )
    return Slate("s", site, "nba", "classic", None, (), tuple(players))  # type: ignore[arg-type]


def lineup(slate: Slate, contest: Contest, first: int = 0) -> UploadLineup:
    """A legal lineup in reverse roster order, filled greedily, no more than three of a team."""
    picks: list[UploadPlayer] = []
    used: list[SlatePlayer] = []
    for slot in contest.slots:
        for player in slate.players[first:] + slate.players[:first]:
            crowd = sum(p.team == player.team for p in used)
            if slot.accepts(player.positions) and player not in used and crowd < 3:
                used.append(player)
                picks.append(UploadPlayer(player.site_id, slot.name))
                break
    return UploadLineup(tuple(reversed(picks)))


def case(site: str) -> tuple[Slate, Contest]:
    contest = load_contest(site)
    return pool(site, contest.salary_cap_usd // contest.lineup_size), contest


@pytest.mark.parametrize("site", ["draftkings", "fanduel", "yahoo"])
def test_header_cells_and_reading_back(site: str, tmp_path: Path) -> None:
    slate, contest = case(site)
    lineups = [lineup(slate, contest, first) for first in (0, 10, 20)]
    path = tmp_path / "out" / "upload.csv"
    write_upload(path, lineups, slate, contest)
    rows = list(csv.reader(io.StringIO(path.read_text(), newline="")))
    assert tuple(rows[0]) == contest.upload_header
    assert len(rows) == 4
    assert b"\r\n" in path.read_bytes()
    by_id = {p.site_id: p for p in slate.players}
    for row, given in zip(rows[1:], lineups, strict=True):
        wanted = {p.id for p in given.players}
        cells = {p.upload_name if site == "draftkings" else p.site_id for p in map(by_id.get, wanted) if p}
        assert set(row) == cells
    back = read_upload(path, slate, contest)
    assert [{(p.id, p.slot) for p in one.players} for one in back] == [
        {(p.id, p.slot) for p in one.players} for one in lineups
    ]
    assert all(check_lineup(one, slate, contest) == () for one in back)
    assert [p.slot for p in back[0].players] == [s.name for s in contest.slots]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["out", "upload.csv"], "no temporary file stays"


@pytest.mark.parametrize("site", ["draftkings", "fanduel", "yahoo"])
def test_an_illegal_lineup_is_refused_and_the_old_file_stays(site: str, tmp_path: Path) -> None:
    slate, contest = case(site)
    path = tmp_path / "upload.csv"
    path.write_text("as it was")
    good = lineup(slate, contest)
    a, b, *rest = good.players
    for bad, rule in (
        (UploadLineup((replace(a, slot=b.slot), replace(b, slot=a.slot), *rest)), "cannot fill|missing|lineup 2"),
        (UploadLineup((a, replace(b, id=a.id), *rest)), "2 times"),
        (UploadLineup((b, *rest)), "missing"),
        (UploadLineup((replace(a, id="404"), b, *rest)), "not on slate"),
    ):
        if check_lineup(bad, slate, contest):
            with pytest.raises(InvalidInput, match=rule):
                write_upload(path, [good, bad], slate, contest)
    dear = replace(slate, players=tuple(replace(p, salary_usd=p.salary_usd * 2) for p in slate.players))
    with pytest.raises(InvalidInput, match="cap"):
        write_upload(path, [good], dear, contest)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_counts_and_sites_are_checked() -> None:
    slate, contest = case("draftkings")
    good = lineup(slate, contest)
    with pytest.raises(InvalidInput, match=r"1\.\.500"):
        upload_text([], slate, contest)
    with pytest.raises(InvalidInput, match="501"):
        upload_text([good] * 501, slate, contest)
    with pytest.raises(InvalidInput, match="fanduel"):
        upload_text([good], slate, load_contest("fanduel"))


def test_cells_may_be_ids_names_or_marked_locked() -> None:
    slate, contest = case("draftkings")
    good = lineup(slate, contest)
    header, row = upload_text([good], slate, contest).split("\r\n")[:2]
    expected = read_upload(f"{header}\n{row}".encode(), slate, contest)
    by_upload = {p.upload_name: p for p in slate.players}
    for form in ("{p.site_id}", "{p.name}", "{p.upload_name} (LOCKED)", "{p.site_id}:{p.name}"):
        cells = ",".join(form.format(p=by_upload[cell]) for cell in row.split(","))
        assert read_upload(f"{header}\n{cells}\n".encode(), slate, contest) == expected


def test_a_name_two_players_share_needs_its_id() -> None:
    slate, contest = case("draftkings")
    players = (replace(slate.players[0], name="Same"), replace(slate.players[5], name="Same"), *slate.players[6:])
    cells = "Same" + "," * (contest.lineup_size - 1)
    with pytest.raises(SalaryFileError, match="Same"):
        read_upload(
            f"{','.join(contest.upload_header)}\n{cells}".encode(), replace(slate, players=players), contest
        )


def test_reading_refuses_other_files_and_unknown_players() -> None:
    slate, contest = case("draftkings")
    with pytest.raises(SalaryFileError, match="header"):
        read_upload(b"PG,SG\n1,2\n", slate, contest)
    header = ",".join(contest.upload_header)
    with pytest.raises(SalaryFileError, match="row 2"):
        read_upload(f"{header}\nNobody (9),2,3,4,5,6,7,8\n".encode(), slate, contest)
    with pytest.raises(SalaryFileError, match="row 2 holds 2 of 8"):
        read_upload(f"{header}\n100,101\n".encode(), slate, contest)


@pytest.mark.real_data
def test_real_entries_templates_are_read_and_written_back(fantasy_data: Path, tmp_path: Path) -> None:
    contest = load_contest("draftkings")
    read = 0
    for path in sorted((fantasy_data / "dfs" / "draftkings" / "nba" / "entries").glob("*.csv")):
        slate = read_salaries(path)
        if slate.mode != "classic":
            continue
        lineups = read_upload(path, slate, contest)
        legal = [one for one in lineups if not check_lineup(one, slate, contest)]
        assert len(legal) == len(lineups), path.name
        if legal:
            write_upload(tmp_path / path.name, legal, slate, contest)
            assert read_upload(tmp_path / path.name, slate, contest) == tuple(legal)
        read += len(legal)
    assert read >= 50
