"""The kernel's search: depth first through everything that loses less than the budget, shared out among lanes.

Lanes take the pairs of rows for the first two slots in turn and tell one another nothing until all are done, so that
the same scenario always ends in the same lineup, after the same number of steps.
"""

from __future__ import annotations

from models.lineups.cuda_layout import (
    AT,
    BEST,
    BEST_SEAT,
    BIT,
    BITS,
    BOUND,
    BUDGET,
    CAP,
    CHOSEN,
    CHOSEN_ROW,
    CODE,
    COUNT,
    GAME_AT,
    GAMES,
    LEAST,
    LEFT,
    LIKE,
    LISTED_ROW,
    LISTED_SALARY,
    MASK_AT,
    PER_GAME,
    PER_TEAM,
    PERSON,
    RANK,
    SIDE_AT,
    SIZE,
    SLOT,
    SPENT_STEPS,
    STEPS,
    TEAM_AT,
    TEAMS,
    VALUE,
    Scratch,
    Slate,
    device_function,
)
from models.lineups.pool import Floats

#: What comes of seating a row: not possible; seated; it and all after it lose too much.
REFUSED, SEATED, TOO_DEAR = range(3)


@device_function
def search(  # noqa: C901 - one loop: a call per step would cost more than the step
    s: int, lane: int, lanes: int, score: Floats, slate: Slate, scratch: Scratch
) -> None:
    """See every lineup of this lane's share within the budget; SPENT_STEPS beyond the limit: not all were seen."""
    size, seats, depth = slate.limits[SIZE], scratch.seats, scratch.depth
    budget, steps = scratch.numbers[s, BUDGET], slate.limits[STEPS] - int(scratch.lanes[s, SPENT_STEPS, lane])
    scratch.lanes[s, VALUE, lane] = scratch.numbers[s, BEST]
    depth[s, LEFT, 0, lane], depth[s, BITS, 0, lane], scratch.lost[s, 0, lane] = slate.limits[CAP], 0, 0.0
    first, second, like = seats[s, COUNT, 0], seats[s, COUNT, 1], slate.order[LIKE, 1] > 0
    pair = lane - lanes
    while steps >= 0:
        pair += lanes
        if pair >= first * second:
            break
        a = pair // second
        b = pair - a * second
        if like and b <= a:
            continue
        steps -= 1
        came = place(s, 0, a, lane, budget, slate, scratch)
        if came == TOO_DEAR:
            break
        if came == SEATED:
            came = place(s, 1, b, lane, budget, slate, scratch)
        if came == TOO_DEAR:  # on to the next row of the first slot
            pair += (second - 1 - b) // lanes * lanes
        if came != SEATED:
            continue
        k = 2
        depth[s, AT, 1, lane] = b + 1
        depth[s, AT, 2, lane] = b + 1 if slate.order[LIKE, 2] > 0 else 0
        while k >= 2 and steps >= 0:
            at = depth[s, AT, k, lane]
            steps -= 1
            if at >= seats[s, COUNT, k]:
                k -= 1
                continue
            depth[s, AT, k, lane] = at + 1
            came = place(s, k, at, lane, budget, slate, scratch)
            if came == TOO_DEAR:
                k -= 1
            elif came == SEATED and k < size - 1:
                k += 1
                depth[s, AT, k, lane] = at + 1 if slate.order[LIKE, k] > 0 else 0
            elif came == SEATED:
                value = keep(s, lane, score, slate, scratch)
                budget = min(budget, scratch.numbers[s, BOUND] - value - slate.rules[0])
    scratch.lanes[s, SPENT_STEPS, lane] = slate.limits[STEPS] - steps


