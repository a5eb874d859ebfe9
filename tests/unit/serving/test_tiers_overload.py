"""The router under load, in virtual time: deadlines hold, overload costs little, slow machines are learned."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.tiers.costs import Tier
from tests.unit.serving.tiers_world import World

#: True seconds of a batch: base and per row. The regional tier can do about 6,500 rows a second here.
TRUE: dict[Tier, tuple[float, float]] = {"edge": (20e-6, 0.0), "regional": (2e-3, 150e-6), "cloud": (0.08, 0.0)}


def truth(slower: float = 1.0) -> Callable[[Tier, int], float]:
    def took(tier: Tier, rows: int) -> float:
        base, row = TRUE[tier]
        return slower * (base + row * rows)

    return took


def test_at_a_load_it_can_bear_every_question_is_answered_in_full_and_in_time() -> None:
    world = World(truth())
    world.run(rate=400, seconds=20)
    regional, edge = world.tally["regional"], world.tally["edge"]
    assert edge.in_time / edge.asked > 0.999
    assert regional.in_time / regional.asked > 0.99
    assert regional.degraded / regional.asked < 0.05
    assert world.tally["cloud"].in_time / world.tally["cloud"].asked > 0.97


def test_what_is_admitted_under_overload_is_in_time_and_the_rest_is_marked_or_refused() -> None:
    world = World(truth())
    world.run(rate=3_000, seconds=10)
    for tier, tally in world.tally.items():
        assert tally.served + tally.refused + tally.dropped == tally.asked, tier
        assert tally.in_time / tally.served > 0.98, tier
    regional, cloud = world.tally["regional"], world.tally["cloud"]
    assert regional.degraded > 0.3 * regional.asked  # the edge answers what the models cannot
    assert regional.refused == 0
    # Four hand-overs of 80 ms side by side are 50 a second; 60 are asked for.
    assert cloud.refused > 0 and cloud.in_time > 0.8 * 50 * 10
    assert all(after > 0 for after in cloud.retry_after)


def test_goodput_at_five_times_the_load_is_that_of_the_peak() -> None:
    def goodput(rate: float, admission: bool = True) -> tuple[float, float]:
        world = World(truth(), admission=admission)
        world.run(rate=rate, seconds=5)
        full = world.tally["regional"].in_time - world.tally["regional"].degraded
        return full, world.tally["cloud"].in_time

    peak = [max(each) for each in zip(*(goodput(rate) for rate in (1000, 3000)), strict=True)]
    five_times = goodput(15_000)
    assert five_times[0] >= 0.95 * peak[0]
    assert five_times[1] >= 0.95 * peak[1]
    rival = goodput(15_000, admission=False)
    assert rival[0] < 0.1 * five_times[0] and rival[1] < 0.2 * five_times[1]


@pytest.mark.parametrize("slower", [4.0, 10.0])
def test_a_machine_slower_than_the_table_is_learned(slower: float) -> None:
    world = World(truth(slower))
    world.run(rate=1_000, seconds=2)
    for tally in world.tally.values():
        tally.clear()  # what it cost to learn is not asked about here
    world.run(rate=1_000, seconds=20)
    for tier in ("edge", "regional"):
        tally = world.tally[tier]
        assert tally.in_time / tally.served > 0.99, tier
        assert tally.asked == tally.served + tally.dropped + tally.refused


def test_a_tier_that_was_slow_is_tried_again_once_it_has_recovered() -> None:
    slower = 60.0
    world = World(lambda tier, rows: slower * truth()(tier, rows) if tier == "regional" else truth()(tier, rows))
    world.run(rate=200, seconds=10)
    sick = world.tally["regional"]
    assert sick.degraded > 0.8 * sick.asked
    slower = 1.0
    world.tally["regional"].clear()
    world.run(rate=200, seconds=30)
    well = world.tally["regional"]
    assert well.degraded < 0.4 * well.asked
    world.tally["regional"].clear()
    world.run(rate=200, seconds=10)
    assert world.tally["regional"].degraded < 0.02 * world.tally["regional"].asked
