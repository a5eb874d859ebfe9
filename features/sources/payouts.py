"""Payout structures of contests: which places win what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from features.errors import SalaryFileError
from features.sources.csv_text import read_csv_text


@dataclass(frozen=True, slots=True)
class Payouts:
    """`tiers` are (first place, last place, prize in USD), best first; `field_size` counts entries."""

    tiers: tuple[tuple[int, int, float], ...]
    field_size: int
    entry_fee_usd: float

    def prize_usd(self, place: int, tied: int = 1) -> float:
        """Prize of an entry at `place` with `tied` entries there: the prizes of those places, shared equally."""
        shared = sum(self._place_usd(p) for p in range(place, place + tied))
        return shared / tied

    def _place_usd(self, place: int) -> float:
        return next((usd for first, last, usd in self.tiers if first <= place <= last), 0.0)


def read_payouts(path: Path | str | bytes) -> Payouts:
    """Read a CSV of Place ('7-8'), Payout, Field Size, Entry Fee. Raises `SalaryFileError` naming the row."""
    text = read_csv_text(path, what="the payout file")
    titles = [cell.lower() for cell in text.rows[0]]
    wanted = ("place", "payout", "field size", "entry fee")
    if any(title not in titles for title in wanted):
        raise SalaryFileError(f"{text.origin} is no payout file; it needs the columns {', '.join(wanted)}")
    place, payout, size, fee = (titles.index(title) for title in wanted)
    tiers: list[tuple[int, int, float]] = []
    for line, row in zip(text.lines[1:], text.rows[1:], strict=True):
        if not any(row):
            continue
        span = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", row[place])
        expected = tiers[-1][1] + 1 if tiers else 1
        if span is None or int(span[1]) != expected:
            raise SalaryFileError(f"{text.origin}, row {line}: places {row[place]!r} do not go on from {expected}")
        tiers.append((expected, int(span[2] or span[1]), _money(row, payout, text.origin, line)))
    if not tiers:
        raise SalaryFileError(f"{text.origin} holds no places; download it again")
    first, line = text.rows[1], text.lines[1]
    field_size = int(_money(first, size, text.origin, line))
    return Payouts(tuple(tiers), field_size, _money(first, fee, text.origin, line))


def _money(row: tuple[str, ...], column: int, origin: str, line: int) -> float:
    text = row[column].replace("$", "").replace(",", "") if column < len(row) else ""
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise SalaryFileError(f"{origin}, row {line}, value {text!r}: not an amount; correct the row")
    return float(text)
