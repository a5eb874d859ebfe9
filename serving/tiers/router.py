"""Which tier answers: the cheapest adequate one that can before the deadline, else a cheaper one, marked, else none.

Pure but for the lanes it looks at, and a clock: `tests/unit/serving/test_tiers_overload.py` drives it with a virtual
one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from serving.errors import DeadlineTooShort, Late, Overloaded, TooManyQuestions
from serving.tiers.costs import Clock, Tier
from serving.tiers.lanes import Estimate, Lane


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question needs: `adequate` tiers answer it in full, cheapest first; `cheaper` ones only roughly, the
    best first. `rows` is its size in rows of model input; `before_s` are seconds a regional answer takes besides the
    model, for rows that have to be assembled."""

    kind: str
    rows: int
    adequate: tuple[Tier, ...]
    cheaper: tuple[Tier, ...] = ()
    before_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The tier that answers, and whether its answer is only a rough one."""

    tier: Tier
    degraded: bool


class Router:
    """Chooses among the tiers there are: `lanes` by tier."""

    def __init__(self, lanes: Mapping[Tier, Lane], clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock

    def choose(self, wanted: Wanted, deadline_at: float, asked_s: float = math.inf) -> Choice:
        """The tier for a question to be answered by `deadline_at` (seconds of the clock); `asked_s`: the time given.

        Raises `Late` when that has passed, `DeadlineTooShort` when no tier could do it even when idle,
        `TooManyQuestions` and `Overloaded` (with the seconds after which to ask again) while it is too busy.
        """
        left = deadline_at - self._clock()
        if left <= 0:
            raise self._late(wanted, left, asked_s)
        seen: dict[Tier, Estimate] = {}
        for degraded, tiers in ((False, wanted.adequate), (True, wanted.cheaper)):
            for tier in tiers:
                lane = self._lanes.get(tier)
                if lane is None:
                    continue
                found = lane.estimate(wanted.kind, wanted.rows)
                if tier == "regional" and wanted.before_s:
                    found = found.later(wanted.before_s)
                seen[tier] = found
                if not found.full and found.safe_s <= left:
                    return Choice(tier, degraded)
        raise _refusal(wanted, seen, left)

    def _late(self, wanted: Wanted, left: float, asked_s: float) -> Exception:
        lanes = [
            lane for tier in (*wanted.adequate, *wanted.cheaper) if (lane := self._lanes.get(tier)) is not None
        ]
        least = min((lane.estimate(wanted.kind, wanted.rows).idle_s for lane in lanes), default=0.0)
        if asked_s < least:
            return _too_short(wanted, asked_s, least)
        return Late(f"the deadline passed {-1000 * left:.0f} ms ago, before the question was looked at: ask again")


def _too_short(wanted: Wanted, left: float, least: float) -> DeadlineTooShort:
    return DeadlineTooShort(
        f"deadline_ms leaves {1000 * left:.1f} ms, and a question of kind {wanted.kind!r} with {wanted.rows} rows "
        f"takes {1000 * least:.1f} ms even when nothing waits: give it more time"
    )


def _refusal(wanted: Wanted, seen: Mapping[Tier, Estimate], left: float) -> Exception:
    best = min(seen.values(), key=lambda each: each.safe_s)
    least = min(each.idle_s for each in seen.values())
    if least > left:
        return _too_short(wanted, left, least)
    retry_after_s = max(best.safe_s - left, 0.1)
    if all(each.full for each in seen.values()):
        return TooManyQuestions(
            f"every place for questions of kind {wanted.kind!r} is taken: ask again in {retry_after_s:.1f} s",
            retry_after_s,
        )
    return Overloaded(
        f"a question of kind {wanted.kind!r} would take {1000 * best.safe_s:.0f} ms now and {1000 * left:.0f} ms are "
        f"left: ask again in {retry_after_s:.1f} s, or give it more time",
        retry_after_s,
    )