@device_function
def place(s: int, k: int, at: int, lane: int, budget: float, slate: Slate, scratch: Scratch) -> int:
    """Seat the `at`-th row of the k-th slot's list beside those chosen, if losses, salary and rules allow."""
    lists, depth = scratch.lists, scratch.depth
    total, bits = scratch.lost[s, k, lane] + scratch.loss[s, k, at], depth[s, BITS, k, lane]
    if total + scratch.slots[s, LEAST, k + 1] + scratch.forfeit[s, k, bits] > budget:
        return TOO_DEAR
    rest, bits = depth[s, LEFT, k, lane] - lists[s, LISTED_SALARY, k, at], bits | lists[s, BIT, k, at]
    if rest < 0 or total + scratch.suffix[s, k + 1, rest] + scratch.forfeit[s, k + 1, bits] > budget:
        return REFUSED
    rank, row = lists[s, RANK, k, at], lists[s, LISTED_ROW, k, at]
    if not admissible(s, k, rank, slate.traits[row], lane, slate, scratch):
        return REFUSED
    depth[s, CHOSEN, k, lane], depth[s, CHOSEN_ROW, k, lane] = rank, row
    scratch.marks[s, k, lane] = slate.traits[row]
    scratch.lost[s, k + 1, lane] = total
    depth[s, LEFT, k + 1, lane], depth[s, BITS, k + 1, lane] = rest, bits
    return SEATED


@device_function
def admissible(s: int, k: int, rank: int, one: int, lane: int, slate: Slate, scratch: Scratch) -> bool:
    """Whether a row with traits `one` may take the k-th slot: his person is new, team and game rules hold, and the
    seating is canonical (two who could swap slots sit in core order, which leaves each set at least one seating)."""
    mates, rivals, here = 0, 0, slate.order[SLOT, k]
    new_side, new_game = one >> SIDE_AT & CODE != 0, True
    for a in range(k):
        other = scratch.marks[s, a, lane]
        differ = one ^ other
        if differ & PERSON == 0:
            return False
        if (
            scratch.depth[s, CHOSEN, a, lane] > rank
            and one >> (MASK_AT + slate.order[SLOT, a]) & 1
            and other >> (MASK_AT + here) & 1
        ):
            return False
        mates += differ >> TEAM_AT & CODE == 0
        rivals += differ >> GAME_AT & CODE == 0
        new_side = new_side and differ >> SIDE_AT & CODE != 0
        new_game = new_game and differ >> GAME_AT & CODE != 0
    limits = slate.limits
    open_slots = limits[SIZE] - k - 1
    if mates >= limits[PER_TEAM] or rivals >= limits[PER_GAME]:
        return False
    if (
        limits[TEAMS] > open_slots + 1
        and spread(s, k, SIDE_AT, lane, scratch) + new_side + open_slots < limits[TEAMS]
    ):
        return False
    return bool(
        limits[GAMES] <= open_slots + 1
        or spread(s, k, GAME_AT, lane, scratch) + new_game + open_slots >= limits[GAMES]
    )


@device_function
def spread(s: int, k: int, at: int, lane: int, scratch: Scratch) -> int:
    """How many different teams that count (SIDE_AT) or games (GAME_AT) the first k chosen have."""
    count = 0
    for a in range(k):
        code = scratch.marks[s, a, lane] >> at & CODE
        new = at == GAME_AT or code != 0
        for b in range(a):
            new = new and scratch.marks[s, b, lane] >> at & CODE != code
        count += new
    return count


@device_function
def keep(s: int, lane: int, score: Floats, slate: Slate, scratch: Scratch) -> float:
    """Remember a full lineup if it is this lane's best; return that best one's score."""
    size, value = slate.limits[SIZE], 0.0
    for k in range(size):
        value += score[s, scratch.depth[s, CHOSEN_ROW, k, lane]]
    best: float = scratch.lanes[s, VALUE, lane]
    if value <= best:
        return best
    scratch.lanes[s, VALUE, lane] = value
    for k in range(size):
        scratch.found[s, k, lane] = scratch.depth[s, CHOSEN_ROW, k, lane]
    return value


@device_function
def best_of_lanes(s: int, lanes: int, slate: Slate, scratch: Scratch) -> None:
    """Take over the best lineup of all lanes, the first of equals, where it beats the one known."""
    for lane in range(lanes):
        if scratch.lanes[s, VALUE, lane] > scratch.numbers[s, BEST]:
            scratch.numbers[s, BEST] = scratch.lanes[s, VALUE, lane]
            for k in range(slate.limits[SIZE]):
                scratch.seats[s, BEST_SEAT, slate.order[SLOT, k]] = scratch.found[s, k, lane]


@device_function
def out_of_steps(s: int, lanes: int, slate: Slate, scratch: Scratch) -> bool:
    """Whether some lane has used up its steps."""
    most = 0.0
    for lane in range(lanes):
        most = max(most, scratch.lanes[s, SPENT_STEPS, lane])
    return bool(most > slate.limits[STEPS])
