"""Good lineups for many score vectors at once, in torch, and a proof for those that turn out best.

A beam of partial lineups grows slot by slot, each judged by its losses so far plus the least its open slots must still
lose. Whatever it drops loses at least as much as the least of the dropped.

Letters: B scenarios, S slots, W partial lineups kept per scenario, K rows considered per slot.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from models.lineups.torch_bounds import Core, Slate, admissible
from models.lineups.torch_prices import FAR

WIDTH: Final = 16
BREADTH: Final = 12


def beam_search(slate: Slate, core: Core) -> tuple[Tensor, Tensor, Tensor]:
    """(rows (B, S) in search order, their loss (B,), the least loss (B,) of any lineup the beam has not seen).

    A loss of FAR or more means that no legal lineup was found.
    """
    count = len(core.bound)
    chosen = torch.zeros((count, 1, 0), dtype=torch.long, device=core.bound.device)
    loss = core.bound.new_zeros(count, 1)
    left = torch.full((count, 1), slate.cap, device=core.bound.device)
    bits = torch.zeros_like(left)
    unseen = core.left_out
    for k in range(len(slate.order)):
        rows = core.row[k][:, :BREADTH]
        if core.row[k].shape[1] > BREADTH:
            unseen = torch.minimum(unseen, core.loss[k][:, BREADTH])
        flat = (count, loss.shape[1] * rows.shape[1])
        lost = (loss[:, :, None] + core.loss[k][:, None, :BREADTH]).reshape(flat)
        rest = (left[:, :, None] - core.salary[k][:, None, :BREADTH]).reshape(flat)
        seated = (bits[:, :, None] | core.bit[k][:, None, :BREADTH]).reshape(flat)
        total = lost + core.suffix[k + 1].gather(1, rest.clamp_min(0))
        total = total + core.forfeit[:, k + 1].gather(1, seated)
        legal = admissible(slate, chosen[:, :, None], rows[:, None]).reshape(flat) & (rest >= 0)
        if k == len(slate.order) - 1:
            legal = legal & (slate.cap - rest >= slate.floor)
        total = torch.where(legal & (lost < FAR), total, FAR)
        best = total.topk(min(WIDTH + 1, flat[1]), dim=1, largest=False)
        if flat[1] > WIDTH:
            unseen = torch.minimum(unseen, best.values[:, WIDTH])
        pick = best.indices[:, :WIDTH]
        parent = chosen.gather(1, (pick // rows.shape[1])[:, :, None].expand(-1, -1, k))
        chosen = torch.cat([parent, rows.gather(1, pick % rows.shape[1])[:, :, None]], 2)
        loss = torch.where(best.values[:, :WIDTH] < FAR, lost.gather(1, pick), FAR)
        left, bits = rest.gather(1, pick), seated.gather(1, pick)
    # The last level's totals are the lineups' own losses.
    total = best.values[:, :WIDTH]
    first = total.argmin(1, keepdim=True)
    return (
        chosen.gather(1, first[:, :, None].expand(-1, -1, chosen.shape[2]))[:, 0],
        total.gather(1, first)[:, 0],
        unseen,
    )
