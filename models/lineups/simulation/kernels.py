"""The compiled part of a contest: score everybody in a block of scenarios, rank by histogram, pay by prefix sums.

Scores lie on the site's grid, so they are whole numbers: a histogram of the entries' scores and its suffix sums tell
how many entries are ahead of any score and how many share it, hence its exact place and its share of tied prizes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.lineups.jit import compiled

Grid = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]

# Scenarios scored together: 64 bytes of int16, one cache line per player row and one vector register.
WIDTH = 32


class Prizes(NamedTuple):
    """`paid` (field + 2,) sums the prizes of the places before; `cuts` (T,) are places whose reaching is counted.

    With `blur` above 0 a score's prize is the mean over scores up to so many grid steps away, weighted by a triangle.
    """

    paid: Floats
    cuts: Ints
    blur: int


class Tally(NamedTuple):
    """What a run adds up. C lineups, S scenarios, T cuts.

    `total` (C,) sums prizes, `hits` (C, T) counts scenarios in which a lineup is within the cut. `prize` (C, S or 0)
    keeps every prize. `sum` (S,) adds the lineups' prizes up and `reached` (S, T) says whether any is within the cut.
    """

    total: Floats
    hits: Ints
    prize: NDArray[np.float32]
    sum: Floats
    reached: NDArray[np.bool_]


@compiled
def play(
    points: Grid,
    field: Rows,
    weight: Ints,
    mine: Rows,
    joins: bool,
    prizes: Prizes,
    first: int,
    last: int,
    tally: Tally,
) -> None:
    """Play scenarios first..last - 1: `mine` (C, size) against `field` (F, size) with `weight` (F,) entries each.

    `points` (N, S) are grid units per player row. `joins`: each of `mine` enters alone beside the field;
    otherwise they are all part of the field already and only asked what they won.
    """
    local = np.zeros((points.shape[0], WIDTH), points.dtype)
    scores = np.zeros((len(field), WIDTH), points.dtype)
    own = np.zeros((len(mine), WIDTH), points.dtype)
    low, high = np.zeros(WIDTH, np.int64), np.zeros(WIDTH, np.int64)
    cut = np.zeros((len(prizes.cuts), WIDTH), points.dtype)
    for start in range(first, last, WIDTH):
        width = min(WIDTH, last - start)
        local[:, :width] = points[:, start : start + width]
        add_up(local, field, scores)
        add_up(local, mine, own)
        ahead = np.zeros((WIDTH, extremes(scores, low, high) + 2), np.int32)
        for f in range(len(field)):
            for j in range(WIDTH):
                ahead[j, scores[f, j] - low[j] + 1] += weight[f]
        table = price(ahead, low, joins, prizes, cut)
        if prizes.blur > 0:
            table = spread(spread(table, prizes.blur), prizes.blur)
        pay(own, table, low, start, width, tally)
        count_hits(own, cut, start, width, joins, tally)


@compiled
def spread(table: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Running means over `steps` // 2 scores to either side, the outermost prizes going on; twice is a triangle."""
    wide = steps // 2
    span = table.shape[1]
    smooth = np.zeros((WIDTH, span), np.float32)
    for j in range(WIDTH):
        total = 0.0
        for v in range(-wide, wide + 1):
            total += table[j, min(max(v, 0), span - 1)]
        for v in range(span):
            smooth[j, v] = total / (2 * wide + 1)
            total += table[j, min(v + wide + 1, span - 1)] - table[j, max(v - wide, 0)]
    return smooth


@compiled
def pay(own: Grid, table: NDArray[np.float32], low: Ints, start: int, width: int, tally: Tally) -> None:
    """Add up the prizes of lineups scoring `own` (C, WIDTH) in scenarios start..start + width - 1."""
    top = table.shape[1] - 1
    for c in range(len(own)):
        total = 0.0
        for j in range(width):
            won = table[j, min(max(np.int64(own[c, j]) - low[j] + 1, 0), top)]
            total += won
            tally.sum[start + j] += won
            if tally.prize.shape[1] > 0:
                tally.prize[c, start + j] = won
        tally.total[c] += total


@compiled
def count_hits(own: Grid, cut: Grid, start: int, width: int, joins: bool, tally: Tally) -> None:
    """Count the scenarios in which lineups reach each cut and, playing together, those in which any does."""
    for c in range(len(own)):
        for t in range(len(cut)):
            count = 0
            for j in range(width):
                count += own[c, j] >= cut[t, j]
            tally.hits[c, t] += count
            if not joins:
                for j in range(width):
                    tally.reached[start + j, t] |= own[c, j] >= cut[t, j]


@compiled
def add_up(local: Grid, lineups: Rows, scores: Grid) -> None:
    """Scores (L, WIDTH) of lineups (L, size) from the rows' points (N, WIDTH)."""
    for f in range(len(lineups)):
        one = scores[f]
        head = local[lineups[f, 0]]
        for j in range(WIDTH):
            one[j] = head[j]
        for k in range(1, lineups.shape[1]):
            more = local[lineups[f, k]]
            for j in range(WIDTH):
                one[j] += more[j]


@compiled
def extremes(scores: Grid, low: Ints, high: Ints) -> int:
    """Fill lowest and highest score per scenario; return how many grid steps the widest spans."""
    least, most = scores[0].copy(), scores[0].copy()
    for f in range(1, len(scores)):
        for j in range(WIDTH):
            least[j] = min(least[j], scores[f, j])
            most[j] = max(most[j], scores[f, j])
    span = 0
    for j in range(WIDTH):
        low[j], high[j] = least[j], most[j]
        span = max(span, high[j] - low[j] + 1)
    return span


@compiled
def price(ahead: NDArray[np.int32], low: Ints, joins: bool, prizes: Prizes, cut: Grid) -> NDArray[np.float32]:
    """Prize by scenario and score, and the lowest score within each cut.

    `ahead` (WIDTH, span + 2) holds the entries at each score: column v is score low + v - 1, column 0 stands for all
    scores below the field and the last for all above.
    """
    span = ahead.shape[1]
    places = len(prizes.paid) - 1
    table = np.zeros((WIDTH, span), np.float32)
    for j in range(WIDTH):
        better, open_cuts = 0, len(prizes.cuts)
        for v in range(span - 1, -1, -1):
            tied = ahead[j, v]
            shared = tied + 1 if joins else max(tied, 1)
            won = prizes.paid[min(better + shared, places)] - prizes.paid[min(better, places)]
            table[j, v] = won / shared
            # Cuts run from the widest to the narrowest, so those no longer met are at the end.
            while open_cuts > 0 and better >= prizes.cuts[open_cuts - 1]:
                open_cuts -= 1
            for t in range(open_cuts):
                cut[t, j] = low[j] + v - 1
            better += tied
    return table
