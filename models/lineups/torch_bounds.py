"""Bounds for many score vectors at once, in torch: the few rows worth a look per slot, and what slots must still lose.

Prices turn a lineup into a sum of losses >= 0 below a proven bound, as in `models.lineups.search`; the bound is valid
for any prices.

Letters: B scenarios, N pool rows, S slots, K rows considered per slot, L salary units left (0..cap).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from models.lineups.pool import Ints, Pool
from models.lineups.torch_prices import FAR, Columns, columns_of, prices

#: Rows considered per slot; a scenario that needs more is left to the compiled search.
BREADTH: Final = 48
#: Rows per slot the suffix tables look at one by one; the others are bounded by the next loss.
TABLED: Final = 16


class Slate(NamedTuple):
    """The pool on the device: per row salary, slot bits, person, team and game (N,); slots in search order."""

    salary: Tensor
    mask: Tensor
    person: Tensor
    team: Tensor
    side: Tensor
    game: Tensor
    order: tuple[int, ...]
    eligible: tuple[Tensor, ...]
    columns: Columns
    cap: int
    floor: int
    max_per_team: int
    max_per_game: int
    min_teams: int
    min_games: int


class Core(NamedTuple):
    """Per slot in search order the K rows of least loss (B, K), by growing loss.

    `bit` is the row's bit among the premium rows, 0 for most. A lineup with a row left out of a slot's list loses at
    least `left_out` (B,). suffix[k] (B, L): least loss of slots k.. by salary left. forfeit (B, S + 1, 2^S): least sum
    of premiums lost for good when slots k.. are open and these premium rows seated. No lineup exceeds `bound` (B,).
    """

    row: tuple[Tensor, ...]
    loss: tuple[Tensor, ...]
    salary: tuple[Tensor, ...]
    bit: tuple[Tensor, ...]
    left_out: Tensor
    suffix: tuple[Tensor, ...]
    forfeit: Tensor
    bound: Tensor


def slate_of(pool: Pool, allowed: Ints, device: str) -> Slate:
    """The allowed rows of the pool as tensors."""

    def tensor(values: Ints) -> Tensor:
        return torch.as_tensor(values[allowed], device=device)

    mask = tensor(pool.mask)
    eligible = [torch.nonzero(mask >> slot & 1).flatten() for slot in range(pool.size)]
    # Narrow slots last: they settle early which premiums can still be had.
    order = sorted(range(pool.size), key=lambda slot: -len(eligible[slot]))
    return Slate(
        salary=tensor(pool.salary),
        mask=mask,
        person=tensor(pool.person),
        team=tensor(pool.team),
        side=tensor(pool.counted_team),
        game=tensor(pool.game),
        order=tuple(order),
        eligible=tuple(eligible),
        columns=columns_of(mask, pool.size),
        cap=min(pool.cap, pool.size * int(pool.salary.max())),
        floor=pool.floor,
        max_per_team=pool.max_per_team,
        max_per_game=pool.max_per_game,
        min_teams=pool.min_teams,
        min_games=pool.min_games,
    )


def core_of(slate: Slate, score: Tensor) -> Core:
    """Rows and bounds for score vectors (B, N). Premiums make every loss >= 0 by their definition."""
    salary = slate.salary.to(score.dtype)
    multiplier, price = prices(score, salary, slate.cap, slate.columns)
    weight = score - multiplier[:, None] * salary
    premium = torch.zeros_like(weight)
    for slot, eligible in enumerate(slate.eligible):
        premium[:, eligible] = torch.maximum(premium[:, eligible], weight[:, eligible] - price[:, slot : slot + 1])
    top = premium.topk(min(len(slate.order), premium.shape[1]), dim=1)
    number = torch.zeros_like(weight, dtype=torch.long)
    number.scatter_(
        1, top.indices, (1 << torch.arange(top.indices.shape[1], device=score.device)).expand_as(top.indices)
    )
    row, loss = [], []
    left_out = score.new_full((len(score),), FAR)
    for slot in slate.order:
        eligible = slate.eligible[slot]
        lost = (price[:, slot : slot + 1] + premium[:, eligible] - weight[:, eligible]).clamp_min(0.0)
        least = lost.topk(min(BREADTH + 1, len(eligible)), dim=1, largest=False)
        if len(eligible) > BREADTH:
            left_out = torch.minimum(left_out, least.values[:, BREADTH])
        row.append(eligible[least.indices[:, :BREADTH]])
        loss.append(least.values[:, :BREADTH])
    cost = tuple(slate.salary[rows] for rows in row)
    return Core(
        row=tuple(row),
        loss=tuple(loss),
        salary=cost,
        bit=tuple(number.gather(1, rows) for rows in row),
        left_out=left_out,
        suffix=suffix_tables(slate.cap, multiplier, cost, tuple(loss)),
        forfeit=forfeit_table(slate, top.indices, top.values),
        bound=multiplier * slate.cap + price.sum(1) + premium.sum(1),
    )


def suffix_tables(
    cap: int, multiplier: Tensor, salary: tuple[Tensor, ...], loss: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """`Core.suffix`, k = 0..S; a player may repeat from slot to slot: still a bound."""
    left = torch.arange(cap + 1, device=multiplier.device)
    tables = [multiplier[:, None] * left]
    for k in range(len(loss) - 1, -1, -1):
        later, count = tables[0], loss[k].shape[1]
        least = torch.full_like(later, FAR)
        if count > TABLED:
            least = (loss[k][:, TABLED : TABLED + 1] + later.amin(1, keepdim=True)).expand_as(later)
        for at in range(min(count, TABLED)):
            rest = left - salary[k][:, at : at + 1]
            after = later.gather(1, rest.clamp_min(0)) + loss[k][:, at : at + 1]
            least = torch.minimum(least, torch.where(rest >= 0, after, FAR))
        tables.insert(0, least)
    return tuple(tables)


def forfeit_table(slate: Slate, row: Tensor, premium: Tensor) -> Tensor:
    """`Core.forfeit` for premium rows (B, S) and their premiums."""
    count, size = premium.shape
    seated = torch.arange(1 << size, device=premium.device)
    table = premium.new_zeros(count, len(slate.order) + 1, 1 << size)
    for d in range(size):
        table[:, -1] += premium[:, d : d + 1] * ((seated >> d & 1) == 0)
    mask = slate.mask[row]
    for k in range(len(slate.order) - 1, -1, -1):
        least = table[:, k + 1].clone()
        for d in range(size):
            fits = (mask[:, d : d + 1] >> slate.order[k] & 1).bool() & ((seated >> d & 1) == 0)
            least = torch.minimum(least, torch.where(fits, table[:, k + 1][:, seated | 1 << d], FAR))
        table[:, k] = least
    return table


def admissible(slate: Slate, chosen: Tensor, new: Tensor) -> Tensor:
    """Whether rows `new` (...) may take the next slot beside those `chosen` (..., k) in search order: (...) bool.

    Unused persons, team and game rules, and canonical seating: two who could swap slots sit in row order, which
    leaves each set of players at least one seating.
    """
    k = chosen.shape[-1]
    here, still_open = slate.order[k], len(slate.order) - k - 1
    legal = torch.ones_like(chosen[..., :1].sum(-1) + new, dtype=torch.bool)
    mates, rivals = torch.zeros_like(legal, dtype=torch.int8), torch.zeros_like(legal, dtype=torch.int8)
    for a in range(k):
        old = chosen[..., a]
        swaps = (slate.mask[old] >> here & slate.mask[new] >> slate.order[a] & 1).bool()
        legal = legal & (slate.person[old] != slate.person[new]) & ~(swaps & (old > new))
        mates = mates + (slate.team[old] == slate.team[new])
        rivals = rivals + (slate.game[old] == slate.game[new])
    legal = legal & (mates < slate.max_per_team) & (rivals < slate.max_per_game)
    for codes, least in ((slate.side, slate.min_teams), (slate.game, slate.min_games)):
        if least > still_open + 1:
            legal = legal & (distinct(codes[chosen]) + fresh(codes, chosen, new) + still_open >= least)
    return legal


def fresh(codes: Tensor, chosen: Tensor, new: Tensor) -> Tensor:
    """Whether row `new` (...) brings a code that counts (>= 0) and none of those `chosen` (..., k) has: (...) bool."""
    code = codes[new]
    found = code >= 0
    for a in range(chosen.shape[-1]):
        found = found & (codes[chosen[..., a]] != code)
    return found


def distinct(codes: Tensor) -> Tensor:
    """How many different codes >= 0 there are along the last axis."""
    count = torch.zeros(codes.shape[:-1], dtype=torch.long, device=codes.device)
    for a in range(codes.shape[-1]):
        count = count + ((codes[..., :a] != codes[..., a : a + 1]).all(-1) & (codes[..., a] >= 0))
    return count
