"""The kernel's stages: what all lanes of a scenario do in step (`work`), and how one of them decides what comes next
(`turn`).

`cuda_kernel.solve_on_gpu` puts barriers between the two; `solve_on_cpu` runs the lanes one after the other, to the same
lineups after the same number of steps.
"""

from __future__ import annotations

from models.lineups.cuda_layout import (
    BUDGET,
    LEVEL,
    PART,
    PROVEN,
    SIZE,
    SPENT_STEPS,
    STAGE,
    VALUE,
    Scratch,
    Slate,
    cpu_function,
    device_function,
)
from models.lineups.cuda_prices import assign, next_price, shortlist, start_pricing
from models.lineups.cuda_search import best_of_lanes, out_of_steps, search
from models.lineups.cuda_tables import (
    TOO_LONG,
    USABLE,
    bound_losses,
    close_level,
    cost_rows,
    fill_level,
    filter_rows,
    list_rows,
    rank_rows,
    reach_cells,
    to_beat,
    widen,
)
from models.lineups.pool import Floats

PRICING, COSTING, FILTERING, RANKING, LISTING, FILLING, SEARCHING, DONE = range(8)


@device_function
def begin(s: int, lanes: int, slate: Slate, scratch: Scratch) -> None:
    """Set one scenario's scratch up; whatever a scenario before it left there is gone."""
    start_pricing(s, slate, scratch)
    for lane in range(lanes):
        scratch.lanes[s, PART, lane] = scratch.lanes[s, VALUE, lane] = scratch.lanes[s, SPENT_STEPS, lane] = 0.0
    scratch.state[s, STAGE], scratch.state[s, PROVEN] = PRICING, 0


@device_function
def work(stage: int, s: int, lane: int, lanes: int, score: Floats, slate: Slate, scratch: Scratch) -> None:
    """This lane's part of a stage."""
    if stage == PRICING:
        shortlist(s, lane, lanes, score, slate, scratch)
    elif stage == COSTING:
        cost_rows(s, lane, lanes, score, slate, scratch)
    elif stage == FILTERING:
        filter_rows(s, lane, lanes, slate, scratch)
    elif stage == RANKING:
        rank_rows(s, lane, lanes, slate, scratch)
    elif stage == LISTING:
        list_rows(s, lane, lanes, slate, scratch)
    elif stage == FILLING:
        fill_level(s, lane, lanes, slate, scratch)
    elif stage == SEARCHING:
        search(s, lane, lanes, score, slate, scratch)


@device_function
def turn(  # noqa: C901 - a branch per stage
    stage: int, s: int, lanes: int, score: Floats, slate: Slate, scratch: Scratch
) -> None:
    """Finish a stage and write the next one; for a single lane."""
    state, after = scratch.state, stage + 1
    if stage == PRICING:
        if not assign(s, slate, scratch):
            after = DONE
        elif next_price(s, score, slate, scratch):
            after = PRICING
    elif stage == COSTING:
        bound_losses(s, lanes, score, slate, scratch)
        if scratch.numbers[s, BUDGET] < 0.0:
            after, state[s, PROVEN] = DONE, 1
    elif stage == LISTING:
        lists = reach_cells(s, slate, scratch)
        state[s, LEVEL] = slate.limits[SIZE]
        if lists == TOO_LONG:
            after = DONE
        elif lists != USABLE:
            after = wider(s, slate, scratch)
    elif stage == FILLING:
        close_level(s, lanes, scratch)
        if state[s, LEVEL] >= 0:
            after = FILLING
    elif stage == SEARCHING:
        best_of_lanes(s, lanes, slate, scratch)
        after = DONE if out_of_steps(s, lanes, slate, scratch) else wider(s, slate, scratch)
    state[s, STAGE] = after


@device_function
def wider(s: int, slate: Slate, scratch: Scratch) -> int:
    """What comes once all within the budget is seen: a wider one, unless what is beyond cannot beat the best known."""
    if scratch.numbers[s, BUDGET] >= to_beat(s, slate, scratch):
        scratch.state[s, PROVEN] = 1
        return DONE
    return FILTERING if widen(s, slate, scratch) else DONE


@cpu_function
def solve_on_cpu(score: Floats, slate: Slate, scratch: Scratch, lanes: int) -> None:
    """Solve every score vector (B, N): lineups into scratch.seats[:, BEST_SEAT], proofs into scratch.state."""
    for s in range(score.shape[0]):
        begin(s, lanes, slate, scratch)
        while scratch.state[s, STAGE] != DONE:
            stage = scratch.state[s, STAGE]
            for lane in range(lanes):
                work(stage, s, lane, lanes, score, slate, scratch)
            turn(stage, s, lanes, score, slate, scratch)
