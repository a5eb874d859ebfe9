"""Payout structures of contests: which places win what."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInput, SalaryFileError
from features.sources.csv_text import read_csv_text

Preset = Literal["gpp", "double_up", "fifty_fifty", "winner_take_all"]
#: What the house keeps where a preset is not told: as in eight real $3 and $4 NBA tournaments of December 2024.
RAKE: Final = 0.159
#: Their usual shape: a quarter of the field is paid, the last of them 1.5 fees, the winner a tenth of the pool.
GPP_PAID_SHARE: Final = 0.25
GPP_LEAST_FEES: Final = 1.5
GPP_FIRST_SHARE: Final = 0.10


@dataclass(frozen=True, slots=True)
class Payouts:
    """`tiers` are (first place, last place, prize in USD), best first; `field_size` counts entries."""

    tiers: tuple[tuple[int, int, float], ...]
    field_size: int
    entry_fee_usd: float

    @property
    def pool_usd(self) -> float:
        """Sum of all prizes."""
        return sum((last - first + 1) * usd for first, last, usd in self.tiers)

    @property
    def rake(self) -> float:
        """Share of the fees not paid out; negative where the prizes exceed the fees."""
        fees = self.field_size * self.entry_fee_usd
        return 1 - self.pool_usd / fees if fees > 0 else 0.0

    @property
    def paid_places(self) -> int:
        """How many places win anything."""
        return max((last for _, last, usd in self.tiers if usd > 0), default=0)

    def prize_usd(self, place: int, tied: int = 1) -> float:
        """Prize of an entry at `place` with `tied` entries there: the prizes of those places, shared equally."""
        shared = sum(self._place_usd(p) for p in range(place, place + tied))
        return shared / tied

    def cumulative_usd(self, entries: int) -> NDArray[np.float64]:
        """(entries + 1,): the sum of the best k prizes for k = 0 .. entries, so ties split as a difference of two."""
        prizes = np.zeros(entries + 1)
        for first, last, usd in self.tiers:
            prizes[min(first, entries + 1) : min(last, entries) + 1] = usd
        return np.cumsum(prizes)

    def problems(self) -> tuple[str, ...]:
        """What looks wrong, in words: prizes above the fees, more paid places than entries."""
        found = []
        fees = self.field_size * self.entry_fee_usd
        if self.pool_usd > fees + 0.005:
            found.append(
                f"prizes of ${self.pool_usd:,.2f} exceed the fees of ${fees:,.2f} ({self.field_size:,} x "
                f"${self.entry_fee_usd:g}): every return is flattered by ${self.pool_usd - fees:,.2f}"
            )
        if self.paid_places > self.field_size:
            found.append(f"{self.paid_places:,} places are paid but only {self.field_size:,} entries take part")
        return tuple(found)

    def scaled(self, field_size: int) -> Payouts:
        """The same structure for another field: equal fee, rake and share of paid places.

        Large contests pay their winner more and their last paid place the same: prizes between follow on the
        logarithmic scale, and those above the least are then multiplied by what makes the pool fit.
        """
        if field_size < 1:
            raise InvalidInput(f"field_size is {field_size}; a contest needs at least 1 entry")
        if field_size == self.field_size or not self.paid_places:
            return Payouts(self.tiers, field_size, self.entry_fee_usd)
        ratio = field_size / self.field_size
        old = np.diff(self.cumulative_usd(self.paid_places))
        least, most = float(old[old > 0].min()), float(old.max())
        if most - least < 0.005 and self.paid_places > 1:
            flat = max(1, int(self.pool_usd * ratio / most + 1e-9))
            return Payouts(((1, flat, self.tiers[0][2]),), field_size, self.entry_fee_usd)
        paid = 1 if self.paid_places == 1 else max(1, round(self.paid_places * ratio))
        stretch = math.log(len(old)) / math.log(paid) if paid > 1 else 1.0
        at = np.log(np.arange(1, paid + 1)) * stretch
        prizes = np.exp(np.interp(at, np.log(np.arange(1, len(old) + 1)), np.log(np.maximum(old, 1e-9))))
        if paid > 1:
            prizes *= ratio ** (np.log(np.maximum(prizes, least) / least) / math.log(most / least))
        return Payouts(_tiers(_fit(prizes, least, self.pool_usd * ratio)), field_size, self.entry_fee_usd)

    def _place_usd(self, place: int) -> float:
        return next((usd for first, last, usd in self.tiers if first <= place <= last), 0.0)


def preset_payouts(
    preset: Preset, *, field_size: int = 10_000, entry_fee_usd: float = 4.0, rake: float = RAKE
) -> Payouts:
    """A typical structure that pays out 1 - `rake` of the fees.

    gpp: a quarter of the field is paid, the winner a tenth of the pool. double_up: two fees for as many as the pool
    pays. fifty_fifty: the better half share the pool. winner_take_all. Raises `InvalidInput` for anything else.
    """
    if preset not in get_args(Preset):
        raise InvalidInput(f"payout preset {preset!r} is not known; choose one of {', '.join(get_args(Preset))}")
    if field_size < 2 or not 0 <= rake < 1 or not (entry_fee_usd > 0 and math.isfinite(entry_fee_usd)):
        raise InvalidInput(
            f"field_size {field_size}, entry_fee_usd {entry_fee_usd}, rake {rake}: a contest needs 2 or more entries, "
            "a fee above 0 and a rake from 0 up to 1"
        )
    pool = field_size * entry_fee_usd * (1 - rake)
    if preset == "winner_take_all":
        prizes = np.array([pool])
    elif preset == "double_up":
        prizes = np.full(max(1, int(pool // (2 * entry_fee_usd))), 2 * entry_fee_usd)
    elif preset == "fifty_fifty":
        prizes = np.full(field_size // 2, pool / (field_size // 2))
    else:
        prizes = _top_heavy(field_size, entry_fee_usd, pool)
    return Payouts(_tiers(prizes), field_size, entry_fee_usd)


def _top_heavy(field_size: int, fee: float, pool: float) -> NDArray[np.float64]:
    """Power law from the winner's share down to the least prize, its exponent solved so that the pool is met."""
    places = np.arange(1, max(1, round(field_size * GPP_PAID_SHARE)) + 1, dtype=np.float64)
    least, first = GPP_LEAST_FEES * fee, GPP_FIRST_SHARE * pool
    if least * len(places) >= pool or first <= least:
        return np.full(len(places), pool / len(places))
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        total = float(np.maximum(first * places**-middle, least).sum())
        low, high = (middle, high) if total > pool else (low, middle)
    return _fit(np.maximum(first * places**-high, least), least, pool)


