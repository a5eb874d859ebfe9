"""Prices for many score vectors at once, in torch: per salary unit and per roster slot.

The dual of `models.lineups.dual`, batched: for a salary multiplier the relaxed lineup is an assignment of players to
slots, solved for all scenarios in step by shortest augmenting paths; the multiplier is found by intersecting lines.
Prices only steer: `batch_torch` derives a valid bound from whatever prices it is given.

Letters: B scenarios, N rows of the pool, S slots, C columns of the assignment.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

MAX_CUTS: Final = 16
TOLERANCE: Final = 1e-6
#: A number no sum of scores reaches: scores and their sums stay far below it in float32 too.
FAR: Final = 1e12


class Columns(NamedTuple):
    """The assignment's columns: per kind of player (equal slot bits) his rows and how many of them can matter."""

    rows: tuple[Tensor, ...]
    quota: tuple[int, ...]
    eligible: Tensor  # (S, C) bool


class Priced(NamedTuple):
    """Salary multiplier (B,) and slot prices (B, S)."""

    multiplier: Tensor
    price: Tensor


def columns_of(mask: Tensor, size: int) -> Columns:
    """Columns for a pool whose rows have these slot bits (N,); rows without a slot are left out."""
    rows, quota, eligible = [], [], []
    for bits in sorted(set(mask.tolist()) - {0}):
        members = torch.nonzero(mask == bits).flatten()
        # As many as the kind can seat, and one more: see `models.lineups.dual.shortlist`.
        count = min(len(members), bits.bit_count() + 1)
        rows.append(members)
        quota.append(count)
        eligible += [[bool(bits >> slot & 1) for slot in range(size)]] * count
    table = torch.tensor(eligible, dtype=torch.bool, device=mask.device).reshape(-1, size)
    return Columns(tuple(rows), tuple(quota), table.T.contiguous())


def prices(score: Tensor, salary: Tensor, cap: int, columns: Columns) -> Priced:
    """Multiplier and slot prices of score vectors (B, N) under a salary cap; salary (N,) in the scores' type."""
    size = len(columns.eligible)
    multiplier = score.new_zeros(len(score))
    found, spent, price = relaxed(score, multiplier, salary, columns)
    best = Priced(multiplier.clone(), price)
    bound = found + 0.0
    over_value, over = found.clone(), spent.clone()
    under_value, under = torch.zeros_like(found), torch.zeros_like(spent)
    real = torch.zeros_like(found, dtype=torch.bool)  # whether `under` is a lineup, not the empty one
    open_ = torch.nonzero(spent > cap).flatten()
    bound[open_] = FAR
    for _ in range(MAX_CUTS):
        if not len(open_):
            break
        lam = (over_value[open_] - under_value[open_]) / (over[open_] - under[open_])
        lam = torch.where(real[open_], lam, lam.abs() + TOLERANCE).clamp_min(0.0)
        expected = torch.where(real[open_], under_value[open_] + lam * (cap - under[open_]), -FAR)
        found, spent, price = relaxed(score[open_], lam, salary, columns)
        dual = found + lam * (cap - spent)
        better = dual < bound[open_]
        at = open_[better]
        bound[at], best.multiplier[at] = dual[better], lam[better]
        best.price[at] = price[better]
        fits = spent <= cap
        under_value[open_[fits]], under[open_[fits]] = found[fits], spent[fits]
        real[open_[fits]] = True
        over_value[open_[~fits]], over[open_[~fits]] = found[~fits], spent[~fits]
        # Still dear at the first guess: the empty lineup's line must fall faster.
        under_value[open_[~fits & ~real[open_]]] -= found[~fits & ~real[open_]].abs() + size
        settled = (dual <= expected + TOLERANCE * expected.abs().clamp_min(1.0)) | (spent == cap)
        open_ = open_[~settled]
    return best


def relaxed(score: Tensor, multiplier: Tensor, salary: Tensor, columns: Columns) -> tuple[Tensor, Tensor, Tensor]:
    """The best lineup at weights score - multiplier x salary without a cap: its score (B,), salary (B,), slot
    prices (B, S)."""
    weight = score - multiplier[:, None] * salary
    heavy, picked = [], []
    for rows, quota in zip(columns.rows, columns.quota, strict=True):
        top = weight[:, rows].topk(quota, dim=1)
        heavy.append(top.values)
        picked.append(rows[top.indices])
    owner, price = assign(torch.cat(heavy, 1), columns.eligible)
    seated = owner >= 0
    row = torch.cat(picked, 1)
    return (score.gather(1, row) * seated).sum(1), (salary[row] * seated).sum(1), price


def assign(weight: Tensor, eligible: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum-weight assignment of columns (B, C) to S slots; (owner (B, C): slot or -1, slot prices (B, S)).

    Slots are seated one after the other by a shortest augmenting path (Hungarian method), all scenarios in step.
    """
    size, (count, width) = len(eligible), weight.shape
    price, premium = weight.new_zeros(count, size), torch.zeros_like(weight)
    owner = torch.full((count, width), -1, dtype=torch.long, device=weight.device)
    for slot in range(size):
        way, end = _path(slot, weight, eligible, price, premium, owner)
        _reseat(slot, way, end, owner)
    return owner, price


def _path(
    slot: int, weight: Tensor, eligible: Tensor, price: Tensor, premium: Tensor, owner: Tensor
) -> tuple[Tensor, Tensor]:
    """Shortest path from `slot` to a free column: (column before each column (B, C), its end (B, 1)).

    `price` and `premium` are moved so that the path costs nothing. At most `slot` columns are taken, so slot + 1
    steps always reach a free one.
    """
    count = len(weight)
    row = torch.full((count, 1), slot, device=weight.device)
    at = torch.full((count, 1), -1, device=weight.device)
    way = torch.full_like(owner, -1)
    least = torch.full_like(weight, FAR)
    used, tree = torch.zeros_like(weight, dtype=torch.bool), torch.zeros_like(price, dtype=torch.bool)
    active = torch.ones_like(at, dtype=torch.bool)
    for _ in range(slot + 1):
        tree = tree.scatter(1, row, True)
        reduced = price.gather(1, row) + premium - weight
        better = eligible[row.flatten()] & ~used & active & (reduced < least)
        least = torch.where(better, reduced, least)
        way = torch.where(better, at, way)
        delta, nearest = torch.where(used, 2 * FAR, least).min(1, keepdim=True)
        delta = torch.where(active, delta, 0.0)
        price -= delta * tree
        premium += delta * used
        least = torch.where(used, least, least - delta)
        at = torch.where(active, nearest, at)
        taken = owner.gather(1, at)
        active = active & (taken >= 0)
        used = used | (torch.zeros_like(used).scatter(1, at, True) & active)
        row = torch.where(active, taken, row)
    return way, at


def _reseat(slot: int, way: Tensor, end: Tensor, owner: Tensor) -> None:
    """Move everybody along the augmenting path that ends in column `end`."""
    moving = torch.ones_like(end, dtype=torch.bool)
    for _ in range(slot + 1):
        before = way.gather(1, end)
        heir = torch.where(before < 0, slot, owner.gather(1, before.clamp_min(0)))
        owner.scatter_(1, end, torch.where(moving, heir, owner.gather(1, end)))
        moving = moving & (before >= 0)
        end = torch.where(moving, before, end)
