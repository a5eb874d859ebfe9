"""Nodes of the search: each leaves some choices open and prices the rules of the options it has picked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.lineups.arrays import (
    BOUND,
    CHOICES,
    INCUMBENT,
    MULTIPLIER,
    NUMBERS,
    PICK,
    ROOT,
    ROOT_BOUND,
    SEAT,
    SEEK,
    SIZE,
    Request,
    Work,
)
from models.lineups.dual import CLOSE, activate, option_of, settle
from models.lineups.jit import inner
from models.lineups.pool import Floats, Ints
from models.lineups.relaxation import load_of
from models.lineups.table import sort_by

# States of a node: to be searched; searched down to the cutoff; too wide to search unsplit; split up or empty.
OPEN, SEARCHED, STUCK, GONE = 0, 1, 2, 3


class Tree(NamedTuple):
    """One line per node. floats: proven bound, then multipliers; ints: state, options picked, relaxed lineup."""

    floats: Floats
    ints: Ints


@inner
def new_tree(request: Request, nodes: int) -> Tree:
    """Room for so many nodes."""
    limits = request.limits
    return Tree(
        np.zeros((nodes, 1 + len(request.lower))), np.zeros((nodes, 1 + limits[CHOICES] + limits[SIZE]), np.int64)
    )


@inner
def store(tree: Tree, node: int, request: Request, work: Work) -> None:
    """Write the relaxation's state into an open node."""
    choices, size = request.limits[CHOICES], request.limits[SIZE]
    tree.floats[node, 0], tree.ints[node, 0] = work.floats[NUMBERS, BOUND], OPEN
    for r in range(len(request.lower)):
        tree.floats[node, 1 + r] = work.floats[MULTIPLIER, r]
    for c in range(choices):
        tree.ints[node, 1 + c] = work.ints[PICK, c]
    for k in range(size):
        tree.ints[node, 1 + choices + k] = work.ints[SEAT, k]


@inner
def open_node(tree: Tree, node: int, request: Request, work: Work) -> None:
    """Bring the relaxation back to where the node was stored; prices apart."""
    choices, size = request.limits[CHOICES], request.limits[SIZE]
    work.floats[NUMBERS, BOUND] = tree.floats[node, 0]
    for r in range(len(request.lower)):
        work.floats[MULTIPLIER, r] = tree.floats[node, 1 + r]
    for c in range(choices):
        work.ints[PICK, c] = tree.ints[node, 1 + c]
    for k in range(size):
        work.ints[SEAT, k] = tree.ints[node, 1 + choices + k]
    activate(request, work)


@inner
def widest(tree: Tree, nodes: int) -> int:
    """The node to look at next, highest bound first; -1 if none is left."""
    found = -1
    for node in range(nodes):
        waiting = tree.ints[node, 0] == OPEN or tree.ints[node, 0] == STUCK
        if waiting and (found < 0 or tree.floats[node, 0] > tree.floats[found, 0]):
            found = node
    return found


@inner
def openings(request: Request, work: Work) -> int:
    """How many choices are still open."""
    count = 0
    for c in range(request.limits[CHOICES]):
        count += work.ints[PICK, c] < 0
    return count


@inner
def choice_to_split(request: Request, stuck: bool, work: Work) -> int:
    """The open choice to branch on: one the relaxed lineup fails, or any once the node is stuck; -1 for none."""
    first = -1
    for c in range(request.limits[CHOICES]):
        if work.ints[PICK, c] < 0:
            if option_of(c, request, work.ints[SEAT]) < 0:
                return c
            first = c if first < 0 else first
    return first if stuck else -1


@inner
def split(node: int, c: int, request: Request, enough: float, tree: Tree, nodes: int, work: Work) -> int:
    """Replace the node by one child per option of choice c, from line `nodes` on; return how many nodes there are.

    Children below `enough` are priced roughly. Those likeliest to be good come first: what they find lets the
    others, and rows that cannot be part of anything better, be dropped early.
    """
    numbers, root = work.floats[NUMBERS], work.floats[NUMBERS, ROOT_BOUND]
    first, last, size = request.choice[c], request.choice[c + 1], request.limits[SIZE]
    key, options = np.zeros(last - first), np.arange(first, last)
    seat = work.ints[SEAT]
    for o in range(first, last):
        for r in range(request.option[o], request.option[o + 1]):
            load = load_of(request.weight[r], seat, size)
            key[o - first] += max(0, request.lower[r] - load) + max(0, load - request.upper[r])
    sort_by(key, options, 0, last - first)
    tree.ints[node, 0] = GONE
    likely = np.zeros(len(request.lower))
    for o in options:
        open_node(tree, node, request, work)
        work.ints[PICK, c] = o
        activate(request, work)
        bound = work.floats[NUMBERS, BOUND]
        rows = range(request.option[o], request.option[o + 1])
        for r in rows:  # what the last option's rows were worth is a fair guess for these
            work.floats[MULTIPLIER, r] = likely[r - rows.start]
        if settle(request, enough, work):
            for r in rows:
                likely[r - rows.start] = work.floats[MULTIPLIER, r]
            work.floats[NUMBERS, BOUND] = min(bound, work.floats[NUMBERS, BOUND])
            store(tree, nodes, request, work)
            nodes += 1
        if request.limits[SEEK] == 2 and numbers[INCUMBENT] > enough:
            enough = numbers[INCUMBENT] - CLOSE * (1.0 + abs(root))
            for i in range(len(request.allowed)):
                request.allowed[i] = request.allowed[i] and root - work.floats[ROOT, i] >= enough
    return nodes


@inner
def with_room(tree: Tree, nodes: int, more: int, request: Request) -> Tree:
    """The same nodes, and room for so many more."""
    if nodes + more <= len(tree.floats):
        return tree
    wide = new_tree(request, 2 * (nodes + more))
    for node in range(nodes):
        for at in range(tree.floats.shape[1]):
            wide.floats[node, at] = tree.floats[node, at]
        for at in range(tree.ints.shape[1]):
            wide.ints[node, at] = tree.ints[node, at]
    return wide
