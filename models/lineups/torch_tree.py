"""Every lineup that could still beat the best one known, for many score vectors at once, in torch.

Level by level all partial lineups within the loss budget are expanded; nothing is dropped, so a scenario that stays
within the limits is settled, whether something better turns up or not.

Letters: B scenarios, S slots, M partial lineups of all scenarios together, K rows considered per slot.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from models.lineups.torch_bounds import Core, Slate, admissible


class Partial(NamedTuple):
    """Partial lineups: scenario (M,), rows so far (M, k), loss (M,), salary left (M,), premium rows seated (M,)."""

    scenario: Tensor
    chosen: Tensor
    loss: Tensor
    left: Tensor
    bits: Tensor

    def at(self, index: Tensor) -> Partial:
        """Those at `index`."""
        return Partial(*(values[index] for values in self))


def complete(
    slate: Slate, core: Core, score: Tensor, scenarios: Tensor, budget: Tensor, room: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Search `scenarios` (indices into B) for the best lineup that loses at most `budget` (B,).

    Returns (rows (F, S) in search order, their scenario (F,), searched (B,)): a row per scenario in which such a
    lineup exists. A scenario is given up, so not searched, when a level of the tree would need more than its part of
    `room` expansions or when rows left out of the core could matter.
    """
    searched = torch.zeros_like(budget, dtype=torch.bool)
    searched[scenarios] = core.left_out[scenarios] > budget[scenarios]
    start = scenarios[searched[scenarios]]
    nothing = torch.zeros_like(start)
    part = Partial(
        start, start.new_zeros(len(start), 0), budget.new_zeros(len(start)), nothing + slate.cap, nothing
    )
    for k in range(len(slate.order)):
        part = expand(slate, core, part, k, budget, searched, room)
    part = part.at(torch.nonzero(slate.cap - part.left >= slate.floor).flatten())
    value = score[part.scenario].gather(1, part.chosen).sum(1)
    highest = torch.full_like(budget, -torch.inf).scatter_reduce(0, part.scenario, value, "amax")
    winners = torch.nonzero(value == highest[part.scenario]).flatten()
    # One of equals: the last written stays.
    one = torch.full_like(budget, -1, dtype=torch.long).scatter(0, part.scenario[winners], winners)
    found = one[one >= 0]
    return part.chosen[found], part.scenario[found], searched


def expand(
    slate: Slate, core: Core, part: Partial, k: int, budget: Tensor, searched: Tensor, room: int
) -> Partial:
    """Seat the k-th slot in every way the budget allows; clears `searched` of scenarios that are given up."""
    children = (core.loss[k] <= budget[:, None]).sum(1)
    count = children[part.scenario]
    needed = torch.zeros_like(children).scatter_add(0, part.scenario, count)
    if int(needed.sum()) > room:
        ordered, order = needed.sort()
        searched[order[ordered.cumsum(0) > room]] = False
        part = part.at(torch.nonzero(searched[part.scenario]).flatten())
        count = children[part.scenario]
    parent = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    child = torch.arange(len(parent), device=count.device) - (count.cumsum(0) - count)[parent]
    scenario = part.scenario[parent]
    lost = part.loss[parent] + core.loss[k][scenario, child]
    left = part.left[parent] - core.salary[k][scenario, child]
    bits = part.bits[parent] | core.bit[k][scenario, child]
    total = lost + core.suffix[k + 1][scenario, left.clamp_min(0)] + core.forfeit[scenario, k + 1, bits]
    kept = torch.nonzero((left >= 0) & (total <= budget[scenario])).flatten()
    row = core.row[k][scenario[kept], child[kept]]
    chosen = part.chosen[parent[kept]]
    legal = torch.nonzero(admissible(slate, chosen, row)).flatten()
    kept, row = kept[legal], row[legal]
    chosen = torch.cat([chosen[legal], row[:, None]], 1)
    return Partial(scenario[kept], chosen, lost[kept], left[kept], bits[kept])