def _fit(prizes: NDArray[np.float64], least: float, pool: float) -> NDArray[np.float64]:
    """Multiply what is above the least prize so that all add up to the pool."""
    above = prizes - least
    room = pool - least * len(prizes)
    if room > 0 and above.sum() > 1e-9:
        return np.asarray(least + above * (room / above.sum()))
    return np.asarray(prizes * (pool / prizes.sum()))


def _tiers(prizes: NDArray[np.float64]) -> tuple[tuple[int, int, float], ...]:
    """Runs of equal prizes, rounded down to whole cents."""
    cents = np.floor(np.sort(prizes)[::-1] * 100 + 1e-6).astype(np.int64).tolist()
    tiers, place = [], 1
    for value, run in groupby(cents):
        count = len(list(run))
        tiers.append((place, place + count - 1, value / 100))
        place += count
    return tuple(tiers)


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
        if span is None or int(span[1]) != expected or int(span[2] or span[1]) < expected:
            raise SalaryFileError(f"{text.origin}, row {line}: places {row[place]!r} do not go on from {expected}")
        tiers.append((expected, int(span[2] or span[1]), _money(row, payout, text.origin, line)))
    if not tiers:
        raise SalaryFileError(f"{text.origin} holds no places; download it again")
    first, line = text.rows[1], text.lines[1]
    field_size = int(_money(first, size, text.origin, line))
    if field_size < 1:
        raise SalaryFileError(f"{text.origin}, row {line}: field size {field_size}; a contest has entries")
    return Payouts(tuple(tiers), field_size, _money(first, fee, text.origin, line))


def _money(row: tuple[str, ...], column: int, origin: str, line: int) -> float:
    text = row[column].replace("$", "").replace(",", "") if column < len(row) else ""
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise SalaryFileError(f"{origin}, row {line}, value {text!r}: not an amount; correct the row")
    return float(text)
