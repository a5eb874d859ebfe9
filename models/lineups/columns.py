"""Lineups as columns of a selection problem, and what a selection of them must keep: the data of `joint`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.lineups.pool import Flags, Floats, Ints, LinearRows, Pool, Quota
from models.lineups.portfolio import Solved


@dataclass(frozen=True, slots=True, eq=False)
class Asks:
    """What the selection must keep: of `n` lineups between least[i] and most[i] hold ask i; I asks.

    Ask i is threshold[i] or more of members[i] (I, N). `additive` asks hold at most one member and need one, so a
    price on them is a price on the members. `labels` are how a player says them; caps of players share one.
    """

    n: int
    members: Flags
    threshold: Ints
    least: Ints
    most: Ints
    additive: Flags
    labels: tuple[str, ...]

    def held(self, rows: Sequence[int]) -> Flags:
        """Which asks the lineup of these rows holds (I,)."""
        found: Flags = self.members[:, list(rows)].sum(axis=1) >= self.threshold
        return found

    def without(self, labels: frozenset[str]) -> Asks:
        """The same with every ask of these labels off."""
        off = np.array([label in labels for label in self.labels], dtype=np.bool_)
        return replace(self, least=np.where(off, 0, self.least), most=np.where(off, self.n, self.most))


@dataclass(slots=True)
class Columns:
    """Distinct legal lineups found so far, their scores and what they hold."""

    pool: Pool
    asks: Asks
    found: list[Solved] = field(default_factory=list)
    held: list[Flags] = field(default_factory=list)
    _seen: set[frozenset[int]] = field(default_factory=set)

    def add(self, lineups: Sequence[tuple[int, ...]]) -> int:
        """Take what is new; return how many were."""
        before = len(self.found)
        for rows in lineups:
            key = frozenset(rows)
            if key not in self._seen:
                self._seen.add(key)
                value = float(self.pool.score[list(rows)].sum())
                self.found.append(Solved(tuple(rows), value, value))
                self.held.append(self.asks.held(rows))
        return len(self.found) - before

    def scores(self) -> Floats:
        """Score per column."""
        return np.array([found.projection for found in self.found])

    def holding(self) -> Flags:
        """Which column holds which ask (columns, I)."""
        return np.array(self.held, dtype=np.bool_).reshape(len(self.found), len(self.asks.labels))


def asks_of(pool: Pool, n: int, cap_label: str, named: dict[str, str]) -> Asks:
    """The pool's quotas and its players' caps; `named` gives candidates with a cap of their own its wording."""
    quotas = [_bounded(quota, n) for quota in pool.quotas]
    labels = [quota.label for quota in quotas]
    capped = [at for at in np.unique(pool.source[(pool.limit < n) & ~pool.excluded]).tolist()]
    for at in capped:
        members = pool.source == at
        label = named.get(pool.candidates[at].id, cap_label)
        quotas.append(Quota(label, members, 1, 0, int(pool.limit[members][0])))
        labels.append(label)
    return Asks(
        n=n,
        members=np.array([q.members & ~pool.excluded for q in quotas], dtype=np.bool_).reshape(
            -1, len(pool.score)
        ),
        threshold=np.array([q.threshold for q in quotas], dtype=np.int64),
        least=np.array([q.least for q in quotas], dtype=np.int64),
        most=np.array([q.most for q in quotas], dtype=np.int64),
        additive=np.array([_additive(pool, q) for q in quotas], dtype=np.bool_),
        labels=tuple(labels),
    )


def switchable(pool: Pool, asks: Asks) -> tuple[Pool, Ints]:
    """The pool with a row per ask to be forced or forbidden that is no single row's; and each ask's row (-1: none)."""
    rows, at = pool.rows, np.full(len(asks.labels), -1, dtype=np.int64)
    wanted = np.flatnonzero(~asks.additive | ((asks.least > 0) & (asks.members.sum(axis=1) > 1)))
    if not len(wanted):
        return replace(pool, quotas=()), at
    at[wanted] = len(rows.names) + np.arange(len(wanted))
    grown = LinearRows(
        np.vstack([rows.weight, asks.members[wanted].astype(np.int64)]),
        np.concatenate([rows.lower, np.zeros(len(wanted), dtype=np.int64)]),
        np.concatenate([rows.upper, np.full(len(wanted), pool.size, dtype=np.int64)]),
        rows.names + tuple(asks.labels[i] for i in wanted),
    )
    return replace(pool, rows=grown, quotas=()), at


def _additive(pool: Pool, quota: Quota) -> bool:
    return quota.threshold == 1 and len(np.unique(pool.person[quota.members & ~pool.excluded])) <= 1


def _bounded(quota: Quota, n: int) -> Quota:
    return replace(quota, least=min(quota.least, n), most=min(quota.most, n))
