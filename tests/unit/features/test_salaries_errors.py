"""Bad salary files are refused with a message naming the row, the field and the fix; none hangs or half-reads."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SalaryFileError
from features.sources.salaries import read_salaries
from tests.unit.features.salary_texts import NEW_DK, NEW_FD, OLD_DK, YAHOO


def refusal(data: bytes | Path, **options: object) -> str:
    with pytest.raises(SalaryFileError) as caught:
        read_salaries(data, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "site", "detected"),
    [(NEW_DK, "fanduel", "draftkings"), (NEW_FD, "yahoo", "fanduel"), (YAHOO, "draftkings", "yahoo"),
     (OLD_DK, "yahoo", "draftkings")],
)  # fmt: skip
def test_wrong_site_names_the_detected_one(text: str, site: str, detected: str) -> None:
    message = refusal(text.encode(), site=site)
    assert detected in message.lower()
    assert site in message


@pytest.mark.parametrize("value", ["-11500", "", "abc", "0", "nan", "11.5", "1e4", "99999999"])
def test_bad_salary_names_row_field_and_value(value: str) -> None:
    message = refusal(NEW_DK.replace("11500", value).encode())
    assert "row 2" in message
    assert "salary" in message
    assert repr(value) in message


def test_salary_may_carry_a_dollar_sign_and_thousands() -> None:
    assert read_salaries(NEW_DK.replace("11500", '"$11,500"').encode()).players[0].salary_usd == 11500


@pytest.mark.parametrize("text", [NEW_DK, OLD_DK, NEW_FD, YAHOO])
def test_duplicate_player_is_refused(text: str) -> None:
    doubled = text + text.splitlines()[1] + "\n"
    message = refusal(doubled.encode())
    assert "duplicate player" in message
    assert "row 2" in message


def test_duplicate_with_another_id_is_refused() -> None:
    doubled = NEW_DK + NEW_DK.splitlines()[1].replace("37026735", "999") + "\n"
    assert "duplicate player" in refusal(doubled.encode())


@pytest.mark.parametrize("text", [NEW_DK, OLD_DK, NEW_FD, YAHOO])
def test_empty_slate_is_refused(text: str) -> None:
    assert "empty" in refusal(text.splitlines()[0].encode())


@pytest.mark.parametrize("text", [NEW_DK, OLD_DK, NEW_FD, YAHOO])
def test_a_file_cut_off_in_its_first_row_is_refused(text: str) -> None:
    header, row = text.splitlines()[:2]
    last_cell = row.rindex(",") + 1
    for cut in range(1, last_cell):
        message = refusal(f"{header}\n{row[:cut]}".encode())
        assert "row 2" in message or "line 2" in message, row[:cut]


def test_a_cut_inside_the_team_is_noticed() -> None:
    assert "row 2" in refusal(
        NEW_DK.splitlines()[0].encode() + b"\nC,A (1),A,1,C,3000,DAL@GSW 12/15/2024 08:30PM ET,D,1"
    )


def test_unknown_columns_are_listed() -> None:
    message = refusal(b"a,b,c\n1,2,3\n")
    assert "'a'" in message
    assert "DraftKings" in message
    missing = refusal(NEW_DK.replace("Salary", "Price").encode())
    assert "salary" in missing
    assert "lacks" in missing


def test_other_kinds_of_file_are_named() -> None:
    assert "standings" in refusal(b"Rank,EntryId,EntryName,TimeRemaining,Points,Lineup\n1,2,a,0,3,\n")
    assert "projections" in refusal(b"Name,Position,Team,Minutes,Salary,Fpts,Own%,StdDev\na,C,LAL,1,2,3,4,5\n")


def test_another_sport_is_pointed_out() -> None:
    message = refusal(OLD_DK.replace('"PG"', '"QB"').encode())
    assert "QB" in message
    assert "sport" in message


@pytest.mark.parametrize(
    "data",
    [b"", b"  \n\n", b"\x00\x01\x02", b"\xff\xfe\x00", b"\x1f\x8b\x08", "日本,名前\n".encode("shift-jis"),
     bytes(range(256)), b'"Position","Name', b"\xff" * 100, b"Position\x07,Name\n"],
)  # fmt: skip
def test_unreadable_bytes_are_refused(data: bytes) -> None:
    assert refusal(data)


def test_workbook_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    book = tmp_path / "DKSalaries.xlsx"
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("x", NEW_DK)
    assert "Excel" in refusal(book)
    assert "missing.csv" in refusal(tmp_path / "missing.csv")
    assert refusal(tmp_path)


@pytest.mark.timeout(120)
def test_nothing_of_20_megabytes_is_read_and_garbage_does_not_hang(tmp_path: Path) -> None:
    header, row = NEW_DK.splitlines()[:2]
    large = tmp_path / "large.csv"
    large.write_text(header + "\n" + "\n".join(row.replace("37026735", str(i)) for i in range(210_000)))
    assert large.stat().st_size > 20_000_000
    assert "MB" in refusal(large)
    noise = random.Random(1).randbytes(20_000_000)
    assert "MB" in refusal(noise)
    for garbage in (b"," * 9_000_000, b"a" * 9_000_000, b"a\n" * 4_500_000, b'"' + b"a,\n" * 3_000_000):
        assert refusal(garbage)


def test_impossible_time_and_bad_average_name_the_row() -> None:
    assert "row 2" in refusal(NEW_DK.replace("12/15/2024 08:30PM", "13/45/2024 08:30PM").encode())
    assert "row 2" in refusal(NEW_DK.replace("56.26", "nan").encode())
    assert "average" in refusal(NEW_DK.replace("56.26", "lots").encode())


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([NEW_DK, OLD_DK, NEW_FD, YAHOO]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=0, max_size=4)), min_size=1, max_size=6),
)
def test_a_damaged_file_is_read_as_a_sound_slate_or_refused(text: str, damage: list[tuple[int, bytes]]) -> None:
    data = text.encode()
    for place, patch in damage:
        data = data[:place] + patch + data[place + len(patch) + len(patch) % 2 :]
    try:
        slate = read_salaries(data)
    except SalaryFileError as error:
        assert str(error)
        return
    assert slate.players
    assert all(0 < p.salary_usd < 1_000_000 and p.name and p.positions and p.site_id for p in slate.players)
    assert len({p.site_id for p in slate.players}) == len(slate.players)
