"""A player's own file: points, and floors, ceilings, deviations and ownership where it has columns for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import SalaryFileError
from features.sources.projections_file import OwnNumbers, read_own_numbers, read_projections
from features.sources.salaries import read_salaries


def test_other_columns_are_read_in_whatever_form(salaries: Path) -> None:
    slate = read_salaries(salaries)
    file = b"Name,Fpts,Floor,Ceiling,Own%\nAda Abbot,30,12,55,16.5%\nAda Birch,20,,,0\n"
    numbers = read_own_numbers(file, slate)
    assert numbers["1000"] == OwnNumbers(30.0, 12.0, 55.0, pytest.approx(0.165))
    assert numbers["1001"] == OwnNumbers(20.0, None, None, 0.0)
    assert read_projections(file, slate) == {"1000": 30.0, "1001": 20.0}
    spread = read_own_numbers(b"ID,Proj,StdDev,Ownership\n1000,30,10,0.2\n1001,5,8,0.9\n", slate)
    assert spread["1000"].ceiling == pytest.approx(30 + 12.8155, abs=1e-3)
    assert spread["1000"].floor == pytest.approx(30 - 12.8155, abs=1e-3)
    assert spread["1001"].floor == 0.0 and spread["1001"].ownership == 0.9
    per_cent = read_own_numbers(b"ID,Proj,Own\n1000,30,20\n1001,5,1\n", slate)
    assert (per_cent["1000"].ownership, per_cent["1001"].ownership) == pytest.approx((0.2, 0.01))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Ada Abbot,30,40,35,10", "floor 40.0 is above ceiling 35.0"),
        ("Ada Abbot,30,31,,10", "floor 31.0 is above ceiling 30.0"),
        ("Ada Abbot,30,,,101", "'101'"),
        ("Ada Abbot,30,low,,10", "'floor'"),
        ("Ada Abbot,,1,2,10", "'points'"),
        ("Ada Abbot,nan,1,2,10", "'points'"),
    ],
)
def test_values_that_cannot_be_are_named(salaries: Path, row: str, said: str) -> None:
    file = f"Name,Fpts,Floor,Ceiling,Own%\n{row}\n".encode()
    with pytest.raises(SalaryFileError) as caught:
        read_own_numbers(file, read_salaries(salaries))
    assert said in str(caught.value) and "row 2" in str(caught.value)
