"""Payout structures: tiers without gaps, ties share the prizes of their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import SalaryFileError
from features.sources.payouts import read_payouts

TEXT = "Place,Payout,Field Size,Entry Fee\n1,1500,4458,4\n2,750,,\n3-5,$200,,\n6-10,40,,\n"


def test_prizes_and_ties() -> None:
    payouts = read_payouts(TEXT.encode())
    assert (payouts.field_size, payouts.entry_fee_usd) == (4458, 4)
    assert [payouts.prize_usd(place) for place in (1, 2, 5, 6, 10, 11)] == [1500, 750, 200, 40, 40, 0]
    assert payouts.prize_usd(1, tied=2) == 1125
    assert payouts.prize_usd(10, tied=4) == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("3-5", "4-5"), "row 4"),
        (TEXT.replace("$200", "much"), "row 4"),
        (TEXT.splitlines()[0], "no places"),
        ("a,b\n1,2\n", "payout"),
        (TEXT.replace("4458", ""), "row 2"),
    ],
)
def test_bad_payouts_are_refused(text: str, message: str) -> None:
    with pytest.raises(SalaryFileError, match=message):
        read_payouts(text.encode())


@pytest.mark.real_data
def test_real_payouts_return_less_than_the_entry_fees(fantasy_data: Path) -> None:
    files = list((fantasy_data / "dfs" / "draftkings" / "nba" / "payouts").glob("*.csv"))
    assert len(files) == 8
    for path in files:
        payouts = read_payouts(path)
        paid = sum((last - first + 1) * usd for first, last, usd in payouts.tiers)
        taken = payouts.field_size * payouts.entry_fee_usd
        assert 0.75 * taken < paid < taken, path
